// Package nearest suggests the names that somebody may have meant.
package nearest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// Names returns at most max of have, nearest to want first. A name counts as
// near when a third of it or less differs, or when one contains the other.
func Names(want string, have []string, max int) []string {
	type scored struct {
		name string
		dist int
	}
	var near []scored
	w := strings.ToLower(want)
	for _, h := range have {
		l := strings.ToLower(h)
		d := levenshtein.Distance(w, l, nil)
		contains := len(w) > 2 && len(l) > 2 && (strings.Contains(l, w) || strings.Contains(w, l))
		if contains || d <= (len([]rune(w))+2)/3 {
			near = append(near, scored{h, d})
		}
	}
	slices.SortFunc(near, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.dist, b.dist), strings.Compare(a.name, b.name))
	})
	out := []string{}
	for _, s := range near[:min(max, len(near))] {
		out = append(out, s.name)
	}
	return out
}
