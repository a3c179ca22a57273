package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
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
	if now, err = r.claim(ctx, now); err != nil {
		return "", err
	}
	in := &ecs.UpdateServiceInput{Cluster: &r.Cluster, Service: &r.Service, TaskDefinition: aws.String(r.next.ARN()), ForceNewDeployment: true}
	before := r.breakerBefore()
	switch {
	case r.wantsBackstop():
		in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: withRollback(currentBreaker(now))}
	case before != nil: // an earlier release left the breaker on, and this one does not want it
		in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: before}
	}
	svc, err := r.update(ctx, in, now)
	if err != nil {
		r.unsign(ctx)
		return "", err
	}
	p := history.Primary(svc)
	r.deployed = &deployed{ID: aws.ToString(p.Id), TaskDefinition: r.next.ARN(), CreatedAt: aws.ToTime(p.CreatedAt), Backstop: before}
	r.result.Deployment, r.result.TaskDefinition = r.deployed.ID, r.deployed.TaskDefinition
	r.replaced(now, svc)
	if r.wantsBackstop() {
		r.note("deploy", event.Info, "ECS's circuit breaker with rollback is on until this release ends, in case this process does not survive it (--no-rollback or backstop: keep leave it alone)")
		r.compareConfiguration("deploy", now.DeploymentConfiguration, svc.DeploymentConfiguration)
	}
	r.deployed.ServiceDeployment = ownServiceDeployment(ctx, r.ECS, r.site(), *r.deployed)
	return fmt.Sprintf("%s is PRIMARY (%s)", r.next.Name(), r.deployed.ID), nil
}

// claim writes this run's record on the revision. Writing takes a moment, so the
// service is read again after it: ECS can compare nothing for us, and the shorter
// the time between the last look and UpdateService, the better.
func (r *Run) claim(ctx context.Context, now types.Service) (types.Service, error) {
	changed := formatBreaker(ptr(currentBreaker(now))) != formatBreaker(ptr(currentBreaker(r.pre.service)))
	r.pre.service = now // somebody may have changed its settings since preflight
	if changed {        // another release perhaps, whose record tells what is to be restored
		l, err := history.Read(ctx, r.ECS, r.Cluster, r.Service, r.next.Family())
		if err != nil {
			return now, fromAWS(err, "read the history of service "+r.Service, "ecs:ListServiceDeployments")
		}
		r.pre.ledger = l
	}
	wrote, err := r.sign(ctx)
	if err != nil || !wrote {
		return now, err
	}
	again, err := r.site().Read(ctx)
	if err == nil {
		err = r.sameAsPreflight(again)
	}
	if err != nil {
		r.unsign(ctx)
		return now, err
	}
	r.pre.service = again
	return again, nil
}

func ptr[T any](v T) *T { return &v }

// replaced tells of a deployment that began between the last look at the service and
// UpdateService: it was replaced without anybody having wanted that.
func (r *Run) replaced(before, after types.Service) {
	for _, d := range after.Deployments {
		if aws.ToString(d.Id) == aws.ToString(history.Primary(after).Id) || slices.ContainsFunc(before.Deployments, func(b types.Deployment) bool {
			return aws.ToString(b.Id) == aws.ToString(d.Id)
		}) {
			continue
		}
		r.note("deploy", event.Warn, fmt.Sprintf("the deployment of %s (%s) began at the same moment and is replaced by this one", shortARN(d.TaskDefinition), aws.ToString(d.Id)))
	}
}

