package taskdef

import (
	"fmt"
	"maps"
	"slices"
)

// Diff lists what differs between two definitions as revisions to register:
// read-only members and tags that are not carried over do not count. Each line
// begins with "+ " (only in to), "- " (only in from) or "~ " (differs), then
// the member's path in AWS's names, then the values. Lists whose entries have a
// name are compared by it; an empty list, null and an absent member are the
// same. Values of environment variables and whatever looks like a credential
// are masked. The lines are the same on every run; there are none exactly when
// Equal.
func Diff(from, to *Definition) []string {
	old, now := from.flat(), to.flat()
	paths := slices.AppendSeq(slices.Collect(maps.Keys(old)), maps.Keys(now))
	slices.Sort(paths)
	var lines []string
	for _, p := range slices.Compact(paths) {
		f, was := old[p]
		t, is := now[p]
		switch {
		case !was:
			lines = append(lines, fmt.Sprintf("+ %s: %s", p, t.shown()))
		case !is:
			lines = append(lines, fmt.Sprintf("- %s: %s", p, f.shown()))
		case f.canonical != t.canonical:
			lines = append(lines, fmt.Sprintf("~ %s: %s", p, change(f, t)))
		}
	}
	return lines
}

// change shows both sides, unless what differs is what must not be seen.
func change(from, to leaf) string {
	f, t := from.shown(), to.shown()
	if f == t {
		return "(changed, masked)"
	}
	return f + " -> " + t
}

// Equal says whether registering a and b would give the same revision, whatever
// the order of members and the spelling of numbers.
func Equal(a, b *Definition) bool {
	return maps.Equal(a.flat(), b.flat())
}
