package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// follow notes the stage and the weights of the course that is under way.
func (m *sim) follow() {
	sd := m.s.Current()
	if sd == nil || sd.Course == nil || sd.Course.Stage == "" {
		return
	}
	c := sd.Course
	line := fmt.Sprintf("%s %g/%g", c.Stage, c.Production, c.Test)
	if c.Back {
		line = "back " + line
	}
	if n := len(m.trail); n == 0 || m.trail[n-1] != line {
		m.trail = append(m.trail, line)
	}
}

// callHooks answers functions and lets somebody act at pauses.
func (m *sim) callHooks() bool {
	_, due := m.s.Invocations(m.at())
	for _, r := range due {
		m.calls = append(m.calls, r.Stage)
		a := Answer{Status: HookSucceeded}
		if m.answer != nil {
			a = m.answer(len(m.calls))
		}
		m.s.HookAnswered(r.ID, a, m.at())
	}
	acted := len(due) > 0
	if c := m.s.course(); c != nil && m.paused != nil {
		for _, r := range c.Runs {
			if r.Status == HookAwaiting {
				m.paused(m, r)
				acted = acted || r.Status != HookAwaiting
			}
		}
	}
	return acted
}

func (m *sim) wantTrail(want ...string) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.trail); diff != "" {
		m.t.Errorf("stages with production/test weights (-want +got):\n%s", diff)
	}
}

// plan is a strategy with traffic and test traffic.
func plan(strategy string, percent float64, bake time.Duration) Plan {
	return Plan{Strategy: strategy, Steps: Steps(strategy, percent, bake), Bake: 10 * time.Minute, Shifts: true, Tests: true}
}

// serveWith brings deployment a into service and then sets the plan.
func serveWith(t *testing.T, desired int, p Plan) *sim {
	m := newSim(t, desired, usual, Breaker{})
	m.serve()
	m.s.Plan = p
	return m
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		strategy string
		percent  float64
		want     []float64
	}{
		{BlueGreen, 0, []float64{100}},
		{Canary, 5, []float64{5, 100}},
		{Canary, 100, []float64{100}},
		{Linear, 30, []float64{30, 60, 90, 100}},
		{Linear, 25, []float64{25, 50, 75, 100}},
		{Linear, 33.3, []float64{33.3, 66.6, 99.9, 100}},
		{Rolling, 0, nil},
	} {
		var got []float64
		for i, s := range Steps(c.strategy, c.percent, time.Minute) {
			got = append(got, s.Percent)
			if last := i == len(c.want)-1; last != (s.Bake == 0) {
				t.Errorf("%s %g: step %d bakes for %s", c.strategy, c.percent, i+1, s.Bake)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %g: steps are %v, want %v", c.strategy, c.percent, got, c.want)
		}
	}
}

func TestStep_blue_green_goes_through_its_stages(t *testing.T) {
	m := serveWith(t, 2, plan(BlueGreen, 0, 0))
	sd := m.deploy("b", behaviour{})
	m.watch()
	m.run(2 * time.Minute)
	m.want("b IN_PROGRESS 2/2, a COMPLETED 2/2") // both, in full, until the bake is over
	m.wantStatus(sd, SDInProgress)
	m.run(9 * time.Minute)
	m.want("b IN_PROGRESS 2/2, a COMPLETED 2/2")
	m.run(2 * time.Minute)
	m.want("b COMPLETED 2/2")
	m.wantStatus(sd, SDSuccessful)
	m.wantTrail("PRE_SCALE_UP 0/0", "SCALE_UP 0/0", "POST_SCALE_UP 0/0",
		"TEST_TRAFFIC_SHIFT 0/100", "POST_TEST_TRAFFIC_SHIFT 0/100",
		"PRE_PRODUCTION_TRAFFIC_SHIFT 0/100", "PRODUCTION_TRAFFIC_SHIFT 100/100", "POST_PRODUCTION_TRAFFIC_SHIFT 100/100",
		"BAKE_TIME 100/100", "CLEAN_UP 100/100")
	if m.fewest != 2 || m.most != 4 {
		t.Errorf("between %d healthy and %d live tasks, want 2 and 4", m.fewest, m.most)
	}
}

