package scheduler

import (
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// reasonEssentialExited is the stoppedReason of a task whose essential
// container ended.
const reasonEssentialExited = "Essential container in task exited"

// Prepared tells that the task can be started. digests are those of the
// containers' images, by container name.
func (t *Task) Prepared(digests map[string]string) {
	if t.launch != preparing || !t.Live() {
		return
	}
	t.launch = prepared
	t.Version++
	for i := range t.Containers {
		t.Containers[i].Digest = digests[t.Containers[i].Name]
	}
}

// CannotPrepare tells that the task will not start, and why, in the words of
// ECS. A failed pull is repeated by ECS for a while before the task fails.
func (t *Task) CannotPrepare(container, reason string, pull bool, env Env) {
	if t.launch != preparing || !t.Live() {
		return
	}
	t.launch = gone
	t.Version++
	t.startFailed, t.failedAt = reason, container
	t.due = env.Now
	if pull {
		t.Status, t.PullStarted = Activating, env.Now
		t.due = env.Now.Add(env.Pace.PullRetries)
	}
}

// StopByUser tells that a user asked for the end of the task.
func (t *Task) StopByUser(reason string, now time.Time) {
	if reason == "" {
		reason = "Task stopped by user"
	}
	t.stop(StopUser, reason, now)
}

// Interrupted tells that Fargate Spot takes the task's capacity back. The task
// gets its stop signal and its stop timeout (Fargate Spot termination notices).
func (t *Task) Interrupted(now time.Time) {
	t.stop(StopSpot, "Your Spot Task was interrupted.", now)
}

// LoseHost tells that what the task ran on is gone, and everything with it.
func (t *Task) LoseHost(code, reason string, now time.Time) {
	t.lost = t.Live() || t.lost
	t.stop(code, reason, now)
}

// Apply tells what the runtime reported. A report that does not fit the state
// any more is ignored.
func (t *Task) Apply(e task.Event, now time.Time) {
	if t.launch != launched {
		return
	}
	t.Version++
	switch e.Kind {
	case task.PullStarted:
		t.PullStarted = now
		t.activate()
	case task.PullStopped:
		t.PullStopped = now
	case task.ContainerStarted:
		t.containerStarted(e, now)
	case task.ContainerRestarted:
		if c := t.container(e.Container); c != nil {
			c.Restarts++
			c.Health, c.StartedAt = task.Unknown, now
		}
	case task.ContainerHealth:
		if c := t.container(e.Container); c != nil && c.Checked {
			c.Health = e.Health
		}
	case task.ContainerExited:
		t.containerExited(e, now)
	case task.StartFailed:
		t.failStart(e.Container, e.Reason, now)
	case task.Ended:
		t.ended(now)
	}
}

func (t *Task) activate() {
	if t.Status == Pending {
		t.Status = Activating
	}
}

func (t *Task) containerStarted(e task.Event, now time.Time) {
	c := t.container(e.Container)
	if c == nil {
		return
	}
	c.Started, c.Address, c.RuntimeID = true, e.Address, e.RuntimeID
	c.Ports, c.StartedAt = e.Ports, now
	t.activate()
	for _, c := range t.Containers {
		if !c.Started {
			return
		}
	}
	if t.Live() && t.Status < Running {
		t.Status, t.Started = Running, now
	}
}

func (t *Task) containerExited(e task.Event, now time.Time) {
	c := t.container(e.Container)
	if c == nil || c.Exited {
		return
	}
	c.Exited, c.EndedAt = true, now
	if t.lost {
		return
	}
	c.ExitCode = e.ExitCode
	if c.Reason == "" {
		c.Reason = e.Reason
	}
	if !c.Essential || !t.Live() {
		return
	}
	// A task whose essential container ended before all had started never
	// reached RUNNING, but ECS gives it the same stop code.
	if t.fail(Crashed); t.Started.IsZero() {
		t.failure = FailedToStart
	}
	t.stop(StopEssentialExited, reasonEssentialExited, now)
}

// failStart ends a task that could not start. On Fargate the reason is the
// task's, on container instances the container's.
func (t *Task) failStart(container, reason string, now time.Time) {
	if !t.Live() {
		return
	}
	t.fail(FailedToStart)
	if t.Fargate {
		t.stop(StopFailedToStart, reason, now)
		return
	}
	if c := t.container(container); c != nil {
		c.Reason = reason
	} else if len(t.Containers) > 0 {
		t.Containers[0].Reason = reason
	}
	t.stop(StopFailedToStart, "Task failed to start", now)
}

func (t *Task) fail(f Failure) {
	if t.failure == NoFailure {
		t.failure = f
	}
}

// ended tells that the runtime has nothing of the task left. A runtime that
// lost a task without a word (its engine went away) leaves a failed one.
func (t *Task) ended(now time.Time) {
	if t.Live() {
		if t.Started.IsZero() {
			t.failStart("", "CannotStartContainerError: the container runtime ended the task", now)
		} else {
			t.fail(Crashed)
			t.stop(StopEssentialExited, reasonEssentialExited, now)
		}
	}
	t.launch = gone
	if t.ExecutionStopped.IsZero() {
		t.ExecutionStopped = now
	}
}
