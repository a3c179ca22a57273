// Package chronicle keeps a run as data while it goes on: its stages and build
// steps with their times, deployments, tasks, how many of them were healthy when,
// findings, the last log lines, the result.
//
// Whoever draws a picture of a run (the live panel, the summary of GitHub Actions,
// the report page) draws it from a Run, and from nothing else: so all of them say
// the same. Record must be given records that are fit to be shown; the package
// itself neither cleans nor masks. It is not safe for use by several goroutines.
package chronicle

import (
	"slices"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// What is kept of a run that does not end, or writes without end: the last of
// each kind.
const (
	mostLines    = 300
	mostTasks    = 500
	mostSteps    = 500
	mostSamples  = 2000
	mostFindings = 200
	mostDiffs    = 20
)

// Run is what happened so far. Began and Now are zero before the first record.
type Run struct {
	Began, Now  time.Time
	Stages      []*Stage
	Steps       []*Step // of the build and of the push, in order of appearance
	Deployments []*Deployment
	Tasks       []*Task
	Health      []Sample
	Diffs       []event.Diff
	Findings    []Finding
	Lines       []Line // what containers and ECS wrote
	Awaited     string // what the last heartbeat waited for
	Result      *event.Result

	checked bool // tasks have health checks
}

// Stage is a stage of the run.
type Stage struct {
	event.Stage
	Began, Ended time.Time
}

// Over says whether the stage has ended, or never ran.
func (s *Stage) Over() bool { return s.Status != event.Started }

// Took is how long the stage took, or has been going on until now.
func (s *Stage) Took(now time.Time) time.Duration {
	switch {
	case s.Over() && s.Seconds > 0:
		return time.Duration(s.Seconds * float64(time.Second))
	case s.Over():
		return s.Ended.Sub(s.Began)
	}
	return max(now.Sub(s.Began), 0)
}

// Step is a step of a build or a push.
type Step struct {
	Stage, Name  string
	Status       event.Status
	Error        string
	Last         string // the last line that it wrote
	Bytes, Total int64  // of a push
	Began, Ended time.Time
}

// Deployment is a deployment of the service as it was last seen.
type Deployment struct {
	event.Deployment
	Began time.Time // when it was first seen
}

// Gone says whether the deployment has nothing left.
func (d *Deployment) Gone() bool {
	return d.Status == "INACTIVE" || d.Status != "PRIMARY" && d.Running == 0 && d.Pending == 0
}

// Task is a task as it was last seen, and when it became what.
type Task struct {
	event.Task
	Began, Running, Healthy, Ended time.Time
}

// Failed says whether the task ended as one that counts against its revision.
func (t *Task) Failed() bool { return t.Code != "" }

// Sample is how the service stood at a moment.
type Sample struct {
	At                             time.Time
	Healthy, Ours, Others, Desired int // healthy tasks that were seen; running ones by ECS's count
}

// Finding is something that a reader of a report wants to know: a check that did
// not pass, or a note.
type Finding struct {
	At     time.Time
	Stage  string
	Status event.Status // Failed, Warned, or Done for a note that is none of both
	Text   string
	Hint   string
}

// Line is a line that somebody else wrote.
type Line struct {
	At        time.Time
	Who, Text string
}

// Record takes in what happened.
func (r *Run) Record(rec event.Record) {
	if r.Began.IsZero() {
		r.Began = rec.Time
	}
	r.Now = rec.Time
	switch e := rec.Event.(type) {
	case event.Stage:
		r.stage(e)
	case event.Build:
		r.step(rec.Stage, e)
	case event.Log:
		r.line(Line{orNow(e.At, rec.Time), who(e), e.Text})
	case event.Check:
		r.check(rec, e)
	case event.Task:
		r.task(e)
	case event.Deployment:
		r.deployment(e)
	case event.ServiceEvent:
		r.line(Line{orNow(e.At, rec.Time), "ECS", e.Message})
	case event.Diff:
		r.Diffs = append(last(r.Diffs, mostDiffs-1), e)
	case event.Note:
		status := event.Done
		if e.Level == event.Warn {
			status = event.Warned
		}
		r.find(Finding{At: rec.Time, Stage: rec.Stage, Status: status, Text: e.Text})
	case event.Heartbeat:
		r.Awaited = e.Text
	case event.Result:
		r.Result = &e
	}
}

// Stage is the stage that is under way; nil when none is.
func (r *Run) Stage() *Stage {
	for _, s := range slices.Backward(r.Stages) {
		if !s.Over() {
			return s
		}
	}
	return nil
}

// Elapsed is how long the run has been going on.
func (r *Run) Elapsed(now time.Time) time.Duration {
	if r.Began.IsZero() {
		return 0
	}
	return max(now.Sub(r.Began), 0)
}

func (r *Run) stage(e event.Stage) {
	r.Awaited = ""
	for _, s := range slices.Backward(r.Stages) {
		if s.Name == e.Name && !s.Over() {
			usual := s.UsualSeconds
			s.Stage, s.Ended = e, r.Now
			s.UsualSeconds = max(usual, e.UsualSeconds)
			return
		}
	}
	r.Stages = append(r.Stages, &Stage{Stage: e, Began: r.Now, Ended: r.Now})
}

func (r *Run) step(stage string, e event.Build) {
	i := slices.IndexFunc(r.Steps, func(s *Step) bool { return s.Name == e.Step && s.Stage == stage })
	if i < 0 {
		r.Steps = append(last(r.Steps, mostSteps-1), &Step{Stage: stage, Name: e.Step, Status: event.Started, Began: r.Now})
		i = len(r.Steps) - 1
	}
	s := r.Steps[i]
	if e.Line != "" {
		s.Last = e.Line
	}
	if e.Bytes > 0 {
		s.Bytes, s.Total = e.Bytes, e.TotalBytes
	}
	switch e.Status {
	case "":
		return
	case event.Started:
		s.Began = r.Now
	default:
		s.Ended = r.Now
		if e.Seconds > 0 {
			s.Began = s.Ended.Add(-time.Duration(e.Seconds * float64(time.Second)))
		}
	}
	s.Status, s.Error = e.Status, e.Error
}

func (r *Run) check(rec event.Record, e event.Check) {
	if e.Status != event.Failed && e.Status != event.Warned {
		return
	}
	text := e.Name
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	r.find(Finding{rec.Time, rec.Stage, e.Status, text, e.Hint})
}

func (r *Run) find(f Finding) { r.Findings = append(last(r.Findings, mostFindings-1), f) }

func (r *Run) line(l Line) { r.Lines = append(last(r.Lines, mostLines-1), l) }

func (r *Run) deployment(e event.Deployment) {
	i := slices.IndexFunc(r.Deployments, func(d *Deployment) bool { return d.ID == e.ID })
	if i < 0 {
		r.Deployments = append(r.Deployments, &Deployment{Began: r.Now})
		i = len(r.Deployments) - 1
	}
	r.Deployments[i].Deployment = e
	r.sample()
}

// last is what of list is kept beside one more.
func last[T any](list []T, n int) []T {
	if len(list) > n {
		return slices.Clone(list[len(list)-n:])
	}
	return list
}

func orNow(at, now time.Time) time.Time {
	if at.IsZero() {
		return now
	}
	return at
}
