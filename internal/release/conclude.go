package release

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// watch follows our deployment until it serves and has baked, or fails.
func (r *Run) watch(ctx context.Context) (string, error) {
	v, err := r.watcher("watch").Watch(ctx, r.subject(), health.Policy{Timeout: r.Timeout, Tolerate: r.Tolerate, Bake: r.Bake})
	if r.lost = err; err != nil {
		return "", err
	}
	if v.Outcome != health.Serving && v.Failure == nil {
		v.Failure = event.Fail(event.CodeTaskFailed, "the deployment of "+r.next.Name()+" failed")
	}
	r.verdict = &v
	if v.Outcome != health.Serving {
		return "", v.Failure
	}
	return fmt.Sprintf("%s serves, %d/%d running", r.next.Name(), v.Running, v.Desired), nil
}

func (r *Run) subject() health.Subject {
	s := health.Subject{
		Cluster: r.Cluster, Service: r.Service, Deployment: r.deployed.ID, TaskDefinition: r.deployed.TaskDefinition,
		CreatedAt: r.deployed.CreatedAt, Definition: r.next,
	}
	if r.goal != nil {
		s.Previous = r.goal.TaskDefinition
	}
	return s
}

// conclude brings the service to a known state and records on the revision how
// it went.
func (r *Run) conclude(ctx context.Context) (string, error) {
	var detail string
	var err error
	switch {
	case r.verdict == nil:
		err = r.lostSight(ctx, "the deployment goes on in ECS, and nothing was rolled back")
	case r.verdict.Outcome == health.Serving:
		detail, err = r.proven(ctx)
	case r.verdict.Outcome == health.Superseded:
		err = r.superseded(*r.verdict)
	default:
		detail, err = r.failed(ctx)
	}
	return detail, err
}

// lostSight ends a run that could not go on watching, for the reason that the watch
// gave: what it watched goes on without it.
func (r *Run) lostSight(ctx context.Context, meanwhile string) error {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	f := event.Fail(event.CodeInternal, "the service can no longer be watched")
	if r.lost != nil {
		f = event.FailuresOf(r.lost)[0]
	}
	f.See(meanwhile).Try(r.command("watch"), r.command("rollback"))
	r.fail(event.FailedRun, event.ExitUnhealthy, f)
	r.serving(ctx)
	return f
}

func (r *Run) proven(ctx context.Context) (string, error) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	r.result.Outcome, r.result.ExitCode = event.Released, event.ExitOK
	r.restoreBackstop(ctx)
	if r.foreign {
		r.result.Outcome = event.Watched
		r.serving(ctx)
		return r.next.Name() + " serves", nil
	}
	r.tagOutcome(ctx, r.deployed.TaskDefinition, history.Proven, "")
	r.result.Image = r.reference()
	r.serving(ctx)
	detail := r.next.Name() + " is proven"
	if r.goal != nil && r.goal.TaskDefinition != r.deployed.TaskDefinition {
		r.result.Next = []string{r.command("rollback " + history.Revision(r.goal.TaskDefinition))}
	}
	return detail, nil
}

// concludeUnchanged ends a release that found nothing to do.
func (r *Run) concludeUnchanged() {
	r.result.Outcome, r.result.ExitCode = event.Unchanged, event.ExitOK
	r.result.TaskDefinition = r.pre.current.ARN()
	if p := history.Primary(r.pre.service); p != nil {
		r.result.Deployment = aws.ToString(p.Id)
	}
	r.result.Image = r.reference()
	r.result.Serving, r.result.ServingNow = ServingARN(r.pre.service), Serves(r.pre.service)
}

func (r *Run) superseded(v health.Verdict) error {
	f := v.Failure
	if f == nil {
		f = event.Fail(event.CodeSuperseded, "another deployment took over")
	}
	f.Try(r.command("status"), r.command("watch"))
	r.fail(event.Superseded, event.ExitSuperseded, f)
	ctx, cancel := afterwards(context.Background())
	defer cancel()
	r.handOver(ctx, v)
	r.serving(ctx)
	return f
}

// fail writes a failure after the deploy stage into the result.
func (r *Run) fail(o event.Outcome, exit int, f *event.Failure) {
	if f.Stage == "" {
		f.Stage = "watch"
	}
	r.result.Outcome, r.result.ExitCode, r.result.Failure = o, exit, f
	r.result.Image = r.reference()
}