func TestStep_blue_green_ignores_maximumPercent(t *testing.T) {
	m := serveWith(t, 2, plan(BlueGreen, 0, 0))
	m.s.Limits = Limits{MinimumHealthyPercent: 100, MaximumPercent: 100}
	m.deploy("b", behaviour{})
	m.run(15 * time.Minute)
	m.want("b COMPLETED 2/2")
}

func TestStep_canary_and_linear_shift_step_by_step(t *testing.T) {
	for _, c := range []struct {
		strategy string
		percent  float64
		shifts   []string
		lasts    time.Duration // of all steps
	}{
		{Canary, 5, []string{"5", "100"}, 10 * time.Minute},
		{Linear, 40, []string{"40", "80", "100"}, 20 * time.Minute},
	} {
		t.Run(c.strategy, func(t *testing.T) {
			m := serveWith(t, 1, plan(c.strategy, c.percent, 10*time.Minute))
			sd := m.deploy("b", behaviour{})
			m.run(c.lasts - time.Minute)
			if got := sd.Course.Production; got == 100 {
				t.Errorf("all traffic is shifted within %s", c.lasts-time.Minute)
			}
			m.run(time.Hour)
			m.want("b COMPLETED 1/1")
			var shifts []string
			for _, line := range m.trail {
				if rest, ok := strings.CutPrefix(line, StageProduction+" "); ok {
					shifts = append(shifts, strings.TrimSuffix(rest, "/100"))
				}
			}
			if !slices.Equal(shifts, c.shifts) {
				t.Errorf("production traffic is shifted to %v, want %v", shifts, c.shifts)
			}
		})
	}
}

func TestStep_without_traffic_the_stages_are_passed_all_the_same(t *testing.T) {
	p := plan(BlueGreen, 0, 0)
	p.Shifts, p.Tests = false, false
	m := serveWith(t, 1, p)
	m.deploy("b", behaviour{})
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
	for _, line := range m.trail {
		if !strings.HasSuffix(line, " 0/0") {
			t.Errorf("weights at %s, want none", line)
		}
	}
}

func TestStep_the_first_deployment_has_stages_too(t *testing.T) {
	m := newSim(t, 1, usual, Breaker{})
	m.s.Plan = plan(BlueGreen, 0, 0)
	sd := m.deploy("a", behaviour{})
	m.run(15 * time.Minute)
	m.want("a COMPLETED 1/1")
	m.wantStatus(sd, SDSuccessful)

	m = newSim(t, 1, usual, breaker)
	m.s.Plan = plan(BlueGreen, 0, 0)
	sd = m.deploy("a", behaviour{crash: true})
	m.run(time.Hour)
	m.wantStatus(sd, SDRollbackFailed)
	if sd.StatusReason != "No rollback candidate was found to run the rollback." {
		t.Errorf("the reason is %q", sd.StatusReason)
	}
}

func TestStep_failure_while_scaling_up_leaves_blue_alone(t *testing.T) {
	m := serveWith(t, 2, plan(BlueGreen, 0, 0))
	m.s.Breaker = breaker
	before := len(m.s.Events)
	m.watch()
	sd := m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	m.run(15 * time.Minute)
	m.want("a COMPLETED 2/2")
	m.wantStatus(sd, SDRollbackSuccessful)
	m.wantTrail("PRE_SCALE_UP 0/0", "SCALE_UP 0/0", "back CLEAN_UP 0/0")
	if m.fewest != 2 {
		t.Errorf("at one moment %d tasks were healthy, want 2 at all times", m.fewest)
	}
	if got := m.events()[before+2:]; len(got) < 2 || got[0] != "(deployment b) deployment failed: tasks failed to start." || got[1] != "rolling back to deployment a." {
		t.Errorf("events are %q", got)
	}
}

