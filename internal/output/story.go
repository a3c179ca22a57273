package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// silence is how long a story may go without a line while events arrive that it
// does not show.
const silence = 30 * time.Second

// story tells a run line by line: what changed, once, and nothing that a reader
// of a log would skip. A release that works takes at most 40 lines.
type story struct {
	out    printer
	answer io.Writer

	live             bool // a panel shows what goes on: only what stays is told
	started, printed time.Time
	beaten           time.Time // when the last heartbeat was shown
	now              time.Time // of the record at hand
	chapter          *chapter
	chapters         map[string]*chapter
	running          string // the build step that runs, for the silence
	ring             *ring  // what the running step printed last
	deployments      map[string]event.Deployment
	toldDeployment   map[string]time.Time
}

// chapter is what the story knows of the stage that it is in.
type chapter struct {
	name, label string
	opened      bool
	checks      tally
	steps       tally
	events      int
	logs        map[string]int
	tasks       map[string]int
	failures    []string // what was shown to have failed: details of checks, steps
}

// tally counts what was shown and what was not.
type tally struct{ shown, hidden int }

// take reports whether one more may be shown.
func (t *tally) take(most int) bool {
	if t.shown < most {
		t.shown++
		return true
	}
	t.hidden++
	return false
}

func newStory(p printer, answer io.Writer) *story {
	return &story{
		out: p, answer: answer, ring: &ring{}, chapters: map[string]*chapter{},
		deployments: map[string]event.Deployment{}, toldDeployment: map[string]time.Time{},
	}
}

func (s *story) record(r event.Record) {
	if s.started.IsZero() {
		s.started, s.printed = r.Time, r.Time
	}
	s.now = r.Time
	if _, last := r.Event.(event.Result); !last {
		s.turn(r.Stage)
	}
	s.tell(r.Event)
	if !s.live && s.now.Sub(s.printed) >= silence {
		text := "still going on"
		if s.running != "" {
			text = "still running: " + s.running
		}
		s.line(quiet, text)
	}
}

func (s *story) tell(e event.Event) {
	switch e := e.(type) {
	case event.Stage:
		s.stage(e)
	case event.Build:
		s.build(e)
	case event.Log:
		s.log(e)
	case event.Check:
		s.check(e)
	case event.Task:
		s.task(e)
	case event.Deployment:
		s.deployment(e)
	case event.ServiceEvent:
		s.serviceEvent(e)
	case event.Diff:
		s.diff(e)
	case event.Note:
		s.note(e)
	case event.Heartbeat:
		s.heartbeat(e)
	case event.Result:
		s.result(e)
	}
}

// heartbeat shows one of the heartbeats for the same silence: the watcher and the
// Pulse each have their own clock.
func (s *story) heartbeat(e event.Heartbeat) {
	const apart = 2 * time.Second
	if s.live || !s.beaten.IsZero() && s.beaten.Equal(s.printed) && s.now.Sub(s.beaten) < apart {
		return
	}
	s.line(quiet, fmt.Sprintf("%s (%s)", e.Text, words.Took(e.Seconds)))
	s.beaten = s.now
}

// turn opens the chapter of a stage, or goes back to it.
func (s *story) turn(stage string) {
	if s.chapter != nil && s.chapter.name == stage {
		return
	}
	s.out.end()
	if s.chapters[stage] == nil {
		s.chapters[stage] = &chapter{name: stage, label: stage, logs: map[string]int{}, tasks: map[string]int{}}
	}
	s.chapter = s.chapters[stage]
	s.chapter.opened = false
	s.running = ""
}

// line prints a line within the stage.
func (s *story) line(t tone, text string) {
	s.open()
	s.out.line(s.now.Sub(s.started), s.chapter.label, t, text)
	s.printed = s.now
}

func (s *story) foreign(text string) {
	s.open()
	s.out.foreign(s.now.Sub(s.started), s.chapter.label, text)
	s.printed = s.now
}

