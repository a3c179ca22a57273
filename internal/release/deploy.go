package release

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// callInFlight is how long a call that changes the service may go on after the
// run was interrupted: long enough to learn its answer, short enough for a CI
// runner that kills after ten seconds.
const callInFlight = 2 * time.Second

// deploy reads the service once more, and sends UpdateService exactly once.
func (r *Run) deploy(ctx context.Context) (string, error) {
	now, err := r.site().Read(ctx)
	if err != nil {
		return "", err
	}
	if err := r.sameAsPreflight(now); err != nil {
		return "", err
	}
	in := &ecs.UpdateServiceInput{Cluster: &r.Cluster, Service: &r.Service, TaskDefinition: pointer(r.next.ARN()), ForceNewDeployment: true}
	var before *types.DeploymentCircuitBreaker
	if err := r.signRedeploy(ctx); err != nil {
		return "", err
	}
	if r.wantsBackstop() {
		before = r.breakerBefore()
		in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: withRollback(currentBreaker(now))}
	}
	svc, err := r.update(ctx, in, now)
	if err != nil {
		return "", err
	}
	p := history.Primary(svc)
	r.deployed = &deployed{ID: aws.ToString(p.Id), TaskDefinition: r.next.ARN(), CreatedAt: aws.ToTime(p.CreatedAt), Backstop: before}
	r.result.Deployment, r.result.TaskDefinition = r.deployed.ID, r.deployed.TaskDefinition
	if before != nil {
		r.note("deploy", event.Info, "ECS's circuit breaker with rollback is on until this release ends, in case this process does not survive it (--no-rollback or backstop: keep leave it alone)")
		r.compareConfiguration(now.DeploymentConfiguration, svc.DeploymentConfiguration)
	}
	r.deployed.ServiceDeployment = ownServiceDeployment(ctx, r.ECS, r.site(), *r.deployed)
	return fmt.Sprintf("%s is PRIMARY (%s)", r.next.Name(), r.deployed.ID), nil
}

// signRedeploy writes this run on a revision that exists already, as registering
// would have: who finds the deployment can then tell whose it is.
func (r *Run) signRedeploy(ctx context.Context) error {
	if r.registered {
		return nil
	}
	set := map[string]string{}
	for _, t := range r.ownTags() {
		set[t.Key] = t.Value
	}
	delete(set, history.KeyCommit) // of the revision, not of this run
	err := taskdef.Client{API: r.ECS}.Tag(ctx, r.next.ARN(), set, nil)
	return fromAWS(err, "tag "+r.next.Name(), "ecs:TagResource")
}

// sameAsPreflight refuses to deploy over something that preflight did not see.
func (r *Run) sameAsPreflight(now types.Service) error {
	was, is := history.Primary(r.pre.service), history.Primary(now)
	switch {
	case is == nil || was == nil:
		return nil
	case aws.ToString(is.Id) != aws.ToString(was.Id):
		return event.Fail(event.CodeChanged, fmt.Sprintf("somebody deployed %s while this release was being prepared (%s)", shortARN(is.TaskDefinition), aws.ToString(is.Id))).
			See("at preflight: "+Serves(r.pre.service), "now: "+Serves(now)).
			Hint("look at what they deployed, then release again").Try(r.command("status"), r.command("release --wait"))
	case ProgressOf(now, r.now()) != Settled && ProgressOf(now, r.now()) != GaveUp && aws.ToString(is.Id) != r.pre.replaces:
		return event.Fail(event.CodeChanged, fmt.Sprintf("the deployment %s was settled at preflight and is %s now", aws.ToString(is.Id), ProgressOf(now, r.now()))).
			See("now: " + Serves(now)).Try(r.command("status"))
	}
	return acceptable(now)
}

// update sends UpdateService without the SDK's retries: a second one would start
// a second deployment. When the answer is lost, the service is read to learn
// whether the call had an effect.
func (r *Run) update(ctx context.Context, in *ecs.UpdateServiceInput, before types.Service) (types.Service, error) {
	call, cancel := inFlight(ctx)
	defer cancel()
	was := aws.ToString(history.Primary(before).Id)
	out, err := r.ECS.UpdateService(call, in, once)
	if err == nil {
		if p := history.Primary(*out.Service); p != nil && aws.ToString(p.Id) != was {
			return *out.Service, nil
		}
	} else if answered(err) {
		return types.Service{}, fromAWS(err, "update service "+r.Service, "ecs:UpdateService")
	}
	svc, found := r.lookForDeployment(call, aws.ToString(in.TaskDefinition), was)
	if found {
		return svc, nil
	}
	if err == nil {
		return types.Service{}, fmt.Errorf("update service %s: the answer shows no new deployment", r.Service)
	}
	return types.Service{}, event.Fail(event.CodeInternal, fmt.Sprintf("UpdateService was sent and not answered, and service %s shows no deployment of %s", r.Service, shortARN(in.TaskDefinition))).
		Because(err).Try(r.command("watch"), r.command("status"))
}

