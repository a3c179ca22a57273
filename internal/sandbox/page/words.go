package page

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	g "maragu.dev/gomponents"
)

// longest is how much of a foreign line is shown, in bytes.
const longest = 2000

// clean makes foreign text fit to be shown: without a terminal's control
// sequences, and with a mark for every character that is not seen or that turns
// the order of others.
func clean(s string) string {
	if len(s) > longest {
		end := longest
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if n := escape(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '\t' || r == '\n':
			b.WriteRune(' ')
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			b.WriteRune('·')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escape is the length of a terminal's control sequence that s begins with.
func escape(s string) int {
	if len(s) < 2 || s[0] != 0x1b || s[1] != '[' {
		return 0
	}
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i + 1
		}
	}
	return len(s)
}

// shortDigest is as much of a digest as people compare.
func shortDigest(d string) string {
	_, hex, ok := strings.Cut(d, ":")
	if !ok || len(hex) < 12 {
		return clean(d)
	}
	return hex[:12]
}

// shortID is as much of a task's id as tells it from others.
func shortID(id string) string {
	if len(id) > 16 {
		return id[:8]
	}
	return clean(id)
}

// number is the number of a revision "family:number".
func number(revision string) string {
	return revision[strings.LastIndexByte(revision, ':')+1:]
}

// plain is a constant of AWS's as a word: IN_PROGRESS is "in progress".
func plain(constant string) string {
	return clean(strings.ToLower(strings.ReplaceAll(constant, "_", " ")))
}

func size(n int64) string {
	const kib = 1024
	switch {
	case n < kib:
		return fmt.Sprintf("%d B", n)
	case n < kib*kib:
		return fmt.Sprintf("%.1f KiB", float64(n)/kib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/kib/kib)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) }

// words is a name of words that begin with capitals, which may break between them.
func words(name string) g.Node {
	var parts g.Group
	begin := 0
	for i, r := range name {
		if i > begin && unicode.IsUpper(r) {
			parts = append(parts, txt(name[begin:i]), el("wbr"))
			begin = i
		}
	}
	return append(parts, txt(name[begin:]))
}
