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

// watchStages pick a release up from what ECS says.
var watchStages = []stage{
	{name: "attach", run: (*Run).attach},
	{name: "watch", run: (*Run).watch, change: true},
	{name: "checks", run: notConfigured, change: true},
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
	arn := aws.ToString(p.TaskDefinition)
	state := ProgressOf(r.pre.service, r.now())
	switch {
	case state == RollingBack:
		return r.attachToReturn(r.newestAttempt(), arn)
	case r.pre.ledger.Tags[arn].Unconcluded(r.Cluster, r.Service):
		return r.attachToOurs(*p)
	case state == Settled:
		return r.attachToSettled(ctx, arn)
	}
	return r.attachToForeign(*p)
}

// look reads service, definition and history: what attach and the rollback
// command start from.
func (r *Run) look(ctx context.Context) error {
	s, err := r.site().Read(ctx)
	if err != nil {
		return err
	}
	current, err := taskdef.Client{API: r.ECS}.Describe(ctx, aws.ToString(s.TaskDefinition))
	if err != nil {
		return fromAWS(err, "describe task definition "+history.Name(aws.ToString(s.TaskDefinition)), "ecs:DescribeTaskDefinition")
	}
	l, err := history.Read(ctx, r.ECS, r.Cluster, r.Service, current.Family())
	if err != nil {
		return fromAWS(err, "read the history of service "+r.Service, "ecs:ListServiceDeployments")
	}
	for _, n := range l.Notes {
		r.note("", event.Warn, n)
	}
	r.pre.service, r.pre.current, r.pre.base, r.pre.ledger = s, current, current, l
	return nil
}

func (r *Run) attachToOurs(p types.Deployment) (string, error) {
	r.own(p)
	r.registered = true
	r.takeBackstop(r.deployed.TaskDefinition)
	return fmt.Sprintf("the release of %s%s was not concluded: going on with it", r.next.Name(), by(r.pre.ledger.Tags[r.deployed.TaskDefinition])), nil
}

func (r *Run) attachToForeign(p types.Deployment) (string, error) {
	r.own(p)
	r.NeverRollBack = !r.foreignRollback
	r.foreign = true
	return fmt.Sprintf("watching the deployment of %s (%s), which no release of ours began", r.next.Name(), r.deployed.ID), nil
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

// attachToReturn follows a rollback that is under way already.
func (r *Run) attachToReturn(failed history.Attempt, target string) (string, error) {
	r.goal = &goal{Target: history.Target{TaskDefinition: target}, Deploy: target}
	r.result.Stable = target
	r.deployed = &deployed{TaskDefinition: failed.TaskDefinition, CreatedAt: failed.Created, ServiceDeployment: failed.ARN}
	for _, d := range r.pre.service.Deployments {
		if aws.ToString(d.TaskDefinition) == failed.TaskDefinition && aws.ToString(d.Status) != "PRIMARY" {
			r.deployed.ID = aws.ToString(d.Id)
		}
	}
	r.next = r.pre.current
	r.takeBackstop(failed.TaskDefinition)
	r.verdict = &health.Verdict{Outcome: health.RolledBackByECS, Failure: event.Fail(event.CodeECSRolledBack,
		fmt.Sprintf("the deployment of %s is being rolled back", history.Name(failed.TaskDefinition)))}
	return fmt.Sprintf("a rollback to %s is in progress", history.Name(target)), nil
}

// attachToSettled finds nothing in progress. A release that ECS rolled back while
// nobody watched is concluded: tagged, and its circuit breaker setting restored.
func (r *Run) attachToSettled(ctx context.Context, serving string) (string, error) {
	if a := r.abandonedAttempt(serving); a.ARN != "" {
		detail, err := r.attachToReturn(a, serving)
		r.verdict.Failure = event.Fail(event.CodeECSRolledBack, fmt.Sprintf("ECS rolled the deployment of %s back while nobody watched", history.Name(a.TaskDefinition)))
		r.verdict.Failure.Reason = a.Reason
		r.registered = true
		return detail, err
	}
	if arn, _ := r.earlierBackstop(); arn != "" {
		r.deployed = &deployed{TaskDefinition: arn}
		r.takeBackstop(arn)
		r.restoreBackstop(ctx)
		r.deployed = nil
	}
	r.unchanged = true
	return "nothing is in progress: " + Serves(r.pre.service), nil
}

// abandonedAttempt is the newest attempt of a run of ours that failed without
// anybody to say so: among those since the last one that succeeded, and that one's
// own way there, a rollback that a dying run began.
func (r *Run) abandonedAttempt(serving string) history.Attempt {
	const recent = 5
	for i, a := range r.pre.ledger.Attempts {
		if i == recent {
			break
		}
		if a.TaskDefinition != serving && a.Over() && !a.Succeeded() && r.pre.ledger.Tags[a.TaskDefinition].Unconcluded(r.Cluster, r.Service) {
			return a
		}
	}
	return history.Attempt{}
}

func (r *Run) takeBackstop(arn string) {
	if v := r.pre.ledger.Tags[arn].Backstop; v != "" {
		b := currentBreaker(r.pre.service)
		b.Enable, b.Rollback = parseBreaker(v)
		r.deployed.Backstop = &b
	}
}

func (r *Run) newestAttempt() history.Attempt {
	if len(r.pre.ledger.Attempts) == 0 {
		return history.Attempt{}
	}
	return r.pre.ledger.Attempts[0]
}

func by(t history.Tags) string {
	if t.By == "" {
		return ""
	}
	return " by " + t.By
}
