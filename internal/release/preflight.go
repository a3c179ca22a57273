package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// preflight is what the first stage found. Everything in it was read, nothing
// was written.
type preflight struct {
	account, caller  string
	service          types.Service
	ledger           history.Ledger
	current          *taskdef.Definition // the service's task definition
	base             *taskdef.Definition // what the new revision is made from
	target           *history.Target
	targetDefinition *taskdef.Definition
	passed           []history.Passed
	repo             image.Repository
	replaces         string // the deployment in progress that --supersede replaces
}

// preflight looks at everything that can refuse the release, in parallel, and
// reports all that it finds together.
func (r *Run) preflight(ctx context.Context) (string, error) {
	emit := r.out.In("preflight")
	if err := r.identify(ctx, emit); err != nil {
		return "", err // without credentials every other question fails alike
	}
	checks := []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"service", r.checkService},
		{"repository", r.checkRepository},
		{"engine", r.checkEngine},
		{"work tree", r.checkTree},
		{"live checks", r.checkLive},
	}
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			detail, err := c.run(ctx)
			report(emit, c.name, detail, err)
			var nothing skip
			if !errors.As(err, &nothing) {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	if err := r.readableLogs(ctx); err != nil {
		report(emit, "live checks", "", err)
		return "", err
	}
	detail := history.Name(r.pre.base.ARN()) + " is the base"
	if r.pre.target != nil {
		detail += ", " + history.Name(r.pre.target.TaskDefinition) + " the way back"
	}
	return detail, nil
}

func report(emit event.Emit, name, detail string, err error) {
	var nothing skip
	switch {
	case errors.As(err, &nothing):
		emit(event.Check{Name: name, Status: event.Skipped, Detail: string(nothing)})
	case err == nil:
		emit(event.Check{Name: name, Status: event.Done, Detail: detail})
	default:
		for _, f := range event.FailuresOf(err) {
			emit(event.Check{Name: name, Status: event.Failed, Detail: f.Error(), Code: f.Code, Hint: strings.Join(f.Hints, "; ")})
		}
	}
}

func (r *Run) identify(ctx context.Context, emit event.Emit) error {
	account, caller, err := r.WhoAmI(ctx)
	switch {
	case err != nil:
		err = fromAWS(err, "ask AWS who the caller is", "sts:GetCallerIdentity")
	case r.Account != "" && r.Account != account:
		err = event.Fail(event.CodeWrongAccount, fmt.Sprintf("the credentials belong to account %s, the configuration wants %s", account, r.Account)).
			Hint("choose the right profile (AWS_PROFILE), or correct account in weelo-deploy.yaml").Try("aws sts get-caller-identity")
	}
	r.pre.account, r.pre.caller = account, caller
	report(emit, "identity", "account "+account+" as "+history.Short(caller), err)
	return err
}

// checkService reads the service, waits for or refuses a deployment in
// progress, and fixes base and rollback target.
func (r *Run) checkService(ctx context.Context) (string, error) {
	s, err := r.site().Read(ctx)
	if err != nil {
		return "", err
	}
	if err := acceptable(s); err != nil {
		return "", err
	}
	if err := r.settle(ctx, s); err != nil {
		return "", err
	}
	// Before the target is judged by the same name: --no-rollback is no way out of
	// a container that does not exist.
	if _, err := r.pre.current.Released(r.Container); err != nil {
		return "", err
	}
	for _, n := range r.pre.ledger.Notes {
		r.note("preflight", event.Warn, n)
	}
	if err := errors.Join(r.chooseTarget(ctx), r.chooseBase(ctx)); err != nil {
		return "", err
	}
	if err := r.checkBeforeTasks(); err != nil {
		return "", err
	}
	return Serves(r.pre.service), nil
}

// acceptable refuses services that a rolling release cannot bring anywhere.
func acceptable(s types.Service) error {
	name := aws.ToString(s.ServiceName)
	if st := aws.ToString(s.Status); st != "ACTIVE" {
		return event.Fail(event.CodeServiceNotReady, fmt.Sprintf("service %s is %s, not ACTIVE", name, st))
	}
	if c := s.DeploymentController; c != nil && c.Type != "" && c.Type != types.DeploymentControllerTypeEcs {
		return event.Fail(event.CodeUnsupportedController, fmt.Sprintf("service %s is deployed by %s", name, c.Type)).
			Hint("weelo-deploy releases services with the deployment controller ECS")
	}
	if s.SchedulingStrategy == types.SchedulingStrategyDaemon {
		return event.Fail(event.CodeUnsupported, fmt.Sprintf("service %s is a DAEMON service", name)).
			Hint("weelo-deploy releases REPLICA services")
	}
	if d := s.DeploymentConfiguration; d != nil && d.Strategy != "" && d.Strategy != types.DeploymentStrategyRolling {
		return otherStrategy(s)
	}
	if s.DesiredCount == 0 {
		return event.Fail(event.CodeServiceNotReady, fmt.Sprintf("service %s wants 0 tasks, so no revision can be proven on it", name)).
			Try(fmt.Sprintf("aws ecs update-service --cluster %s --service %s --desired-count 1", history.Short(aws.ToString(s.ClusterArn)), name))
	}
	if history.Primary(s) == nil {
		return event.Fail(event.CodeServiceNotReady, fmt.Sprintf("service %s has no deployment", name))
	}
	return canProgress(s)
}