// lookForDeployment reads the service until a new PRIMARY deployment of the task
// definition shows, for as long as ECS may take to show what it has accepted.
func (r *Run) lookForDeployment(ctx context.Context, taskDefinition, was string) (types.Service, bool) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for range 8 {
		svc, err := r.site().Read(ctx)
		if err == nil {
			p := history.Primary(svc)
			if p != nil && aws.ToString(p.Id) != was && aws.ToString(p.TaskDefinition) == taskDefinition {
				return svc, true
			}
		}
		select {
		case <-ctx.Done():
			return types.Service{}, false
		case <-every.C:
		}
	}
	return types.Service{}, false
}

// once switches the SDK's retries off for one call.
func once(o *ecs.Options) { o.Retryer = aws.NopRetryer{} }

// inFlight is a context for a call that changes the service: it outlives an
// interrupt by callInFlight.
func inFlight(ctx context.Context) (context.Context, context.CancelFunc) {
	call, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(callInFlight, cancel)
		context.AfterFunc(call, func() { t.Stop() })
	})
	return call, func() { stop(); cancel() }
}

// afterwards is a context for what has to be done after a run ended or was
// interrupted: it is not cancelled, but bounded.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}

// ownServiceDeployment finds the ARN of the service deployment that belongs to
// our deployment: the first one created at or after it whose target service
// revision has our task definition. The two ids are not related otherwise. It is
// empty when it does not show (yet), or may not be read.
func ownServiceDeployment(ctx context.Context, api history.API, site Site, d deployed) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	after := d.CreatedAt.Add(-time.Second)
	res, err := api.ListServiceDeployments(ctx, &ecs.ListServiceDeploymentsInput{
		Cluster: &site.Cluster, Service: &site.Service, CreatedAt: &types.CreatedAt{After: &after},
	})
	if err != nil || len(res.ServiceDeployments) == 0 {
		return ""
	}
	var best types.ServiceDeploymentBrief
	for _, b := range res.ServiceDeployments {
		if aws.ToTime(b.CreatedAt).Before(after) {
			continue
		}
		revs, err := api.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{aws.ToString(b.TargetServiceRevisionArn)}})
		if err != nil || len(revs.ServiceRevisions) == 0 || aws.ToString(revs.ServiceRevisions[0].TaskDefinition) != d.TaskDefinition {
			continue
		}
		if best.CreatedAt == nil || b.CreatedAt.Before(*best.CreatedAt) {
			best = b
		}
	}
	return aws.ToString(best.ServiceDeploymentArn)
}

// The backstop: ECS's own circuit breaker, on while a release runs, so that a
// laptop that is closed in the middle leaves no crash loop behind.

func (r *Run) wantsBackstop() bool {
	if !r.Backstop || r.NoRollback || r.NeverRollBack || r.goal == nil {
		return false
	}
	if _, v := r.earlierBackstop(); v != "" {
		return true
	}
	b := currentBreaker(r.pre.service)
	return !b.Enable || !b.Rollback
}

// breakerBefore is the setting to restore: the service's own, or the one that an
// earlier release recorded and did not live to restore.
func (r *Run) breakerBefore() *types.DeploymentCircuitBreaker {
	b := currentBreaker(r.pre.service)
	if _, v := r.earlierBackstop(); v != "" {
		b.Enable, b.Rollback = parseBreaker(v)
	}
	return &b
}

func currentBreaker(s types.Service) types.DeploymentCircuitBreaker {
	if d := s.DeploymentConfiguration; d != nil && d.DeploymentCircuitBreaker != nil {
		return *d.DeploymentCircuitBreaker
	}
	return types.DeploymentCircuitBreaker{}
}

func withRollback(b types.DeploymentCircuitBreaker) *types.DeploymentCircuitBreaker {
	b.Enable, b.Rollback = true, true
	return &b
}

func formatBreaker(b *types.DeploymentCircuitBreaker) string {
	return fmt.Sprintf("enable=%t rollback=%t", b.Enable, b.Rollback)
}

func parseBreaker(v string) (enable, rollback bool) {
	return strings.Contains(v, "enable=true"), strings.Contains(v, "rollback=true")
}

// compareConfiguration tells when switching the breaker on changed anything else.
func (r *Run) compareConfiguration(was, is *types.DeploymentConfiguration) {
	if was == nil || is == nil {
		return
	}
	if aws.ToInt32(was.MinimumHealthyPercent) != aws.ToInt32(is.MinimumHealthyPercent) ||
		aws.ToInt32(was.MaximumPercent) != aws.ToInt32(is.MaximumPercent) ||
		(was.Alarms == nil) != (is.Alarms == nil) {
		r.note("deploy", event.Warn, "the service's deployment configuration changed besides the circuit breaker: compare it with `aws ecs describe-services`")
	}
}

func completedAlone(s types.Service) bool {
	return history.Completed(s) && len(s.Deployments) == 1
}
