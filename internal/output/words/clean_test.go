package words

import "testing"

func TestClean(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain text":               {"GET /orders → 200 👩‍💻", "GET /orders → 200 👩‍💻"},
		"colours":                  {"\x1b[1;31merror\x1b[0m", "error"},
		"cursor movement":          {"a\x1b[2K\x1b[1Ab", "ab"},
		"8-bit sequences":          {"a\u009b31mb", "ab"},
		"window title":             {"a\x1b]0;pwned\x07b", "ab"},
		"link":                     {"\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		"device control string":    {"a\x1bPq#0\x1b\\b", "ab"},
		"unended sequence":         {"a\x1b]0;b", "a␛]0;b"},
		"line breaks":              {"a\nb\r\nc\n", "a ⏎ b ⏎ c"},
		"Unicode line breaks":      {"a\u2028b\u0085c", "a ⏎ b ⏎ c"},
		"carriage return":          {"real\rfake", "real␍fake"},
		"tab":                      {"a\tb", "a    b"},
		"backspace and bell":       {"a\bb\a", "a␈b␇"},
		"bidirectional override":   {"a\u202eb\u2066c", `a\u202eb\u2066c`},
		"invisible characters":     {"pass\u200bword\ufeff\u00ad", `pass\u200bword\ufeff\u00ad`},
		"invalid UTF-8":            {"a\xffb", "a\uFFFDb"},
		"delete and C1 characters": {"a\x7fb\u0099", `a\u007fb\u0099`},
		"tag characters":           {"a\U000E0041", `a\ue0041`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Clean(c.in); got != c.want {
				t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

// FuzzClean: whatever comes in, one line without control characters comes out,
// and cleaning it again changes nothing.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a\x1b[31mb", "\x1b\x1b[m[31m", "\u202e", "\xff\x9b", "a\r\n\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !isClean(got) {
			t.Errorf("Clean(%q) = %q, which is not clean", s, got)
		}
		if again := Clean(got); again != got {
			t.Errorf("Clean(Clean(%q)) = %q, want %q", s, again, got)
		}
	})
}
