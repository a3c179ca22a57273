package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Level is how much a finding weighs.
type Level string

// The levels. Only an error refuses a release.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Note    Level = "note"
)

// Finding is one file that does not fit, or that was looked at for nothing.
type Finding struct {
	Level    Level
	Rule     string
	Path     string
	What     string // what it is
	Want     string // what was expected
	Why      string // why that matters
	LoadedBy string // the program that loads it
	Layer    string // digest of the layer that brought it
	Step     string // of the Dockerfile, from the image's history
	Mend     []string
	Allowed  string // the path of the Rule that silenced it
	Reason   string // of that Rule
}

// Report is what a look at an image found.
type Report struct {
	Target   string
	Findings []Finding // errors first, then by path
	Files    int       // in all layers together
	Binaries int       // in the final file system
	Bytes    int64     // of all layers, uncompressed
	Layers   int
	Cached   int // layers whose facts were known
}

// Event is the report as a run's result carries it.
func (r Report) Event() *event.Binaries {
	out := &event.Binaries{
		Target: r.Target, Findings: []event.BinaryFinding{},
		Files: r.Files, Binaries: r.Binaries, Bytes: r.Bytes, Layers: r.Layers, Cached: r.Cached,
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, event.BinaryFinding{
			Level: string(f.Level), Rule: f.Rule, Path: f.Path, What: f.What, Want: f.Want, Why: f.Why,
			LoadedBy: f.LoadedBy, Layer: f.Layer, Step: f.Step, Mend: f.Mend, Allowed: f.Allowed, Reason: f.Reason,
		})
	}
	return out
}

// Count is how many findings have a level.
func (r Report) Count(l Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// Of gives the findings of a level, in the report's order.
func (r Report) Of(l Level) []Finding {
	return slices.DeleteFunc(slices.Clone(r.Findings), func(f Finding) bool { return f.Level != l })
}

var weight = map[Level]int{Error: 0, Warning: 1, Note: 2}

func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(weight[a.Level]-weight[b.Level], cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.What, b.What))
	})
}

// Summary is the report in one line.
func (r Report) Summary() string {
	found := "no errors"
	if e := r.Count(Error); e > 0 {
		found = count(e, "error")
	}
	if w := r.Count(Warning); w > 0 {
		found += ", " + count(w, "warning")
	}
	if n := r.Count(Note); n > 0 {
		found += ", " + count(n, "note")
	}
	s := fmt.Sprintf("%s for %s: %s in %s", found, r.Target, binaries(r.Binaries), count(r.Files, "file"))
	if r.Cached > 0 {
		s += fmt.Sprintf("; %d of %d layers known already", r.Cached, r.Layers)
	}
	return s
}

func binaries(n int) string {
	if n == 1 {
		return "1 binary"
	}
	return fmt.Sprintf("%d binaries", n)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Lines is the finding for people, the first line saying the most. Names of
// files are quoted where they could move the cursor.
func (f Finding) Lines() []string {
	lines := []string{fmt.Sprintf("%s: %s is %s", f.Level, printable(f.Path), printable(f.What))}
	for _, l := range [][2]string{
		{"expected", f.Want}, {"because", f.Why}, {"loaded by", f.LoadedBy}, {"layer", f.Layer}, {"step", f.Step},
		{"mend", strings.Join(f.Mend, "; or ")}, {"rule", f.Rule}, {"allowed by", f.allowed()},
	} {
		if l[1] != "" {
			lines = append(lines, l[0]+": "+printable(l[1]))
		}
	}
	return lines
}

func (f Finding) allowed() string {
	if f.Reason == "" {
		return f.Allowed
	}
	return f.Allowed + " (" + f.Reason + ")"
}

// printable shows control characters instead of sending them.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\ufffd' }) < 0 {
		return s
	}
	q := fmt.Sprintf("%+q", s)
	return q[1 : len(q)-1]
}
