package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// chart is the timeline. Positions across are percentages of its width, so that the
// drawing fits any screen while its letters keep their size; positions down are
// pixels.
type chart struct {
	Ticks         []tick
	Bars          []bar
	Heads         []head
	Marks         []tick // moments worth a line of their own
	Height, Lanes int    // of the whole, and of the part with bars
	Health        *area
}

type tick struct{ X, Label string }

type head struct {
	Y    int
	Text string
}

// bar is a stage or a task: a label and its spans below.
type bar struct {
	Y, TextY, SpanY    int
	Label, Detail, How string // Detail is left out where there is no room
	Kind               string
	Spans              []span
}

type span struct{ X, W, Kind, Title string }

// area is how many tasks ran and were healthy, in a drawing of 1000 by 100 that is
// stretched.
type area struct {
	Y, LabelY          int
	Healthy, Ours, All string // paths
	Most               int
}

const (
	laneHeight = 34
	headHeight = 30
	axisHeight = 26
	areaHeight = 90
	mostTasks  = 60
)

// scale turns times into percentages.
type scale struct {
	from, to time.Time
}

func (s scale) at(t time.Time) float64 {
	whole := s.to.Sub(s.from).Seconds()
	if whole <= 0 {
		return 0
	}
	return min(max(t.Sub(s.from).Seconds()/whole, 0), 1)
}

func percent(f float64) string { return fmt.Sprintf("%.2f%%", f*100) }

func newChart(r *chronicle.Run) chart {
	s := scale{r.Began, r.Now}
	c := chart{Ticks: ticks(s)}
	y := axisHeight
	section := func(name string) {
		c.Heads = append(c.Heads, head{y + 19, name})
		y += headHeight
	}
	row := func(b bar) {
		b.Y, b.TextY, b.SpanY = y, y+13, y+18
		c.Bars = append(c.Bars, b)
		y += laneHeight
	}
	for i, st := range r.Stages {
		if i == 0 {
			section("Stages")
		}
		if st.Status != event.Skipped {
			row(stageBar(s, r, st))
		}
	}
	for i, t := range r.Watched() {
		if i == 0 {
			section("Tasks")
		}
		if i == mostTasks {
			section(fmt.Sprintf("and %d more tasks", len(r.Tasks)-mostTasks))
			break
		}
		row(taskBar(s, r, t))
	}
	c.Lanes = y
	if len(r.Health) > 0 {
		section("Running and healthy")
		c.Health = newArea(s, r, y)
		y += areaHeight + 8
	}
	c.Height = y
	if r.Result != nil && r.Result.Outcome == event.RolledBack {
		for _, st := range r.Stages {
			if st.Name == "conclude" {
				c.Marks = append(c.Marks, tick{percent(s.at(st.Began)), "rollback"})
			}
		}
	}
	return c
}

// ticks are the lines of the time axis, at distances that people count in.
func ticks(s scale) []tick {
	whole := s.to.Sub(s.from)
	if whole <= 0 {
		return nil
	}
	const most = 5
	step := time.Hour
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute} {
		if whole/d <= most {
			step = d
			break
		}
	}
	var out []tick
	for d := time.Duration(0); d <= whole && len(out) < 50; d += step {
		out = append(out, tick{percent(float64(d) / float64(whole)), words.Stamp(d)[1:]})
	}
	return out
}

func stageBar(s scale, r *chronicle.Run, st *chronicle.Stage) bar {
	took := st.Took(r.Now)
	kind := map[event.Status]string{event.Done: "good", event.Failed: "bad", event.Interrupted: "warn", event.Started: "warn"}[st.Status]
	b := bar{Label: st.Name, How: words.Took(took.Seconds()), Kind: kind}
	if d := st.Detail; d != "" {
		b.Detail = " · " + words.Cut(d, 120)
	}
	b.Spans = []span{newSpan(s, st.Began, st.Began.Add(took), kind, st.Name+" "+b.How)}
	return b
}

// taskBar has a span for each part of a task's life: on its way, running, healthy.
func taskBar(s scale, r *chronicle.Run, t *chronicle.Task) bar {
	end := t.Ended
	if end.IsZero() {
		end = r.Now
	}
	b := bar{Label: words.ID(t.ID) + " · " + words.Name(t.Revision), How: strings.ToLower(t.Status), Kind: "good"}
	switch {
	case t.Failed():
		b.Kind, b.How = "bad", string(t.Code)
	case t.Status == "STOPPED":
		b.Kind = "quiet"
	case t.Health != "":
		b.How += ", " + strings.ToLower(t.Health)
	}
	from := t.Began
	for _, part := range []struct {
		until time.Time
		kind  string
	}{{t.Running, "wait"}, {t.Healthy, "run"}} {
		if part.until.IsZero() || !part.until.After(from) {
			continue
		}
		b.Spans = append(b.Spans, newSpan(s, from, part.until, part.kind, map[string]string{"wait": "on its way", "run": "running"}[part.kind]))
		from = part.until
	}
	last := "good"
	switch {
	case t.Failed():
		last = "bad"
	case t.Healthy.IsZero():
		last = "wait"
	}
	b.Spans = append(b.Spans, newSpan(s, from, end, last, b.How))
	return b
}

func newSpan(s scale, from, to time.Time, kind, title string) span {
	const thinnest = 0.004
	x := min(s.at(from), 1-thinnest)
	return span{percent(x), percent(max(s.at(to)-x, thinnest)), kind, title}
}

func newArea(s scale, r *chronicle.Run, y int) *area {
	a := &area{Y: y, LabelY: y + 12, Most: 1}
	for _, h := range r.Health {
		a.Most = max(a.Most, h.Desired, h.Ours+h.Others, h.Healthy)
	}
	path := func(n func(chronicle.Sample) int) string {
		var b strings.Builder
		height := 0.0
		b.WriteString("M0 100")
		for _, h := range r.Health {
			x := s.at(h.At) * 1000
			fmt.Fprintf(&b, " L%.1f %.1f", x, 100-height)
			height = 100 * float64(n(h)) / float64(a.Most)
			fmt.Fprintf(&b, " L%.1f %.1f", x, 100-height)
		}
		fmt.Fprintf(&b, " L1000 %.1f L1000 100 Z", 100-height)
		return b.String()
	}
	a.All = path(func(h chronicle.Sample) int { return h.Ours + h.Others })
	a.Ours = path(func(h chronicle.Sample) int { return h.Ours })
	a.Healthy = path(func(h chronicle.Sample) int { return h.Healthy })
	return a
}
