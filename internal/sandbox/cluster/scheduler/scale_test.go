package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStep_tells_a_steady_state_every_six_hours(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.serve()
	m.run(25 * time.Hour)
	n := 0
	for _, e := range m.events() {
		if e == "has reached a steady state." {
			n++
		}
	}
	if n != 5 {
		t.Errorf("a steady state is told %d times in a day, want 5", n)
	}
	if got := PaceFor(20).Steady; got != 18*time.Minute {
		t.Errorf("with speed 20 every %s, want 18m", got)
	}
}

// TestStep_scales_while_it_rolls_back changes the desired count at every moment of
// a rollback, in both directions. The tasks of the deployment that is gone back to
// are never below the minimum of what is desired and was there.
func TestStep_scales_while_it_rolls_back(t *testing.T) {
	for _, limits := range []Limits{usual, {0, 100}, {50, 150}} {
		for _, to := range []int{1, 7} {
			for after := time.Duration(0); after < 100*time.Second; after += 9 * time.Second {
				t.Run(fmt.Sprintf("%d/%d to %d after %s", limits.MinimumHealthyPercent, limits.MaximumPercent, to, after), func(t *testing.T) {
					m := newSim(t, 4, limits, Breaker{Enable: true, Rollback: true, Type: ThresholdCount, Value: 2})
					m.serve()
					sd := m.deploy("b", behaviour{crash: true, crashAfter: 3 * time.Second, stopTakes: 5 * time.Second})
					for m.s.Primary().ID != "a" {
						m.run(time.Second)
					}
					m.run(after)
					m.s.Desired = to
					m.run(15 * time.Minute)
					m.want(fmt.Sprintf("a COMPLETED %d/%d", to, to))
					m.wantStatus(sd, SDRollbackSuccessful)
				})
			}
		}
	}
}

// TestStep_keeps_the_minimum_while_it_scales_in_and_out does so in the middle of a
// rolling deployment.
func TestStep_keeps_the_minimum_while_it_scales_in_and_out(t *testing.T) {
	for after := 5 * time.Second; after < 2*time.Minute; after += 10 * time.Second {
		m := newSim(t, 4, usual, Breaker{})
		m.serve()
		m.deploy("b", behaviour{stopTakes: 10 * time.Second})
		m.run(after)
		m.s.Desired = 2
		m.watch()
		m.run(20 * time.Second)
		m.s.Desired = 6
		m.run(10 * time.Minute)
		m.want("b COMPLETED 6/6")
		if m.fewest < 2 {
			t.Errorf("scaled after %s: %d tasks were healthy, want at least 2", after, m.fewest)
		}
		if m.most > 12 {
			t.Errorf("scaled after %s: %d tasks, want at most 12", after, m.most)
		}
	}
}

func TestStep_breaker_fires_at_its_threshold(t *testing.T) {
	for _, c := range []struct {
		breaker Breaker
		desired int
		want    int
	}{
		{Breaker{}, 1, 3},
		{Breaker{}, 8, 4},
		{Breaker{Type: ThresholdBounded, Value: 100}, 5, 5},
		{Breaker{Type: ThresholdUnbounded, Value: 50}, 2, 1},
		{Breaker{Type: ThresholdUnbounded, Value: 100}, 2, 2},
		{Breaker{Type: ThresholdCount, Value: 1}, 4, 1},
		{Breaker{Type: ThresholdCount, Value: 6}, 1, 6},
	} {
		c.breaker.Enable, c.breaker.Rollback = true, true
		// One new task at a time, so that the count is not passed in one step.
		m := newSim(t, c.desired, Limits{100, 100 + (100+c.desired-1)/c.desired}, c.breaker)
		m.serve()
		sd := m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
		m.run(20 * time.Minute)
		m.wantStatus(sd, SDRollbackSuccessful)
		if sd.Failures != c.want || sd.Threshold != c.want || len(m.starts) != c.desired+c.want {
			t.Errorf("%+v with desired %d: fired at %d of %d after %d tasks, want %d", c.breaker, c.desired, sd.Failures, sd.Threshold, len(m.starts)-c.desired, c.want)
		}
	}
}

// TestStep_breaker_follows_the_desired_count: it "continuously uses the latest
// service desired count" (ThresholdConfiguration).
func TestStep_breaker_follows_the_desired_count(t *testing.T) {
	m := newSim(t, 20, Limits{100, 105}, breaker) // threshold 10
	m.serve()
	sd := m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	for m.s.Primary().FailedTasks < 4 {
		m.run(time.Second)
	}
	m.wantStatus(sd, SDInProgress)
	m.s.Desired = 6 // threshold 3
	m.run(time.Second)
	if !sd.BreakerFired {
		t.Errorf("the breaker has not fired at %s", m.state())
	}
}

func TestStep_breaker_leaves_a_completed_deployment_alone(t *testing.T) {
	m := newSim(t, 1, usual, breaker)
	m.serve()
	for range 10 {
		for _, k := range m.s.Tasks {
			if k.Status == Running {
				m.exit(k, 139)
			}
		}
		m.run(time.Minute)
	}
	if p := m.s.Primary(); p.Rollout != Completed || p.FailedTasks == 0 && len(m.s.Tasks) < 5 {
		t.Errorf("deployments are %s", m.state())
	}
}

// TestStep_rolls_back_to_the_last_that_was_COMPLETED is the Developer Guide's
// example of three deployments.
func TestStep_rolls_back_to_the_last_that_was_COMPLETED(t *testing.T) {
	m := newSim(t, 1, usual, breaker)
	m.serve()
	m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	m.run(30 * time.Second)
	third := m.deploy("c", behaviour{crash: true, crashAfter: time.Second})
	m.run(10 * time.Minute)
	m.want("a COMPLETED 1/1")
	if third.Rollback == nil || third.Rollback.Revision != "rev-a" {
		t.Errorf("the third deployment was rolled back to %+v", third.Rollback)
	}
}

func TestStep_a_daemon_is_replaced_in_its_place(t *testing.T) {
	m := newSim(t, 1, Limits{0, 100}, Breaker{})
	m.serve()
	m.watch()
	m.deploy("b", behaviour{})
	m.run(5 * time.Minute)
	m.want("b COMPLETED 1/1")
	if m.most != 1 {
		t.Errorf("%d tasks ran at once, want 1", m.most)
	}
}

func TestPaceFor_divides_the_throttle(t *testing.T) {
	var got []string
	for round := range 7 {
		got = append(got, PaceFor(20).Throttle(round+1).String())
	}
	if want := "0s 12s 24s 48s 1m21s 1m21s 1m21s"; strings.Join(got, " ") != want {
		t.Errorf("pauses are %v, want %s", got, want)
	}
}
