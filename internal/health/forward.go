package health

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// How long a decision waits for an answer that could change it.
const (
	// lookAgain is how long a fatal failure waits for a fresh look at the service:
	// somebody else may have deployed meanwhile. A rollback must not wait longer.
	lookAgain = 500 * time.Millisecond
	// findCause is how long a rollback by ECS waits for the task that caused it.
	findCause = 2 * time.Second
	// findOrder is how long a takeover waits for our service deployment, which
	// tells a rollback by ECS from a deployment of somebody else.
	findOrder = 3 * time.Second
	// findBaseline is how long failures wait until those of before are known.
	findBaseline = 5 * time.Second
	// giveBack is how long ECS may take from giving a deployment up to making an
	// older one PRIMARY.
	giveBack = 10 * time.Second
	// blind is how old an answer about the service may be for the timeout to count.
	blind = 30 * time.Second
)

// forward judges a deployment that brings something new.
type forward struct {
	*run
	policy Policy

	takenAt   time.Time // since when another deployment is PRIMARY
	failedAt  time.Time // since when ECS has given ours up
	bakeUntil time.Time // zero: not completed yet
	completed bool
	baseline  bool // what failed before is known, as far as it can be
}

// Watch follows a deployment until it serves or fails. Its error is ctx's cause,
// or says why the service cannot be read any more; the verdict beside it tells
// how things stood.
func (w *Watcher) Watch(ctx context.Context, s Subject, p Policy) (Verdict, error) {
	if err := s.check(); err != nil {
		return Verdict{}, err
	}
	if p.Timeout <= 0 {
		p.Timeout = DefaultTimeout
	}
	r := newRun(w, scope{
		cluster: s.Cluster, serviceName: s.Service, id: s.Deployment, taskDefinition: s.TaskDefinition, created: s.CreatedAt,
		previous: s.Previous, definition: s.Definition, judged: true, timeout: p.Timeout,
	})
	r.clock.see(r.began, &s.CreatedAt)
	r.tellPolicies()
	f := &forward{run: r, policy: p}
	r.judge, r.awaited = f.judge, f.wait
	v, err := r.loop(ctx)
	v.Completed = f.completed
	return v, err
}

func (f *forward) judge(now time.Time) (Verdict, bool) {
	f.findBaseline(now)
	if !f.svc.known {
		return f.unseen(now)
	}
	p := f.svc.primary()
	if p != nil && str(p.Id) != f.scope.id {
		return f.taken(*p, now)
	}
	f.takenAt = time.Time{}
	if f.broken() {
		return f.failing(now)
	}
	if ours := f.svc.ours(); ours != nil {
		if v, over := f.givenUp(*ours, now); over {
			return v, true
		}
		if v, over := f.serving(*ours, now); over {
			return v, true
		}
	}
	return f.stalled(now)
}

// findBaseline notes when the stopped tasks of before were looked through, or
// cannot be.
func (f *forward) findBaseline(now time.Time) {
	if f.baseline {
		return
	}
	seen := f.fleet.listed && len(f.fleet.wanted) == 0
	never := f.stopped.failing.count > 0 || f.tasks.failing.count > 0 || now.Sub(f.began) >= findBaseline
	f.baseline = seen || never
	f.wake(f.began.Add(findBaseline))
}

// unseen judges before the service was read: only a failure that no count of
// tasks could excuse.
func (f *forward) unseen(now time.Time) (Verdict, bool) {
	if f.policy.Tolerate.percent {
		return Verdict{}, false
	}
	if f.broken() {
		return f.failing(now)
	}
	return Verdict{}, false
}

// broken says whether tasks failed more than the policy allows. A deployment
// that is broken cannot serve any more, even while failing waits.
func (f *forward) broken() bool {
	_, ok := f.tally.decide(f.tolerated())
	if !ok {
		f.tally.decided = time.Time{}
	}
	return ok
}

func (f *forward) tolerated() int {
	desired := 0
	if d := f.svc.ours(); d != nil {
		desired = int(d.DesiredCount)
	} else if f.svc.known {
		desired = int(f.svc.is.DesiredCount)
	}
	return f.policy.Tolerate.Of(desired)
}

