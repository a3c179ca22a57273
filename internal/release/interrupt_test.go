package release_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

var (
	sigint  = &release.Interrupt{Signal: "SIGINT", Code: 130}
	sigterm = &release.Interrupt{Signal: "SIGTERM", Code: 143}
	sighup  = &release.Interrupt{Signal: "SIGHUP", Code: 130, Hangup: true}
)

// interruptAt ends the context when a stage has got so far.
func (w *world) interruptAt(stage string, status event.Status, sig *release.Interrupt) context.Context {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	w.t.Cleanup(func() { cancel(nil) })
	w.onEvent = func(r event.Record) {
		if s, ok := r.Event.(event.Stage); ok && s.Name == stage && s.Status == status {
			cancel(sig)
		}
	}
	return ctx
}

// slow comes up late, so that the deployment is in progress when the signal comes.
var slow = scripted.Script{PullTakes: 3 * time.Second}

func (w *world) wantInterrupted(res event.Result, exit int, said string) {
	w.t.Helper()
	if res.ExitCode != exit || res.Outcome != event.InterruptedO || res.Failure == nil {
		w.t.Fatalf("result = exit %d, %s, %v, want exit %d, interrupted\n%s", res.ExitCode, res.Outcome, res.Failure, exit, w.story())
	}
	if text := strings.Join(res.Failure.Evidence, "\n"); !strings.Contains(text, said) {
		w.t.Errorf("it says %q, want %q\n%s", text, said, w.story())
	}
}

func TestInterruptBeforeDeployTouchesNothing(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"preflight", "verify", "register"} {
		t.Run(stage, func(t *testing.T) {
			w := newWorld(t, incident, nil)
			ctx := w.interruptAt(stage, event.Done, sigint)
			w.wantInterrupted(w.run(w.settings("good")).Execute(ctx), 130, "nothing was deployed")
			if n := w.count("UpdateService") + w.count("StopServiceDeployment"); n != 0 {
				t.Errorf("the service was changed by %d calls", n)
			}
			if stage == "register" && w.status("38") != "INACTIVE" {
				t.Errorf("38 is %s, want INACTIVE: it was registered and never deployed", w.status("38"))
			}
		})
	}
}

func TestInterruptInUpdateServiceLearnsItsAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	w.fault(`{"when":"UpdateService","times":1,"delay":"400ms"}`)
	ctx := w.interruptAt("deploy", event.Started, sigterm)
	w.wantInterrupted(w.run(w.settings("good")).Execute(ctx), 143, "nothing was deployed")
	// The signal came before the stage did anything: it must not deploy any more.
	if n := w.count("UpdateService"); n != 0 {
		t.Errorf("UpdateService was called %d times after the signal", n)
	}

	w = newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	w.fault(`{"when":"UpdateService","times":1,"delay":"400ms"}`)
	inner, cancel := context.WithCancelCause(t.Context())
	done := make(chan event.Result)
	go func() { done <- w.run(w.settings("good")).Execute(inner) }()
	w.untilCalled("UpdateService")
	cancel(sigterm)
	w.wantInterrupted(<-done, 143, "the rollback to backend:27 was started")
}

// untilCalled waits until an operation was called.
func (w *world) untilCalled(operation string) {
	w.t.Helper()
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for w.count(operation) == 0 {
		select {
		case <-every.C:
		case <-limit.C:
			w.t.Fatalf("%s was not called\n%s", operation, w.story())
		}
	}
}

func TestInterruptWithoutTerminalRollsBackByOneCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	ctx := w.interruptAt("deploy", event.Done, sigint)
	began := time.Now()
	w.wantInterrupted(w.run(w.settings("good")).Execute(ctx), 130, "the rollback to backend:27 was started")
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %s; a CI runner kills 10 s after it cancels", took)
	}
	if n := w.count("StopServiceDeployment"); n != 1 {
		t.Errorf("StopServiceDeployment was called %d times, want 1", n)
	}

	// A later watch brings the rollback to its end and records the outcome.
	w.onEvent = nil
	s := w.settings("")
	s.Command, s.Image = "watch", ""
	res := w.run(s).Resume(t.Context(), false)
	w.want(res, 3, event.RolledBack, event.CodeECSRolledBack, "27")
	w.wantTag("38", history.Failed, "ECS_ROLLED_BACK")
	if b := w.service().DeploymentConfiguration.DeploymentCircuitBreaker; b != nil && b.Enable {
		t.Errorf("the circuit breaker stayed on: %+v", b)
	}
}

