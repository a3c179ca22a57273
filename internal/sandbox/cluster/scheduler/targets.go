package scheduler

import (
	"fmt"
	"slices"
	"time"
)

// States of a target that matter here (TargetHealthStateEnum of ELBv2).
const (
	TargetHealthy   = "healthy"
	TargetUnhealthy = "unhealthy"
	TargetDraining  = "draining"
	TargetUnused    = "unused"
)

// A TargetTemplate is a target group in which the tasks of a revision are
// registered, with one port of one container.
type TargetTemplate struct {
	Group     string // ARN
	Container string
	Port      int // of the container
}

// A Target is a task's place in a target group.
type Target struct {
	TargetTemplate
	State string // as the target group says; empty until the task is registered
	Why   string // what it says of a target that is not healthy
	Error string // why the task could not be registered or deregistered

	told bool // the present half of its life has been announced
}

// Registered tells that the task was registered in a target group, or could not
// be, and why.
func (t *Task) Registered(group, err string) {
	t.eachTarget(group, func(g *Target) {
		g.State, g.Error, g.told = "initial", err, false
		if err != "" {
			g.State = TargetUnused
		}
	})
}

// Deregistered tells that the target group drains the task, or could not be told
// to, and why.
func (t *Task) Deregistered(group, err string) {
	t.eachTarget(group, func(g *Target) {
		g.State, g.Error, g.told = TargetDraining, err, false
		if err != "" {
			g.State = TargetUnused
		}
	})
}

// TargetHealth tells what a target group says of the task. What it said before
// it was told to drain the task does not count any more.
func (t *Task) TargetHealth(group, state, why string) {
	t.eachTarget(group, func(g *Target) {
		if g.State != "" && (!t.deregistered || state == TargetUnused || state == TargetDraining) {
			g.State, g.Why = state, why
		}
	})
}

func (t *Task) eachTarget(group string, do func(*Target)) {
	for i := range t.Targets {
		if t.Targets[i].Group == group {
			do(&t.Targets[i])
			t.Version++
		}
	}
}

// servedByAll reports whether every target group sends the task traffic.
func (t *Task) servedByAll() bool {
	return !slices.ContainsFunc(t.Targets, func(g Target) bool { return g.State != TargetHealthy })
}

// draining reports whether a target group may still send the task traffic, or
// waits for what it sent.
func (t *Task) draining() bool {
	return t.registered && slices.ContainsFunc(t.Targets, func(g Target) bool { return g.State != TargetUnused })
}

// unhealthyTarget is the first target that its target group calls unhealthy, or
// nil.
func (t *Task) unhealthyTarget() *Target {
	if i := slices.IndexFunc(t.Targets, func(g Target) bool { return g.State == TargetUnhealthy }); i >= 0 {
		return &t.Targets[i]
	}
	return nil
}

// judgeTargets ends a task that a target group calls unhealthy, once the grace
// period is over.
func (s *Service) judgeTargets(t *Task, env Env) {
	g := t.unhealthyTarget()
	if g == nil || !t.Live() || t.Started.IsZero() || env.Now.Before(t.Started.Add(s.Grace)) {
		return
	}
	t.fail(FailedHealth)
	s.say(env, fmt.Sprintf("(task %s) (port %d) is unhealthy in (target-group %s) due to (reason %s)", t.ID, g.Port, g.Group, g.Why))
	t.stop(StopScheduler, fmt.Sprintf("Task failed ELB health checks in (target-group %s)", g.Group), env.Now)
}

// wakeTargets wakes up when a grace period ends.
func (s *Service) wakeTargets(t *Task, wake func(time.Time)) {
	if t.Live() && !t.Started.IsZero() && t.unhealthyTarget() != nil {
		wake(t.Started.Add(s.Grace))
	}
}

// tellTargets announces registrations and deregistrations, those of one moment
// together.
func (s *Service) tellTargets(env Env) {
	come, gone := make(map[string]int), make(map[string]int)
	var order []string             // of target groups
	drains := make(map[string]int) // by deployment
	for _, t := range s.Tasks {
		drained := false
		for i := range t.Targets {
			g := &t.Targets[i]
			if g.State == "" || g.told {
				continue
			}
			g.told = true
			if g.Error != "" {
				s.sayTargetError(t, g, env)
				continue
			}
			if !slices.Contains(order, g.Group) {
				order = append(order, g.Group)
			}
			if t.deregistered {
				gone[g.Group]++
				drained = true
			} else {
				come[g.Group]++
			}
		}
		if drained {
			drains[t.Deployment]++
		}
	}
	for _, group := range order {
		if n := come[group]; n > 0 {
			s.say(env, fmt.Sprintf("registered %d targets in (target-group %s)", n, group))
		}
		if n := gone[group]; n > 0 {
			s.say(env, fmt.Sprintf("deregistered %d targets in (target-group %s)", n, group))
		}
	}
	for _, d := range s.Deployments {
		if n := drains[d.ID]; n > 0 {
			s.announce(env, fmt.Sprintf("(service %s, taskSet %s) has begun draining connections on %d tasks.", s.Name, d.ID, n))
		}
	}
}

func (s *Service) sayTargetError(t *Task, g *Target, env Env) {
	what := "register"
	if t.deregistered {
		what = "deregister"
	}
	s.say(env, fmt.Sprintf("failed to %s targets in (target-group %s) with (error %s)", what, g.Group, g.Error))
}
