package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// rollbackStages are the way back by hand.
var rollbackStages = []stage{
	{name: "preflight", run: (*Run).rollbackPreflight},
	{name: "register", run: (*Run).rollbackRegister, change: true},
	{name: "deploy", run: (*Run).rollbackDeploy, change: true},
	{name: "watch", run: (*Run).rollbackWatch, change: true},
	{name: "conclude", run: (*Run).rollbackConclude, change: true, after: true},
}

// Rollback goes back by hand: to the named revision ("27", "family:27" or an
// ARN), or without a name to the proven revision before the one that serves.
// force allows a named revision that never succeeded on this service. It needs
// neither an engine nor a work tree.
func (r *Run) Rollback(ctx context.Context, revision string, force bool) event.Result {
	r.began = r.now()
	r.result = event.Result{Command: r.Command, Cluster: r.Cluster, Service: r.Service}
	r.back = &byHand{revision: revision, force: force}
	r.run(ctx, rollbackStages)
	switch r.result.Outcome {
	case event.RolledBack, event.Unchanged:
		r.concludeEarlier(ctx)
	}
	return r.finish()
}

// byHand is the state of a rollback by hand.
type byHand struct {
	revision string
	force    bool
	from     string // the ARN that the service leaves
	// following is set when a rollback to the target is in progress already.
	following bool
	ret       *health.Return
	verdict   *health.Verdict
}

func (r *Run) rollbackPreflight(ctx context.Context) (string, error) {
	if err := r.identify(ctx, r.out.In("preflight")); err != nil {
		return "", err
	}
	if err := r.look(ctx); err != nil {
		return "", err
	}
	if err := acceptable(r.pre.service); err != nil {
		return "", err
	}
	p := history.Primary(r.pre.service)
	r.back.from = aws.ToString(p.TaskDefinition)
	if r.standing() == RollingBack && arriving(*p, r.left(*p)) {
		return r.followRollback(*p)
	}
	target, err := r.byHandTarget(ctx)
	if err != nil {
		return "", err
	}
	if target.TaskDefinition == r.back.from && history.Completed(r.pre.service) {
		r.unchanged = true
		return history.Name(target.TaskDefinition) + " serves already", nil
	}
	if err := r.takeTarget(ctx, target); err != nil {
		return "", err
	}
	for _, text := range r.effectsSince(target.TaskDefinition) {
		r.note("preflight", event.Warn, text)
	}
	return fmt.Sprintf("from %s back to %s (%s)", history.Name(r.back.from), history.Name(target.TaskDefinition), target.Why), nil
}

// followRollback joins a rollback that is under way, whoever began it. One to
// another revision than the one asked for has to end first.
func (r *Run) followRollback(p types.Deployment) (string, error) {
	target := aws.ToString(p.TaskDefinition)
	if want := r.back.revision; want != "" && r.resolve(want) != target {
		return "", event.Fail(event.CodeDeploymentInProgress, "a rollback to "+history.Name(target)+" is in progress").
			Hint("wait for it, then choose another revision").Try(r.command("watch"))
	}
	left := r.left(p)
	r.goal = &goal{Target: history.Target{TaskDefinition: target}, Deploy: target}
	r.result.Stable = target
	r.back.from, r.back.following = left.TaskDefinition, true
	r.back.ret = &health.Return{Cluster: r.Cluster, Service: r.Service, Target: target, ServiceDeployment: left.ARN}
	if !native(left) { // a deployment of its own
		r.back.ret.Deployment, r.back.ret.ServiceDeployment = aws.ToString(p.Id), ""
	}
	return "a rollback to " + history.Name(target) + " is in progress already: following it", nil
}

