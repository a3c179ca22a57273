package release

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// goBack sends the service back to the target and watches it arrive.
func (r *Run) goBack(ctx context.Context, v health.Verdict) (health.Verdict, error) {
	if !v.DetectedAt.IsZero() {
		r.result.Timings.DetectSeconds = r.now().Sub(v.DetectedAt).Round(time.Microsecond).Seconds()
	}
	call, cancel := inFlight(ctx)
	ret, err := r.callBack(call)
	cancel()
	if err != nil {
		return health.Verdict{}, err
	}
	r.goingBack = ret != nil
	if ret == nil { // somebody else deployed meanwhile
		s, err := r.site().Read(ctx)
		if err != nil {
			return health.Verdict{}, err
		}
		return health.Verdict{Outcome: health.Superseded, TakenBy: health.Taker{TaskDefinition: aws.ToString(s.TaskDefinition)},
			Failure: event.Fail(event.CodeSuperseded, "another deployment took over before the rollback: "+Serves(s))}, nil
	}
	return r.watchReturn(ctx, "conclude", *ret)
}

// callBack makes the one call that starts the rollback. ECS's own way back is
// taken while our deployment is in progress: it restores the last successful
// service revision, digests included (StopServiceDeployment, ECS API reference).
// Whatever goes wrong with it, the service is read again and sent to the target
// by UpdateService. nil without an error means that somebody else's deployment
// has taken over, and nothing was called.
func (r *Run) callBack(ctx context.Context) (*health.Return, error) {
	if r.deployed.ServiceDeployment == "" && r.verdict != nil {
		r.deployed.ServiceDeployment = r.verdict.ServiceDeployment
	}
	if r.deployed.ServiceDeployment == "" {
		r.deployed.ServiceDeployment = ownServiceDeployment(ctx, r.ECS, r.site(), *r.deployed)
	}
	if r.nativeFits() {
		if r.stop(ctx) {
			return r.nativeReturn(), nil
		}
	}
	for try := 1; ; try++ {
		ret, err := r.deployGoal(ctx)
		if err == nil || try == goalTries || interrupted(ctx) || !r.unsure && !mayPass(err) {
			return ret, err
		}
		r.note(r.backStage(), event.Warn, fmt.Sprintf("%s; trying again", firstLine(err)))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second << (try - 1)):
		}
	}
}

// goalTries is how often a rollback is tried that ECS does not answer, or has no time
// for: a network that is away for some seconds must not be the end of it. To go back
// twice to the same revision does no harm; not to go back does.
const goalTries = 5

// mayPass says whether the same call may be answered better in a moment: ECS was
// throttling, had a fault of its own, or did not answer.
func mayPass(err error) bool {
	var known *event.Failure
	if errors.As(err, &known) && apiCode(err) == "" && !errors.As(err, new(*url.Error)) {
		return false // our own finding
	}
	return throttled(err) || !answered(err)
}

// stop asks ECS to roll our service deployment back. Its answer may be lost, or
// ECS's own breaker may come first: then the service deployment tells.
func (r *Run) stop(ctx context.Context) bool {
	_, err := r.ECS.StopServiceDeployment(ctx, &ecs.StopServiceDeploymentInput{
		ServiceDeploymentArn: &r.deployed.ServiceDeployment, StopType: types.StopServiceDeploymentStopTypeRollback,
	}, once)
	if err != nil {
		going, known := r.stopped(ctx)
		if r.unsure = !answered(err) && !known; going {
			err = nil
		}
	}
	if err != nil {
		r.note(r.backStage(), event.Info, fmt.Sprintf("ECS does not roll the deployment back itself (%s): deploying %s instead", reason(err), history.Name(r.goal.TaskDefinition)))
		return false
	}
	r.note(r.backStage(), event.Info, fmt.Sprintf("rolling back to %s by stopping the deployment of %s", history.Name(r.goal.TaskDefinition), history.Name(r.deployed.TaskDefinition)))
	return true
}

// stopped says whether ECS is rolling our service deployment back, or has, and
// whether that could be learnt.
func (r *Run) stopped(ctx context.Context) (going, known bool) {
	out, err := r.ECS.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{r.deployed.ServiceDeployment}})
	if err != nil || len(out.ServiceDeployments) == 0 {
		return false, false
	}
	switch out.ServiceDeployments[0].Status {
	case types.ServiceDeploymentStatusRollbackRequested, types.ServiceDeploymentStatusRollbackInProgress, types.ServiceDeploymentStatusRollbackSuccessful:
		return true, true
	}
	return false, true
}

