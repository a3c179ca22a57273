package release

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// earlierRuns is how many of the newest attempts are looked at for releases that died.
const earlierRuns = 10

// concludeEarlier records how releases ended that did not live to do it, where ECS
// knows: whoever releases again need not type watch first. It restores the circuit
// breaker that such a release left on, and gives up what it had begun to write.
func (r *Run) concludeEarlier(ctx context.Context) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if r.deployed == nil { // otherwise the conclusion of this run has done it
		r.restoreEarlier(ctx)
	}
	for i, a := range r.pre.ledger.Attempts {
		if i == earlierRuns {
			break
		}
		if r.pre.ledger.Begun(a) && a.Over() && !r.isOurs(a.TaskDefinition) && !r.isPrimary(a.TaskDefinition) {
			r.concludeAttempt(ctx, i)
		}
	}
	r.forgetClaim(ctx)
}

// concludeAttempt records how the attempt of a release that died ended. A release may
// also have died after that, and before it took a revision that failed out of use.
func (r *Run) concludeAttempt(ctx context.Context, i int) {
	l, arn := r.pre.ledger, r.pre.ledger.Attempts[i].TaskDefinition
	t := l.Tags[arn]
	kind := t.Outcome.Kind
	switch proven := l.EverProven(arn); {
	case l.Unconcluded(arn) && proven:
		r.endRun(ctx, arn, history.Proven)
		return
	case l.Unconcluded(arn):
		how, code := r.ended(i)
		r.tagOutcome(ctx, arn, how, code)
		kind = how
	case proven:
		return
	}
	if kind == history.Failed && l.Statuses[arn] == "ACTIVE" && !r.KeepFailed && !t.Wished(history.WishKeepFailed) {
		r.deregister(ctx, arn)
	}
}

// isPrimary says whether the service is on a revision that has not completed: it is
// in use, whatever its records say.
func (r *Run) isPrimary(arn string) bool {
	return aws.ToString(r.pre.service.TaskDefinition) == arn && !history.Completed(r.pre.service)
}

func (r *Run) isOurs(arn string) bool { return r.deployed != nil && r.deployed.TaskDefinition == arn }

// ended says how an attempt ended. One that was stopped was replaced: by the way
// back of the release that died, or by somebody.
func (r *Run) ended(i int) (history.Kind, event.Code) {
	a := r.pre.ledger.Attempts[i]
	switch {
	case a.Succeeded():
		return history.Proven, ""
	case a.Status == types.ServiceDeploymentStatusStopped:
		target, _ := r.pre.ledger.Automatic(types.Service{}, a.Created)
		back := i > 0 && target != nil && r.pre.ledger.Same(r.pre.ledger.Attempts[i-1].TaskDefinition, target.TaskDefinition)
		if !back {
			return history.Superseded, ""
		}
	}
	return history.Failed, event.CodeECSRolledBack
}

// forgetClaim ends the run of a release that had written its record on the revision
// that serves, and died before it deployed it anew: whoever deploys it later would
// be taken for that release.
func (r *Run) forgetClaim(ctx context.Context) {
	l, arn := r.pre.ledger, aws.ToString(r.pre.service.TaskDefinition)
	if r.isOurs(arn) || len(l.Attempts) == 0 || !l.Unconcluded(arn) || l.Deployed(arn) || !l.EverProven(arn) {
		return
	}
	r.endRun(ctx, arn, history.Proven)
	if l.Tags[arn].Backstop != "" {
		r.untag(ctx, arn, r.keys().Backstop)
	}
}

// deregister takes a revision that never succeeded out of use, so that whoever takes
// the family's latest revision gets a proven one.
func (r *Run) deregister(ctx context.Context, arn string) {
	name := history.Name(arn)
	if t, err := history.ReadTags(ctx, r.ECS, r.Cluster, r.Service, arn); err == nil && t.Elsewhere {
		r.note("conclude", event.Info, name+" never succeeded here and stays in use: it was released to another service as well")
		return
	}
	if err := (taskdef.Client{API: r.ECS}).Deregister(ctx, arn); err != nil {
		r.note("conclude", event.Warn, fmt.Sprintf("%s never succeeded and could not be deregistered: %v", name, err))
		return
	}
	r.note("conclude", event.Info, name+" never succeeded and is deregistered, so that the newest revision of the family is a proven one (--keep-failed keeps it)")
}

func (r *Run) untag(ctx context.Context, arn, key string) {
	if err := (taskdef.Client{API: r.ECS}).Tag(ctx, arn, nil, []string{key}); err != nil {
		r.note("conclude", event.Warn, fmt.Sprintf("%s could not be untagged: %v", history.Name(arn), err))
		return
	}
	t := r.pre.ledger.Tags[arn]
	t.Backstop = ""
	r.pre.ledger.Tags[arn] = t
}

// handOver ends our run when somebody else's deployment took over. When that is a
// release too, it restores the circuit breaker, and our record of it goes: two
// would disagree one day.
func (r *Run) handOver(ctx context.Context, v health.Verdict) {
	if r.foreign || r.back != nil {
		return
	}
	arn := r.deployed.TaskDefinition
	switch w := r.verdict; {
	case w.Failure != nil && w.Outcome != health.Superseded:
		r.condemn(ctx, w.Failure.Code) // it had failed before
	case w.Completed:
		r.endRun(ctx, arn, history.Proven)
	default:
		r.endRun(ctx, arn, history.Superseded)
	}
	if r.deployed.Backstop == nil {
		return
	}
	if s, err := r.site().Read(ctx); err == nil {
		if b := currentBreaker(s); !b.Enable || !b.Rollback { // it was restored already
			r.untag(ctx, arn, r.keys().Backstop)
			return
		}
	}
	if by := v.TakenBy.TaskDefinition; by != "" && by != arn {
		if t, err := history.ReadTags(ctx, r.ECS, r.Cluster, r.Service, by); err == nil && t.Run != "" && t.Backstop != "" {
			r.untag(ctx, arn, r.keys().Backstop)
			return
		}
	}
	r.note("conclude", event.Info, fmt.Sprintf("the service's circuit breaker stays on; the next release, or watch, sets it back to %s", formatBreaker(r.deployed.Backstop)))
}
