package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// Checks are what the live service must answer and log after the deployment.
type Checks struct {
	HTTP []check.HTTP
	Logs []check.Log
	// Unknown says why nobody knows which checks there are; empty: these are all.
	Unknown string
}

func (c Checks) none() bool { return len(c.HTTP)+len(c.Logs) == 0 }

// noChecks says why the live service is not asked; empty when it is.
func (r *Run) noChecks() string {
	switch {
	case r.foreign:
		return "the deployment is no release of ours"
	case r.Checks.Unknown != "":
		return "not made: " + r.Checks.Unknown
	case r.Checks.none():
		return "not configured"
	case r.Rehearsal:
		return "a rehearsal has no live service, and the configured addresses are not its own"
	}
	return ""
}

// checks asks the live service. The deployment is watched on meanwhile: a task
// that dies is a failure as before, and ends the checks.
func (r *Run) checks(ctx context.Context) (string, error) {
	if why := r.noChecks(); why != "" {
		return "", skip(why)
	}
	watched, found := r.watchOn(ctx)
	failures := r.makeChecks(watched)
	if verdict := found(); verdict != nil {
		r.verdict, r.failedChecks = verdict, nil
		return "", verdict.Failure
	}
	if interrupted(ctx) {
		return "", context.Cause(ctx)
	}
	if len(failures) == 0 {
		return fmt.Sprintf("%d passed", len(r.Checks.HTTP)+len(r.Checks.Logs)), nil
	}
	v := *r.verdict
	v.Outcome, v.Failure, v.DetectedAt = health.Failing, together(failures), r.now()
	r.verdict = &v
	return "", v.Failure
}

// watchOn goes on watching the deployment until found is called, which gives the
// verdict if the deployment failed. The context ends when it does.
func (r *Run) watchOn(ctx context.Context) (_ context.Context, found func() *health.Verdict) {
	ctx, stop := context.WithCancel(ctx)
	w := r.watcher("checks")
	w.Emit = nil // it would tell once more what the watch has told
	verdict := make(chan *health.Verdict, 1)
	go func() {
		defer close(verdict)
		const long = 24 * time.Hour
		v, err := w.Watch(ctx, r.subject(), health.Policy{Timeout: r.Timeout, Tolerate: r.Tolerate, Bake: long})
		switch {
		case err != nil && ctx.Err() != nil: // the checks were faster
		case err != nil:
			r.note("checks", event.Warn, "the deployment could not be watched while the checks were made: "+firstLine(err))
		case v.Outcome != health.Serving:
			if v.Failure == nil {
				v.Failure = event.Fail(event.CodeTaskFailed, "the deployment of "+r.next.Name()+" failed")
			}
			v.Completed = true
			verdict <- &v
			stop()
		}
	}()
	return ctx, func() *health.Verdict { stop(); return <-verdict }
}

// makeChecks makes all checks: requests one after the other, since they may be
// about the same things, and beside them what the logs must show. The first that
// fails ends the others: it is enough to go back, which must not wait.
func (r *Run) makeChecks(ctx context.Context) []*event.Failure {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r.failedChecks = nil
	failures := make([]*event.Failure, len(r.Checks.HTTP)+len(r.Checks.Logs))
	var logs sync.WaitGroup
	for i, l := range r.Checks.Logs {
		logs.Go(func() {
			rep, err := l.Run(ctx, r.Log, r.newStreams)
			if failures[len(r.Checks.HTTP)+i] = r.checked("checks", l.Name, rep, err); err != nil {
				stop()
			}
		})
	}
	for i, h := range r.Checks.HTTP {
		rep, err := check.Client{}.Run(ctx, h)
		if failures[i] = r.checked("checks", h.Name, rep, err); failures[i] != nil {
			r.failedChecks = append(r.failedChecks, h)
			stop()
		}
		if err != nil {
			break
		}
	}
	logs.Wait()
	return without(failures)
}

