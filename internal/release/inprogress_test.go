package release_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestReleaseDuringAReleaseSaysWhoBeganItAndWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	w.detached(w.settings("good"))
	s := w.settings("good")
	s.RunID, s.By = "run2", "ben@desk"
	res := w.release(s)
	w.want(res, 4, event.Refused, event.CodeDeploymentInProgress, "27")
	began := w.service().Deployments[0].CreatedAt.UTC().Format("2006-01-02 15:04:05Z")
	w.wantWords(res, "a deployment of backend:38 by ana@laptop is in progress", "backend:38 was deployed at "+began+" by ana@laptop", "--wait", "--supersede")
	if n := w.count("UpdateService"); n != 1 {
		t.Errorf("UpdateService was called %d times, want 1: of the first release", n)
	}
}

// Of a deployment that is not the release's own the tags do not say who began it.
func TestReleaseDuringSomebodysRedeployOfARevisionNamesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	w.runtime.Set("backend:38", slow)
	w.deploy("38", nil)
	s := w.settings("v1")
	s.RunID = "run2"
	res := w.release(s)
	w.want(res, 4, event.Refused, event.CodeDeploymentInProgress, "38")
	if strings.Contains(said(res.Failure), "ana@laptop") {
		t.Errorf("it names somebody who did not deploy this:\n%s", said(res.Failure))
	}
}

func TestWaitIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: time.Minute}})
	w.detached(w.settings("good"))
	s := w.settings("good")
	s.RunID, s.Wait, s.WaitTimeout = "run2", true, 300*time.Millisecond
	res := w.release(s)
	w.want(res, 4, event.Refused, event.CodeDeploymentInProgress, "27")
	w.wantWords(res, "is still in progress after waiting 300ms")
}

func TestWaitOutlivesACallThatAWSDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	w.detached(w.settings("good"))
	w.onEvent = func(r event.Record) {
		if n, ok := r.Event.(event.Note); ok && strings.HasPrefix(n.Text, "waiting for the deployment") {
			w.fault(`{"when":"DescribeServices","times":7,"status":503}`)
		}
	}
	s := w.settings("v1")
	s.RunID, s.Wait, s.WaitTimeout = "run2", true, 20*time.Second
	w.want(w.release(s), 0, event.Released, "", "39")
	if n := strings.Count(w.story(), "the service cannot be read now, waiting on"); n != 1 {
		t.Errorf("told %d times, want once:\n%s", n, w.story())
	}
}

// The incident's own state: 37 crashes for hours, and ECS's breaker is off.
func TestStuckDeploymentIsNamedWithItsFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stuck, map[string]scripted.Script{"backend:37": atOnce})
	w.until(func(s types.Service) bool { return s.Deployments[0].FailedTasks >= 3 })
	for name, wait := range map[string]bool{"without --wait": false, "--wait does not wait for what never ends": true} {
		s := w.settings("good")
		s.Wait = wait
		res := w.release(s)
		w.want(res, 4, event.Refused, event.CodeDeploymentInProgress, "27")
		w.wantWords(res, "is stuck", "EXIT_139_SIGSEGV", "weelo-deploy rollback", "weelo-deploy release --supersede")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestSupersededInTheMiddleIsExit6AndUntouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: time.Minute}})
	done := make(chan event.Result, 1)
	first := w.run(w.settings("good"))
	go func() { done <- first.Execute(t.Context()) }()
	w.until(func(s types.Service) bool { return history.Revision(*s.TaskDefinition) == "38" })
	s := w.settings("good")
	s.RunID, s.By, s.Supersede = "run2", "ben@desk", true
	w.want(w.release(s), 0, event.Released, "", "39")
	res := <-done
	if res.ExitCode != 6 || res.Failure == nil || res.Failure.Code != event.CodeSuperseded {
		t.Errorf("the first release ended with exit %d, %v, want 6", res.ExitCode, res.Failure)
	}
	w.wantWords(res, "took over with backend:39")
	if n := w.count("StopServiceDeployment"); n != 0 {
		t.Errorf("StopServiceDeployment was called %d times", n)
	}
	w.wantTag("38", history.Superseded, "")
	if b := w.breaker(); b.Enable || w.tags("38").Backstop != "" {
		t.Errorf("circuit breaker = %+v, 38 notes %q; want it off as before, noted nowhere", b, w.tags("38").Backstop)
	}
}

// building is a builder that builds until it is told to stop.
type building struct{ begun func() }

func (building) Check(context.Context, build.Request) (build.Nativeness, error) {
	return build.Nativeness{}, nil
}

func (b building) Build(ctx context.Context, _ build.Request, _ event.Emit) (build.Result, error) {
	b.begun()
	<-ctx.Done()
	return build.Result{}, context.Cause(ctx)
}

// unasked is an engine of which nothing can be learnt.
type unasked struct{ release.Engine }

func (unasked) Endpoint() string { return "tcp://127.0.0.1:1" }

func (unasked) Info(context.Context) (engine.Info, error) {
	return engine.Info{}, errors.New("not in this test")
}

func TestInterruptInTheBuildDeploysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.clients.OpenEngine = func() (release.Engine, release.Builder, error) {
		return unasked{}, building{func() { cancel(sigterm) }}, nil
	}
	s := w.settings("")
	s.Image, s.Tags = "", []string{"v1.0.9"}
	w.wantInterrupted(w.run(s).Execute(ctx), 143, "nothing was deployed")
	if n := w.count("RegisterTaskDefinition") + w.count("UpdateService"); n != 0 {
		t.Errorf("%d calls changed something", n)
	}
}

// What the way back names by tag is the registry's to say: the plan shows it.
func TestPlanNamesWhatTheWayBackNamesByTag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(incident, "awslogs-stream-prefix: ecs}}}]}}", `awslogs-stream-prefix: ecs}}},
      {name: envoy, image: "${REGISTRY}/weelo-backend:v1", memory: 64, essential: false}]}}`, 1), nil)
	s := w.settings("good")
	s.Command = "plan"
	res := w.run(s).Plan(t.Context(), false)
	if res.ExitCode != 0 || res.Outcome != event.Planned {
		t.Fatalf("plan = exit %d, %s, %v", res.ExitCode, res.Outcome, res.Failure)
	}
	if said := "backend:27, the way back, names images by tag: envoy (" + w.server.Registry() + "/weelo-backend:v1)"; !strings.Contains(w.story(), said) {
		t.Errorf("the plan does not say %q\n%s", said, w.story())
	}
	if n := w.count("RegisterTaskDefinition") + w.count("TagResource") + w.count("UpdateService"); n != 0 {
		t.Errorf("the plan made %d calls that change something", n)
	}
}
