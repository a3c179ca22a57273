package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	usual   = Limits{MinimumHealthyPercent: 100, MaximumPercent: 200}
	breaker = Breaker{Enable: true, Rollback: true}
)

func TestStep_replaces_a_deployment(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	first := m.deploy("a", behaviour{})
	m.run(15*time.Second + 39*time.Second)
	m.want("a IN_PROGRESS 1/1") // running, and not healthy for 40 s yet
	m.run(2 * time.Second)
	m.want("a COMPLETED 1/1")
	m.wantStatus(first, SDSuccessful)

	second := m.deploy("b", behaviour{})
	m.wantStatus(second, SDPending)
	m.run(30 * time.Second)
	m.want("b IN_PROGRESS 1/1, a COMPLETED 1/1")
	m.wantStatus(second, SDInProgress)
	m.run(time.Minute)
	m.want("b COMPLETED 1/1")
	m.wantStatus(second, SDSuccessful)
	if got := second.Sources; !slices.Equal(got, []string{"rev-a"}) {
		t.Errorf("source revisions are %v, want [rev-a]", got)
	}
	m.wantEvents(0,
		"has started 1 tasks: (task t1).",
		"(deployment a) deployment completed.",
		"has reached a steady state.",
		"has started 1 tasks: (task t2).",
		"has stopped 1 running tasks: (task t1).",
		"(deployment b) deployment completed.",
		"has reached a steady state.")
	if got := m.s.Tasks[0]; got.StopCode != StopScheduler || got.StopReason != "Scaling activity initiated by (deployment b)" {
		t.Errorf("task t1 was stopped with %s, %q", got.StopCode, got.StopReason)
	}
}

func TestStep_keeps_within_the_limits(t *testing.T) {
	for _, c := range []struct {
		desired      int
		limits       Limits
		most, fewest int
	}{
		{1, Limits{100, 200}, 2, 1},
		{4, Limits{100, 200}, 8, 4},
		{3, Limits{50, 100}, 3, 2},
		{4, Limits{50, 150}, 6, 2},
		{1, Limits{0, 100}, 1, 0},
		{10, Limits{90, 110}, 11, 9},
	} {
		t.Run(fmt.Sprintf("%d with %d/%d", c.desired, c.limits.MinimumHealthyPercent, c.limits.MaximumPercent), func(t *testing.T) {
			m := newSim(t, c.desired, c.limits, Breaker{})
			m.serve()
			m.watch()
			m.deploy("b", behaviour{stopTakes: 10 * time.Second})
			m.run(time.Hour)
			m.want(fmt.Sprintf("b COMPLETED %d/%d", c.desired, c.desired))
			if m.most != c.most || m.fewest != c.fewest {
				t.Errorf("at most %d tasks and at least %d healthy, want %d and %d", m.most, m.fewest, c.most, c.fewest)
			}
		})
	}
}

func TestStep_cannot_progress_with_100_and_100(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.serve()
	m.s.Limits = Limits{100, 100}
	before := len(m.s.Events)
	m.deploy("b", behaviour{})
	m.run(time.Hour)
	m.want("b IN_PROGRESS 0/1, a COMPLETED 1/1")
	m.wantEvents(before, "was unable to stop or start tasks during a deployment because of the service deployment configuration. "+
		"Update the minimumHealthyPercent or maximumPercent value and try again.")

	m.s.Limits = Limits{0, 100}
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
}

