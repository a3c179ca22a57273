package scheduler

import "time"

// What is said of a task whose host is gone: on an instance, of which none is named
// here, and on Fargate.
const (
	StopTermination      = "TerminationNotice"
	reasonTermination    = "Host EC2 (instance i-00000000000000000) terminated."
	ReasonInfrastructure = "The task was stopped because of a failure of the underlying infrastructure."
)

// Resume tells that everything has ended which ran, with the host that it ran on,
// and starts it anew: as many tasks of each deployment as were RUNNING, which are not
// provisioned again, and not waited for where they were healthy. What had not
// reached RUNNING is started by the next steps. It counts for no failure.
func (s *Service) Resume(env Env) {
	type count struct{ running, healthy int }
	were := make(map[string]count)
	for _, t := range s.Tasks {
		n := were[t.Deployment]
		if t.Live() && t.Status == Running {
			n.running++
		}
		if t.Healthy() {
			n.healthy++
		}
		were[t.Deployment] = n
		t.Lose(env.Now)
	}
	for _, d := range s.Deployments {
		n := were[d.ID]
		for i := range n.running {
			t := NewTask(env.NewTaskID(), d.ID, d.Template, env)
			t.restored, t.due = i < n.healthy, env.Now
			t.Exec, t.Provider = s.Exec, s.provider(d)
			s.Tasks = append(s.Tasks, t)
		}
	}
	if c := s.course(); c != nil {
		for _, r := range c.Runs {
			r.Called = false // whoever was called will not be heard
		}
	}
	s.steady = false
}

// Resuming reports whether tasks that served do not yet run again.
func (s *Service) Resuming() bool {
	return s.count(nil, func(t *Task) bool { return t.restored && t.Live() && t.Status < Running }) > 0
}

// Lose tells that the task's host is gone, with its containers.
func (t *Task) Lose(now time.Time) {
	if t.Status == Stopped {
		return
	}
	code, reason := StopTermination, reasonTermination
	if t.Fargate {
		code, reason = StopInfrastructure, ReasonInfrastructure
	}
	t.stop(code, reason, now)
	t.Status, t.StoppedAt = Stopped, now
	if t.ExecutionStopped.IsZero() {
		t.ExecutionStopped = now
	}
	t.launch = gone
	for i := range t.Containers {
		t.Containers[i].Exited = t.Containers[i].Exited || t.Containers[i].Started
	}
	t.Version++
}
