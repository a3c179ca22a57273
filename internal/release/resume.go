package release

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// watchStages pick a release up from what ECS says.
var watchStages = []stage{
	{name: "attach", run: (*Run).attach},
	{name: "watch", run: (*Run).watch, change: true, ahead: true},
	{name: "checks", run: (*Run).checks, change: true, ahead: true},
	{name: "conclude", run: (*Run).conclude, change: true, after: true},
}

// Resume watches whatever is in progress on the service. A deployment that a
// release began and did not conclude is brought to its end as the release would
// have: bake, rollback, tags. Somebody else's deployment is only watched, unless
// rollBack says otherwise.
func (r *Run) Resume(ctx context.Context, rollBack bool) event.Result {
	r.began = r.now()
	r.result = event.Result{Command: r.Command, Cluster: r.Cluster, Service: r.Service}
	r.foreignRollback = rollBack
	r.run(ctx, watchStages)
	return r.finish()
}

// attach finds out what there is to watch.
func (r *Run) attach(ctx context.Context) (string, error) {
	if err := r.identify(ctx, r.out.In("attach")); err != nil {
		return "", err
	}
	if err := r.look(ctx); err != nil {
		return "", err
	}
	p := history.Primary(r.pre.service)
	if p == nil {
		return "", event.Fail(event.CodeUnsupportedController, "the service has no deployments to watch")
	}
	state, left := r.standing(), r.left(*p)
	switch {
	case state == RollingBack && arriving(*p, left), r.cameBack(*p, left):
		return r.attachToReturn(*p, left)
	case r.unconcluded(aws.ToString(p.TaskDefinition)) && (state != Settled || r.pre.ledger.Deployed(aws.ToString(p.TaskDefinition))):
		return r.attachToOurs(ctx, *p)
	case state == Settled:
		return r.attachToSettled(ctx)
	}
	return r.attachToForeign(ctx, *p)
}

// look reads service, definition and history: what attach and the rollback
// command start from.
func (r *Run) look(ctx context.Context) error {
	s, err := r.site().Read(ctx)
	if err != nil {
		return err
	}
	if err := r.recall(ctx, s); err != nil {
		return err
	}
	for _, n := range r.pre.ledger.Notes {
		r.note("", event.Warn, n)
	}
	return nil
}

// unconcluded says whether a run of ours deployed the revision here and did not live
// to record how that ended. Whoever else deploys the revision again is somebody else.
func (r *Run) unconcluded(arn string) bool {
	return r.pre.ledger.Unconcluded(arn)
}

// left is the attempt that the service has left, or is leaving, when its PRIMARY
// deployment is p: the newest one if ECS rolled it back, else the newest one of
// another revision.
func (r *Run) left(p types.Deployment) history.Attempt {
	for _, a := range r.pre.ledger.Attempts {
		if native(a) || a.TaskDefinition != aws.ToString(p.TaskDefinition) {
			return a
		}
	}
	for _, d := range r.pre.service.Deployments { // where the history may not be read
		if aws.ToString(d.Status) != "PRIMARY" {
			return history.Attempt{TaskDefinition: aws.ToString(d.TaskDefinition), Created: aws.ToTime(d.CreatedAt)}
		}
	}
	return history.Attempt{}
}

// arriving says whether p is what the rollback of left brings already. Between the
// call and its begin ECS still shows the deployment that is to be left.
func arriving(p types.Deployment, left history.Attempt) bool {
	return left.TaskDefinition != aws.ToString(p.TaskDefinition) || aws.ToTime(p.CreatedAt).Before(left.Created.Add(-5*time.Second))
}

// native says whether an attempt is or was rolled back by ECS itself.
func native(a history.Attempt) bool {
	switch a.Status {
	case types.ServiceDeploymentStatusRollbackRequested, types.ServiceDeploymentStatusRollbackInProgress,
		types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentStatusRollbackFailed:
		return true
	}
	return false
}

// cameBack says whether p is, or was, the way back of a release that nobody
// concluded: it brings what that release would have gone back to.
func (r *Run) cameBack(p types.Deployment, left history.Attempt) bool {
	switch {
	case !r.unconcluded(left.TaskDefinition), left.Succeeded():
		return false
	case left.TaskDefinition == aws.ToString(p.TaskDefinition): // a redeploy
		return native(left) && arriving(p, left)
	}
	target, _ := r.pre.ledger.Automatic(r.pre.service, left.Created)
	return target != nil && r.pre.ledger.Same(target.TaskDefinition, aws.ToString(p.TaskDefinition))
}

