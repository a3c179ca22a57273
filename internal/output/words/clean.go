package words

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sequences are whole terminal control sequences: CSI (colours, cursor), OSC
// (titles, links) and the other string sequences, in 7-bit and 8-bit form.
var sequences = regexp.MustCompile("(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]" +
	"|(?:\x1b[\\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\x07\x1b\u009c]*(?:\x07|\x1b\\\\|\u009c)")

// Clean makes untrusted text safe to print on one line: control sequences are
// taken out, line breaks become ⏎, tabs spaces, and characters that could move
// the cursor, hide or reorder text (other control characters, bidirectional
// overrides, invisible formatting) become visible escapes. Emoji joined by U+200D
// stay whole.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	s = sequences.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	s = strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\r\n", "\n")
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			b.WriteString(" ⏎ ")
		case r == '\t':
			b.WriteString("    ")
		case r < 0x20:
			b.WriteRune('\u2400' + r) // control pictures: ␀ … ␟
		case Harmful(r):
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Harmful reports characters that nobody sees but the terminal. U+200D joins
// emoji and hides nothing.
func Harmful(r rune) bool {
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) && r != '\u200d' ||
		r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Co, r)
}

func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, Harmful)
}

// Cut shortens text to at most n characters.
func Cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}