func (s *story) open() {
	if !s.chapter.opened && s.chapter.label != "" {
		s.out.begin(s.chapter.label)
	}
	s.chapter.opened = true
}

func (s *story) stage(e event.Stage) {
	if e.Total > 0 {
		s.chapter.label = fmt.Sprintf("%d/%d %s", e.Index, e.Total, e.Name)
	}
	if e.Status == event.Started {
		return // the first line of the stage says that it began
	}
	s.out.end()
	s.chapter.opened = true // what sums a stage up stands outside of its group
	t, text := good, string(e.Status)
	switch e.Status {
	case event.Failed:
		t = bad
	case event.Skipped:
		t = quiet
	case event.Interrupted:
		t = warning
	}
	if e.Seconds >= 0.05 {
		text += map[event.Status]string{event.Done: " in ", event.Failed: " after ", event.Interrupted: " after "}[e.Status]
		if t != quiet {
			text += words.Took(e.Seconds)
		}
	}
	var more []string
	for _, m := range []string{e.Reason, e.Detail} {
		if m != "" && !(e.Status == event.Failed && s.chapter.told(m)) {
			more, text = append(more, m), text+": "+m
		}
	}
	s.out.summary(s.now.Sub(s.started), s.chapter.label, t, e, text+s.chapter.counts(), more)
	s.printed, s.running = s.now, ""
}

// told says whether a line of the stage said already why it failed.
func (c *chapter) told(why string) bool {
	return slices.ContainsFunc(c.failures, func(shown string) bool { return strings.Contains(why, shown) })
}

// counts is what the stage did not list.
func (c *chapter) counts() string {
	switch c.checks.hidden {
	case 0:
		return ""
	case 1:
		return " (1 more check passed)"
	}
	return fmt.Sprintf(" (%d more checks passed)", c.checks.hidden)
}

func (s *story) check(e event.Check) {
	text := e.Name
	switch {
	case strings.HasPrefix(e.Detail, e.Name+": "):
		text = e.Detail // that says itself what it is about
	case e.Detail != "":
		text += ": " + e.Detail
	}
	if e.Seconds > 0 {
		text += " (" + words.Took(e.Seconds) + ")"
	}
	switch e.Status {
	case event.Failed:
		if s.chapter.name == "preflight" && e.Seconds == 0 { // the verdict tells it in full
			text = e.Name
		}
		s.line(bad, "failed: "+text)
		if e.Detail != "" {
			s.chapter.failures = append(s.chapter.failures, e.Detail)
		}
	case event.Warned:
		s.line(warning, "warning: "+text)
		s.out.annotate(warning, e.Name, text, "", 0)
	case event.Skipped:
		// Preflight leaves out what a release does not need. Later nobody expects that
		// something was not looked at.
		if s.chapter.name != "preflight" {
			s.line(quiet, "skipped: "+text)
		}
	default:
		const most = 4 // checks that passed, each stage, but for those of the live service
		if e.Seconds > 0 || !s.live && s.chapter.checks.take(most) {
			s.line(good, text)
		}
	}
}

func (s *story) note(e event.Note) {
	if e.Level == event.Warn {
		s.line(warning, "warning: "+e.Text)
		s.out.annotate(warning, "weelo-deploy", e.Text, "", 0)
		return
	}
	s.line(neutral, "note: "+e.Text)
}

func (s *story) diff(e event.Diff) {
	if len(e.Lines) == 0 {
		s.line(neutral, fmt.Sprintf("task definition %s → %s: no difference", words.Name(e.From), words.Name(e.To)))
		return
	}
	s.line(neutral, fmt.Sprintf("task definition %s → %s:", words.Name(e.From), words.Name(e.To)))
	const most = 12
	for i, l := range e.Lines {
		if i == most && len(e.Lines) > most+1 {
			s.line(neutral, fmt.Sprintf("  … and %d more lines", len(e.Lines)-most))
			return
		}
		s.line(neutral, "  "+words.Cut(l, words.Longest))
	}
}