func TestStep_breaker_rolls_back_to_the_old_id(t *testing.T) {
	m := newSim(t, 1, usual, breaker)
	m.serve()
	before := len(m.s.Events)
	m.watch()
	second := m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	m.run(150 * time.Second)
	m.want("a COMPLETED 1/1")
	m.wantStatus(second, SDRollbackSuccessful)
	if second.Rollback == nil || second.Rollback.Revision != "rev-a" || !second.BreakerFired || second.Failures != 3 {
		t.Errorf("service deployment is %+v, want a rollback to rev-a after 3 failures", second)
	}
	if m.fewest != 1 {
		t.Errorf("%d tasks were healthy at some time, want 1 at all times", m.fewest)
	}
	m.wantEvents(before,
		"has started 1 tasks: (task t2).",
		"has started 1 tasks: (task t3).",
		"has started 1 tasks: (task t4).",
		"(deployment b) deployment failed: tasks failed to start.",
		"rolling back to deployment a.",
		"(deployment a) deployment completed.",
		"has reached a steady state.")
	// Crashes after RUNNING are not throttled: one task each 51 s.
	if got := m.starts[2].at - m.starts[1].at; got != 51*time.Second {
		t.Errorf("the second task was started %s after the first, want 51s", got)
	}
}

func TestStep_rollback_brings_tasks_back_that_are_gone(t *testing.T) {
	m := newSim(t, 2, Limits{0, 100}, Breaker{Enable: true, Rollback: true, Type: ThresholdCount, Value: 2})
	m.serve()
	m.deploy("b", behaviour{crash: true, crashAfter: 8 * time.Second, stopTakes: time.Second})
	m.run(20 * time.Second)
	a, b := m.s.LastCompleted, m.s.Primary()
	if a.ID != "a" || b.ID != "b" || len(m.s.Deployments) != 1 {
		t.Fatalf("deployments are %s, want b alone", m.state())
	}
	m.run(10 * time.Second)
	m.want("a IN_PROGRESS 0/2")
	if want := "ECS deployment circuit breaker: rolling back to deploymentId a."; a.Reason != want {
		t.Errorf("reason of a is %q, want %q", a.Reason, want)
	}
	if b.Rollout != Failed || b.Reason != "ECS deployment circuit breaker: tasks failed to start." {
		t.Errorf("b is %s, %q", b.Rollout, b.Reason)
	}
	if m.s.LastCompleted != nil {
		t.Error("a deployment is eligible for a rollback while one goes on")
	}
	m.run(5 * time.Minute)
	m.want("a COMPLETED 2/2")
	if m.s.LastCompleted != a {
		t.Error("a is not eligible again after the rollback")
	}
}

func TestStep_breaker_without_a_way_back_stalls(t *testing.T) {
	t.Run("first deployment", func(t *testing.T) {
		m := newSim(t, 1, usual, breaker)
		sd := m.deploy("a", behaviour{crash: true})
		m.run(time.Hour)
		m.want("a FAILED 0/0 f3")
		m.wantStatus(sd, SDRollbackFailed)
		if len(m.starts) != 3 {
			t.Errorf("%d tasks were started, want 3", len(m.starts))
		}
	})
	t.Run("rollback switched off", func(t *testing.T) {
		m := newSim(t, 1, usual, Breaker{Enable: true})
		m.serve()
		sd := m.deploy("b", behaviour{crash: true})
		m.run(time.Hour)
		m.want("b FAILED 0/0 f3, a COMPLETED 1/1")
		m.wantStatus(sd, SDStopped)
	})
	t.Run("deployed while a rollback goes on", func(t *testing.T) {
		m := newSim(t, 1, Limits{0, 100}, breaker) // a's task has gone by then
		m.serve()
		second := m.deploy("b", behaviour{crash: true})
		m.run(20 * time.Second)
		for m.s.Primary().ID != "a" {
			m.run(time.Second)
		}
		m.deploy("c", behaviour{crash: true})
		m.run(time.Hour)
		m.want("c FAILED 0/0 f3")
		m.wantStatus(second, SDStopped)
	})
	t.Run("rollback fails as well", func(t *testing.T) {
		m := newSim(t, 1, Limits{0, 100}, breaker)
		m.serve()
		m.does["a"] = behaviour{crash: true}
		sd := m.deploy("b", behaviour{crash: true})
		m.run(time.Hour)
		m.want("a FAILED 0/0 f3")
		m.wantStatus(sd, SDRollbackFailed)
	})
}

