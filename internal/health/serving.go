package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// worthTelling is how long a wait has to be to be announced.
const worthTelling = 5 * time.Second

// serving says whether our deployment has completed, and has baked.
func (f *forward) serving(ours types.Deployment, now time.Time) (Verdict, bool) {
	if !f.done(ours) {
		return Verdict{}, false
	}
	f.completed, f.fleet.healthy = true, true
	if f.bakeUntil.IsZero() {
		f.bakeUntil, f.baking, f.progress.at = now.Add(f.policy.Bake), true, now
		if f.policy.Bake >= worthTelling {
			f.emit(event.Note{Level: event.Info, Text: fmt.Sprintf("completed; watching it for %s more, in case it dies late (release.bake)", roughly(f.policy.Bake))})
		}
	}
	if now.Before(f.bakeUntil) {
		f.wake(f.bakeUntil)
		return Verdict{}, false
	}
	// The last look is one that was begun after the bake: what died in its last
	// moment is a crash too.
	if f.service.asked.Before(f.bakeUntil) {
		f.look(f.service, f.bakeUntil)
		return Verdict{}, false
	}
	if f.stopped.readable() && (f.stopped.asked.Before(f.bakeUntil) || f.stopped.failing.count > 0) {
		f.look(f.stopped, f.bakeUntil)
		return Verdict{}, false
	}
	if f.tasks.readable() && len(f.fleet.wanted) > 0 {
		return Verdict{}, false
	}
	return f.verdict(Serving, nil, time.Time{}, nil), true
}

// done says whether the deployment is what exit code 0 promises: ours, PRIMARY,
// completed, all desired tasks running, at least one, and one seen healthy. ECS
// completes a deployment without health checks only after its tasks have run for
// a while (DeploymentConfiguration, ECS API reference); where there are health
// checks, a healthy task must have been seen.
func (f *forward) done(ours types.Deployment) bool {
	completed := ours.RolloutState == types.DeploymentRolloutStateCompleted || f.own.Status == types.ServiceDeploymentStatusSuccessful
	if str(ours.Status) != primary || !completed || ours.DesiredCount <= 0 || ours.RunningCount != ours.DesiredCount {
		return false
	}
	checked := f.scope.definition != nil && f.scope.definition.HealthChecked()
	if checked && !f.fleet.healthy && f.tasks.readable() && f.running.readable() {
		f.fleet.stale = true // look at the tasks as soon as they may be asked again
		return false
	}
	return true
}

// stalled says whether nothing has moved for the timeout.
func (f *forward) stalled(now time.Time) (Verdict, bool) {
	end := f.progress.at.Add(f.policy.Timeout)
	if now.Before(end) || f.baked(now) {
		f.wake(end)
		return Verdict{}, false
	}
	if now.Sub(f.service.asked) > blind {
		return Verdict{}, false // lost decides
	}
	return f.verdict(Stalled, f.stall(now, f.policy.Timeout), now, f.tally.lead()), true
}

// baked says whether the deployment is in bake, or past it and only waits for
// the last look.
func (f *forward) baked(now time.Time) bool {
	ours := f.svc.ours()
	return !f.bakeUntil.IsZero() && ours != nil && f.done(*ours) && now.Sub(f.bakeUntil) < f.policy.Timeout
}

// stall is the failure of a watch in which nothing moved.
func (r *run) stall(now time.Time, timeout time.Duration) *event.Failure {
	fail := event.Fail(event.CodeTimeout, fmt.Sprintf("no progress for %s: %s", roughly(timeout), r.awaited(now)))
	for i, t := range r.fleet.alive() {
		if i == 3 {
			break
		}
		fail.See(fmt.Sprintf("task %s is %s for %s: %s", id(t), strings.ToLower(str(t.LastStatus)), r.since(t, now), doing(t)))
	}
	fail.See(r.tally.lines(nil)...).See(r.svc.troubles(3)...)
	if d := r.svc.ours(); d != nil && r.stuck(*d) {
		fail.Hint(r.mendPercents())
	}
	r.announced(fail)
	if lead := r.tally.lead(); lead != nil {
		fail.Hint(lead.Hints...)
		fail.Tasks, fail.Container, fail.Reason = r.tally.size(lead), lead.Container, lead.Reason
	}
	return fail
}

