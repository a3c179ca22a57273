package output

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// ring holds the last lines of one build step: they are shown in the report
// when the step failed and the failure itself brings none.
type ring struct {
	step  string
	lines []string
}

func (r *ring) add(step, line string) {
	const most = 20
	if r.step != step {
		r.step, r.lines = step, nil
	}
	if r.lines = append(r.lines, line); len(r.lines) > most {
		r.lines = r.lines[1:]
	}
}

// beforeStep is how the names of steps begin that are commands of build.before.
const beforeStep = "before: "

func (s *story) build(e event.Build) {
	if e.Line != "" {
		s.ring.add(e.Step, e.Line)
	}
	switch e.Status {
	case event.Started:
		s.running = words.Cut(e.Step, words.Longest)
		if command, ok := strings.CutPrefix(e.Step, beforeStep); ok && !s.live {
			s.line(neutral, "running: "+words.Cut(command, words.Longest)) // it may be silent for minutes
		}
	case event.Failed:
		text := "failed: " + words.Cut(e.Step, words.Longest)
		if e.Error != "" {
			text += ": " + words.Cut(e.Error, words.Longest)
			s.chapter.failures = append(s.chapter.failures, strings.TrimPrefix(e.Step, beforeStep))
		}
		s.chapter.steps.shown++
		s.line(bad, text)
	case event.Done:
		const most, worth = 6, 1.0 // steps each stage; seconds
		if !s.live && e.Seconds >= worth && s.chapter.steps.take(most) {
			s.line(good, words.Cut(e.Step, words.Longest)+" "+words.Took(e.Seconds))
		}
	}
}

func (s *story) log(e event.Log) {
	const most = 10 // lines of each task
	who := strings.TrimSpace(e.Container + " " + words.ID(e.Task))
	switch n := s.chapter.logs[e.Task+"\x00"+e.Container]; {
	case n < most:
		s.foreign(who + " | " + words.Cut(e.Text, words.Longest))
	case n == most:
		s.line(quiet, who+" wrote more, which is not shown")
	}
	s.chapter.logs[e.Task+"\x00"+e.Container]++
}

// task shows changes that matter, and of many alike the 1st, 2nd, 4th, 8th, …:
// a service with a hundred tasks takes a few lines more than one with two.
func (s *story) task(e event.Task) {
	if e.Code == "" && (s.live || e.Status != "RUNNING" && e.Status != "STOPPED") {
		return // on its way; the deployment's counters tell
	}
	what := e.Status
	if e.Health != "" && e.Status == "RUNNING" {
		what += ", " + e.Health
	}
	if why := taskEnd(e); why != "" {
		what += ": " + why
	}
	key := e.Revision + "\x00" + what
	s.chapter.tasks[key]++
	n := s.chapter.tasks[key]
	if n&(n-1) != 0 {
		return
	}
	t := neutral
	switch {
	case e.Code != "":
		t = bad
	case e.Health == "HEALTHY":
		t = good
	}
	text := fmt.Sprintf("task %s of %s %s", words.ID(e.ID), words.Name(e.Revision), what)
	if n > 2 {
		text = fmt.Sprintf("%d tasks of %s %s, %s the latest", n, words.Name(e.Revision), what, words.ID(e.ID))
	}
	s.line(t, text)
}

func taskEnd(e event.Task) string {
	var parts []string
	if e.Code != "" {
		parts = append(parts, string(e.Code))
	}
	if e.ExitCode != nil {
		who := e.Container
		if who == "" {
			who = "a container"
		}
		parts = append(parts, fmt.Sprintf("%s exited with %d", who, *e.ExitCode))
	}
	if e.Reason != "" && e.Status == "STOPPED" {
		parts = append(parts, words.Cut(e.Reason, words.Longest))
	}
	return strings.Join(parts, ", ")
}

// deployment shows what a deployment became. Counters alone are worth a line
// only every ten seconds, and those of other deployments none.
func (s *story) deployment(e event.Deployment) {
	const pause = 10 * time.Second
	if s.live {
		return
	}
	old, known := s.deployments[e.ID]
	s.deployments[e.ID] = e
	turned := !known || old.Status != e.Status || old.RolloutState != e.RolloutState || old.FailedTasks != e.FailedTasks
	counted := e.Ours && (old.Running != e.Running || old.Desired != e.Desired)
	full := e.Ours && e.Running == e.Desired && old.Running != e.Running
	if !turned && !full && !(counted && s.now.Sub(s.toldDeployment[e.ID]) >= pause) {
		return
	}
	s.toldDeployment[e.ID] = s.now
	t := neutral
	switch {
	case e.RolloutState == "FAILED" || e.FailedTasks > old.FailedTasks:
		t = bad
	case e.RolloutState == "COMPLETED" && e.Ours:
		t = good
	}
	s.line(t, describeDeployment(e))
}

func describeDeployment(e event.Deployment) string {
	whose := ""
	if !e.Ours {
		whose = " (not ours)"
	}
	text := fmt.Sprintf("deployment %s of %s%s: ", e.ID, words.Name(e.TaskDefinition), whose)
	if e.Status == "INACTIVE" {
		return text + "gone"
	}
	text += e.Status
	if e.RolloutState != "" {
		text += ", " + e.RolloutState
	}
	text += fmt.Sprintf(", %d/%d running", e.Running, e.Desired)
	if e.Pending > 0 {
		text += fmt.Sprintf(", %d pending", e.Pending)
	}
	if e.FailedTasks > 0 {
		text += fmt.Sprintf(", %d failed", e.FailedTasks)
	}
	if e.RolloutReason != "" && e.RolloutState == "FAILED" {
		text += ": " + words.Cut(e.RolloutReason, words.Longest)
	}
	return text
}

// routine are the service events that say what task and deployment lines say
// already, in the words that ECS uses (Amazon ECS service event messages).
var routine = regexp.MustCompile(`^\(service [^)]*\)(?:, \(?taskSet [^)]*\))? (?:has (?:started|stopped) [0-9]+ (?:running )?tasks|(?:de)?registered [0-9]+ targets|has begun draining connections|has reached a steady state|\(deployment [^)]*\) deployment completed|\(deployment [^)]*\) deployment (?:in progress|started))`)

func (s *story) serviceEvent(e event.ServiceEvent) {
	if s.live || routine.MatchString(e.Message) {
		return
	}
	const most = 10 // each stage
	switch s.chapter.events++; {
	case s.chapter.events <= most:
		s.line(neutral, "ECS: "+words.Cut(e.Message, words.Longest))
	case s.chapter.events == most+1:
		s.line(quiet, "more service events are not shown")
	}
}