// otherStrategy refuses a service whose traffic ECS shifts. Where a deployment is in
// progress, ECS's own way back is named.
func otherStrategy(s types.Service) error {
	f := event.Fail(event.CodeUnsupported, fmt.Sprintf("service %s has the deployment strategy %s", aws.ToString(s.ServiceName), s.DeploymentConfiguration.Strategy)).
		Hint("this version releases and rolls back services with the strategy ROLLING; watch, status, history and logs know the others")
	p, arn := history.Primary(s), aws.ToString(s.CurrentServiceDeployment)
	if p != nil && p.RolloutState == types.DeploymentRolloutStateInProgress && arn != "" {
		f.Try("aws ecs stop-service-deployment --service-deployment-arn " + arn + " --stop-type ROLLBACK" + health.InRegion(arn))
	}
	return f
}

// canProgress refuses percentages that let ECS neither start nor stop a task.
// minimumHealthyPercent rounds up and maximumPercent down
// (DeploymentConfiguration, ECS API reference).
func canProgress(s types.Service) error {
	d := s.DeploymentConfiguration
	if d == nil || d.MinimumHealthyPercent == nil || d.MaximumPercent == nil {
		return nil
	}
	n := int(s.DesiredCount)
	least := (n*int(*d.MinimumHealthyPercent) + 99) / 100
	most := n * int(*d.MaximumPercent) / 100
	if most > n || least < n {
		return nil
	}
	return event.Fail(event.CodeServiceNotReady, fmt.Sprintf("service %s cannot make progress: with %d wanted, minimumHealthyPercent %d and maximumPercent %d, ECS may neither stop a task nor start one",
		aws.ToString(s.ServiceName), n, *d.MinimumHealthyPercent, *d.MaximumPercent)).
		Try(fmt.Sprintf("aws ecs update-service --cluster %s --service %s --deployment-configuration minimumHealthyPercent=100,maximumPercent=200",
			history.Short(aws.ToString(s.ClusterArn)), aws.ToString(s.ServiceName)))
}

// settle deals with a deployment that is in progress already. What was waited for
// may have brought another task definition, so definition and history are read
// anew after every wait.
func (r *Run) settle(ctx context.Context, s types.Service) error {
	limit := r.WaitTimeout
	if limit <= 0 {
		limit = 15 * time.Minute
	}
	var state Progress
	for until := time.Now().Add(limit); ; {
		if err := r.recall(ctx, s); err != nil {
			return err
		}
		state = r.standing()
		if !r.waits(state) {
			break
		}
		var err error
		if s, err = r.await(ctx, s, state, until, limit); err != nil {
			return err
		}
	}
	switch {
	case state == Settled, state == GaveUp:
		return nil
	case r.Supersede:
		r.pre.replaces = aws.ToString(history.Primary(s).Id)
		return nil
	}
	return r.inProgress(ctx, s, r.pre.ledger, state)
}

// waits says whether a deployment that stands so is waited for. One that is stuck
// ends by itself only where ECS's own circuit breaker is there to end it.
func (r *Run) waits(state Progress) bool {
	b := currentBreaker(r.pre.service)
	return state == RollingBack || r.Wait && (state == Deploying || state == Stuck && b.Enable && b.Rollback)
}

// recall reads the definition and the history of the service as it stands.
func (r *Run) recall(ctx context.Context, s types.Service) error {
	current, err := taskdef.Client{API: r.ECS}.Describe(ctx, aws.ToString(s.TaskDefinition))
	if err != nil {
		return fromAWS(err, "describe task definition "+history.Name(aws.ToString(s.TaskDefinition)), "ecs:DescribeTaskDefinition")
	}
	l, err := history.Read(ctx, r.ECS, r.Cluster, r.Service, current.Family())
	if err != nil {
		return fromAWS(err, "read the history of service "+r.Service, "ecs:ListServiceDeployments")
	}
	r.pre.service, r.pre.current, r.pre.base, r.pre.ledger = s, current, current, l
	return nil
}

// standing is how the service stands by its deployments and its history: of a
// rollback that somebody asked for, only the history may tell that it is one.
func (r *Run) standing() Progress {
	state := ProgressOf(r.pre.service, r.now())
	if _, back := r.pre.ledger.GoingBack(); back || state == Deploying && r.pre.ledger.ComingBack(r.pre.service) {
		return RollingBack
	}
	return state
}