// failing reports that tasks failed, after one more look at the service.
func (f *forward) failing(now time.Time) (Verdict, bool) {
	lead, _ := f.tally.decide(f.tolerated())
	if f.tally.decided.IsZero() {
		f.tally.decided = f.tally.failed[len(f.tally.failed)-1].at
		if lead.at.After(f.tally.decided) {
			f.tally.decided = lead.at // its log gave it away later
		}
	}
	since := f.tally.decided
	f.look(f.service, since)
	if !f.baseline || (f.service.asked.Before(since) && now.Sub(since) < lookAgain) {
		f.wake(since.Add(lookAgain))
		return Verdict{}, false
	}
	return f.verdict(Failing, f.failure(lead), since, lead), true
}

// failure is a group of failed tasks as the deployment's failure.
func (r *run) failure(lead *failed) *event.Failure {
	f := lead.failure(r.tally.size(lead))
	f.Evidence = append(f.Evidence, r.tally.lines(lead)...)
	if lead.Code == event.CodeUnhealthyTarget {
		f.See(r.svc.rejection()...)
	}
	return f
}

func (r *run) verdict(o Outcome, f *event.Failure, at time.Time, lead *failed) Verdict {
	v := r.standing()
	v.Outcome, v.Failure, v.DetectedAt = o, f, at
	if lead != nil {
		v.dead = &corpse{facts: lead.facts, container: lead.Container, lines: lead.lines, read: lead.logged && len(lead.lines) > 0}
		f.Logs = append(f.Logs, lead.lines...)
	}
	return v
}

// goingBack finds ECS's words for a rollback, in rollout reasons and in events:
// "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.",
// "(service S) rolling back to deployment ecs-svc/1.".
var goingBack = text(`roll(?:ing|ed)? ?back`)

// taken says what it means that another deployment is PRIMARY: ECS goes back,
// somebody else deployed, or the answer is older than our deployment.
func (f *forward) taken(p types.Deployment, now time.Time) (Verdict, bool) {
	ours := f.svc.ours()
	newer := !aws.ToTime(p.CreatedAt).Before(f.scope.created)
	if !newer && ours == nil && !f.svc.seenMe && now.Sub(f.began) < f.pace.Settle {
		return Verdict{}, false // ECS does not show ours everywhere yet
	}
	if f.takenAt.IsZero() {
		f.takenAt = now
	}
	for _, s := range []*source{f.service, f.stopped, f.deployment} {
		f.look(s, f.takenAt)
	}
	switch {
	case f.rollback(p, newer):
		return f.rolledBack(p, now)
	case newer:
		return f.superseded(p, now)
	case ours == nil && f.service.asked.Before(f.takenAt):
		f.wake(now.Add(time.Second))
		return Verdict{}, false // one answer alone may be an old one
	}
	return f.rolledBack(p, now)
}

// rollback says whether ECS itself made p PRIMARY. An older deployment becomes
// PRIMARY again under its own id; should ECS ever make a new one, it must say so.
func (f *forward) rollback(p types.Deployment, newer bool) bool {
	said := goingBack.MatchString(str(p.RolloutStateReason))
	if ours := f.svc.ours(); ours != nil {
		said = said || goingBack.MatchString(str(ours.RolloutStateReason)) && !newer
	}
	ordered := false
	switch f.own.Status {
	case types.ServiceDeploymentStatusRollbackRequested, types.ServiceDeploymentStatusRollbackInProgress,
		types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentStatusRollbackFailed:
		ordered = !newer || str(p.TaskDefinition) == f.scope.previous
	}
	return said || ordered
}

func (f *forward) superseded(p types.Deployment, now time.Time) (Verdict, bool) {
	unsure := f.deployment.readable() && f.deployment.asked.Before(f.takenAt) && now.Sub(f.takenAt) < findOrder
	if unsure {
		f.wake(f.takenAt.Add(findOrder))
		return Verdict{}, false
	}
	fail := event.Fail(event.CodeSuperseded, fmt.Sprintf("watch deployment %s: %s took over with %s, begun at %s UTC",
		f.scope.id, str(p.Id), name(str(p.TaskDefinition)), aws.ToTime(p.CreatedAt).UTC().Format(time.TimeOnly)))
	fail.Reason = str(p.RolloutStateReason)
	v := f.verdict(Superseded, fail, f.takenAt, nil)
	v.TakenBy = taker(p)
	return v, true
}

