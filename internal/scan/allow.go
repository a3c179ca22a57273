package scan

import (
	"path"
	"slices"
	"strings"
)

// Rule accepts what is found of files.
type Rule struct {
	Path   string // glob, see Match
	Reason string // why, for whoever reads the report; may be empty
}

// whole are findings about the image and not about a file of it: nothing that is
// said of paths accepts them.
var whole = []string{"image-platform", "layer-member"}

// allow turns findings whose path matches a rule into notes that name it, and
// warns of rules that matched nothing: they hide what nobody looks at any more.
func (r *Report) allow(rules []Rule) {
	used := make([]bool, len(rules))
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Level == Note || slices.Contains(whole, f.Rule) {
			continue
		}
		for n, rule := range rules {
			if !Match(rule.Path, f.Path) {
				continue
			}
			if used[n] = true; f.Allowed == "" {
				f.Level, f.Allowed, f.Reason = Note, rule.Path, rule.Reason
			}
		}
	}
	for n, rule := range rules {
		if !used[n] {
			r.Findings = append(r.Findings, Finding{
				Level: Warning, Rule: "allow-unused", Path: rule.Path, What: "a rule of verify.allow that silences nothing",
				Mend: []string{"take it out of verify.allow"},
			})
		}
	}
}

// Match reports whether a glob matches a path of the image. Each part is
// path.Match's, "**" is any number of folders, and a glob that does not begin
// with a slash may begin in any folder. A folder's glob matches all it holds.
func Match(glob, p string) bool {
	pattern := strings.Split(strings.Trim(glob, "/"), "/")
	if !strings.HasPrefix(glob, "/") {
		pattern = append([]string{"**"}, pattern...)
	}
	names := strings.Split(strings.Trim(p, "/"), "/")
	// here holds the parts of the pattern that may come next: one row of a
	// table, so that no pattern takes more than its length times the path's.
	here := expand(pattern, map[int]bool{0: true})
	for _, name := range names {
		if here = advance(pattern, here, name); here[len(pattern)] {
			return true
		}
	}
	return false
}

func advance(pattern []string, here map[int]bool, name string) map[int]bool {
	next := map[int]bool{}
	for i := range here {
		if i == len(pattern) {
			continue
		}
		if pattern[i] == "**" {
			next[i] = true
		} else if ok, err := path.Match(pattern[i], name); err == nil && ok {
			next[i+1] = true
		}
	}
	return expand(pattern, next)
}

// expand adds what may come next when "**" stands for no folder at all.
func expand(pattern []string, here map[int]bool) map[int]bool {
	for i, part := range pattern {
		if here[i] && part == "**" {
			here[i+1] = true
		}
	}
	return here
}