func (r *Run) inProgress(ctx context.Context, s types.Service, l history.Ledger, state Progress) error {
	p := history.Primary(s)
	arn := aws.ToString(p.TaskDefinition)
	age := r.now().Sub(aws.ToTime(p.CreatedAt)).Round(time.Second)
	who := ""
	if l.Unconcluded(arn) { // otherwise the tags speak of an earlier deployment
		who = by(l.Tags[arn])
	}
	since := aws.ToTime(p.CreatedAt).UTC().Format("2006-01-02 15:04:05Z")
	f := event.Fail(event.CodeDeploymentInProgress, fmt.Sprintf("a deployment of %s%s is in progress, begun %s ago (%s)", history.Name(arn), who, age, aws.ToString(p.Id))).
		See(Serves(s), fmt.Sprintf("%s was deployed at %s%s", history.Name(arn), since, who))
	if state == Stuck {
		f.Message = fmt.Sprintf("the deployment of %s%s, begun %s ago, is stuck: %d tasks failed and %d of %d run (%s)", history.Name(arn), who, age, p.FailedTasks, p.RunningCount, p.DesiredCount, aws.ToString(p.Id))
		if last := r.lastFailure(ctx, aws.ToString(p.Id)); last != nil {
			f.Message += ": " + string(last.Code)
			f.See(last.Message)
		}
		return f.Hint("go back first, or release over it with --supersede").
			Try(r.command("rollback"), r.command("release --supersede"))
	}
	return f.Hint("wait for it with --wait, or replace it with --supersede").
		Try(r.command("watch"), r.command("release --wait"))
}

// command is a command line of ours for this service that works from anywhere.
func (r *Run) command(words string) string { return r.Again("weelo-deploy " + words) }

// await reads the service until no deployment is in progress.
func (r *Run) await(ctx context.Context, s types.Service, state Progress, until time.Time, limit time.Duration) (types.Service, error) {
	p := history.Primary(s)
	r.note("preflight", event.Info, fmt.Sprintf("waiting for the deployment of %s that is %s (%s)", history.Name(aws.ToString(p.TaskDefinition)), state, aws.ToString(p.Id)))
	deadline := time.NewTimer(time.Until(until))
	defer deadline.Stop()
	every := time.NewTicker(cmp.Or(r.Pace.Early.Service, 3*time.Second))
	defer every.Stop()
	for told := false; ; {
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-deadline.C:
			return s, event.Fail(event.CodeDeploymentInProgress, fmt.Sprintf("the deployment %s is still in progress after waiting %s", aws.ToString(p.Id), limit)).
				See(Serves(s)).Try(r.command("watch"))
		case <-every.C:
		}
		now, err := r.site().Read(ctx)
		if passing(err) { // the deadline bounds it
			if !told {
				r.note("preflight", event.Warn, "the service cannot be read now, waiting on: "+firstLine(err))
			}
			told = true
			continue
		}
		if err == nil {
			err = acceptable(now)
		}
		if s = now; err != nil {
			return s, err
		}
		if st := ProgressOf(s, r.now()); !r.waits(st) {
			return s, nil
		}
	}
}

func (r *Run) checkRepository(ctx context.Context) (string, error) {
	repo, err := image.FindRepository(ctx, r.ECR, r.Repository)
	if err != nil {
		return "", err
	}
	r.pre.repo = repo
	return repo.URI, nil
}

// checkTree refuses uncommitted changes where the configuration says so. It does
// not matter for an image that exists already.
func (r *Run) checkTree(context.Context) (string, error) {
	switch {
	case r.Image != "" || r.Source.Commit == "":
		return "", skip("nothing is built from a commit")
	case r.RequireClean && r.Source.Dirty:
		return "", event.Fail(event.CodeDirtyTree, "the work tree has uncommitted changes, and release.requireClean is set").
			Hint("commit or stash them").Try("git status")
	case r.Source.Dirty:
		return "commit " + r.Source.Commit[:10] + " with uncommitted changes", nil
	}
	return "commit " + r.Source.Commit[:10], nil
}

// checkEngine asks the engine whether it can build for the target. A release of
// an image that is in the repository already needs no engine.
func (r *Run) checkEngine(ctx context.Context) (string, error) {
	if r.Image != "" {
		return "", skip("an existing image is released")
	}
	if r.Elsewhere != nil {
		return r.checkElsewhere(ctx)
	}
	_, builder, err := r.OpenEngine()
	if err != nil {
		return "", err
	}
	n, err := builder.Check(ctx, r.Build)
	if err != nil {
		return "", err
	}
	if len(n.Emulated) > 0 {
		r.note("preflight", event.Warn, fmt.Sprintf("building for %s on %s emulates %s, as is allowed: what programs install then may crash on ECS", n.Target, n.Worker, n.Emulation()))
		return "emulates " + n.Emulation() + " for " + n.Target, nil
	}
	return "builds natively for " + r.Build.Platform, nil
}
