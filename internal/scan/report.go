package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
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
	Level    Level    `json:"level"`
	Rule     string   `json:"rule"`
	Path     string   `json:"path"`
	What     string   `json:"what"`               // what it is
	Want     string   `json:"want,omitempty"`     // what was expected
	Why      string   `json:"why,omitempty"`      // why that matters
	LoadedBy string   `json:"loadedBy,omitempty"` // the program that loads it
	Layer    string   `json:"layer,omitempty"`    // digest of the layer that brought it
	Step     string   `json:"step,omitempty"`     // of the Dockerfile, from the image's history
	Mend     []string `json:"mend,omitempty"`
	Allowed  string   `json:"allowed,omitempty"` // the rule of verify.allow that silenced it
}

// Report is what a look at an image found. Its JSON form is public: members are
// added, never renamed or removed.
type Report struct {
	Target   string    `json:"target"`
	Findings []Finding `json:"findings"` // errors first, then by path
	Files    int       `json:"files"`    // in all layers together
	Binaries int       `json:"binaries"` // in the final file system
	Bytes    int64     `json:"bytes"`    // of all layers, uncompressed
	Layers   int       `json:"layers"`
	Cached   int       `json:"cached"` // layers whose facts were known
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
	s := fmt.Sprintf("%s among %s fit %s", binaries(r.Binaries), count(r.Files, "file"), r.Target)
	if e := r.Count(Error); e > 0 {
		s = fmt.Sprintf("%s would not run on %s, of %s among %s", count(e, "thing"), r.Target, binaries(r.Binaries), count(r.Files, "file"))
	}
	if w := r.Count(Warning); w > 0 {
		s += ", " + count(w, "warning")
	}
	if n := r.Count(Note); n > 0 {
		s += ", " + count(n, "note")
	}
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
		{"mend", strings.Join(f.Mend, "; or ")}, {"rule", f.Rule}, {"allowed by", f.Allowed},
	} {
		if l[1] != "" {
			lines = append(lines, l[0]+": "+printable(l[1]))
		}
	}
	return lines
}

// printable shows control characters instead of sending them.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\ufffd' }) < 0 {
		return s
	}
	q := fmt.Sprintf("%+q", s)
	return q[1 : len(q)-1]
}

// WriteText writes the report for people.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		for i, l := range f.Lines() {
			if i > 0 {
				b.WriteString("    ")
			}
			b.WriteString(l + "\n")
		}
	}
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes the report as one indented JSON document.
func (r Report) WriteJSON(w io.Writer) error {
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
