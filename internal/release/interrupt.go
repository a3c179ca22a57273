package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// Interrupt is the cause of a context that a signal ended.
type Interrupt struct {
	Signal string // "SIGINT"
	Code   int    // exit code
	// Hangup is set for SIGHUP: the terminal is gone, which is never a wish to roll
	// back.
	Hangup bool
}

func (i *Interrupt) Error() string { return "interrupted by " + i.Signal }

// secondWithin is how long a second Ctrl-C on a terminal means "roll back".
const secondWithin = 5 * time.Second

// oneCall bounds the rollback of a run that a CI system cancelled. GitHub
// Actions sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that.
const oneCall = 6 * time.Second

func interrupted(ctx context.Context) bool { return ctx.Err() != nil }

func causeOf(ctx context.Context) *Interrupt {
	var i *Interrupt
	if errors.As(context.Cause(ctx), &i) {
		return i
	}
	return &Interrupt{Signal: "a cancelled context", Code: event.ExitInterrupt}
}

// interrupt ends a run that a signal stopped. Before the deploy stage nothing
// has happened; after it, the signal's meaning depends on who sent it.
func (r *Run) interrupt(ctx context.Context) {
	sig := causeOf(ctx)
	stage := "the start"
	if n := len(r.stages); n > 0 {
		stage = r.stages[n-1].Name
	}
	r.result.Outcome, r.result.ExitCode = event.InterruptedO, sig.Code
	f := event.Fail(event.CodeInterrupted, fmt.Sprintf("%s in stage %s", sig.Error(), stage))
	f.Stage = stage
	r.result.Failure = f
	if r.deployed == nil {
		r.interruptBefore(ctx, f)
		r.dropUnused(ctx)
		switch {
		case r.unsure && r.back != nil:
			r.leaveRollback(f)
		case r.unsure:
			f.See("UpdateService was sent and not answered: the deployment may begin all the same").Try(r.command("watch"), r.command("status"))
		default:
			f.See("nothing was deployed")
		}
		r.servesStill(ctx, stage)
		return
	}
	if found := r.found(); found != nil {
		f.See("it had failed: " + found.Error())
	}
	if r.Rehearsal {
		f.See("the rehearsal ended; its sandbox is removed")
		return
	}
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), oneCall)
	defer cancel()
	switch {
	case r.goingBack:
		f.See("the rollback to "+history.Name(r.goal.TaskDefinition)+" goes on in ECS").Try(r.command("watch"), r.command("status"))
	case sig.Hangup && r.OnInterrupt != InterruptRollback, r.OnInterrupt == InterruptDetach:
		r.detach(f)
	case r.Terminal && r.OnInterrupt == InterruptAuto:
		if r.mayGoBack() && r.secondCtrlC() {
			r.rollBackNow(ctx, f)
			return
		}
		r.detach(f)
	default:
		r.oneCallBack(free, f)
	}
	r.serving(free)
}

// found is the failure that was found before the signal came; nil when there is none.
func (r *Run) found() *event.Failure {
	if r.verdict == nil || r.verdict.Outcome == health.Serving || r.verdict.Outcome == health.Superseded {
		return nil
	}
	return r.verdict.Failure
}

// mayGoBack says whether there is a way back, and whether it may be taken.
func (r *Run) mayGoBack() bool { return r.goal != nil && !r.NoRollback && !r.NeverRollBack }

func (r *Run) detach(f *event.Failure) {
	if r.unsure { // the call that goes back was sent
		r.leaveRollback(f)
		return
	}
	f.See(fmt.Sprintf("the deployment of %s goes on in ECS, and nobody watches it", history.Name(r.deployed.TaskDefinition))).
		Try(r.command("watch"), r.command("rollback"))
}

// secondCtrlC says at once what goes on, and waits a moment for the second one.
func (r *Run) secondCtrlC() bool {
	r.note("watch", event.Warn, fmt.Sprintf("stopped watching; the deployment of %s goes on. Press Ctrl-C again within %d s to roll back", history.Name(r.deployed.TaskDefinition), int(secondWithin.Seconds())))
	t := time.NewTimer(secondWithin)
	defer t.Stop()
	select {
	case <-r.Interrupts:
		return true
	case <-t.C:
		return false
	}
}

// rollBackNow is the second Ctrl-C: a rollback that is watched to its end, or to the
// third one.
func (r *Run) rollBackNow(parent context.Context, f *event.Failure) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	defer cancel(nil)
	go func() {
		select {
		case <-r.Interrupts:
			cancel(context.Cause(parent))
		case <-ctx.Done():
		}
	}()
	if r.found() == nil {
		r.verdict = &health.Verdict{Outcome: health.Failing, Failure: f}
		if s, err := r.site().Read(ctx); err == nil {
			r.verdict.Completed = r.oursCompleted(s)
		}
	}
	_, err := r.failed(ctx)
	switch {
	case r.result.Outcome != event.InterruptedO: // it has ended, one way or the other
	case interrupted(ctx):
		r.leaveRollback(f)
		r.serving(context.WithoutCancel(parent))
	case err != nil:
		r.fail(event.FailedRun, event.ExitUnhealthy, f.See(firstLine(err)))
	}
}

// leaveRollback says what goes on when a rollback is not watched any more.
func (r *Run) leaveRollback(f *event.Failure) {
	what := "whether the rollback to " + history.Name(r.goal.TaskDefinition) + " began is not known"
	if r.goingBack {
		what = "the rollback to " + history.Name(r.goal.TaskDefinition) + " goes on in ECS"
	}
	f.See(what).Try(r.command("watch"), r.command("status"))
}

// oneCallBack is a cancelled CI step: our deployment is taken back by one call
// while it is in progress, and left alone once it completed, unless it has failed its
// checks or in bake since.
func (r *Run) oneCallBack(ctx context.Context, f *event.Failure) {
	name := history.Name(r.deployed.TaskDefinition)
	s, err := r.site().Read(ctx)
	switch {
	case err != nil && r.mayGoBack() && r.nativeFits() && r.stop(ctx): // it names our deployment, and nobody else's
		f.See("the service could not be read; the rollback to "+history.Name(r.goal.TaskDefinition)+" was started and goes on in ECS").Try(r.command("watch"), r.command("status"))
		return
	case err != nil:
		f.See("the service could not be read: "+firstLine(err)).Try(r.command("status"), r.command("rollback"))
		return
	case r.found() == nil && r.oursCompleted(s):
		f.See(name + " completed its deployment and serves; it was not watched to the end").Try(r.command("watch"))
		return
	case !r.mayGoBack():
		f.See("nothing was rolled back: there is no way back, or it is switched off").Try(r.command("status"))
		return
	}
	ret, err := r.callBack(ctx)
	switch {
	case err != nil:
		f.See("the rollback could not be started: "+firstLine(err)).Try(r.command("rollback"), r.command("status"))
	case ret == nil:
		f.See("another deployment took over; nothing was rolled back").Try(r.command("status"))
	default:
		f.See("the rollback to "+history.Name(r.goal.TaskDefinition)+" was started and goes on in ECS").See(r.effects()...).Try(r.command("watch"), r.command("status"))
	}
}

func (r *Run) oursCompleted(s types.Service) bool {
	p := history.Primary(s)
	return p != nil && aws.ToString(p.Id) == r.deployed.ID && history.Completed(s)
}
