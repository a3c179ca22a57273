package scheduler

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

func TestService_RequestRollback(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.serve()
	before := len(m.s.Events)
	sd := m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	m.run(20 * time.Second)
	if err := m.s.RequestRollback(sd, m.at()); err != nil {
		t.Fatalf("RequestRollback: %v", err)
	}
	m.wantStatus(sd, SDRollbackRequested)
	m.run(4 * time.Second)
	m.wantStatus(sd, SDRollbackRequested)
	if got := m.s.Primary().ID; got != "b" {
		t.Errorf("PRIMARY is %s before the rollback begins, want b", got)
	}
	m.run(10 * time.Minute)
	m.want("a COMPLETED 1/1")
	m.wantStatus(sd, SDRollbackSuccessful)
	if sd.BreakerFired || sd.Rollback == nil || sd.Rollback.Revision != "rev-a" {
		t.Errorf("service deployment is %+v, want a rollback to rev-a without the breaker", sd)
	}
	m.wantEvents(before,
		"has started 1 tasks: (task t2).",
		"rolling back to deployment a.",
		"(deployment a) deployment completed.",
		"has reached a steady state.")
	if err := m.s.RequestRollback(sd, m.at()); !errors.Is(err, ErrEnded) {
		t.Errorf("RequestRollback of one that has ended: %v, want ErrEnded", err)
	}
}

func TestService_RequestRollback_of_the_first_deployment(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	sd := m.deploy("a", behaviour{crash: true})
	m.run(time.Minute)
	if err := m.s.RequestRollback(sd, m.at()); !errors.Is(err, ErrNoTarget) {
		t.Errorf("RequestRollback: %v, want ErrNoTarget", err)
	}
}

func TestService_RequestRollback_holds_completion_back(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.serve()
	sd := m.deploy("b", behaviour{})
	m.run(54 * time.Second) // one second before it is healthy
	if err := m.s.RequestRollback(sd, m.at()); err != nil {
		t.Fatalf("RequestRollback: %v", err)
	}
	m.run(10 * time.Minute)
	m.want("a COMPLETED 1/1")
	m.wantStatus(sd, SDRollbackSuccessful)
}

func TestService_Deploy_replaces_one_in_progress(t *testing.T) {
	m := newSim(t, 2, usual, breaker)
	m.serve()
	second := m.deploy("b", behaviour{crash: true})
	m.run(30 * time.Second)
	third := m.deploy("c", behaviour{})
	m.wantStatus(second, SDStopRequested)
	if !slices.Equal(third.Sources, []string{"rev-b", "rev-a"}) {
		t.Errorf("source revisions are %v", third.Sources)
	}
	m.run(6 * time.Second)
	m.wantStatus(second, SDStopped)
	m.run(5 * time.Minute)
	m.want("c COMPLETED 2/2")
	m.wantStatus(third, SDSuccessful)
}

func TestStep_follows_the_desired_count(t *testing.T) {
	m := newSim(t, 2, usual, Breaker{})
	m.serve()
	m.s.Desired = 4
	m.run(time.Minute)
	m.want("a COMPLETED 4/4")
	m.s.Desired = 1
	m.run(time.Minute)
	m.want("a COMPLETED 1/1")
	m.s.Desired = 0
	m.run(time.Minute)
	m.want("a COMPLETED 0/0")
	m.wantEvents(0,
		"has started 2 tasks: (task t1) (task t2).",
		"(deployment a) deployment completed.",
		"has reached a steady state.",
		"has started 2 tasks: (task t3) (task t4).",
		"has reached a steady state.",
		"has stopped 3 running tasks: (task t4) (task t3) (task t2).",
		"has reached a steady state.",
		"has stopped 1 running tasks: (task t1).",
		"has reached a steady state.")
}

func TestStep_scales_during_a_deployment(t *testing.T) {
	m := newSim(t, 2, usual, Breaker{})
	m.serve()
	m.deploy("b", behaviour{})
	m.run(20 * time.Second)
	m.s.Desired = 5
	m.run(10 * time.Minute)
	m.want("b COMPLETED 5/5")

	m.deploy("c", behaviour{})
	m.run(20 * time.Second)
	m.s.Desired = 1
	m.run(10 * time.Minute)
	m.want("c COMPLETED 1/1")
}

func TestStep_replaces_tasks_that_die(t *testing.T) {
	m := newSim(t, 2, usual, breaker)
	m.serve()
	before := len(m.s.Events)
	m.exit(m.s.Tasks[0], 1)
	m.run(5 * time.Minute)
	m.want("a COMPLETED 2/2")
	m.wantEvents(before, "has started 1 tasks: (task t3).", "has reached a steady state.")

	before = len(m.s.Events)
	m.s.Tasks[1].StopByUser("", m.now)
	m.run(5 * time.Minute)
	m.want("a COMPLETED 2/2")
	m.wantEvents(before, "has started 1 tasks: (task t4).", "has reached a steady state.")
	if got := m.s.Tasks[1]; got.StopCode != StopUser || got.StopReason != "Task stopped by user" {
		t.Errorf("task t2 was stopped with %s, %q", got.StopCode, got.StopReason)
	}
}