func (r *Run) byHandTarget(ctx context.Context) (*history.Target, error) {
	l := r.pre.ledger
	if r.back.revision == "" {
		target, passed := l.ByHand(r.pre.service)
		if target == nil {
			f := event.Fail(event.CodeNoRollbackTarget, "no revision was proven on service "+history.Short(r.Service)+" before "+history.Name(r.back.from)).
				Hint("name a revision to deploy it").Try(r.command("history"), r.command("rollback REVISION --force"))
			for _, p := range passed {
				f.See(history.Name(p.TaskDefinition) + ": " + p.Why)
			}
			return nil, f
		}
		for _, p := range passed {
			r.note("preflight", event.Info, "passed over "+history.Name(p.TaskDefinition)+": "+p.Why)
		}
		return target, nil
	}
	arn := r.resolve(r.back.revision)
	if arn == "" {
		return nil, event.Fail(event.CodeUsage, fmt.Sprintf("%q is not a revision", r.back.revision)).
			Hint("write a revision's number (27), its name (family:27) or its ARN").Try(r.command("history"))
	}
	target := &history.Target{TaskDefinition: arn, Why: "named by hand"}
	for _, p := range l.Proofs() {
		if p.TaskDefinition == arn {
			target.At = p.At
			if len(p.Digests) > 0 {
				target.Digests = p.Digests
			}
		}
	}
	if l.EverProven(arn) {
		return target, nil
	}
	if _, err := (taskdef.Client{API: r.ECS}).Describe(ctx, arn); errors.Is(err, taskdef.ErrNotFound) {
		return nil, event.Fail(event.CodeNotFound, "there is no revision "+history.Name(arn)).Try(r.command("history"))
	}
	if r.back.force {
		return target, nil
	}
	f := event.Fail(event.CodeNoRollbackTarget, history.Name(arn)+" never succeeded on service "+history.Short(r.Service)).
		Hint("--force deploys it all the same").Try(r.command("history"), r.command("rollback"))
	for _, a := range l.Attempts {
		if a.TaskDefinition == arn {
			f.See(history.Name(arn) + " " + l.Verdict(a))
		}
	}
	return nil, f
}

// IsRevision says whether s can name a revision: a number, family:number, or an ARN.
func IsRevision(s string) bool { return number(s) > 0 }