func TestStep_without_the_breaker_scaling_up_goes_on_for_a_day(t *testing.T) {
	m := serveWith(t, 1, plan(BlueGreen, 0, 0))
	sd := m.deploy("b", behaviour{crash: true, crashAfter: time.Second})
	m.run(23 * time.Hour)
	m.wantStatus(sd, SDInProgress)
	m.run(2 * time.Hour)
	m.wantStatus(sd, SDRollbackSuccessful)
	if want := "Service deployment rolled back because SCALE_UP lifecycle stage timed out."; sd.StatusReason != want {
		t.Errorf("the reason is %q, want %q", sd.StatusReason, want)
	}
}

func TestStep_a_rollback_at_each_stage_brings_the_traffic_back_at_once(t *testing.T) {
	for _, c := range []struct {
		stage string
		waits bool // for tasks of the old revision, whose last are being stopped
	}{
		{StagePreScaleUp, false}, {StageScaleUp, false}, {StagePostTest, false},
		{StageProduction, false}, {StageBake, false}, {StageCleanUp, true},
	} {
		t.Run(c.stage, func(t *testing.T) {
			m := serveWith(t, 2, plan(Canary, 10, 10*time.Minute))
			sd := m.deploy("b", behaviour{stopTakes: time.Minute})
			m.does["a"] = behaviour{stopTakes: time.Minute}
			for range 10000 {
				if m.run(time.Second); sd.Course.Stage == c.stage {
					break
				}
			}
			if err := m.s.RequestRollback(sd, m.at()); err != nil {
				t.Fatal(err)
			}
			m.wantStatus(sd, SDRollbackRequested)
			m.run(10 * time.Minute)
			m.want("a COMPLETED 2/2")
			m.wantStatus(sd, SDRollbackSuccessful)
			back := slices.DeleteFunc(m.trail, func(line string) bool { return !strings.HasPrefix(line, "back ") })
			if back[len(back)-1] != "back CLEAN_UP 0/0" || waits(back) != c.waits {
				t.Errorf("the way back is %q", back)
			}
			if sd.Course.Production != 0 || sd.Course.Test != 0 {
				t.Errorf("the new revision is left with %g%% of the traffic and %g%% of the test traffic", sd.Course.Production, sd.Course.Test)
			}
		})
	}
}

// waits says whether the way back began with new tasks of the old revision.
func waits(back []string) bool { return strings.HasPrefix(back[0], "back SCALE_UP ") }

func TestStep_a_newer_deployment_gets_the_traffic_back_first(t *testing.T) {
	m := serveWith(t, 1, plan(Canary, 10, 10*time.Minute))
	first := m.deploy("b", behaviour{})
	m.run(3 * time.Minute)
	if got := first.Course.Production; got != 10 {
		t.Fatalf("the first has %g%% of the traffic, want 10", got)
	}
	m.trail = nil
	second := m.deploy("c", behaviour{})
	m.run(time.Second)
	m.wantTrail("RECONCILE_SERVICE 0/0")
	m.run(time.Hour)
	m.want("c COMPLETED 1/1")
	m.wantStatus(first, SDStopped)
	m.wantStatus(second, SDSuccessful)
}

func TestStep_a_newer_deployment_during_the_way_back(t *testing.T) {
	m := serveWith(t, 1, plan(BlueGreen, 0, 0))
	m.does["a"] = behaviour{stopTakes: time.Minute}
	first := m.deploy("b", behaviour{stopTakes: 5 * time.Minute})
	m.run(3 * time.Minute)
	if err := m.s.RequestRollback(first, m.at()); err != nil {
		t.Fatal(err)
	}
	m.run(30 * time.Second)
	m.wantStatus(first, SDRollbackInProgress)
	m.deploy("c", behaviour{})
	m.run(time.Hour)
	m.want("c COMPLETED 1/1")
	m.wantStatus(first, SDStopped)
}

func TestStep_a_changed_desired_count_holds_for_both(t *testing.T) {
	m := serveWith(t, 1, plan(BlueGreen, 0, 0))
	m.deploy("b", behaviour{})
	m.run(5 * time.Minute)
	m.s.Desired = 3
	m.run(2 * time.Minute)
	m.want("b IN_PROGRESS 3/3, a COMPLETED 3/3")
	m.s.Desired = 1
	m.run(time.Minute)
	m.want("b IN_PROGRESS 1/1, a COMPLETED 1/1")
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
}
