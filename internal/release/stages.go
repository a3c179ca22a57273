package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// stage is one step of a release.
type stage struct {
	name string
	// run does the work and says in one line what came of it. A skip error means
	// that there was nothing to do.
	run func(*Run, context.Context) (string, error)
	// change marks the stages that an unchanged release leaves out.
	change bool
	// ahead marks the stages that judge what is new: once the way back has begun
	// there is nothing left to judge.
	ahead bool
	// after marks the stages that run once something was deployed, also when an
	// earlier one failed.
	after bool
}

// releaseStages is the release, in order (ARCHITECTURE.md walks through it).
var releaseStages = []stage{
	{name: "preflight", run: (*Run).preflight},
	{name: "build", run: (*Run).build},
	{name: "verify", run: (*Run).verify},
	{name: "push", run: (*Run).push, change: true},
	{name: "register", run: (*Run).register, change: true},
	{name: "before-tasks", run: (*Run).runBeforeTasks, change: true},
	{name: "deploy", run: (*Run).deploy, change: true},
	{name: "watch", run: (*Run).watch, change: true, ahead: true},
	{name: "checks", run: (*Run).checks, change: true, ahead: true},
	{name: "conclude", run: (*Run).conclude, change: true, after: true},
}

// skip is the error of a stage that had nothing to do, with the reason.
type skip string

func (s skip) Error() string { return string(s) }

// run goes through the stages. The first failure before anything was deployed
// is a refusal and ends the run; after that, what remains are the stages that
// bring the service to a known state.
func (r *Run) run(ctx context.Context, stages []stage) {
	failed := false
	for i, st := range stages {
		switch {
		case failed && !st.after:
			r.end(i, len(stages), st, event.Skipped, "an earlier stage failed", 0, false)
			continue
		case r.unchanged && st.change:
			r.end(i, len(stages), st, event.Skipped, "nothing changed", 0, false)
			continue
		case r.goesBack && st.ahead:
			r.end(i, len(stages), st, event.Skipped, "a rollback is in progress", 0, false)
			continue
		}
		if interrupted(ctx) && !st.after {
			r.interrupt(ctx)
			return
		}
		err := r.one(ctx, i, len(stages), st)
		switch {
		case err == nil:
		case r.result.Outcome != "": // it was brought to an end: a signal that came meanwhile changes nothing
			failed = true
		case interrupted(ctx):
			r.interrupt(ctx)
			return
		case r.deployed == nil && r.unsure:
			r.leaveUnsure(ctx, st.name, err)
			return
		case r.deployed == nil:
			r.refuse(ctx, st.name, err)
			return
		default:
			failed = true
		}
	}
	if r.unchanged {
		r.concludeUnchanged()
	}
}

// one runs a single stage between its two events.
func (r *Run) one(ctx context.Context, i, total int, st stage) error {
	r.out.In(st.name)(event.Stage{Name: st.name, Index: i + 1, Total: total, Status: event.Started, UsualSeconds: r.usual(st.name)})
	start := r.now()
	detail, err := st.run(r, ctx)
	took := seconds(r.now().Sub(start))
	var nothing skip
	switch {
	case errors.As(err, &nothing):
		r.end(i, total, st, event.Skipped, string(nothing), took, false)
		return nil
	case err == nil:
		r.end(i, total, st, event.Done, detail, took, true)
	case interrupted(ctx) && r.result.Outcome == "":
		r.end(i, total, st, event.Interrupted, "", took, true)
	default:
		r.end(i, total, st, event.Failed, firstLine(err), took, true)
	}
	return err
}

// end records how a stage ended. text is the detail of one that ran and the
// reason of one that was skipped.
func (r *Run) end(i, total int, st stage, status event.Status, text string, took float64, ran bool) {
	e := event.Stage{Name: st.name, Index: i + 1, Total: total, Status: status, Seconds: took}
	o := event.StageOutcome{Name: st.name, Status: status, Seconds: took}
	if ran {
		e.Detail = text
	} else {
		e.Reason, o.Reason = text, text
	}
	r.stages = append(r.stages, o)
	r.out.In(st.name)(e)
}

// refuse ends a run in which nothing was deployed.
func (r *Run) refuse(ctx context.Context, stage string, err error) {
	Refuse(&r.result, stage, err)
	// What was done before a deployment that was refused is not done twice. Where
	// somebody else has deployed, the next release is another one.
	r.before.keep = r.before.keep || stage == "deploy" && len(r.before.ended) > 0 && r.result.Failure.Code != event.CodeChanged
	r.dropUnused(ctx)
	r.stoppedAfterBefore()
	r.servesStill(ctx, stage)
}

// servesStill reads what serves into the result of a run that deployed nothing. What
// preflight saw may be as old as a build takes.
func (r *Run) servesStill(ctx context.Context, stage string) {
	s := r.pre.service
	if s.ServiceName == nil {
		return
	}
	as := ""
	if stage != "preflight" && stage != "attach" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if now, err := r.site().Read(ctx); err == nil {
			s = now
		} else {
			as = " (as preflight saw it; it cannot be read now)"
		}
	}
	r.result.Serving, r.result.ServingNow = ServingARN(s), Serves(s)+as
}

// leaveUnsure ends a run whose one call that changes the service was sent, and of
// which nobody can say what came of it: not a refusal, since production may have
// been touched.
func (r *Run) leaveUnsure(ctx context.Context, stage string, err error) {
	Refuse(&r.result, stage, err)
	r.result.Outcome, r.result.ExitCode = event.FailedRun, event.ExitUnhealthy
	r.result.Failure.See(r.effects()...)
	ctx, cancel := afterwards(ctx)
	defer cancel()
	r.serving(ctx)
}

// Refuse writes a refusal into a result: every finding of err, and the exit
// code that they call for.
func Refuse(res *event.Result, stage string, err error) {
	found := event.FailuresOf(err)
	first := found[0]
	for _, f := range found {
		if f.Stage == "" {
			f.Stage = stage
		}
		f.Trace()
	}
	if len(found) > 1 {
		c := *first
		c.Also = found[1:]
		first = &c
	}
	res.Failure, res.Outcome = first, event.Refused
	res.ExitCode = refusalExit(found)
	if res.ExitCode == event.ExitInternal {
		res.Outcome = event.FailedRun
	}
}

// refusalExit follows design rule: 2 is wrong without asking anybody, 1 is a
// fault of the tool or an answer that it cannot read, 4 is everything else.
func refusalExit(found []*event.Failure) int {
	internal := 0
	for _, f := range found {
		switch f.Code {
		case event.CodeUsage, event.CodeConfig:
			return event.ExitUsage
		case event.CodeInternal:
			internal++
		}
	}
	if internal == len(found) {
		return event.ExitInternal
	}
	return event.ExitRefused
}

func firstLine(err error) string {
	found := event.FailuresOf(err)
	s := found[0].Error()
	if len(found) > 1 {
		s += fmt.Sprintf(" (and %d more)", len(found)-1)
	}
	return s
}

// usual is how long the watching took lately, the bake included; 0 when that is
// not known.
func (r *Run) usual(stage string) float64 {
	if usual := r.pre.ledger.Usual(); stage == "watch" && usual > 0 {
		return seconds(usual + r.Bake)
	}
	return 0
}