// announced adds what the service's last event that can be read tells of, where
// no task told of anything.
func (r *run) announced(fail *event.Failure) {
	if r.tally.lead() != nil {
		return
	}
	for _, e := range slices.Backward(r.svc.recent) {
		if f, ok := Announcement(e.Message); ok {
			fail.Hint(f.Hints...)
			fail.Also = append(fail.Also, f.failure(0))
			return
		}
	}
}

// wait says what the deployment waits for: "1/2 running, 1 pending for 3m:
// pulling image".
func (f *forward) wait(now time.Time) string {
	ours := f.svc.ours()
	switch {
	case !f.svc.known:
		return "the first answer about the service"
	case ours == nil:
		return "deployment " + f.scope.id + " is not shown by ECS yet"
	case f.baking && f.done(*ours):
		return fmt.Sprintf("%s; watched for %s more", counts(*ours), roughly(max(0, f.bakeUntil.Sub(now))))
	}
	return f.waiting(*ours, now)
}

// waiting is what a deployment that is not completed waits for.
func (r *run) waiting(d types.Deployment, now time.Time) string {
	s := counts(d)
	var slow *types.Task
	pending := 0
	for _, t := range r.fleet.alive() {
		if stage(t) < started {
			if pending++; slow == nil {
				slow = &t
			}
		}
	}
	switch {
	case d.DesiredCount == 0:
		return s + ": the desired count is 0"
	case r.hooked() != "":
		return s + ", " + r.hooked()
	case r.stuck(d):
		return s + ": " + r.stuckText(d)
	case slow != nil:
		return fmt.Sprintf("%s, %d pending for %s: %s", s, max(pending, int(d.PendingCount)), r.since(*slow, now), doing(*slow))
	case d.PendingCount > 0:
		return fmt.Sprintf("%s, %d pending", s, d.PendingCount)
	case d.RunningCount < d.DesiredCount:
		s += fmt.Sprintf(", %d not started", d.DesiredCount-d.RunningCount)
		if t := r.svc.troubles(1); len(t) > 0 {
			s += ": " + clip(t[0], 200)
		}
		return s
	}
	return s + ", " + r.completing(now)
}

// completing is what ECS waits for when all tasks run.
func (r *run) completing(now time.Time) string {
	for _, t := range r.fleet.alive() {
		if t.HealthStatus == types.HealthStatusUnhealthy || (t.HealthStatus == types.HealthStatusUnknown && r.scope.definition != nil && r.scope.definition.HealthChecked()) {
			return fmt.Sprintf("not healthy for %s: the container health check says %s", r.since(t, now), t.HealthStatus)
		}
	}
	if n := r.svc.left(); n > 0 {
		return fmt.Sprintf("%d of the deployment before still to stop", n)
	}
	if a := r.own.Alarms; a != nil && a.Status == types.ServiceDeploymentRollbackMonitorsStatusMonitoring && len(a.AlarmNames) > 0 {
		return fmt.Sprintf("ECS watches %s %s before it calls the deployment completed", plural(len(a.AlarmNames), "alarm"), strings.Join(a.AlarmNames, ", "))
	}
	return "waiting for ECS to call the deployment completed"
}

func counts(d types.Deployment) string {
	return fmt.Sprintf("%d/%d running", d.RunningCount, d.DesiredCount)
}

// since is how long a task has been in its stage, by AWS's clock.
func (r *run) since(t types.Task, now time.Time) string {
	from := t.CreatedAt
	if t.StartedAt != nil {
		from = t.StartedAt
	}
	if from == nil {
		return "some time"
	}
	return roughly(max(0, r.clock.at(now).Sub(*from)))
}

// doing is what a task that does not serve yet is busy with, from its
// timestamps (Task lifecycle, ECS Developer Guide).
func doing(t types.Task) string {
	switch {
	case t.StartedAt != nil && t.HealthStatus == types.HealthStatusUnhealthy:
		return "failing its health check"
	case t.StartedAt != nil:
		return "running"
	case t.PullStoppedAt != nil:
		return "image pulled, starting containers"
	case t.PullStartedAt != nil:
		return "pulling image"
	case str(t.LastStatus) == "PROVISIONING":
		return "waiting for capacity or a network interface"
	}
	return "waiting to be started on its host"
}
