// Package page writes a run as one self-contained HTML page: the verdict, what
// serves now, a timeline of stages and tasks with the number of healthy ones, the
// task definition's difference, findings, build steps and logs.
//
// The page needs nothing but itself: no script, no font, no picture from elsewhere,
// and a content security policy says so. Text is escaped by gomponents; html/template
// would do it too, and keep every exported method in the program (47 MB instead of
// 29). It follows the reader's light or dark scheme, fits
// a telephone, and prints.
package page

import (
	"io"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// data is what the page shows.
type data struct {
	Title, Kind     string // Kind is the tone of the verdict: good, bad or warn
	Outcome         string
	Where, Serving  string
	Facts           []fact
	Result          event.Result
	Failures        []event.Failure
	Chart           chart
	Diffs           []diff
	Findings        []chronicle.Finding
	Steps           []step
	Lines           []chronicle.Line
	Began           time.Time
	Cached, Counted int
}

type fact struct{ Name, Value string }

type diff struct {
	From, To string
	Lines    []diffLine
}

type diffLine struct{ Kind, Text string }

type step struct {
	Name, Kind, How string
}

// Write writes the page of a run that has a result.
func Write(w io.Writer, r *chronicle.Run) error {
	d := data{Result: event.Result{}, Began: r.Began, Chart: newChart(r), Findings: r.Findings, Lines: r.Lines}
	if r.Result != nil {
		d.Result = *r.Result
	}
	d.verdict()
	d.facts(r)
	d.Failures = flat(d.Result.Failure)
	for _, x := range r.Diffs {
		d.Diffs = append(d.Diffs, newDiff(x))
	}
	d.steps(r)
	return d.document().Render(w)
}

func (d *data) verdict() {
	e := d.Result
	d.Kind = "good"
	switch {
	case e.Outcome == event.InterruptedO, e.Outcome == event.Superseded:
		d.Kind = "warn"
	case e.ExitCode != event.ExitOK && e.ExitCode != event.ExitPlanChanges:
		d.Kind = "bad"
	}
	d.Outcome = strings.ReplaceAll(string(e.Outcome), "_", " ")
	d.Title = e.Command
	if e.Service != "" {
		d.Title += " on " + words.Name(e.Service)
	}
	d.Where = "Production"
	if e.Rehearsal {
		d.Where = "Production was not touched; the sandbox"
	}
	switch {
	case e.ServingNow != "":
		d.Serving = e.ServingNow
	case e.Serving != "":
		d.Serving = words.Name(e.Serving) + " serves"
	default:
		d.Serving = "what it serves now is not known"
	}
}

func (d *data) facts(r *chronicle.Run) {
	e := d.Result
	add := func(name, value string) {
		if value != "" {
			d.Facts = append(d.Facts, fact{name, value})
		}
	}
	add("Cluster", words.Name(e.Cluster))
	add("Revision", words.Name(e.TaskDefinition))
	add("Before", words.Name(e.Stable))
	add("Image", e.Image)
	add("Deployment", e.Deployment)
	add("Began", r.Began.UTC().Format("2006-01-02 15:04:05 UTC"))
	if e.Timings.TotalSeconds > 0 {
		add("Took", words.Took(e.Timings.TotalSeconds))
	}
	if e.Timings.DetectSeconds > 0 {
		add("Failure to rollback", words.Took(e.Timings.DetectSeconds))
	}
}

// flat is a failure and all that were found with it.
func flat(f *event.Failure) []event.Failure {
	if f == nil {
		return nil
	}
	out := []event.Failure{*f}
	for _, also := range f.Also {
		out = append(out, flat(also)...)
	}
	return out
}

func newDiff(e event.Diff) diff {
	d := diff{From: words.Name(e.From), To: words.Name(e.To)}
	for _, l := range e.Lines {
		kind := ""
		switch {
		case strings.HasPrefix(l, "+"):
			kind = "add"
		case strings.HasPrefix(l, "-"):
			kind = "del"
		case strings.HasPrefix(l, "~"):
			kind = "mod"
		}
		d.Lines = append(d.Lines, diffLine{kind, l})
	}
	return d
}

func (d *data) steps(r *chronicle.Run) {
	for _, s := range r.Steps {
		x := step{Name: s.Name, How: words.Took(max(s.Ended.Sub(s.Began), 0).Seconds())}
		switch s.Status {
		case event.Cached:
			x.Kind, x.How = "cached", "cached"
		case event.Failed:
			x.Kind = "bad"
		case event.Done:
		default:
			x.How = string(s.Status)
		}
		if s.Total > 0 {
			x.How += ", " + event.Bytes(s.Bytes)
		}
		d.Steps = append(d.Steps, x)
	}
}
