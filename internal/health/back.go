package health

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// back judges a rollback. Tasks that fail in it are told and never end it: what
// it goes back to served before, and there is nowhere else to go.
type back struct {
	*run
	ret     Return
	timeout time.Duration
	strange time.Time // since when a deployment that is neither target nor abandoned is PRIMARY
}

// WatchReturn follows a rollback until the target serves, somebody else deploys,
// ECS gives it up, or nothing moves for the policy's timeout. Its error is that
// of Watch.
func (w *Watcher) WatchReturn(ctx context.Context, ret Return, p Policy) (Verdict, error) {
	if err := ret.check(); err != nil {
		return Verdict{}, err
	}
	if p.Timeout <= 0 {
		p.Timeout = DefaultTimeout
	}
	r := newRun(w, scope{
		cluster: ret.Cluster, serviceName: ret.Service, id: ret.Deployment, taskDefinition: ret.Target,
		created: ret.Began, serviceDeployment: ret.ServiceDeployment, timeout: p.Timeout,
	})
	b := &back{run: r, ret: ret, timeout: p.Timeout}
	r.judge, r.awaited = b.judge, b.wait
	v, err := r.loop(ctx)
	v.Completed = v.Outcome == Serving
	return v, err
}

func (b *back) judge(now time.Time) (Verdict, bool) {
	p := b.svc.primary()
	if p == nil {
		return b.stalled(now)
	}
	switch {
	case b.isTarget(*p, now):
		b.strange = time.Time{}
		b.svc.id = str(p.Id) // for counts: the target under whatever id it came back
		if v, over := b.arrived(*p, now); over {
			return v, true
		}
	case b.isAbandoned(*p):
		b.strange = time.Time{}
		if v, over := b.refused(now); over {
			return v, true
		}
	default:
		if v, over := b.superseded(*p, now); over {
			return v, true
		}
	}
	return b.stalled(now)
}

// isTarget says whether d is what the rollback brings. An UpdateService of ours
// made a deployment of its own; right after it, an answer may still show an older
// deployment of the same task definition.
func (b *back) isTarget(d types.Deployment, now time.Time) bool {
	if b.ret.Deployment != "" && str(d.Id) == b.ret.Deployment {
		return true
	}
	settled := b.ret.Deployment == "" || b.svc.seenMe || now.Sub(b.began) >= b.pace.Settle
	return str(d.TaskDefinition) == b.ret.Target && str(d.Id) != b.ret.Abandoned && settled
}

// isAbandoned says whether d is the deployment that the rollback leaves. Where
// its id is not known, it is the one that the first answer shows as PRIMARY.
func (b *back) isAbandoned(d types.Deployment) bool {
	if b.ret.Abandoned == "" && b.strange.IsZero() && b.svc.answers == 1 {
		b.ret.Abandoned = str(d.Id)
	}
	return str(d.Id) == b.ret.Abandoned
}

// arrived says whether the target serves: completed, all desired tasks running,
// none of the abandoned deployment left. ECS shows a deployment that it goes
// back to as completed until it looks at it again, so the state alone is no proof.
func (b *back) arrived(d types.Deployment, now time.Time) (Verdict, bool) {
	full := d.DesiredCount > 0 && d.RunningCount == d.DesiredCount
	native := b.own.Status == types.ServiceDeploymentStatusRollbackSuccessful
	if full && (d.RolloutState == types.DeploymentRolloutStateCompleted || native) && b.abandonedGone() {
		v := b.verdictOf(d, Serving, nil, time.Time{})
		v.HealthySeen = true
		return v, true
	}
	if d.RolloutState == types.DeploymentRolloutStateFailed && !full {
		fail := event.Fail(event.CodeECSGaveUp, fmt.Sprintf("ECS gave the rollback to %s up: %s", name(b.ret.Target), counts(d)))
		fail.Reason = str(d.RolloutStateReason)
		return b.verdictOf(d, Failing, b.withCause(fail), now), true
	}
	return Verdict{}, false
}

func (b *back) abandonedGone() bool {
	d := b.svc.deployment(b.ret.Abandoned)
	return d == nil || d.RunningCount+d.PendingCount == 0
}

// refused says whether ECS could not go back at all.
func (b *back) refused(now time.Time) (Verdict, bool) {
	if b.own.Status != types.ServiceDeploymentStatusRollbackFailed || b.ret.Deployment != "" {
		return Verdict{}, false
	}
	fail := event.Fail(event.CodeECSGaveUp, "ECS could not roll back to "+name(b.ret.Target))
	fail.Reason = str(b.own.StatusReason)
	return b.verdict(Failing, b.withCause(fail), now, nil), true
}

// superseded says whether somebody else deployed. One answer alone may be an old
// one.
func (b *back) superseded(p types.Deployment, now time.Time) (Verdict, bool) {
	if b.strange.IsZero() {
		b.strange = now
	}
	b.look(b.service, b.strange)
	early := !aws.ToTime(p.CreatedAt).After(b.scope.created) && now.Sub(b.began) < b.pace.Settle
	if early || b.service.asked.Before(b.strange) {
		b.wake(now.Add(time.Second))
		return Verdict{}, false
	}
	fail := event.Fail(event.CodeSuperseded, fmt.Sprintf("watch the rollback to %s: %s took over with %s",
		name(b.ret.Target), str(p.Id), name(str(p.TaskDefinition))))
	fail.Reason = str(p.RolloutStateReason)
	v := b.verdict(Superseded, fail, b.strange, nil)
	v.TakenBy = taker(p)
	return v, true
}

func (b *back) stalled(now time.Time) (Verdict, bool) {
	end := b.progress.at.Add(b.timeout)
	if now.Before(end) || now.Sub(b.service.asked) > blind {
		b.wake(end)
		return Verdict{}, false
	}
	fail := b.stall(now, b.timeout)
	fail.Message = "the rollback to " + name(b.ret.Target) + " made " + fail.Message
	return b.verdict(Stalled, fail, now, nil), true
}

func (b *back) withCause(f *event.Failure) *event.Failure {
	return f.See(b.tally.lines(nil)...).See(b.svc.troubles(3)...)
}

func (b *back) verdictOf(d types.Deployment, o Outcome, f *event.Failure, at time.Time) Verdict {
	v := b.verdict(o, f, at, nil)
	v.Desired, v.Running = int(d.DesiredCount), int(d.RunningCount)
	return v
}

// wait says what the rollback waits for.
func (b *back) wait(now time.Time) string {
	p := b.svc.primary()
	switch {
	case p == nil:
		return "the first answer about the service"
	case !b.isTarget(*p, now):
		return "ECS has not made " + name(b.ret.Target) + " PRIMARY yet"
	case !b.abandonedGone() && p.RunningCount == p.DesiredCount:
		return counts(*p) + ", the tasks of the failed deployment still to stop"
	}
	return b.waiting(*p, now)
}