// checked tells how a check ended, and gives its failure. One that a signal or the
// end of the deployment cut off is nothing to tell.
func (r *Run) checked(stage, name string, rep check.Report, err error) *event.Failure {
	e := event.Check{Name: name, Status: event.Done, Detail: rep.Detail, Seconds: tookSeconds(rep)}
	var f *event.Failure
	switch {
	case errors.As(err, &f):
		f.Stage = stage
		e.Status, e.Detail, e.Code, e.Hint = event.Failed, strings.TrimPrefix(f.Message, "check "+name+": "), f.Code, strings.Join(f.Hints, "; ")
	case err != nil:
		return nil
	}
	r.out.In(stage)(e)
	return f
}

// tookSeconds is how long a check took: never 0, which would say that it is not known.
func tookSeconds(rep check.Report) float64 { return max(seconds(rep.Took), 0.001) }

func without(all []*event.Failure) []*event.Failure {
	var out []*event.Failure
	for _, f := range all {
		if f != nil {
			out = append(out, f)
		}
	}
	return out
}

// together is several failures as one.
func together(all []*event.Failure) *event.Failure {
	first := *all[0]
	first.Also = append(first.Also, all[1:]...)
	return &first
}

// checkLive makes the checks that only read, on what serves before the release. One
// that fails now would say nothing of the release afterwards.
func (r *Run) checkLive(ctx context.Context) (string, error) {
	if why := r.noChecks(); why != "" {
		return "", skip(why)
	}
	errs := make([]error, len(r.Checks.HTTP))
	made := 0
	var all sync.WaitGroup
	for i, h := range r.Checks.HTTP {
		if !h.Reads() {
			continue
		}
		made++
		all.Go(func() { errs[i] = r.checkBefore(ctx, h) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d made now, the others after the deployment", made, len(r.Checks.HTTP)+len(r.Checks.Logs)), nil
}

func (r *Run) checkBefore(ctx context.Context, h check.HTTP) error {
	rep, err := check.Client{}.Run(ctx, h)
	var f *event.Failure
	if !errors.As(err, &f) {
		if err == nil {
			r.out.In("preflight")(event.Check{Name: h.Name, Status: event.Done, Detail: "passes now: " + rep.Detail, Seconds: tookSeconds(rep)})
		}
		return err
	}
	if h.FailingBefore {
		r.out.In("preflight")(event.Check{Name: h.Name, Status: event.Warned, Detail: "fails now, as it may: " + f.Message, Code: f.Code, Seconds: tookSeconds(rep)})
		return nil
	}
	f.Message += ": it fails before the release already"
	return f.Hint("mend what serves or the check first; expectFailingBefore: true lets a release on that brings what it asks for")
}

// stillFailing makes the requests that failed once more, after the rollback, and
// gives those that fail still: then the release was not the cause. What may fail
// before a release may fail after its rollback.
func (r *Run) stillFailing(ctx context.Context) []*event.Failure {
	var failures []*event.Failure
	for _, h := range r.failedChecks {
		if h.FailingBefore {
			continue
		}
		rep, err := check.Client{}.Run(ctx, h)
		if f := r.checked("conclude", h.Name, rep, err); f != nil {
			failures = append(failures, f)
		}
	}
	return failures
}

// notTheCause ends a release that was rolled back because of checks that fail on
// what serves again too.
func (r *Run) notTheCause(f *event.Failure, still []*event.Failure) {
	name := history.Name(r.goal.TaskDefinition)
	f.Evidence = append([]string{fmt.Sprintf("the release is not the cause: after the rollback to %s, %s", name, still[0].Message)}, f.Evidence...)
	for _, s := range still {
		f.See(s.Evidence...)
	}
	f.Hint("look at what the service depends on: " + name + " fails the same check").Try(r.command("status"))
	r.result.Outcome, r.result.ExitCode = event.FailedRun, event.ExitUnhealthy
}

// planChecks says what a release would ask after its deployment.
func (r *Run) planChecks() string {
	var names []string
	for _, h := range r.Checks.HTTP {
		switch {
		case h.Reads():
			names = append(names, h.Name)
		default:
			names = append(names, h.Name+" ("+h.Method+")")
		}
	}
	for _, l := range r.Checks.Logs {
		names = append(names, l.Name+" (logs)")
	}
	return strings.Join(names, ", ")
}
