package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Step moves the service on as far as facts and time allow. It returns the
// actions to take, in order, and when it wants to be called again (zero: when
// a fact comes).
func (s *Service) Step(env Env) ([]Action, time.Time) {
	var acts []Action
	s.Tasks = slices.DeleteFunc(s.Tasks, func(t *Task) bool { return t.Expired(env.Now) })
	s.advanceServiceDeployments(env)
	acts = s.advanceTasks(env, acts)
	s.tellTargets(env)
	s.judge(env)
	s.checkBreaker(env)
	s.checkAlarms(env)
	s.advanceCourse(env)
	for again := true; again; again = s.advanceCourse(env) {
		s.place(env)
		acts = s.advanceTasks(env, acts)
		s.checkCompleted(env)
	}
	return acts, s.wake(env)
}

func (s *Service) advanceTasks(env Env, acts []Action) []Action {
	for _, t := range s.Tasks {
		more, _ := t.Advance(env)
		acts = append(acts, more...)
	}
	return acts
}

// wake is the earliest time at which time alone changes something.
func (s *Service) wake(env Env) time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if t.After(env.Now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, t := range s.Tasks {
		earlier(t.wake(env))
		if t.Live() && !t.Started.IsZero() && t.Health() == task.Unhealthy {
			earlier(t.Started.Add(s.Grace))
		}
		s.wakeTargets(t, earlier)
	}
	if p := s.Primary(); p != nil {
		earlier(p.throttle.until)
		earlier(p.nextTry)
		for _, h := range p.holds {
			earlier(h)
		}
	}
	if s.steady {
		earlier(s.steadyAt.Add(env.Pace.Steady))
	}
	s.wakeServiceDeployments(env, earlier)
	s.wakeCourse(env, earlier)
	s.wakeAlarms(env, earlier)
	return at
}

// judge looks at every task once when it becomes healthy and once when it
// fails, and ends the unhealthy ones.
func (s *Service) judge(env Env) {
	for _, t := range s.Tasks {
		s.judgeHealth(t, env)
		s.judgeTargets(t, env)
		if t.failure != NoFailure && !t.judged {
			t.judged = true
			s.judgeFailure(t, env)
		}
	}
}

func (s *Service) judgeHealth(t *Task, env Env) {
	d := s.deployment(t.Deployment)
	if d != nil && !t.Started.IsZero() && !t.sawRunning {
		t.sawRunning = true
		d.throttle = throttle{}
	}
	if d != nil && t.Healthy() && !t.sawHealthy {
		t.sawHealthy = true
		if !s.Breaker.KeepCount {
			d.FailedTasks = 0
		}
	}
	if t.Live() && t.Health() == task.Unhealthy && !t.Started.IsZero() && !env.Now.Before(t.Started.Add(s.Grace)) {
		t.fail(FailedHealth)
		s.say(env, fmt.Sprintf("(task %s) failed container health checks.", t.ID))
		t.stop(StopScheduler, "Task failed container health checks", env.Now)
	}
}

// judgeFailure counts a failed task against its deployment and slows down the
// start of its successor.
func (s *Service) judgeFailure(t *Task, env Env) {
	d := s.deployment(t.Deployment)
	if d == nil {
		return
	}
	if t.failure != Crashed || env.CrashesCount {
		d.FailedTasks++
		d.Updated = env.Now
	}
	switch t.failure {
	case Crashed:
		d.holds = append(d.holds, t.Created.Add(env.Pace.CrashPace))
	case FailedToStart:
		if t.Fargate && t.StopCode == StopFailedToStart {
			s.say(env, fmt.Sprintf("was unable to place a task. Reason: %s.", t.StopReason))
		}
		s.slowDown(d, t, env)
	}
}

// slowDown applies ECS's service throttle logic. Tasks of one round, started
// before the last failure was seen, count once.
func (s *Service) slowDown(d *Deployment, t *Task, env Env) {
	if t.Created.Before(d.throttle.since) {
		return
	}
	d.throttle.round++
	d.throttle.since = env.Now
	pause := env.Pace.Throttle(d.throttle.round)
	d.throttle.until = env.Now.Add(pause)
	if pause > 0 && d == s.Primary() {
		s.say(env, "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	}
}