// number is the revision's number in a number, family:number, or an ARN; 0 when
// there is none.
func number(s string) int {
	if i := strings.LastIndex(s, ":"); i == 0 {
		return 0
	} else if i > 0 {
		s = s[i+1:]
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// resolve is the ARN that a revision's number, name or ARN stands for, in the
// family that the service runs; empty when it is none of them.
func (r *Run) resolve(revision string) string {
	n := number(revision)
	switch {
	case n == 0:
		return ""
	case strings.HasPrefix(revision, "arn:"):
		return revision
	case strings.Contains(revision, ":"):
		return history.SameFamily(r.pre.current.ARN(), revision)
	}
	return history.SameFamily(r.pre.current.ARN(), fmt.Sprintf("%s:%d", r.pre.current.Family(), n))
}

func (r *Run) takeTarget(ctx context.Context, t *history.Target) error {
	def, why, err := r.usable(ctx, t)
	if err != nil {
		return err
	}
	if def == nil {
		return event.Fail(event.CodeNotFound, fmt.Sprintf("%s cannot be deployed: %s", history.Name(t.TaskDefinition), why)).Try(r.command("history"))
	}
	if why != "" {
		return event.Fail(event.CodeNoRollbackTarget, fmt.Sprintf("%s cannot be deployed: %s", history.Name(t.TaskDefinition), why)).Try(r.command("history"))
	}
	r.pre.target, r.pre.targetDefinition = t, def
	r.result.Stable = t.TaskDefinition
	r.describeTarget(r.out.In("preflight"))
	return nil
}

func (r *Run) rollbackRegister(ctx context.Context) (string, error) {
	if r.back.following {
		return "", skip("a rollback is in progress")
	}
	if err := r.prepareGoal(ctx); err != nil {
		return "", err
	}
	if r.goal.Deploy == r.goal.TaskDefinition {
		return "", skip("the revision can be deployed as it is")
	}
	return history.Name(r.goal.Deploy), nil
}

// rollbackDeploy starts the way back: ECS's own where a deployment is in
// progress and it leads to the target, UpdateService otherwise.
func (r *Run) rollbackDeploy(ctx context.Context) (string, error) {
	if r.back.following {
		return "", skip("a rollback is in progress")
	}
	now, err := r.site().Read(ctx)
	if err == nil {
		err = acceptable(now)
	}
	if err != nil {
		return "", err
	}
	was, p := history.Primary(r.pre.service), history.Primary(now)
	r.deployed = &deployed{ID: aws.ToString(was.Id), TaskDefinition: aws.ToString(was.TaskDefinition), CreatedAt: aws.ToTime(was.CreatedAt)}
	switch {
	case aws.ToString(p.Id) == r.deployed.ID:
		err = r.startBack(ctx, now)
	case r.isGoal(aws.ToString(p.TaskDefinition)): // somebody was faster, or a rollback that was asked for has begun
		r.back.ret = &health.Return{Cluster: r.Cluster, Service: r.Service, Target: aws.ToString(p.TaskDefinition), Deployment: aws.ToString(p.Id), Abandoned: r.deployed.ID}
	default:
		err = event.Fail(event.CodeChanged, fmt.Sprintf("somebody deployed %s meanwhile (%s)", shortARN(p.TaskDefinition), aws.ToString(p.Id))).
			See("now: "+Serves(now)).Try(r.command("status"), r.command("rollback"))
	}
	if err != nil {
		r.deployed = nil
		return "", err
	}
	r.goingBack = true
	r.result.Deployment, r.result.TaskDefinition = r.back.ret.Deployment, r.back.ret.Target
	return history.Name(r.back.ret.Target) + " is being deployed", nil
}

// startBack sends the service back from the deployment that preflight saw.
func (r *Run) startBack(ctx context.Context, now types.Service) error {
	if ProgressOf(now, r.now()) == Settled {
		return r.deployTarget(ctx, &ecs.UpdateServiceInput{Cluster: &r.Cluster, Service: &r.Service, TaskDefinition: &r.goal.Deploy, ForceNewDeployment: true})
	}
	call, cancel := inFlight(ctx)
	defer cancel()
	ret, err := r.callBack(call)
	if err == nil && ret == nil {
		err = event.Fail(event.CodeChanged, "another deployment took over").Try(r.command("status"))
	}
	r.back.ret = ret
	return err
}

func (r *Run) deployTarget(ctx context.Context, in *ecs.UpdateServiceInput) error {
	svc, err := r.update(ctx, in, r.pre.service)
	if err != nil {
		return err
	}
	back := history.Primary(svc)
	r.back.ret = &health.Return{Cluster: r.Cluster, Service: r.Service, Target: r.goal.Deploy, Deployment: aws.ToString(back.Id),
		Abandoned: r.deployed.ID, Began: aws.ToTime(back.CreatedAt)}
	return nil
}

func (r *Run) rollbackWatch(ctx context.Context) (string, error) {
	if r.deployed == nil { // following somebody's rollback
		r.deployed = &deployed{TaskDefinition: r.back.from}
		r.goingBack = true
	}
	v, err := r.watchReturn(ctx, "watch", *r.back.ret)
	if r.lost = err; err != nil {
		return "", err
	}
	r.back.verdict = &v
	if v.Outcome != health.Serving {
		return "", v.Failure
	}
	return fmt.Sprintf("%s serves, %d/%d running", history.Name(r.back.ret.Target), v.Running, v.Desired), nil
}

func (r *Run) rollbackConclude(ctx context.Context) (string, error) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	v := r.back.verdict
	switch {
	case v == nil:
		return "", r.lostSight(ctx, "the rollback to "+history.Name(r.goal.TaskDefinition)+" goes on in ECS")
	case v.Outcome == health.Superseded:
		return "", r.superseded(*v)
	case v.Outcome != health.Serving:
		r.fail(event.FailedRun, event.ExitUnhealthy, v.Failure.Try(r.command("status"), r.command("history")))
		r.serving(ctx)
		return "", v.Failure
	}
	r.leave(ctx)
	r.tagOutcome(ctx, r.goal.TaskDefinition, history.Proven, "")
	serves := r.back.ret.Target
	if serves != r.goal.TaskDefinition { // a copy
		r.tagOutcome(ctx, serves, history.Proven, "")
	}
	r.takeBackstop(r.back.from)
	r.restoreBackstop(ctx)
	r.result.Outcome, r.result.ExitCode, r.result.TaskDefinition = event.RolledBack, event.ExitOK, serves
	r.serving(ctx)
	return history.Name(serves) + " is proven", nil
}

// leave records on the revision that was rolled back how it ended, and says how
// to undo the rollback.
func (r *Run) leave(ctx context.Context) {
	if r.back.from == "" || r.pre.ledger.Same(r.back.from, r.goal.TaskDefinition) {
		return // deployed anew, not left
	}
	if r.pre.ledger.EverProven(r.back.from) {
		r.tagOutcome(ctx, r.back.from, history.Left, "")
		r.result.Next = []string{r.command("rollback " + history.Revision(r.back.from))}
		return
	}
	// One that never succeeded is not offered as a way to undo.
	r.tagOutcome(ctx, r.back.from, history.Failed, event.CodeRolledBackByHand)
}