func TestStep_replaces_unhealthy_tasks(t *testing.T) {
	m := newSim(t, 1, usual, breaker)
	m.serve()
	before := len(m.s.Events)
	m.s.Grace = time.Minute
	m.deploy("b", behaviour{unhealthy: true, healthAt: 30 * time.Second})
	m.run(74 * time.Second)
	m.want("b IN_PROGRESS 1/1, a COMPLETED 1/1") // unhealthy for 29 s, within the grace period
	m.run(time.Second)
	m.want("b IN_PROGRESS 0/1 f1, a COMPLETED 1/1")
	m.run(5 * time.Minute)
	m.want("a COMPLETED 1/1")
	m.wantEvents(before,
		"has started 1 tasks: (task t2).",
		"(task t2) failed container health checks.",
		"has started 1 tasks: (task t3). Amazon ECS replaced 1 tasks due to an unhealthy status.",
		"(task t3) failed container health checks.",
		"has started 1 tasks: (task t4). Amazon ECS replaced 1 tasks due to an unhealthy status.",
		"(task t4) failed container health checks.",
		"(deployment b) deployment failed: tasks failed to start.",
		"rolling back to deployment a.",
		"(deployment a) deployment completed.",
		"has reached a steady state.")
	if got := m.s.Task("t2"); got.StopCode != StopScheduler || got.StopReason != "Task failed container health checks" {
		t.Errorf("task t2 was stopped with %s, %q", got.StopCode, got.StopReason)
	}
}

func TestStep_health_check_decides_when_there_is_one(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.deploy("a", behaviour{healthy: true, healthAt: 5 * time.Second})
	m.run(20 * time.Second)
	m.want("a COMPLETED 1/1")
	m.deploy("b", behaviour{healthy: true, healthAt: 3 * time.Minute})
	m.run(3 * time.Minute)
	m.want("b IN_PROGRESS 1/1, a COMPLETED 1/1")
	m.run(time.Minute)
	m.want("b COMPLETED 1/1")
}

func TestStep_forgets_stopped_tasks_after_an_hour(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.serve()
	m.exit(m.s.Tasks[0], 1)
	m.run(10 * time.Minute)
	dead := m.s.Task("t1")
	if dead == nil || dead.Status != Stopped {
		t.Fatalf("task t1 is %+v, want it STOPPED", dead)
	}
	m.run(dead.StoppedAt.Add(Retention).Sub(m.now) - time.Second)
	if m.s.Task("t1") == nil {
		t.Error("task t1 is forgotten before an hour is over")
	}
	m.run(2 * time.Second)
	if m.s.Task("t1") != nil {
		t.Error("task t1 is told about after an hour")
	}
}

func TestStep_keeps_a_hundred_events(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.deploy("a", behaviour{crash: true})
	m.run(51 * 150 * time.Second)
	if got := len(m.s.Events); got != 100 {
		t.Errorf("%d events are kept, want 100", got)
	}
}

func TestStep_drains_a_deleted_service(t *testing.T) {
	m := newSim(t, 3, usual, Breaker{})
	m.serve()
	m.s.Desired, m.s.Draining = 0, true
	m.run(time.Minute)
	for _, task := range m.s.Tasks {
		if task.Status != Stopped {
			t.Errorf("task %s is %s, want STOPPED", task.ID, task.Status)
		}
	}
}

func TestTask_goes_through_all_statuses(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.deploy("a", behaviour{stopTakes: 10 * time.Second})
	seen := []string{}
	see := func() {
		if s := m.s.Tasks[0].Status.String(); len(seen) == 0 || seen[len(seen)-1] != s {
			seen = append(seen, s)
		}
	}
	step := func() {
		acts, _ := m.s.Step(m.at())
		see()
		for _, a := range acts {
			if a.Kind == Run {
				a.Task.Apply(task.Event{Kind: task.PullStarted}, m.now)
				see()
			}
			m.act(a)
			see()
		}
		m.fire()
		see()
	}
	for range 200 {
		if m.now = m.now.Add(time.Second); m.now.Sub(m.began) == 100*time.Second {
			m.s.Desired = 0
		}
		step()
	}
	want := []string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"}
	if !slices.Equal(seen, want) {
		t.Errorf("statuses are %v, want %v", seen, want)
	}
	got := m.s.Tasks[0]
	for i, at := range []time.Time{got.Created, got.PullStarted, got.Started, got.Stopping, got.ExecutionStopped, got.StoppedAt} {
		if at.IsZero() {
			t.Errorf("timestamp %d is missing", i)
		}
	}
}