// sameAsPreflight refuses to deploy over something that preflight did not see.
func (r *Run) sameAsPreflight(now types.Service) error {
	if err := acceptable(now); err != nil {
		return err
	}
	was, is := history.Primary(r.pre.service), history.Primary(now)
	switch {
	case aws.ToString(is.Id) != aws.ToString(was.Id):
		return event.Fail(event.CodeChanged, fmt.Sprintf("somebody deployed %s while this release was being prepared (%s)", shortARN(is.TaskDefinition), aws.ToString(is.Id))).
			See("at preflight: "+Serves(r.pre.service), "now: "+Serves(now)).
			Hint("look at what they deployed, then release again").Try(r.command("status"), r.command("release --wait"))
	case ProgressOf(now, r.now()) != Settled && ProgressOf(now, r.now()) != GaveUp && aws.ToString(is.Id) != r.pre.replaces:
		return event.Fail(event.CodeChanged, fmt.Sprintf("the deployment %s was settled at preflight and is %s now", aws.ToString(is.Id), ProgressOf(now, r.now()))).
			See("now: " + Serves(now)).Try(r.command("status"))
	}
	return nil
}

// update sends UpdateService without the SDK's retries: a second one would start
// a second deployment. When the answer is lost, the service is read to learn
// whether the call had an effect.
func (r *Run) update(ctx context.Context, in *ecs.UpdateServiceInput, before types.Service) (types.Service, error) {
	call, cancel := inFlight(ctx)
	defer cancel()
	was := aws.ToString(history.Primary(before).Id)
	out, err := r.send(ctx, call, in)
	if err == nil {
		if p := history.Primary(*out.Service); p != nil && aws.ToString(p.Id) != was {
			r.unsure = false
			return *out.Service, nil
		}
	} else if answered(err) {
		return types.Service{}, r.updateRefused(err)
	}
	svc, found := r.lookForDeployment(call, aws.ToString(in.TaskDefinition), was)
	if r.unsure = !found; found {
		return svc, nil
	}
	f := event.Fail(event.CodeInternal, fmt.Sprintf("UpdateService was sent and not answered, and service %s shows no deployment of %s", r.Service, shortARN(in.TaskDefinition))).
		See("the deployment may still begin").Try(r.command("watch"), r.command("status"))
	if err == nil {
		f.Message = fmt.Sprintf("UpdateService was accepted, and service %s shows no deployment of %s", r.Service, shortARN(in.TaskDefinition))
		return types.Service{}, f
	}
	return types.Service{}, f.Because(err)
}

// send sends UpdateService. An account that is throttled has not been heard: that
// call, and no other, is sent again after a pause.
func (r *Run) send(ctx, call context.Context, in *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
	for pause := 500 * time.Millisecond; ; pause *= 2 {
		out, err := r.ECS.UpdateService(call, in, once)
		if !throttled(err) || pause > 8*time.Second {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, err
		case <-time.After(pause):
		}
	}
}

// updateRefused is UpdateService refused by ECS, which then has done nothing.
func (r *Run) updateRefused(err error) error {
	switch apiCode(err) {
	case "ServiceNotActiveException", "ServiceNotFoundException":
		return event.Fail(event.CodeServiceNotReady, "service "+r.Service+" cannot be deployed to").Because(err)
	case "ClientException", "InvalidParameterException", "PlatformTaskDefinitionIncompatibilityException", "PlatformUnknownException":
		return event.Fail(event.CodeInvalidDefinition, "ECS refuses the deployment").Because(err)
	}
	return fromAWS(err, "update service "+r.Service, "ecs:UpdateService")
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
		if best.CreatedAt == nil || replacedBy(best, b) {
			best = b
		}
	}
	return aws.ToString(best.ServiceDeploymentArn)
}

// replacedBy says whether b is rather ours than best is. Of two redeploys of one
// revision in the same second, the one that was replaced is the other person's; a
// later one of the same revision is not ours.
func replacedBy(best, b types.ServiceDeploymentBrief) bool {
	if over := stoppedFor(best); over != stoppedFor(b) {
		return over
	}
	return b.CreatedAt.Before(*best.CreatedAt)
}

func stoppedFor(b types.ServiceDeploymentBrief) bool {
	return b.Status == types.ServiceDeploymentStatusStopRequested || b.Status == types.ServiceDeploymentStatusStopped
}

func completedAlone(s types.Service) bool {
	return history.Completed(s) && len(s.Deployments) == 1
}
