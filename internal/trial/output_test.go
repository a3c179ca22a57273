package trial

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/engine"
)

func TestOutput_Signs(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  sign
	}{
		{"nothing", nil, sign{}},
		{"plain words", []string{"listening on 3000"}, sign{}},
		{"runc", []string{"exec /app: exec format error"}, sign{format: true}},
		{"runc of engine 20.10.0", []string{`standard_init_linux.go:228: exec user process caused: exec format error`}, sign{format: true}},
		{"runc of a missing loader", []string{"exec /app/server: no such file or directory"}, sign{start: true}},
		{"old runc of a missing loader", []string{`standard_init_linux.go:228: exec user process caused: no such file or directory`}, sign{start: true}},
		{"tini", []string{"[FATAL tini (7)] exec /nope failed: No such file or directory"}, sign{start: true}},
		{"a program that says what runc says, later", []string{"hello", "exec /app: no such file or directory"}, sign{}},
		{"a shell that reads a program", []string{"/app: 1: \x7fELF\x02\x01: not found"}, sign{format: true}},
		{"the loader of glibc", []string{"./a: error while loading shared libraries: libssl.so.1.1: cannot open shared object file"}, sign{loader: true}},
		{"the loader of musl", []string{"Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app)"}, sign{loader: true}},
		{"a glibc that is too old", []string{"/lib/libc.so.6: version `GLIBC_2.38' not found (required by ./a)"}, sign{loader: true}},
		{"QEMU", []string{"qemu: uncaught target signal 11 (Segmentation fault) - core dumped"}, sign{exit: 139}},
		{"a JVM", []string{"#  SIGSEGV (0xb) at pc=0x00007f"}, sign{exit: 139}},
		{"Go's nil pointer, then its trace", []string{"panic: runtime error: invalid memory address or nil pointer dereference", "[signal SIGSEGV: segmentation violation code=0x1]"}, sign{}},
		{"the first sign counts", []string{"Illegal instruction", "Segmentation fault"}, sign{exit: 132}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o output
			for _, l := range c.lines {
				o.add(engine.LogLine{Text: l})
			}
			if o.sign != c.want {
				t.Errorf("sign = %+v, want %+v", o.sign, c.want)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 😀":                              "plain é 😀",
		"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x": "red x",
		"a\tb\x00c\x7f":                          "a bc",
		"10%\r50%\r100%":                         "100%",
		"ends so\r":                              "ends so",
		"\xff\xfe":                               "\uFFFD",
		"a\u202eb\u2028c":                        "abc",
		strings.Repeat("x", 600):                 strings.Repeat("x", keptRunes) + "…",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"a=b": "a=b", "": "''", "it's $HOME": `'it'\''s $HOME'`} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