func TestStep_without_breaker_fails_for_ever(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.serve()
	m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	m.run(51 * 20 * time.Second)
	m.want("b IN_PROGRESS 0/1 f20, a COMPLETED 1/1")
	m.run(24 * time.Hour)
	if got := m.s.Primary().Rollout; got != InProgress {
		t.Errorf("b is %s after a day, want IN_PROGRESS", got)
	}
}

func TestStep_crashes_after_RUNNING_need_not_count(t *testing.T) {
	m := newSim(t, 1, usual, breaker)
	m.env.CrashesCount = false
	m.serve()
	m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	m.run(time.Hour)
	if got := m.state(); !strings.HasPrefix(got, "b IN_PROGRESS") || m.s.Primary().FailedTasks != 0 {
		t.Errorf("deployments are %q, want b in progress without failed tasks", got)
	}
}

func TestStep_healthy_tasks_set_the_count_back(t *testing.T) {
	t.Run("count is cumulative", func(t *testing.T) {
		m := newSim(t, 4, Limits{100, 125}, Breaker{Enable: true, Rollback: true, KeepCount: true})
		m.serve()
		m.deploy("b", behaviour{healthy: true, healthAt: 20 * time.Second, crash: true, crashAfter: 25 * time.Second})
		m.run(10 * time.Minute)
		if !m.s.Current().BreakerFired {
			t.Errorf("the breaker did not fire: %s", m.state())
		}
	})
	t.Run("count is of tasks in a row", func(t *testing.T) {
		m := newSim(t, 4, Limits{100, 125}, Breaker{Enable: true, Rollback: true})
		m.serve()
		m.deploy("b", behaviour{healthy: true, healthAt: 20 * time.Second, crash: true, crashAfter: 25 * time.Second})
		m.run(10 * time.Minute)
		if m.s.Current().BreakerFired {
			t.Errorf("the breaker fired: %s", m.state())
		}
	})
}

func TestStep_throttles_tasks_that_never_run(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.serve()
	before, began := len(m.s.Events), m.now
	m.deploy("b", behaviour{cannotPull: true})
	m.run(3 * time.Hour)
	var failed []time.Duration
	for _, e := range m.s.Events[before:] {
		if strings.Contains(e.Message, "was unable to place a task. Reason: CannotPullContainerError: no such image.") {
			failed = append(failed, e.At.Sub(began).Round(time.Second))
		}
	}
	// Provisioning 15 s, retries 100 s, then pauses of 0, 4, 8, 16, 27, 27 … minutes.
	each := 115 * time.Second
	want := []time.Duration{
		each, 2 * each, 3*each + 4*time.Minute, 4*each + 12*time.Minute, 5*each + 28*time.Minute,
		6*each + 55*time.Minute, 7*each + 82*time.Minute, 8*each + 109*time.Minute, 9*each + 136*time.Minute,
	}
	if !slices.Equal(failed, want) {
		t.Errorf("tasks failed at %v, want %v", failed, want)
	}
	if got := m.events()[before+4]; !strings.HasPrefix(got, "is unable to consistently start tasks successfully.") {
		t.Errorf("event after the second failure is %q", got)
	}
	// A new deployment is not held back by the old one's failures.
	m.deploy("c", behaviour{})
	m.run(2 * time.Minute)
	m.want("c COMPLETED 1/1")
}

func TestStep_a_failed_round_counts_once_for_the_throttle(t *testing.T) {
	m := newSim(t, 10, usual, Breaker{})
	m.deploy("a", behaviour{cannotPull: true})
	m.run(2 * time.Minute)
	if d := m.s.Primary(); d.FailedTasks != 10 || d.throttle.round != 1 {
		t.Errorf("%d failed tasks in round %d, want 10 in round 1", d.FailedTasks, d.throttle.round)
	}
}
