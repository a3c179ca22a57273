package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// place starts tasks of the PRIMARY deployment and stops those that are too
// many, as far as the limits allow.
func (s *Service) place(env Env) {
	p := s.Primary()
	if s.Draining || p == nil {
		s.stopAll(env)
		return
	}
	if c := s.course(); c != nil && s.placeFleets(c, env) {
		return
	}
	p.holds = slices.DeleteFunc(p.holds, func(until time.Time) bool { return !env.Now.Before(until) })
	for {
		started := s.start(p, env)
		stopped := s.stopSurplus(p, env)
		if !started && !stopped {
			break
		}
	}
	s.sayBlocked(p, env)
}

func (s *Service) need(p *Deployment) int {
	if p.Rollout == Failed {
		return 0
	}
	return s.Desired - s.live(p)
}

func (s *Service) room() int { return s.Limits.MaxRunning(s.Desired) - s.live(nil) }

// start begins as many tasks of p as are missing and allowed.
func (s *Service) start(p *Deployment, env Env) bool {
	if env.Now.Before(p.throttle.until) {
		return false
	}
	n := min(s.need(p)-len(p.holds), s.room())
	if n <= 0 {
		return false
	}
	return s.begin(p, n, env)
}

// begin starts n tasks of p, or as many of them as there is room for. It reports
// whether there was one.
func (s *Service) begin(p *Deployment, n int, env Env) bool {
	if n = s.placeable(p, n, env); n <= 0 {
		return false
	}
	unhealthy := s.replacedUnhealthy(p)
	var ids []string
	for range n {
		t := NewTask(env.NewTaskID(), p.ID, p.Template, env)
		t.Exec, t.Provider = s.Exec, s.provider(p)
		if p.Restored {
			t.restored, t.due = true, env.Now
		}
		s.Tasks = append(s.Tasks, t)
		ids = append(ids, t.ID)
	}
	text := fmt.Sprintf("has started %d tasks: %s.", n, taskList(ids))
	if unhealthy = min(unhealthy, n); unhealthy > 0 {
		text += fmt.Sprintf(" Amazon ECS replaced %d tasks due to an unhealthy status.", unhealthy)
	}
	s.say(env, text)
	s.steady, p.blocked = false, false
	return true
}

// replacedUnhealthy counts p's unhealthy tasks that have no successor yet,
// and marks them as replaced.
func (s *Service) replacedUnhealthy(p *Deployment) int {
	n := 0
	for _, t := range s.Tasks {
		if t.Deployment == p.ID && t.failure == FailedHealth && !t.replaced {
			t.replaced = true
			n++
		}
	}
	return n
}

// stopSurplus stops tasks of replaced deployments as far as enough healthy
// tasks remain, and tasks of p beyond the desired count.
func (s *Service) stopSurplus(p *Deployment, env Env) bool {
	var chosen []*Task
	if p.Rollout != Failed {
		chosen = s.replaceable(p)
	}
	if extra := s.live(p) - s.Desired; extra > 0 {
		chosen = append(chosen, s.newest(p, extra)...)
	}
	s.stopTasks(chosen, p, env)
	return len(chosen) > 0
}

// replaceable picks the tasks of replaced deployments that may be stopped: all
// that do not run yet, and the others while the healthy tasks that remain
// reach the minimum.
func (s *Service) replaceable(p *Deployment) []*Task {
	old := s.liveTasks(func(t *Task) bool { return t.Deployment != p.ID })
	slices.SortStableFunc(old, func(a, b *Task) int { return cmp.Compare(rank(a), rank(b)) })
	spare := s.healthy(nil) - s.Limits.MinHealthy(s.Desired)
	var chosen []*Task
	for _, t := range old {
		switch {
		case t.Status < Running && t.restored:
			continue // it served, and is about to
		case t.Status < Running:
		case t.Healthy() && spare > 0:
			spare--
		case !t.Healthy() && spare >= 0:
		default:
			continue
		}
		chosen = append(chosen, t)
	}
	return chosen
}

// newest picks n tasks of p: those that serve least come first.
func (s *Service) newest(p *Deployment, n int) []*Task {
	own := s.liveTasks(func(t *Task) bool { return t.Deployment == p.ID })
	slices.Reverse(own)
	slices.SortStableFunc(own, func(a, b *Task) int { return cmp.Compare(rank(a), rank(b)) })
	return own[:n]
}

// rank orders tasks by how little they serve.
func rank(t *Task) int {
	switch {
	case t.Status < Running:
		return 0
	case !t.Healthy():
		return 1
	}
	return 2
}

func (s *Service) liveTasks(which func(*Task) bool) []*Task {
	var tasks []*Task
	for _, t := range s.Tasks {
		if t.Live() && which(t) {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// stopAll ends the tasks of a service that is being deleted.
func (s *Service) stopAll(env Env) {
	s.stopTasks(s.liveTasks(func(*Task) bool { return true }), s.Primary(), env)
}

func (s *Service) stopTasks(tasks []*Task, by *Deployment, env Env) {
	if len(tasks) == 0 {
		return
	}
	reason := "Scaling activity initiated by"
	if by != nil {
		reason += fmt.Sprintf(" (deployment %s)", by.ID)
	}
	var running []string
	pending := 0
	for _, t := range tasks {
		if t.Status == Running {
			running = append(running, t.ID)
		} else {
			pending++
		}
		t.stop(StopScheduler, reason, env.Now)
	}
	if pending > 0 {
		s.say(env, fmt.Sprintf("stopped %d pending tasks.", pending))
	}
	if len(running) > 0 {
		s.say(env, fmt.Sprintf("has stopped %d running tasks: %s.", len(running), taskList(running)))
	}
	s.steady = false
	if by != nil {
		by.blocked = false
	}
}

// sayBlocked tells, once, that minimum and maximum leave no way to go on.
func (s *Service) sayBlocked(p *Deployment, env Env) {
	stuck := s.need(p) > len(p.holds) && s.room() <= 0 && s.live(p) == s.healthy(p) &&
		s.count(nil, func(t *Task) bool { return t.Status >= Deactivating && t.Status < Deprovisioning }) == 0
	switch {
	case !stuck:
		p.blocked = false
	case !p.blocked:
		p.blocked = true
		s.say(env, "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.")
	}
}

// taskList writes ids as service events do: (task A) (task B).
func taskList(ids []string) string {
	return "(task " + strings.Join(ids, ") (task ") + ")"
}
