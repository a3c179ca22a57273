package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Explain adds to a verdict's failure the last log lines of the task that died,
// where they can be read, and reads out of them what the exit code hides. It
// takes at most Pace.Logs. It is apart from Watch so that a rollback can be
// called first; what is missing is a note or a line of evidence, never an error.
func (w *Watcher) Explain(ctx context.Context, s Subject, v Verdict) Verdict {
	if v.Failure == nil || v.dead == nil || v.dead.container == "" || v.dead.read {
		return v
	}
	fail := *v.Failure
	v.Failure = &fail
	to, err := streamOf(s.Definition, v.dead.facts.Task, v.dead.container)
	if errors.Is(err, errElsewhere) {
		fail.Evidence = append(fail.Evidence[:len(fail.Evidence):len(fail.Evidence)], fmt.Sprintf("container %s: %v", v.dead.container, err))
		return v
	}
	if w.Logs == nil || neverRan(v.dead) {
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, w.Pace.withDefaults().Logs)
	defer cancel()
	lines, err := w.tail(ctx, to)
	if err != nil {
		w.tell(event.Note{Level: event.Warn, Text: fmt.Sprintf("cannot read the log of container %s (logs:GetLogEvents on %s): %s", v.dead.container, to.group, cause(err))})
		return v
	}
	return w.withLog(v, lines)
}

// neverRan says whether the container has no log because it never ran.
func neverRan(d *corpse) bool {
	return d.facts.Task.StartedAt == nil && d.facts.exitOf(d.container) == nil
}

func (w *Watcher) withLog(v Verdict, lines []logLine) Verdict {
	facts := v.dead.facts
	facts.LogTail = nil
	for _, l := range lines {
		facts.LogTail = append(facts.LogTail, l.text)
		w.tell(event.Log{Task: id(facts.Task), Container: v.dead.container, At: l.at, Text: l.text})
	}
	fail := v.Failure
	fail.Logs = facts.LogTail
	before := Classify(v.dead.facts)
	if now := Classify(facts); now.Weight > before.Weight {
		refine(fail, before, now)
		fail.Also = slices.Clone(fail.Also)
		for i, a := range fail.Also {
			if a.Code != before.Code {
				continue
			}
			inner := *a
			refine(&inner, before, now)
			fail.Also[i] = &inner
		}
	}
	v.dead = &corpse{facts: facts, container: v.dead.container, lines: facts.LogTail, read: true}
	return v
}

// refine writes what the log says into a failure that was made from the exit code
// alone, and keeps what else it holds.
func refine(fail *event.Failure, was, now Finding) {
	n := max(1, fail.Tasks)
	if fail.Code == was.Code {
		fail.Code = now.Code
	}
	fail.Message = strings.Replace(fail.Message, was.failure(n).Message, now.failure(n).Message, 1)
	for _, e := range now.Evidence {
		if !slices.Contains(fail.Evidence, e) {
			fail.Evidence = append(fail.Evidence[:len(fail.Evidence):len(fail.Evidence)], e)
		}
	}
	fail.Hints = slices.Concat(now.Hints, fail.Hints)
}

func (w *Watcher) tell(e event.Event) {
	if w.Emit != nil {
		w.Emit(e)
	}
}
