package output

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// report is the end of a run for people. One that failed after production could
// feel it begins with five lines: the verdict, what production serves now, the
// cause, the last log line, the next command. Details follow. A failure that is no
// task's has no log line.
type report struct{ lines []reportLine }

func (r *report) add(t tone, format string, args ...any) {
	r.lines = append(r.lines, reportLine{tone: t, text: fmt.Sprintf(format, args...)})
}

func (r *report) foreign(text string) {
	r.lines = append(r.lines, reportLine{text: "    | " + words.Cut(text, words.Longest), foreign: true})
}

func (s *story) result(e event.Result) {
	if e.Failure != nil && e.Failure.Code == event.CodeBuildFailed && len(e.Failure.Logs) == 0 {
		f := *e.Failure
		f.Logs = s.ring.lines
		e.Failure = &f
	}
	for _, f := range failures(e.Failure) {
		s.out.annotate(toneOf(e), "weelo-deploy: "+string(f.Code), strings.Join(append([]string{f.Message}, f.Hints...), "\n"), f.File, f.Line)
	}
	s.out.report(reportOf(e))
	if arn := answerOf(e); arn != "" {
		fmt.Fprintln(s.answer, arn) // a reader that went away changes nothing
	}
}

// answerOf is the line for stdout: the task definition that serves because of
// this run.
func answerOf(e event.Result) string {
	if e.ExitCode != event.ExitOK || e.Rehearsal {
		return ""
	}
	switch e.Outcome {
	case event.Released, event.Unchanged, event.RolledBack:
		return e.TaskDefinition
	}
	return ""
}

func reportOf(e event.Result) []reportLine {
	var r report
	switch {
	case e.ExitCode == event.ExitOK || e.ExitCode == event.ExitPlanChanges:
		r.success(e)
	case e.Outcome == event.Refused, !aboutService(e):
		r.refusal(e)
	default:
		r.failure(e)
	}
	return r.lines
}

func (r *report) success(e event.Result) {
	what := cmp.Or(words.Name(e.TaskDefinition), "the service")
	serves := e.ServingNow
	if serves == "" {
		serves = what + " serves"
	}
	in := ""
	if e.Timings.TotalSeconds > 0 {
		in = " in " + words.Took(e.Timings.TotalSeconds)
	}
	switch e.Outcome {
	case event.Released:
		if e.Rehearsal {
			r.add(good, "rehearsed%s: this image would have been released; production was not touched", in)
			return
		}
		r.add(good, "released%s: %s", in, serves)
	case event.Unchanged:
		r.add(good, "unchanged: %s", serves)
	case event.RolledBack:
		r.add(good, "rolled back%s: %s", in, serves)
	case event.Planned:
		r.add(good, "planned%s: nothing was changed", in)
	case event.Verified:
		r.add(good, "%s%s: %s", e.Command, in, cmp.Or(e.Image, "verified"))
	default:
		r.add(good, "%s: %s", e.Command, serves)
	}
	if len(e.Next) > 0 {
		word := "next"
		if e.Outcome == event.Released || e.Outcome == event.RolledBack {
			word = "to undo"
		}
		r.add(neutral, "  %s: %s", word, strings.Join(e.Next, " · "))
	}
}

// refusal tells what was found before production could feel anything.
func (r *report) refusal(e event.Result) {
	fs := failures(e.Failure)
	for _, f := range fs {
		r.add(bad, "error: %s%s", f.Message, code(f))
		for _, v := range f.Evidence {
			if v != e.ServingNow { // the last line says it
				r.add(neutral, "    %s", words.Cut(v, words.Longest))
			}
		}
		r.log(f)
		for _, h := range unique(f.Hints) {
			r.add(neutral, "  hint: %s", h)
		}
		for _, n := range unique(f.Next) {
			r.add(neutral, "  next: %s", n)
		}
	}
	for _, n := range unique(e.Next) {
		if len(fs) == 0 || !slices.Contains(fs[0].Next, n) {
			r.add(neutral, "next: %s", n)
		}
	}
	if !aboutService(e) {
		if len(fs) > 1 {
			r.add(neutral, "%d errors", len(fs))
		}
		return
	}
	untouched := "production was not touched"
	if e.ServingNow != "" {
		untouched += ": " + e.ServingNow
	}
	if len(fs) > 1 {
		untouched = fmt.Sprintf("%d errors; %s", len(fs), untouched)
	}
	r.add(neutral, "%s", untouched)
}

// aboutService says whether the run was about a service at all: a build that fails
// says nothing of production.
func aboutService(e event.Result) bool {
	switch e.Command {
	case "", "release", "plan", "rollback", "watch":
		return true
	}
	return false
}

