package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func pauseAt(stages ...string) Hook {
	return Hook{Type: HookPause, Stages: stages, Timeout: time.Hour}
}

func lambdaAt(stages ...string) Hook {
	return Hook{Type: HookLambda, Target: "fn", Stages: stages, Timeout: time.Hour}
}

func withHooks(p Plan, hooks ...Hook) Plan {
	p.Hooks = hooks
	return p
}

func TestStep_a_pause_waits_for_somebody(t *testing.T) {
	m := serveWith(t, 1, withHooks(plan(BlueGreen, 0, 0), pauseAt(StagePreScaleUp)))
	sd := m.deploy("b", behaviour{})
	m.run(30 * time.Minute)
	m.want("b IN_PROGRESS 0/1, a COMPLETED 1/1")
	r := sd.Course.Runs[0]
	if r.Status != HookAwaiting || !r.Expires.Equal(sd.Course.Entered.Add(time.Hour)) {
		t.Errorf("the hook is %s until %s", r.Status, r.Expires)
	}
	if err := m.s.Continue(sd, "other", false, m.at()); err != ErrNoHook {
		t.Errorf("Continue of another hook: %v", err)
	}
	if err := m.s.Continue(sd, r.ID, false, m.at()); err != nil {
		t.Fatal(err)
	}
	if err := m.s.Continue(sd, r.ID, false, m.at()); err != ErrNoHook {
		t.Errorf("Continue for the second time: %v, want %v", err, ErrNoHook)
	}
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
	if err := m.s.Continue(sd, r.ID, false, m.at()); err != ErrEnded {
		t.Errorf("Continue of what has ended: %v, want %v", err, ErrEnded)
	}
}

func TestStep_a_pause_before_each_shift_has_an_id_each_time(t *testing.T) {
	m := serveWith(t, 1, withHooks(plan(Linear, 50, time.Minute), pauseAt(StagePreProduction)))
	var ids []string
	m.paused = func(m *sim, r *HookRun) {
		ids = append(ids, r.ID)
		if err := m.s.Continue(m.s.Current(), r.ID, false, m.at()); err != nil {
			t.Error(err)
		}
	}
	m.deploy("b", behaviour{})
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
	if len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("pauses with ids %v, want two", ids)
	}
}

func TestStep_somebody_rolls_back_at_a_pause(t *testing.T) {
	m := serveWith(t, 1, withHooks(plan(BlueGreen, 0, 0), pauseAt(StagePostProduction), lambdaAt(StagePostProduction)))
	m.paused = func(m *sim, r *HookRun) {
		if err := m.s.Continue(m.s.Current(), r.ID, true, m.at()); err != nil {
			t.Error(err)
		}
	}
	sd := m.deploy("b", behaviour{})
	m.run(time.Hour)
	m.want("a COMPLETED 1/1")
	m.wantStatus(sd, SDRollbackSuccessful)
}

func TestStep_a_pause_that_nobody_ends(t *testing.T) {
	m := serveWith(t, 1, withHooks(plan(BlueGreen, 0, 0), pauseAt(StagePostTest)))
	sd := m.deploy("b", behaviour{})
	m.run(3 * time.Hour)
	m.want("a COMPLETED 1/1")
	m.wantStatus(sd, SDRollbackSuccessful)
	if want := "Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT pause hook timed out."; sd.StatusReason != want {
		t.Errorf("the reason is %q, want %q", sd.StatusReason, want)
	}

	hook := pauseAt(StagePostTest)
	hook.Continue = true
	m = serveWith(t, 1, withHooks(plan(BlueGreen, 0, 0), hook))
	sd = m.deploy("b", behaviour{})
	m.run(3 * time.Hour)
	m.want("b COMPLETED 1/1")
	m.wantStatus(sd, SDSuccessful)
}

