package trial

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/weelo/weelo-deploy/internal/engine"
)

const (
	keptLines = 20
	keptRunes = 500 // of a line
)

// output is what is kept of a container's output: its end, and the first line
// that tells more than an exit code does.
type output struct {
	count int
	last  []string
	sign  sign
	line  string // the line of sign
}

// sign is what a line of output says about how a process ended.
type sign struct {
	exit   int  // 139, 132, 135: the signal that killed a process in the container
	format bool // exec format error
	start  bool // the runtime's or init's own word that the command cannot be executed
	loader bool // the dynamic loader misses something
}

var (
	// What runc (standard_init_linux.go, and its later form) and tini, which is
	// docker-init, write in place of a program that execve(2) refuses.
	runcExec = regexp.MustCompile(`(?i)^(?:standard_init_linux\.go:\d+: )?exec [^:]+: "?(no such file or directory|exec format error|permission denied)"?$`)
	tiniExec = regexp.MustCompile(`^\[FATAL +tini \(\d+\)\] exec .+ failed: (No such file or directory|Exec format error|Permission denied)$`)

	execFormat = regexp.MustCompile(`(?i)exec format error`)
	loading    = regexp.MustCompile(`error while loading shared libraries|Error loading shared library|Error relocating |version .GLIBC(?:XX)?_[\d.]+' not found`)

	// A wrapper (a shell, npm, a supervisor) hides its child's signal behind an
	// exit code of its own, and says so. Go says SIGSEGV of a nil pointer, which
	// is a fault of the program and not of the image.
	goNilPointer = regexp.MustCompile(`(?i)segmentation violation|nil pointer dereference`)
	signs        = []struct {
		text *regexp.Regexp
		exit int
	}{
		{regexp.MustCompile(`(?i)segmentation fault|uncaught target signal 11|\bSIGSEGV\b|errno 139\b`), 139},
		{regexp.MustCompile(`(?i)illegal instruction|uncaught target signal 4\b|\bSIGILL\b`), 132},
		{regexp.MustCompile(`(?i)\bbus error\b|uncaught target signal 7\b|\bSIGBUS\b`), 135},
	}
)

// add takes a line and returns its number, from 1.
func (o *output) add(l engine.LogLine) int {
	o.count++
	text := clean(l.Text)
	if o.sign == (sign{}) {
		if o.sign = read(l.Text, text, o.count == 1); o.sign != (sign{}) {
			o.line = text
		}
	}
	if len(o.last) == keptLines {
		o.last = o.last[1:]
	}
	o.last = append(o.last, text)
	return o.count
}

// magic begins every ELF file; a shell quotes it of a program that the kernel
// refused and that was then taken for a script, as execvp(3) does.
const magic = "\x7fELF"

// read reads one line, as written and cleaned. The runtime speaks only where the
// program could not: in the first one.
func read(raw, text string, first bool) sign {
	refused := runcExec.MatchString(text) || tiniExec.MatchString(text)
	switch {
	case execFormat.MatchString(text), strings.Contains(raw, magic):
		return sign{format: true}
	case first && refused:
		return sign{start: true}
	case goNilPointer.MatchString(text):
		return sign{}
	case loading.MatchString(text):
		return sign{loader: true}
	}
	for _, s := range signs {
		if s.text.MatchString(text) {
			return sign{exit: s.exit}
		}
	}
	return sign{}
}

// escapes are terminal control sequences (ECMA-48): CSI, OSC, and the short
// ones.
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b[ -/]*[0-~]")

// clean makes a line of output safe to print, and not too long.
func clean(s string) string {
	s = escapes.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	if i := strings.LastIndexByte(strings.TrimRight(s, "\r"), '\r'); i >= 0 {
		s = s[i+1:] // drawn over; the last state is what a terminal shows
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r) && r != '\u200d', r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > keptRunes {
		return string(r[:keptRunes]) + "…"
	}
	return s
}
