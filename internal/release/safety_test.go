package release_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// What failed its checks must not be left because ECS calls it COMPLETED.
func TestCancelledJobStillGoesBackFromWhatFailedItsChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	l := newLive(w, broken("38"))
	ctx := w.interruptAt("checks", event.Failed, sigterm)
	w.wantInterrupted(w.run(w.checked(check.HTTP{Name: "health", URL: l.URL})).Execute(ctx), 143, "the rollback to backend:27 was started")
}

func TestInterruptedRunSaysWhatWasFoundBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	l := newLive(w, broken("38"))
	s := w.checked(check.HTTP{Name: "health", URL: l.URL})
	s.OnInterrupt = release.InterruptDetach
	w.wantInterrupted(w.run(s).Execute(w.interruptAt("checks", event.Failed, sigterm)), 143, "it had failed: check health: status 500")
}

// A signal that comes when all is decided and only the records are being written
// changes nothing of how the run ended.
func TestLateSignalDoesNotChangeHowTheRunEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	s := w.settings("good")
	s.NoRollback = true
	w.fault(`{"when":"TagResource","delay":"300ms"}`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan event.Result)
	go func() { done <- w.run(s).Execute(ctx) }()
	w.untilCalled("TagResource")
	cancel(sigterm)
	if res := <-done; res.ExitCode != 5 || res.Failure.Code != "EXIT_139_SIGSEGV" {
		t.Errorf("exit %d, %v\n%s", res.ExitCode, res.Failure, w.story())
	}
}

func TestRefusalAfterABuildSaysWhatServesNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	somebody := false
	w.onEvent = func(r event.Record) {
		s, ok := r.Event.(event.Stage)
		if !ok || s.Name != "register" || s.Status != event.Done || somebody {
			return
		}
		somebody = true
		_, err := w.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName), TaskDefinition: aws.String("backend:26")})
		if err != nil {
			t.Error(err)
		}
	}
	res := w.release(w.settings("good"))
	if res.ExitCode != 4 || res.Failure.Code != event.CodeChanged || !strings.Contains(res.ServingNow, "backend:26 is deploying") {
		t.Errorf("exit %d, %v, serves now: %q", res.ExitCode, res.Failure, res.ServingNow)
	}
}

func TestInterruptWithUpdateServiceUnansweredDoesNotSayThatNothingWasTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
	s := w.withBefore(migrate)
	w.fault(`{"when":"UpdateService","hang":true}`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan event.Result)
	go func() { done <- w.run(s).Execute(ctx) }()
	w.untilCalled("UpdateService")
	cancel(sigterm)
	res := <-done
	w.wantInterrupted(res, 143, "the deployment may begin all the same")
	if text := strings.Join(res.Failure.Evidence, "\n"); strings.Contains(text, "not touched") || strings.Contains(strings.Join(res.Failure.Hints, "\n"), "release again") {
		t.Errorf("it says %q", text)
	}
}

func TestInterruptedRollbackByHandWhoseCallWasNotAnsweredIsUnsure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	w.run(detached(w)).Execute(w.interruptAt("deploy", event.Done, sighup))
	w.onEvent = nil
	w.fault(`{"when":"StopServiceDeployment","hang":true}`)
	s := w.settings("")
	s.Command, s.Image = "rollback", ""
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan event.Result)
	go func() { done <- w.run(s).Rollback(ctx, "", false) }()
	w.untilCalled("StopServiceDeployment")
	cancel(sigint)
	w.wantInterrupted(<-done, 130, "whether the rollback to backend:27 began is not known")
}

func detached(w *world) release.Settings {
	s := w.settings("good")
	s.OnInterrupt = release.InterruptDetach
	return s
}

// 38 completed, failed its checks, and stayed because nobody wanted a rollback. ECS
// calls it a success; we know better.
func TestRollbackByHandPassesOverWhatFailedItsChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	l := newLive(w, broken("38"))
	s := w.checked(check.HTTP{Name: "health", URL: l.URL})
	s.NoRollback = true
	w.want(w.release(s), 5, event.FailedRun, "CHECK_FAILED", "38")
	next := w.settings("good")
	next.RunID, next.Environment = "run2", map[string]string{"A": "b"}
	w.want(w.release(next), 0, event.Released, "", "39")
	by := w.settings("")
	by.Command, by.Image, by.RunID = "rollback", "", ""
	res := w.run(by).Rollback(t.Context(), "", false)
	w.want(res, 0, event.RolledBack, "", "27")
	w.wantTag("38", history.Failed, "CHECK_FAILED")
	if !strings.Contains(w.story(), "passed over backend:38: its deployment completed and then failed (CHECK_FAILED)") {
		t.Error(w.story())
	}
}

// ECS calls the deployment a success before the release that died has made its checks.
func TestWatchRecordsThatTheReleaseFailedItsChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	dying := hanging(t, func() { cancel(sighup) })
	w.run(w.checked(check.HTTP{Name: "order", Method: "POST", URL: dying.URL})).Execute(ctx)
	s := w.settings("good")
	s.Command, s.RunID = "watch", ""
	s.Checks.HTTP = []check.HTTP{{Name: "health", URL: newLive(w, broken("38")).URL}}
	w.want(w.run(s).Resume(t.Context(), false), 3, event.RolledBack, "CHECK_FAILED", "27")
	w.wantTag("38", history.Failed, "CHECK_FAILED")
}

// The migration is done; only the deployment was refused. Whoever releases again must
// not migrate again.
func TestReleaseAfterADeploymentThatWasRefusedRunsNoBeforeTaskTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
	w.fault(`{"when":"UpdateService","times":1,"error":"AccessDeniedException","message":"no"}`)
	res := w.release(w.withBefore(migrate))
	w.want(res, 7, event.Stopped, event.CodeAccessDenied, "27")
	if text := strings.Join(res.Failure.Evidence, "\n"); !strings.Contains(text, "backend:38 stays registered, so that another release can go on with it") {
		t.Errorf("it says %q", text)
	}
	again := w.withBefore(migrate)
	again.RunID = "run2"
	w.want(w.release(again), 0, event.Released, "", "38")
	w.wantRan("migrate up")
}

// A redeploy registers nothing by which a later release would know its before-tasks.
func TestInterruptedRedeployDoesNotPromiseToRunNoBeforeTaskTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": {}})
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	s := w.withBefore(migrate)
	s.Redeploy, s.RunID = true, "run2"
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan event.Result)
	go func() { done <- w.run(s).Execute(ctx) }()
	w.untilCalled("RunTask")
	cancel(sigint)
	res := <-done
	w.wantInterrupted(res, 130, "before-task migrate goes on")
	if hints := strings.Join(res.Failure.Hints, "\n"); strings.Contains(hints, "no before-task twice") {
		t.Errorf("hints = %q", hints)
	}
}

// A network that is away for a moment, or a fault of AWS's, must not be the end of a
// rollback.
func TestRollbackIsTriedAgainWhileECSDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.fault(`{"when":"StopServiceDeployment","error":"UnsupportedFeatureException","message":"no"}`)
	w.onEvent = func(r event.Record) {
		if s, ok := r.Event.(event.Stage); ok && s.Name == "conclude" && s.Status == event.Started {
			w.fault(`{"when":"DescribeServices","times":4,"error":"ServerException","message":"try later"}`)
		}
	}
	s := w.settings("good")
	s.Backstop = false
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if !strings.Contains(w.story(), "try later; trying again") {
		t.Error(w.story())
	}
}