func TestStep_functions_are_called_at_their_stages(t *testing.T) {
	m := serveWith(t, 1, withHooks(plan(Canary, 10, time.Minute), lambdaAt(HookStages...)))
	m.deploy("b", behaviour{})
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
	want := []string{StagePreScaleUp, StagePostScaleUp, StageTest, StagePostTest,
		StagePreProduction, StageProduction, StagePreProduction, StageProduction, StagePostProduction}
	if !slices.Equal(m.calls, want) {
		t.Errorf("called at %q, want %q", m.calls, want)
	}
}

func TestStep_a_function_that_is_not_ready_is_called_again(t *testing.T) {
	m := serveWith(t, 1, withHooks(plan(BlueGreen, 0, 0), lambdaAt(StagePreScaleUp)))
	var at []time.Duration
	m.answer = func(call int) Answer {
		at = append(at, m.now.Sub(m.began))
		return []Answer{{Status: HookInProgress}, {Status: HookInProgress, Delay: time.Minute}, {Status: HookSucceeded}}[call-1]
	}
	m.deploy("b", behaviour{})
	m.run(time.Hour)
	m.want("b COMPLETED 1/1")
	if len(at) != 3 || at[1]-at[0] != 30*time.Second || at[2]-at[1] != time.Minute {
		t.Errorf("called at %v, want after 30 s and then after a minute", at)
	}
}

func TestStep_a_function_that_fails_undoes_the_deployment(t *testing.T) {
	for _, c := range []struct {
		answer Answer
		want   string
	}{
		{Answer{Status: HookFailed}, "Lifecycle hook target fn returned FAILED status."},
		{Answer{Failure: "ECS was unable to parse the response from fn due to HookStatus must not be null"}, "ECS was unable to parse the response from fn due to HookStatus must not be null"},
		{Answer{Status: HookInProgress}, "Lifecycle hook target fn timed out."},
	} {
		m := serveWith(t, 1, withHooks(plan(BlueGreen, 0, 0), lambdaAt(StageProduction)))
		m.answer = func(call int) Answer {
			if m.s.Current().Course.Back {
				return Answer{Status: HookFailed} // which does not hold up the way back
			}
			return c.answer
		}
		sd := m.deploy("b", behaviour{})
		m.run(3 * time.Hour)
		m.want("a COMPLETED 1/1")
		m.wantStatus(sd, SDRollbackSuccessful)
		want := "Service deployment rolled back because PRODUCTION_TRAFFIC_SHIFT lifecycle hook(s) failed. " + c.want
		if sd.StatusReason != want {
			t.Errorf("the reason is %q, want %q", sd.StatusReason, want)
		}
		if last := m.calls[len(m.calls)-1]; last != StageProduction || len(m.calls) < 2 {
			t.Errorf("functions were called at %q, want once more on the way back", m.calls)
		}
		if !strings.Contains(fmt.Sprint(m.events()), "(deployment b) deployment failed: "+want) {
			t.Errorf("events are %q", m.events())
		}
	}
}

func TestStep_hooks_hold_a_rolling_deployment_too(t *testing.T) {
	m := serveWith(t, 2, Plan{Strategy: Rolling, Hooks: []Hook{pauseAt(StagePreScaleUp, StagePostScaleUp, StageProduction)}})
	var stages []string
	m.paused = func(m *sim, r *HookRun) {
		stages = append(stages, r.Stage+" "+m.state())
		if err := m.s.Continue(m.s.Current(), r.ID, false, m.at()); err != nil {
			t.Error(err)
		}
	}
	sd := m.deploy("b", behaviour{})
	m.run(time.Hour)
	m.want("b COMPLETED 2/2")
	m.wantStatus(sd, SDSuccessful)
	want := []string{"PRE_SCALE_UP b IN_PROGRESS 0/2, a COMPLETED 2/2", "POST_SCALE_UP b IN_PROGRESS 2/2"}
	if !slices.Equal(stages, want) {
		t.Errorf("paused at %q, want %q", stages, want)
	}
}
