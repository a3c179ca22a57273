package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Facts are what is known of a stopped task.
type Facts struct {
	Task    types.Task
	LogTail []string // last lines of the container that decided, where they were read
	// HealthySeen: a task of the same deployment was seen healthy before.
	HealthySeen bool
	// Essential says whether a task stops with a container; nil when not known.
	Essential func(container string) (essential, known bool)
}

// Classify says what a stopped task means for its deployment. It is pure, knows
// Fargate's and EC2's places for the same text (Stopped tasks error messages,
// ECS Developer Guide), and never fails: what it does not know is shown in AWS's
// words and counted.
func Classify(f Facts) Finding {
	out := f.judge()
	out.Task = id(f.Task)
	out.Message = out.Message + age(f.Task, out)
	if out.Weight > Ignored {
		out.Evidence = append(f.evidence(out), out.Evidence...)
	}
	return out
}

func (f Facts) judge() Finding {
	reasons := f.reasons()
	if code, why := notOurs(f.Task, reasons); code != "" {
		return Finding{Code: code, Message: why, Reason: f.words()}
	}
	for _, r := range rules {
		for _, said := range reasons {
			if out, ok := r.match(said); ok {
				out.ExitCode = f.exitOf(out.Container)
				return out
			}
		}
	}
	if c, ok := f.culprit(); ok {
		return f.exit(c)
	}
	return f.unknown()
}

// said is a text of AWS about a task, or about one of its containers.
type said struct{ container, text string }

// reasons are all texts about the task. Those of containers that the task could
// do without come last.
func (f Facts) reasons() []said {
	var first, last []said
	for _, c := range f.Task.Containers {
		s := said{str(c.Name), str(c.Reason)}
		if s.text == "" {
			continue
		}
		if f.canDoWithout(s.container) {
			last = append(last, s)
		} else {
			first = append(first, s)
		}
	}
	if t := str(f.Task.StoppedReason); t != "" && !(failedToStart.MatchString(t) && len(first)+len(last) > 0) {
		first = append(first, said{f.lone(), t})
	}
	// A sidecar that the task could do without is only to blame when no
	// essential container ended.
	if c, ok := f.culprit(); ok && !f.canDoWithout(str(c.Name)) {
		return first
	}
	return append(first, last...)
}

// words are what AWS says of the task: of itself, or of the container that kept it
// from starting.
func (f Facts) words() string {
	if all := f.reasons(); len(all) > 0 && failedToStart.MatchString(str(f.Task.StoppedReason)) {
		return all[0].text
	}
	return str(f.Task.StoppedReason)
}

// lone is the only container's name: Fargate's task texts name none.
func (f Facts) lone() string {
	if len(f.Task.Containers) == 1 {
		return str(f.Task.Containers[0].Name)
	}
	return ""
}

func (f Facts) canDoWithout(container string) bool {
	if f.Essential == nil {
		return false
	}
	essential, known := f.Essential(container)
	return known && !essential
}

// notOurs says why a stop says nothing about the revision, or nothing. A stop by
// the scheduler because of a health check is about the revision, although it has
// the same stop code as scaling in.
func notOurs(t types.Task, reasons []said) (event.Code, string) {
	any := func(p *phrase) bool {
		return slices.ContainsFunc(reasons, func(r said) bool { return p.MatchString(r.text) })
	}
	switch {
	case t.StopCode == types.TaskStopCodeUserInitiated:
		return event.CodeStoppedByUser, "stopped by a user"
	case t.StopCode == types.TaskStopCodeSpotInterruption, any(spot):
		return event.CodeSpot, "stopped by a Spot interruption"
	case t.StopCode == types.TaskStopCodeInfrastructureHealth:
		return event.CodeHostRetired, "stopped because its host is unhealthy"
	case t.StopCode == types.TaskStopCodeTerminationNotice, any(hostGone):
		return event.CodeHostRetired, "stopped by the end of its host"
	case any(scalingIn):
		return event.CodeScaledIn, "stopped by scaling in"
	case t.StopCode == types.TaskStopCodeServiceSchedulerInitiated && !any(unhealthy):
		return event.CodeRescheduled, "stopped by the scheduler"
	}
	return "", ""
}

