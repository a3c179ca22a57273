package scheduler

import (
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// An ActionKind says what is to be done with a task.
type ActionKind int

const (
	// Prepare: resolve images and settings, then tell Prepared or
	// CannotPrepare.
	Prepare ActionKind = iota + 1
	// Run: hand the task to the runtime and tell its events by Apply.
	Run
	// Stop: ask the runtime to stop it, and forget what was prepared.
	Stop
	// Register and Deregister: put it into its target groups or take it out of
	// them, then tell Registered or Deregistered.
	Register
	Deregister
)

// An Action is something that the caller of a step must do, in order.
type Action struct {
	Kind ActionKind
	Task *Task
}

// Advance moves a task on as far as time and facts allow, and returns the
// actions that this takes and when it wants to be called again (zero: when a
// fact comes).
func (t *Task) Advance(env Env) ([]Action, time.Time) {
	var acts []Action
	for t.advanceOnce(env, func(k ActionKind) { acts = append(acts, Action{k, t}) }) {
		t.Version++
	}
	return acts, t.wake(env)
}

func (t *Task) advanceOnce(env Env, act func(ActionKind)) bool {
	due := !env.Now.Before(t.due)
	switch {
	case t.Status == Provisioning && due:
		t.Status, t.launch = Pending, preparing
		act(Prepare)
	case t.Live() && t.launch == prepared:
		t.launch = launched
		act(Run)
	case t.Live() && t.startFailed != "" && due:
		t.failStart(t.failedAt, t.startFailed, env.Now)
	case t.Status == Running && t.Live() && len(t.Targets) > 0 && !t.registered:
		t.registered = true
		act(Register)
	case t.Status == Running && t.HealthySince.IsZero() && t.looksHealthy(env):
		t.HealthySince = env.Now
	default:
		return t.advanceStop(env, act)
	}
	return true
}

// advanceStop moves a task on that is being stopped.
func (t *Task) advanceStop(env Env, act func(ActionKind)) bool {
	switch {
	case !t.Live() && t.registered && !t.deregistered:
		t.deregistered = true
		act(Deregister)
	case t.Status == Deactivating && !t.draining() && !env.Now.Before(t.Stopping.Add(env.Pace.Deactivate)):
		t.Status = Stopping
	case t.Status >= Stopping && t.launch < launched:
		if t.launch == prepared {
			act(Stop) // whoever keeps what was prepared can forget it
		}
		t.launch = gone // it never got so far that the runtime knew it
	case t.Status == Stopping && t.launch == launched && !t.stopSent:
		t.stopSent = true
		act(Stop)
	case t.Status >= Deactivating && t.Status < Deprovisioning && t.launch == gone:
		t.Status = Deprovisioning
		if t.ExecutionStopped.IsZero() {
			t.ExecutionStopped = env.Now
		}
		if t.due = env.Now; t.ENI {
			t.due = env.Now.Add(env.Pace.Deprovision)
		}
	case t.Status == Deprovisioning && !env.Now.Before(t.due):
		t.Status, t.StoppedAt = Stopped, env.Now
	default:
		return false
	}
	return true
}

// looksHealthy applies ECS's rules: with health checks, of a container or of
// target groups, all of these; without any, 40 seconds in RUNNING.
func (t *Task) looksHealthy(env Env) bool {
	if t.hasChecks() || len(t.Targets) > 0 {
		return t.servedByAll() && (!t.hasChecks() || t.Health() == task.Healthy)
	}
	return t.restored || !env.Now.Before(t.Started.Add(env.Pace.Healthy))
}

// wake returns when time alone will change the task.
func (t *Task) wake(env Env) time.Time {
	switch {
	case t.Status == Provisioning, t.Status == Deprovisioning, t.Live() && t.startFailed != "":
		return t.due
	case t.Status == Running && t.HealthySince.IsZero() && !t.hasChecks() && len(t.Targets) == 0:
		return t.Started.Add(env.Pace.Healthy)
	case t.Status == Deactivating:
		return t.Stopping.Add(env.Pace.Deactivate)
	case t.Status == Stopped:
		return t.StoppedAt.Add(Retention)
	}
	return time.Time{}
}

// Expired reports whether a stopped task is no longer told about.
func (t *Task) Expired(now time.Time) bool {
	return t.Status == Stopped && !now.Before(t.StoppedAt.Add(Retention))
}