// failure is the report of five lines and its details.
func (r *report) failure(e event.Result) {
	f := e.Failure
	if f == nil {
		f = &event.Failure{Code: event.CodeInternal, Message: "the cause is not known"}
	}
	next := unique(append(slices.Clone(f.Next), e.Next...))
	t := toneOf(e)
	r.add(t, "%s: %s (exit %d)", map[tone]string{bad: "error", warning: "warning"}[t], verdict(e), e.ExitCode)
	where := "production"
	if e.Rehearsal {
		where = "production was not touched; the sandbox"
	}
	r.add(neutral, "  %s: %s", where, production(e))
	r.add(neutral, "  cause: %s", cause(f))
	if last := lastLine(f.Logs); last != "" || ofTask(f) {
		r.add(neutral, "  last log: %s", cmp.Or(last, "none was found"))
		r.lines[len(r.lines)-1].foreign = last != ""
	}
	switch {
	case len(next) > 0:
		r.add(neutral, "  next: %s", next[0])
	case !e.Rehearsal: // whose service is gone: status would tell of the real one
		r.add(neutral, "  next: weelo-deploy status")
	}
	for i, v := range f.Evidence {
		if i > 0 { // the first is in the cause
			r.add(neutral, "  evidence: %s", words.Cut(v, words.Longest))
		}
	}
	r.log(f)
	for _, h := range unique(f.Hints) {
		r.add(neutral, "  hint: %s", h)
	}
	for i, n := range next {
		if i > 0 {
			r.add(neutral, "  or: %s", n)
		}
	}
	for _, also := range failures(f)[1:] {
		r.add(bad, "  also: %s", cause(also))
	}
}

// toneOf is how bad the end of a run is: somebody who interrupts it is no error.
func toneOf(e event.Result) tone {
	if e.Outcome == event.InterruptedO {
		return warning
	}
	return bad
}

// ofTask says whether a failure is a task's, of which a log can be expected.
func ofTask(f *event.Failure) bool { return f.Container != "" || f.ExitCode != nil }

// log is the end of what the container or the build step wrote.
func (r *report) log(f *event.Failure) {
	if len(f.Logs) == 0 {
		return
	}
	r.add(neutral, "  last lines of the log:")
	for _, l := range f.Logs {
		r.foreign(l)
	}
}

// verdict says how the run ended.
func verdict(e event.Result) string {
	what := e.Command
	if t := words.Name(e.TaskDefinition); t != "" {
		what += " of " + t
	}
	if e.Service != "" {
		what += " on " + words.Name(e.Service)
	}
	switch e.Outcome {
	case event.RolledBack:
		if e.Failure != nil && e.Failure.Code == event.CodeInterrupted {
			return what + " was interrupted and rolled back"
		}
		return what + " failed and was rolled back"
	case event.Stopped:
		return what + " stopped before the service was changed; a before-task ran and may have changed data"
	case event.Superseded:
		return what + " was superseded: another deployment took over, nothing was rolled back"
	case event.InterruptedO:
		return what + " was interrupted"
	}
	if e.ExitCode == event.ExitUnhealthy {
		return what + " failed, and production is not known to be healthy"
	}
	return what + " failed unexpectedly"
}

func production(e event.Result) string {
	switch {
	case e.ServingNow != "":
		return e.ServingNow
	case e.Serving != "":
		return words.Name(e.Serving) + " serves"
	default:
		return "what it serves now is not known"
	}
}

// cause is what happened and the first piece of evidence.
func cause(f *event.Failure) string {
	text := f.Message + code(f)
	if f.Tasks > 1 {
		text += fmt.Sprintf(", %d tasks", f.Tasks)
	}
	if len(f.Evidence) > 0 {
		text += "; " + words.Cut(f.Evidence[0], words.Longest)
	} else if f.Reason != "" && !strings.Contains(f.Message, f.Reason) {
		text += "; " + words.Cut(f.Reason, words.Longest)
	}
	return text
}

func code(f *event.Failure) string {
	if f.Code == "" {
		return ""
	}
	return " [" + string(f.Code) + "]"
}

func lastLine(lines []string) string {
	for _, l := range slices.Backward(lines) {
		if strings.TrimSpace(l) != "" {
			return words.Cut(strings.TrimSpace(l), words.Longest)
		}
	}
	return ""
}

// failures is f and everything that was found with it.
func failures(f *event.Failure) []*event.Failure {
	if f == nil {
		return nil
	}
	out := []*event.Failure{f}
	for _, also := range f.Also {
		out = append(out, failures(also)...)
	}
	return out
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// WriteError prints an error of a command that has no result, in the form of a
// refusal: each finding with its code and evidence, hints and next commands. r
// may be nil.
func WriteError(w io.Writer, r *redact.Redactor, err error) {
	s := sanitizer{redactor: r, lines: true}
	for _, f := range event.FailuresOf(err) {
		res := s.record(event.Record{Event: event.Result{Failure: f}}).Event.(event.Result)
		var rep report
		rep.refusal(res)
		for _, l := range rep.lines[:len(rep.lines)-1] { // less what production serves: not known here
			fmt.Fprintln(w, l.text) // there is nobody else to tell
		}
	}
}