func (r *Run) attachToOurs(ctx context.Context, p types.Deployment) (string, error) {
	r.own(p)
	r.registered = true
	r.honour(r.deployed.TaskDefinition)
	r.takeBackstop(r.deployed.TaskDefinition)
	r.readyGoal(ctx)
	return fmt.Sprintf("the release of %s%s was not concluded: going on with it", r.next.Name(), by(r.pre.ledger.Tags[r.deployed.TaskDefinition])), nil
}

func (r *Run) attachToForeign(ctx context.Context, p types.Deployment) (string, error) {
	r.own(p)
	r.foreign, r.NeverRollBack = true, !r.foreignRollback
	if r.foreignRollback {
		r.readyGoal(ctx)
	}
	return fmt.Sprintf("watching the deployment of %s (%s), which is not an unfinished release of ours", r.next.Name(), r.deployed.ID), nil
}

// readyGoal makes sure that the target can be gone back to, as the release did
// before it died. What hinders it is told, and must not end the watch.
func (r *Run) readyGoal(ctx context.Context) {
	if r.goal == nil || r.NeverRollBack {
		return
	}
	def, why, err := r.usable(ctx, r.pre.target)
	if err == nil && why == "" {
		r.pre.targetDefinition = def
		err = r.prepareGoal(ctx)
	}
	if err != nil {
		why = firstLine(err)
	}
	if why != "" {
		r.note("attach", event.Warn, fmt.Sprintf("going back to %s may not work: %s", history.Name(r.goal.TaskDefinition), why))
	}
}

// own takes the PRIMARY deployment for the one to watch.
func (r *Run) own(p types.Deployment) {
	r.deployed = &deployed{ID: aws.ToString(p.Id), TaskDefinition: aws.ToString(p.TaskDefinition), CreatedAt: aws.ToTime(p.CreatedAt)}
	r.next = r.pre.current
	r.result.Deployment, r.result.TaskDefinition = r.deployed.ID, r.deployed.TaskDefinition
	r.pre.target, r.pre.passed = r.pre.ledger.Automatic(r.pre.service, r.deployed.CreatedAt)
	if r.pre.target != nil {
		r.goal = &goal{Target: *r.pre.target, Deploy: r.pre.target.TaskDefinition}
		r.result.Stable = r.pre.target.TaskDefinition
	}
}

// attachToReturn follows a way back that is under way, or that ended while nobody
// watched: a release of ours is then concluded, its revision tagged, and the
// circuit breaker's setting restored. Somebody else's is only watched.
func (r *Run) attachToReturn(p types.Deployment, left history.Attempt) (string, error) {
	target := aws.ToString(p.TaskDefinition)
	r.goal = &goal{Target: history.Target{TaskDefinition: target}, Deploy: target}
	r.result.Stable = target
	r.deployed = &deployed{TaskDefinition: left.TaskDefinition, CreatedAt: left.Created, ServiceDeployment: left.ARN}
	for _, d := range r.pre.service.Deployments {
		if aws.ToString(d.TaskDefinition) == left.TaskDefinition && aws.ToString(d.Status) != "PRIMARY" {
			r.deployed.ID = aws.ToString(d.Id)
		}
	}
	r.next = r.pre.current
	r.registered = r.pre.ledger.Tags[left.TaskDefinition].Run != "" && (left.ARN == "" || r.pre.ledger.Begun(left))
	r.honour(left.TaskDefinition)
	r.foreign = !r.registered
	r.takeBackstop(left.TaskDefinition)
	f := event.Fail(event.CodeECSRolledBack, fmt.Sprintf("the deployment of %s is being rolled back", history.Name(left.TaskDefinition)))
	if left.Over() && history.Completed(r.pre.service) {
		f.Message = fmt.Sprintf("the deployment of %s was rolled back while nobody watched", history.Name(left.TaskDefinition))
	}
	f.Reason = left.Reason
	r.goesBack = true
	r.verdict = &health.Verdict{Outcome: health.RolledBackByECS, Failure: f}
	return fmt.Sprintf("following the rollback to %s", history.Name(target)), nil
}

// attachToSettled finds nothing in progress, and restores a circuit breaker setting
// that a release which died left.
func (r *Run) attachToSettled(ctx context.Context) (string, error) {
	r.concludeEarlier(ctx)
	r.tellUnfinished(ctx)
	r.unchanged = true
	return "nothing is in progress: " + Serves(r.pre.service), nil
}

func by(t history.Tags) string {
	if t.By == "" {
		return ""
	}
	return " by " + t.By
}