// culprit is the container whose exit ended the task. Containers that ECS stops
// afterwards exit too, mostly by SIGTERM or SIGKILL: among the essential ones,
// the exit that is least like being stopped decides.
func (f Facts) culprit() (types.Container, bool) {
	var best types.Container
	found := false
	for _, c := range f.Task.Containers {
		if c.ExitCode == nil {
			continue
		}
		if !found || f.suspicion(c) > f.suspicion(best) {
			best, found = c, true
		}
	}
	return best, found
}

func (f Facts) suspicion(c types.Container) int {
	n := 0
	switch exit := int(*c.ExitCode); {
	case fatalExit(exit):
		n = 3
	case exit != 0 && exit != 137 && exit != 143:
		n = 2
	case exit != 0:
		n = 1
	}
	if !f.canDoWithout(str(c.Name)) {
		n += 10
	}
	return n
}

func (f Facts) exitOf(container string) *int {
	for _, c := range f.Task.Containers {
		if str(c.Name) == container && c.ExitCode != nil {
			n := int(*c.ExitCode)
			return &n
		}
	}
	return nil
}

// unknown is a stop that no rule names: a text or a code of tomorrow.
func (f Facts) unknown() Finding {
	code, reason := string(f.Task.StopCode), f.words()
	what := strings.Trim(code+": "+reason, ": ")
	failed := event.CodeTaskFailed
	if f.Task.StopCode == types.TaskStopCodeTaskFailedToStart {
		failed = event.CodeCannotStart
	}
	return Finding{
		Code: failed, Weight: Counts, Reason: reason,
		Message: "the task stopped: " + cmp.Or(what, "ECS gives no reason"),
		Hints:   []string{"look the words up in the ECS Developer Guide, Stopped tasks error messages"},
	}
}

// age says how long the task ran, where that tells something.
func age(t types.Task, f Finding) string {
	if f.ExitCode == nil || t.StartedAt == nil {
		return ""
	}
	end := cmp.Or(t.ExecutionStoppedAt, t.StoppingAt, t.StoppedAt)
	if end == nil || end.Before(*t.StartedAt) {
		return ""
	}
	return fmt.Sprintf(", %s after it started", roughly(end.Sub(*t.StartedAt)))
}

// evidence is what the finding rests on, in AWS's words and numbers.
func (f Facts) evidence(out Finding) []string {
	t := f.Task
	lines := []string{fmt.Sprintf("task %s (%s) stopped: %s", id(t), name(str(t.TaskDefinitionArn)),
		cmp.Or(strings.Trim(string(t.StopCode)+": "+str(t.StoppedReason), ": "), "no reason given"))}
	for _, c := range t.Containers {
		if l := containerLine(c); l != "" {
			lines = append(lines, l)
		}
	}
	if t.StartedAt == nil && t.CreatedAt != nil {
		lines = append(lines, "it never reached RUNNING")
	}
	return lines
}

func containerLine(c types.Container) string {
	var said []string
	if c.ExitCode != nil {
		said = append(said, "exit code "+exitWords(int(*c.ExitCode)))
	}
	if r := str(c.Reason); r != "" {
		said = append(said, r)
	}
	if len(said) == 0 {
		return ""
	}
	line := "container " + str(c.Name) + ": " + strings.Join(said, "; ")
	if d := str(c.ImageDigest); d != "" {
		line += " (image " + d + ")"
	}
	return line
}

// roughly is a duration for people: 1.2s, 43s, 3m, 1h5m.
func roughly(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	}
	s := d.Round(time.Minute).String()
	return strings.TrimSuffix(s, "0s")
}

// id is the last part of a task's ARN.
func id(t types.Task) string { return name(str(t.TaskArn)) }

func str(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