func TestInterruptOfACompletedDeploymentLeavesItAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	s := w.settings("good")
	s.Bake = time.Minute
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.onEvent = func(r event.Record) {
		if d, ok := r.Event.(event.Deployment); ok && d.Ours && d.RolloutState == "COMPLETED" {
			cancel(sigterm)
		}
	}
	w.wantInterrupted(w.run(s).Execute(ctx), 143, "completed its deployment and serves")
	if n := w.count("StopServiceDeployment"); n != 0 {
		t.Error("StopServiceDeployment was called")
	}

	w.onEvent = nil
	again := w.settings("")
	again.Command, again.Image = "watch", ""
	w.want(w.run(again).Resume(t.Context(), false), 0, event.Released, "", "38")
	w.wantTag("38", history.Proven, "")
	res := w.run(again).Resume(t.Context(), false)
	w.want(res, 0, event.Unchanged, "", "38")
}

func TestInterruptOnATerminal(t *testing.T) {
	t.Parallel()
	settings := func(w *world) release.Settings {
		s := w.settings("good")
		s.Terminal = true
		return s
	}
	t.Run("once stops watching", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
		ctx := w.interruptAt("deploy", event.Done, sigint)
		res := w.run(settings(w)).Execute(ctx)
		w.wantInterrupted(res, 130, "goes on in ECS")
		if n := w.count("StopServiceDeployment"); n != 0 {
			t.Error("it was rolled back")
		}
		if next := strings.Join(res.Failure.Next, "\n"); !strings.Contains(next, "weelo-deploy watch") || !strings.Contains(next, "weelo-deploy rollback") {
			t.Errorf("next = %q", next)
		}
	})
	t.Run("twice rolls back and watches it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
		ctx := w.interruptAt("deploy", event.Done, sigint)
		run := w.run(settings(w))
		again := make(chan struct{}, 1)
		again <- struct{}{}
		run.Interrupts = again
		w.want(run.Execute(ctx), 3, event.RolledBack, event.CodeInterrupted, "27")
	})
	t.Run("a closed terminal stops watching", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
		ctx := w.interruptAt("deploy", event.Done, sighup)
		w.wantInterrupted(w.run(w.settings("good")).Execute(ctx), 130, "goes on in ECS")
		if n := w.count("StopServiceDeployment"); n != 0 {
			t.Error("it was rolled back")
		}
	})
}

func TestOnInterruptOverrides(t *testing.T) {
	t.Parallel()
	t.Run("detach without a terminal", func(t *testing.T) {
		w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
		s := w.settings("good")
		s.OnInterrupt = release.InterruptDetach
		w.wantInterrupted(w.run(s).Execute(w.interruptAt("deploy", event.Done, sigterm)), 143, "goes on in ECS")
		if n := w.count("StopServiceDeployment"); n != 0 {
			t.Error("it was rolled back")
		}
	})
	t.Run("rollback on a terminal", func(t *testing.T) {
		w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
		s := w.settings("good")
		s.Terminal, s.OnInterrupt = true, release.InterruptRollback
		w.wantInterrupted(w.run(s).Execute(w.interruptAt("deploy", event.Done, sigint)), 130, "the rollback to backend:27 was started")
	})
}

func TestInterruptWhileGoingBackLeavesTheRollbackAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.onEvent = func(r event.Record) {
		if n, ok := r.Event.(event.Note); ok && strings.HasPrefix(n.Text, "rolling back to") {
			cancel(sigterm)
		}
	}
	w.wantInterrupted(w.run(w.settings("good")).Execute(ctx), 143, "goes on in ECS")
}

func TestAThirdCtrlCLeavesTheRollbackAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, slowly())
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := w.settings("good")
	s.Terminal = true
	run := w.run(s)
	again := make(chan struct{}, 1)
	run.Interrupts = again
	w.onEvent = func(r event.Record) {
		switch e := r.Event.(type) {
		case event.Task:
			if e.Revision == "backend:38" && e.Status == "RUNNING" {
				cancel(sigint)
			}
		case event.Note:
			if strings.HasPrefix(e.Text, "stopped watching") || strings.HasPrefix(e.Text, "rolling back to") {
				again <- struct{}{}
			}
		}
	}
	w.wantInterrupted(run.Execute(ctx), 130, "the rollback to backend:27 goes on in ECS")
	if n := w.count("StopServiceDeployment"); n != 1 {
		t.Errorf("StopServiceDeployment was called %d times, want 1", n)
	}
	w.until(completedOn("27"))
}