// failed goes back to the target, unless that was switched off, there is none,
// or ECS did it already.
func (r *Run) failed(ctx context.Context) (string, error) {
	v := *r.verdict
	if v.Outcome != health.RolledBackByECS && (r.NoRollback || r.NeverRollBack || r.goal == nil) {
		return "", r.stayFailed(ctx, v)
	}
	back, err := r.wayBack(ctx, v)
	if err != nil && interrupted(ctx) {
		return "", context.Cause(ctx) // the rollback goes on without us, or never began
	}
	var still []*event.Failure
	if err == nil && back.Outcome == health.Serving {
		still = r.stillFailing(ctx)
	}
	ctx, cancel := afterwards(ctx) // what is left is to record how it ended
	defer cancel()
	f := r.explain(ctx, v).Failure.See(r.effects()...)
	goal := history.Name(r.goal.TaskDefinition)
	switch {
	case err != nil && r.goingBack:
		f.See("the rollback to "+goal+" was started and goes on in ECS, but can no longer be watched: "+firstLine(err)).Try(r.command("status"), r.command("watch"))
		return "", r.notBack(ctx, f)
	case err != nil:
		f.See("the rollback failed: "+firstLine(err)).Try(r.command("status"), r.command("rollback "+history.Revision(goal)))
		return "", r.notBack(ctx, f)
	case back.Outcome == health.Superseded:
		back.Failure.See("before that: " + f.Error())
		return "", r.superseded(back)
	case back.Outcome != health.Serving:
		f.See("the rollback to "+goal+" did not complete: "+back.Failure.Error()).Try(r.command("status"), r.command("watch"))
		return "", r.notBack(ctx, f)
	}
	return r.rolledBack(ctx, f, still)
}

// wayBack starts the rollback and follows it. Where ECS was faster, its way back
// is followed to wherever it leads.
func (r *Run) wayBack(ctx context.Context, v health.Verdict) (health.Verdict, error) {
	if v.Outcome != health.RolledBackByECS {
		return r.goBack(ctx, v)
	}
	r.goingBack = true
	if to := v.TakenBy.TaskDefinition; to != "" && !r.isGoal(to) {
		if r.goal != nil {
			r.note("conclude", event.Warn, fmt.Sprintf("ECS goes back to %s, not to %s", history.Name(to), history.Name(r.goal.TaskDefinition)))
		}
		r.goal = &goal{Target: history.Target{TaskDefinition: to}, Deploy: to}
		r.result.Stable = to
	}
	return r.watchReturn(ctx, "conclude", r.ecsReturn())
}

// notBack ends a release whose rollback failed as well.
func (r *Run) notBack(ctx context.Context, f *event.Failure) error {
	r.fail(event.FailedRun, event.ExitUnhealthy, f)
	r.condemn(ctx, f.Code)
	r.serving(ctx)
	return f
}

// rolledBack ends a release whose rollback serves. still are the live checks that
// fail all the same.
func (r *Run) rolledBack(ctx context.Context, f *event.Failure, still []*event.Failure) (string, error) {
	r.restoreBackstop(ctx)
	if f.Container != "" {
		f.Try(r.command("logs --revision " + history.Revision(r.deployed.TaskDefinition)))
	}
	f.Try(r.command("history"))
	r.fail(event.RolledBack, event.ExitRolledBack, f)
	if len(still) > 0 {
		r.notTheCause(f, still)
		r.endRun(ctx, r.deployed.TaskDefinition, history.Left)
	} else {
		r.condemn(ctx, f.Code)
	}
	if !r.isGoal(r.deployed.TaskDefinition) {
		r.tagOutcome(ctx, r.goal.TaskDefinition, history.Proven, "")
		if r.returned != r.goal.TaskDefinition { // a copy of it serves
			r.tagOutcome(ctx, r.returned, history.Proven, "")
		}
		r.deregisterFailed(ctx)
	}
	r.serving(ctx)
	if len(still) > 0 {
		return "", f
	}
	return "back to " + history.Name(r.goal.TaskDefinition), nil
}

// condemn tags the revision of our deployment as failed, unless it has ever
// succeeded here: a redeploy that fails says nothing against the revision, and only
// its run is recorded as over, with how it failed.
func (r *Run) condemn(ctx context.Context, code event.Code) {
	arn := r.deployed.TaskDefinition
	t := r.pre.ledger.Tags[arn]
	switch {
	case r.isGoal(arn) || r.pre.ledger.ProvenBefore(arn, r.deployed.CreatedAt):
		r.endRunAs(ctx, arn, history.Proven, code)
		return
	case t.Code != "" && t.Outcome.Kind == history.Failed && r.RunID == "":
		code = event.Code(t.Code) // the run that died knew more
	}
	r.tagOutcome(ctx, arn, history.Failed, code)
}