// deployGoal reads the service again and sends it to the target.
func (r *Run) deployGoal(ctx context.Context) (*health.Return, error) {
	now, err := r.site().Read(ctx)
	if err != nil {
		return nil, err
	}
	p := history.Primary(now)
	if p == nil {
		return nil, event.Fail(event.CodeServiceNotReady, "service "+r.Service+" has no deployment any more")
	}
	if r.unsure && aws.ToTime(p.CreatedAt).After(r.deployed.CreatedAt) && aws.ToString(p.TaskDefinition) == r.goal.Deploy {
		r.unsure = false // what was sent before and not answered has come
		return r.deployedBack(*p), nil
	}
	if aws.ToString(p.Id) != r.deployed.ID {
		// ECS makes an older deployment PRIMARY again, or says that it rolls back.
		older := aws.ToTime(p.CreatedAt).Before(r.deployed.CreatedAt)
		byECS := older || history.Completed(now) || strings.Contains(aws.ToString(p.RolloutStateReason), "rolling back")
		if byECS && r.isGoal(aws.ToString(p.TaskDefinition)) {
			return r.nativeReturn(), nil // ECS was faster
		}
		return nil, nil
	}
	svc, err := r.update(ctx, &ecs.UpdateServiceInput{Cluster: &r.Cluster, Service: &r.Service, TaskDefinition: &r.goal.Deploy, ForceNewDeployment: true}, now)
	if err != nil {
		return nil, err
	}
	back := history.Primary(svc)
	return r.deployedBack(*back), nil
}

// deployedBack follows a rollback by UpdateService.
func (r *Run) deployedBack(d types.Deployment) *health.Return {
	r.note(r.backStage(), event.Info, fmt.Sprintf("rolling back: deployed %s again (%s)", history.Name(r.goal.Deploy), aws.ToString(d.Id)))
	return &health.Return{
		Cluster: r.Cluster, Service: r.Service, Target: r.goal.Deploy, Deployment: aws.ToString(d.Id),
		Abandoned: r.deployed.ID, Began: aws.ToTime(d.CreatedAt),
	}
}

// backStage is the stage in which the way back begins: of the rollback command it
// is the deployment.
func (r *Run) backStage() string {
	if r.back != nil {
		return "deploy"
	}
	return "conclude"
}

// nativeFits says whether ECS's own way back leads to the target: our service
// deployment is known, not finished, and the target is what ECS restores, the
// last service revision that succeeded.
func (r *Run) nativeFits() bool {
	return r.deployed.ServiceDeployment != "" && r.goal != nil && !r.finished() && r.ecsGoesToGoal()
}

// ecsGoesToGoal says whether the target is what ECS itself would go back to. It takes
// also a deployment for proven that ran no task.
func (r *Run) ecsGoesToGoal() bool {
	if arn := r.pre.ledger.LastCompleted(); arn != "" {
		return arn == r.goal.TaskDefinition
	}
	p := history.Primary(r.pre.service) // where the history may not be read
	return p != nil && p.RolloutState == types.DeploymentRolloutStateCompleted && aws.ToString(p.TaskDefinition) == r.goal.TaskDefinition
}

// finished says whether our deployment completed before it failed (in bake): a
// finished service deployment cannot be stopped.
func (r *Run) finished() bool { return r.verdict != nil && r.verdict.Completed }

func (r *Run) isGoal(arn string) bool {
	return r.goal != nil && (arn == r.goal.TaskDefinition || arn == r.goal.Deploy)
}

// nativeReturn follows a rollback of ECS's own. When it began is left to AWS's
// clock.
func (r *Run) nativeReturn() *health.Return {
	return &health.Return{
		Cluster: r.Cluster, Service: r.Service, Target: r.goal.TaskDefinition, Abandoned: r.deployed.ID,
		ServiceDeployment: r.deployed.ServiceDeployment,
	}
}

// ecsReturn follows a rollback that ECS began by itself.
func (r *Run) ecsReturn() health.Return {
	if r.deployed.ServiceDeployment == "" {
		ctx, cancel := afterwards(context.Background())
		defer cancel()
		r.deployed.ServiceDeployment = ownServiceDeployment(ctx, r.ECS, r.site(), *r.deployed)
	}
	return *r.nativeReturn()
}

// watchReturn follows a rollback, and tells of it in the given stage.
func (r *Run) watchReturn(ctx context.Context, stage string, ret health.Return) (health.Verdict, error) {
	r.returned = ret.Target
	v, err := r.watcher(stage).WatchReturn(ctx, ret, health.Policy{Timeout: r.timeout()})
	if err == nil && v.Outcome != health.Serving && v.Failure == nil {
		v.Failure = event.Fail(event.CodeTaskFailed, "the rollback did not complete")
	}
	return v, err
}

func reason(err error) string {
	if c := apiCode(err); c != "" {
		return c
	}
	return err.Error()
}
