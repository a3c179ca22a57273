package build

import (
	"slices"
	"strings"
)

// Shorter values are not masked: they would blacken every line and hide
// nothing.
const (
	shortestSecret = 4
	shortestPart   = 8 // of a line, or of a value in a line, of a secret
)

const masked = "***"

// mask takes secrets out of text.
type mask struct{ r *strings.Replacer }

// newMask knows the secrets themselves, their lines, and the values in lines of
// the form name=value, as in an .npmrc or .env file.
func newMask(secrets map[string][]byte) mask {
	var hide []string
	add := func(s string, least int) {
		if s = strings.TrimSpace(s); len(s) >= least {
			hide = append(hide, s)
		}
	}
	for _, v := range secrets {
		s := string(v)
		add(s, shortestSecret)
		for l := range strings.Lines(s) {
			add(l, shortestPart)
			if i := strings.LastIndex(strings.TrimSpace(l), "="); i >= 0 {
				add(strings.Trim(strings.TrimSpace(l)[i+1:], `"'`), shortestPart)
			}
		}
	}
	// The longest first, so that no part of it is replaced before.
	slices.SortFunc(hide, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range slices.Compact(hide) {
		pairs = append(pairs, s, masked)
	}
	return mask{strings.NewReplacer(pairs...)}
}

func (m mask) text(s string) string { return m.r.Replace(s) }