// endRun records that the run is over, and leaves what is known of the revision as
// it is. otherwise is what is written where nothing is recorded.
func (r *Run) endRun(ctx context.Context, arn string, otherwise history.Kind) {
	r.endRunAs(ctx, arn, otherwise, "")
}

// endRunAs does that for a run that failed, with its code.
func (r *Run) endRunAs(ctx context.Context, arn string, otherwise history.Kind, code event.Code) {
	o := r.pre.ledger.Tags[arn].Outcome
	if o.Kind == "" {
		o = history.Outcome{Kind: otherwise, At: r.now()}
	}
	o.Ended = string(code)
	r.tagAs(ctx, arn, o, event.Code(r.pre.ledger.Tags[arn].Code))
}

// stayFailed ends a release that failed and is not rolled back.
func (r *Run) stayFailed(ctx context.Context, v health.Verdict) error {
	f := r.explain(ctx, v).Failure
	why := "rolling back is switched off"
	if r.goal == nil {
		why = "there is no revision to go back to"
	}
	f.See("nothing was rolled back: " + why)
	if r.goal != nil {
		f.Try(r.command("rollback " + history.Revision(r.goal.TaskDefinition)))
	}
	f.Try(r.command("status"))
	r.fail(event.FailedRun, event.ExitUnhealthy, f)
	r.condemn(ctx, f.Code)
	r.serving(ctx)
	return f
}

// explain adds the last log lines of the task that died, after the rollback was
// called: reading logs must not delay it.
func (r *Run) explain(ctx context.Context, v health.Verdict) health.Verdict {
	v = r.watcher("conclude").Explain(ctx, r.subject(), v)
	if v.Failure == nil {
		v.Failure = event.Fail(event.CodeTaskFailed, "the deployment failed")
	}
	return v
}

// deregisterFailed takes a revision that never succeeded out of use, so that
// whoever takes the family's latest revision gets a proven one. A revision whose
// deployment completed before it failed did succeed, as ECS sees it, and is kept.
func (r *Run) deregisterFailed(ctx context.Context) {
	if r.KeepFailed || !r.registered || r.finished() || r.pre.ledger.EverProven(r.deployed.TaskDefinition) {
		return
	}
	r.deregister(ctx, r.deployed.TaskDefinition)
}

// tagOutcome records how a revision fared on this service. A tag that cannot be
// written is told and changes nothing else. What somebody else deployed is theirs
// to judge.
func (r *Run) tagOutcome(ctx context.Context, arn string, k history.Kind, code event.Code) {
	r.tagAs(ctx, arn, history.Outcome{Kind: k, At: r.now()}, code)
}

func (r *Run) tagAs(ctx context.Context, arn string, o history.Outcome, code event.Code) {
	if arn == "" || r.foreign {
		return
	}
	o.Run = r.pre.ledger.Tags[arn].Run
	if r.deployed != nil && arn == r.deployed.TaskDefinition && r.RunID != "" {
		o.Run = r.RunID
	}
	if was := r.pre.ledger.Tags[arn].Outcome; o.Ended == "" && was.Run == o.Run {
		o.Ended = was.Ended
	}
	k := r.keys()
	set := map[string]string{k.Outcome: history.OutcomeValue(o)}
	var remove []string
	switch {
	case o.Kind == history.Failed:
		set[k.Code] = string(code)
	case r.pre.ledger.Tags[arn].Code != "":
		remove = append(remove, k.Code)
	}
	if err := (taskdef.Client{API: r.ECS}).Tag(ctx, arn, set, remove); err != nil {
		r.note("conclude", event.Warn, fmt.Sprintf("%s could not be tagged as %s: %v", history.Name(arn), o.Kind, err))
	}
}

// serving reads what serves now into the result.
func (r *Run) serving(ctx context.Context) {
	s, err := r.site().Read(ctx)
	if err != nil {
		r.result.ServingNow = "not known: " + firstLine(err)
		return
	}
	r.result.Serving, r.result.ServingNow = ServingARN(s), Serves(s)
}

func (r *Run) timeout() time.Duration {
	if r.Timeout <= 0 {
		return 10 * time.Minute
	}
	return r.Timeout
}