func taker(p types.Deployment) Taker {
	return Taker{Deployment: str(p.Id), TaskDefinition: str(p.TaskDefinition), CreatedAt: aws.ToTime(p.CreatedAt)}
}

// rolledBack reports that ECS went back, with the failure that made it do so.
func (f *forward) rolledBack(p types.Deployment, now time.Time) (Verdict, bool) {
	looked := !f.stopped.asked.Before(f.takenAt) && len(f.fleet.wanted) == 0
	told := !f.deployment.asked.Before(f.takenAt) // which alarm went off
	if (!looked && f.stopped.readable() || !told && f.deployment.readable()) && now.Sub(f.takenAt) < findCause {
		f.wake(f.takenAt.Add(findCause))
		return Verdict{}, false
	}
	lead := f.tally.lead()
	why, who := f.why(&p), "ECS rolled"
	if strings.Contains(why, "StopServiceDeployment") { // which is how one asks for it
		who = "somebody had ECS roll"
	}
	fail := f.gaveUp(event.CodeECSRolledBack, fmt.Sprintf("%s deployment %s back to %s (%s)", who, f.scope.id, name(str(p.TaskDefinition)), str(p.Id)), why, lead)
	v := f.verdict(RolledBackByECS, fail, f.takenAt, lead)
	v.TakenBy = taker(p)
	return v, true
}

// gaveUp is a failure that ECS found, with ours as its cause where there is one.
func (f *forward) gaveUp(code event.Code, message, why string, lead *failed) *event.Failure {
	fail := event.Fail(code, message)
	fail.Reason = why
	if why != "" {
		fail.See("ECS says: " + why)
	}
	alarm := f.alarmFailure()
	if alarm != nil {
		fail.Message += ": " + alarm.Message
		fail.Hint(alarm.Hints...)
		fail.Also = append(fail.Also, alarm)
	}
	if lead == nil {
		return fail.See(f.svc.troubles(3)...)
	}
	inner := f.run.failure(lead)
	fail.Message += ": " + inner.Message
	fail.Container, fail.ExitCode, fail.Tasks = inner.Container, inner.ExitCode, inner.Tasks
	fail.See(inner.Evidence...).Hint(inner.Hints...)
	fail.Also = append(fail.Also, inner)
	return fail
}

// why is ECS's reason for giving ours up.
func (f *forward) why(p *types.Deployment) string {
	if r := f.own.Rollback; r != nil && str(r.Reason) != "" {
		return str(r.Reason)
	}
	if s := str(f.own.StatusReason); s != "" {
		return s
	}
	if ours := f.svc.ours(); ours != nil && ours.RolloutState == types.DeploymentRolloutStateFailed {
		return str(ours.RolloutStateReason)
	}
	if p != nil && goingBack.MatchString(str(p.RolloutStateReason)) {
		return str(p.RolloutStateReason)
	}
	return ""
}

// givenUp says whether ECS has failed our deployment without making another one
// PRIMARY: the breaker without rollback, or with nothing to go back to.
func (f *forward) givenUp(ours types.Deployment, now time.Time) (Verdict, bool) {
	stopped := f.own.Status == types.ServiceDeploymentStatusStopped || f.own.Status == types.ServiceDeploymentStatusRollbackFailed
	if ours.RolloutState != types.DeploymentRolloutStateFailed && !stopped {
		f.failedAt = time.Time{}
		return Verdict{}, false
	}
	if f.failedAt.IsZero() {
		f.failedAt = now
	}
	f.look(f.service, f.failedAt)
	f.look(f.deployment, f.failedAt)
	if now.Sub(f.failedAt) < giveBack {
		f.wake(f.failedAt.Add(giveBack))
		return Verdict{}, false
	}
	lead := f.tally.lead()
	fail := f.gaveUp(event.CodeECSGaveUp, fmt.Sprintf("ECS gave deployment %s up and did not go back", f.scope.id), f.why(nil), lead)
	switch {
	case lead != nil:
		fail.Code = lead.Code
	case len(fail.Also) > 0:
		fail.Code = fail.Also[0].Code // an alarm
	}
	return f.verdict(Failing, fail, f.failedAt, lead), true
}
