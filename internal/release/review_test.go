package release_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// deploy is somebody else's UpdateService.
func (w *world) deploy(revision string, breaker *types.DeploymentCircuitBreaker) {
	in := &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName)}
	if revision != "" {
		in.TaskDefinition, in.ForceNewDeployment = aws.String("backend:"+revision), true
	}
	if breaker != nil {
		in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: breaker}
	}
	if _, err := w.ecs.UpdateService(context.Background(), in); err != nil {
		w.t.Error(err)
	}
}

// at runs f once, when a stage has got so far.
func (w *world) at(stage string, status event.Status, f func()) {
	var once sync.Once
	w.onEvent = func(r event.Record) {
		if s, ok := r.Event.(event.Stage); ok && s.Name == stage && s.Status == status {
			once.Do(f)
		}
	}
}

// bare are the settings of watch and rollback.
func (w *world) bare(command string) release.Settings {
	s := w.settings("")
	s.Command, s.Image, s.RunID = command, "", ""
	return s
}

func (w *world) breaker() types.DeploymentCircuitBreaker {
	if b := w.service().DeploymentConfiguration.DeploymentCircuitBreaker; b != nil {
		return types.DeploymentCircuitBreaker{Enable: b.Enable, Rollback: b.Rollback}
	}
	return types.DeploymentCircuitBreaker{}
}

var on = &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}

// What --wait waits for may fail and be rolled back: the release is then made from
// what serves, and the image that failed does not "serve already".
func TestWaitLooksAgainAfterTheWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: 500 * time.Millisecond, Exits: true, ExitCode: 139}})
	out, err := w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:27")})
	if err != nil {
		t.Fatal(err)
	}
	// Somebody deploys the very image that is released next, with another setting.
	first := newWorld(t, incident, nil)
	pinned := strings.Replace(first.release(first.settings("good")).Image, first.server.Registry(), w.server.Registry(), 1)
	c := out.TaskDefinition.ContainerDefinitions
	c[0].Image, c[0].Environment[0].Value = &pinned, aws.String("debug")
	if _, err := w.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String("backend"), ContainerDefinitions: c, NetworkMode: types.NetworkModeBridge}); err != nil {
		t.Fatal(err)
	}
	w.deploy("38", on)
	s := w.settings("good")
	s.Wait = true
	w.want(w.release(s), 0, event.Released, "", "39")
	if out, err = w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:39")}); err != nil {
		t.Fatal(err)
	}
	if got := aws.ToString(out.TaskDefinition.ContainerDefinitions[0].Environment[0].Value); got != "info" {
		t.Errorf("39 has LOG_LEVEL %q: it was made from the 38 that failed, not from the 27 that served", got)
	}
}

// slowly keeps the way back in progress for a while: the tasks take their time to
// stop.
func slowly() map[string]scripted.Script {
	return map[string]scripted.Script{"backend:27": {StopTakes: 2 * time.Second}, "backend:38": {StopTakes: 3 * time.Second}}
}

// cancelled runs a release that a CI system cancels while 38 runs.
func (w *world) cancelled() event.Result {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	defer cancel(nil)
	w.onEvent = func(r event.Record) {
		if e, ok := r.Event.(event.Task); ok && e.Revision == "backend:38" && e.Status == "RUNNING" {
			cancel(sigterm)
		}
	}
	defer func() { w.onEvent = nil }()
	return w.run(w.settings("good")).Execute(ctx)
}

func TestRollbackByHandJoinsARollbackUnderWay(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"ECS's own":        "",
		"by UpdateService": `{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"no"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, slowly())
			if rule != "" {
				w.fault(rule)
			}
			w.wantInterrupted(w.cancelled(), 143, "the rollback to backend:27 was started")
			w.want(w.run(w.bare("rollback")).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
		})
	}
	t.Run("by hand, typed twice", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, slowly())
		w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
		ctx := w.interruptAt("deploy", event.Done, sigint)
		w.wantInterrupted(w.run(w.bare("rollback")).Rollback(ctx, "", false), 130, "the rollback to backend:27 goes on")
		w.onEvent = nil
		w.want(w.run(w.bare("rollback")).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
		w.wantTag("38", history.Left, "")
	})
}

// A rollback that was asked for begins between our two looks at the service.
func TestRollbackByHandFollowsARollbackThatBeginsMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:27": {StopTakes: 2 * time.Second}, "backend:37": {StopTakes: 3 * time.Second}})
	w.deploy("37", nil)
	w.until(func(s types.Service) bool { return s.Deployments[0].RunningCount > 0 })
	w.at("preflight", event.Done, func() {
		w.stopDeployment()
		w.until(func(s types.Service) bool { return strings.HasSuffix(aws.ToString(s.TaskDefinition), ":27") })
	})
	w.want(w.run(w.bare("rollback")).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
}

// stopDeployment is somebody else's StopServiceDeployment.
func (w *world) stopDeployment() {
	_, err := w.ecs.StopServiceDeployment(context.Background(), &ecs.StopServiceDeploymentInput{
		ServiceDeploymentArn: w.service().CurrentServiceDeployment, StopType: types.StopServiceDeploymentStopTypeRollback})
	if err != nil {
		w.t.Error(err)
	}
}

// completedOn says whether a revision serves, alone.
func completedOn(revision string) func(types.Service) bool {
	return func(s types.Service) bool {
		return history.Completed(s) && len(s.Deployments) == 1 && history.Revision(aws.ToString(s.TaskDefinition)) == revision
	}
}

func (w *world) until(f func(types.Service) bool) {
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for !f(w.service()) {
		select {
		case <-every.C:
		case <-limit.C:
			w.t.Error("the service does not come to what is waited for")
			return
		}
	}
}

// watch concludes a release whose rollback somebody's kill or cancel left alone.
func TestWatchConcludesARollbackUnderWay(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"ECS's own":        "",
		"by UpdateService": `{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"no"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, slowly())
			if rule != "" {
				w.fault(rule)
			}
			w.wantInterrupted(w.cancelled(), 143, "the rollback to backend:27 was started")
			w.want(w.run(w.bare("watch")).Resume(t.Context(), false), 3, event.RolledBack, event.CodeECSRolledBack, "27")
			w.wantTag("38", history.Failed, "ECS_ROLLED_BACK")
			if b := w.breaker(); b.Enable {
				t.Errorf("the circuit breaker stayed on: %+v", b)
			}
			if s := w.status("38"); s != "INACTIVE" {
				t.Errorf("38 is %s, want INACTIVE: it never succeeded", s)
			}
		})
	}
}

// mortal is the ECS client of a process that is killed after its nth call that
// changes something: nothing that it sends after that arrives.
type mortal struct {
	release.ECS
	mu    sync.Mutex
	left  int
	kill  func()
	calls []string
}

var errKilled = errors.New("killed")

func change[I, O any](m *mortal, name string, call func(context.Context, I, ...func(*ecs.Options)) (O, error), ctx context.Context, in I, opts []func(*ecs.Options)) (O, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left <= 0 {
		var none O
		return none, errKilled
	}
	m.left--
	m.calls = append(m.calls, name)
	out, err := call(ctx, in, opts...)
	if m.left == 0 {
		m.kill()
	}
	return out, err
}

func (m *mortal) UpdateService(ctx context.Context, in *ecs.UpdateServiceInput, o ...func(*ecs.Options)) (*ecs.UpdateServiceOutput, error) {
	return change(m, "UpdateService", m.ECS.UpdateService, ctx, in, o)
}

func (m *mortal) StopServiceDeployment(ctx context.Context, in *ecs.StopServiceDeploymentInput, o ...func(*ecs.Options)) (*ecs.StopServiceDeploymentOutput, error) {
	return change(m, "StopServiceDeployment", m.ECS.StopServiceDeployment, ctx, in, o)
}

func (m *mortal) RegisterTaskDefinition(ctx context.Context, in *ecs.RegisterTaskDefinitionInput, o ...func(*ecs.Options)) (*ecs.RegisterTaskDefinitionOutput, error) {
	return change(m, "RegisterTaskDefinition", m.ECS.RegisterTaskDefinition, ctx, in, o)
}

func (m *mortal) DeregisterTaskDefinition(ctx context.Context, in *ecs.DeregisterTaskDefinitionInput, o ...func(*ecs.Options)) (*ecs.DeregisterTaskDefinitionOutput, error) {
	return change(m, "DeregisterTaskDefinition", m.ECS.DeregisterTaskDefinition, ctx, in, o)
}

func (m *mortal) TagResource(ctx context.Context, in *ecs.TagResourceInput, o ...func(*ecs.Options)) (*ecs.TagResourceOutput, error) {
	return change(m, "TagResource", m.ECS.TagResource, ctx, in, o)
}

func (m *mortal) UntagResource(ctx context.Context, in *ecs.UntagResourceInput, o ...func(*ecs.Options)) (*ecs.UntagResourceOutput, error) {
	return change(m, "UntagResource", m.ECS.UntagResource, ctx, in, o)
}

// killedAfter runs a release that is killed after n changing calls, and says what it
// had called and whether it was killed.
func (w *world) killedAfter(n int) (calls []string, killed bool) {
	return w.killedAfterOf(w.settings("good"), n)
}

func (w *world) killedAfterOf(s release.Settings, n int) (calls []string, killed bool) {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	defer cancel(nil)
	m := &mortal{ECS: w.ecs, left: n, kill: func() { cancel(&release.Interrupt{Signal: "SIGHUP", Code: 130, Hangup: true}) }}
	clients := w.clients
	clients.ECS = m
	release.New(s, clients, event.NewStream(nil, w), nil).Execute(ctx)
	return m.calls, ctx.Err() != nil
}

// A release whose rollback is an UpdateService is killed after every call that changes
// something (kill_test.go kills after every call). Whoever types watch then, the right
// revision serves, the records are true, and a second watch has nothing left to do.
func TestKilledWhileGoingBackByUpdateServiceIsBroughtToItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script  scripted.Script
		rule    string
		serving string
	}{
		"that fails, back by UpdateService": {segfault, `{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"no"}`, "27"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				w := newWorld(t, incident, map[string]scripted.Script{"backend:38": c.script})
				if c.rule != "" {
					w.fault(c.rule)
				}
				calls, killed := w.killedAfter(n)
				if !killed {
					return
				}
				w.broughtToItsEnd(fmt.Sprintf("killed after %s", strings.Join(calls, ", ")), calls, c.serving)
			}
		})
	}
}

func (w *world) broughtToItsEnd(when string, calls []string, serving string) {
	w.t.Helper()
	before := w.count("UpdateService")
	res := w.run(w.bare("watch")).Resume(w.t.Context(), false)
	again := w.run(w.bare("watch")).Resume(w.t.Context(), false)
	deployed := slices.Contains(calls, "UpdateService")
	if !deployed {
		serving = "27"
	}
	if history.Revision(again.Serving) != serving || again.Outcome != event.Unchanged || again.ExitCode != 0 {
		w.t.Errorf("%s: watch ended with exit %d, %s; the second one with exit %d, %s, serving %s; want exit 0, unchanged, serving %s\n%s",
			when, res.ExitCode, res.Outcome, again.ExitCode, again.Outcome, again.Serving, serving, w.story())
		return
	}
	if b := w.breaker(); b.Enable {
		w.t.Errorf("%s: the circuit breaker stayed on", when)
	}
	if !deployed {
		return
	}
	want := history.Proven
	if serving == "27" {
		want = history.Failed
	}
	if o := w.tags("38").Outcome; o.Kind != want {
		w.t.Errorf("%s: 38 is tagged %q, want %q\n%s", when, o.Kind, want, w.story())
	}
	if b := w.tags("38").Backstop; b != "" {
		w.t.Errorf("%s: 38 still carries the earlier circuit breaker setting", when)
	}
	if res.Outcome == event.Unchanged {
		return // it had been concluded
	}
	if exit := map[string]int{"38": 0, "27": 3}[serving]; res.ExitCode != exit {
		w.t.Errorf("%s: watch ended with exit %d, want %d: %v\n%s", when, res.ExitCode, exit, res.Failure, w.story())
	}
	if s := w.status("38"); serving == "27" && s != "INACTIVE" {
		w.t.Errorf("%s: 38 is %s, want INACTIVE", when, s)
	}
	if n := w.count("UpdateService") - before; n > 2 {
		w.t.Errorf("%s: watch called UpdateService %d times", when, n)
	}
}

// Nobody knows what came of an UpdateService that was not answered: its revision
// must stay, and "refused" would say that production was not touched.
func TestUnansweredUpdateServiceIsNoRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.fault(`{"when":"UpdateService","status":503}`)
	res := w.release(w.settings("good"))
	if res.ExitCode != 5 || res.Outcome != event.FailedRun {
		t.Errorf("result = exit %d, %s, want exit 5, failed: %v", res.ExitCode, res.Outcome, res.Failure)
	}
	if s := w.status("38"); s != "ACTIVE" {
		t.Errorf("38 is %s, want ACTIVE: ECS may deploy it yet", s)
	}
}

func TestLostAnswerOfStopServiceDeploymentIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.fault(`{"when":"StopServiceDeployment","dropAnswer":true}`)
	w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if n := w.count("UpdateService"); n != 2 {
		t.Errorf("UpdateService was called %d times, want 2: deploy, and the breaker's setting", n)
	}
}

func TestThrottledRollbackIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.fault(`{"when":"StopServiceDeployment","error":"ThrottlingException"}`)
	w.fault(`{"when":"UpdateService","after":1,"times":2,"error":"ThrottlingException"}`)
	w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
}

func TestRollbackThatWasNotHeardIsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.fault(`{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"no"}`)
	w.fault(`{"when":"UpdateService","after":1,"times":1,"status":503}`)
	w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
}

// ECS's own breaker goes back also when the release would not: what then serves is
// the stable revision, and the result has to say so.
func TestECSRollsBackAReleaseThatWouldNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.deploy("", on)
	s := w.settings("good")
	s.NoRollback, s.Tolerate = true, tolerance(t, "100")
	w.want(w.release(s), 3, event.RolledBack, event.CodeECSRolledBack, "27")
}

// The run tag on a revision speaks of the release that made it. Whoever deploys the
// revision again is somebody else.
func TestWatchDoesNotRollBackSomebodysRedeployOfOurRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	w.runtime.Set("backend:38", segfault)
	w.deploy("38", nil)
	before, tagged := w.count("UpdateService"), w.count("TagResource")
	res := w.run(w.bare("watch")).Resume(t.Context(), false)
	if res.ExitCode != 5 {
		t.Errorf("result = exit %d, %s, %v, want 5\n%s", res.ExitCode, res.Outcome, res.Failure, w.story())
	}
	if n := w.count("UpdateService") + w.count("StopServiceDeployment") - before; n != 0 {
		t.Errorf("somebody else's deployment was changed by %d calls", n)
	}
	if n := w.count("TagResource") - tagged; n != 0 {
		t.Errorf("%d tags were written about somebody else's deployment", n)
	}
	w.wantTag("38", history.Proven, "")
}

func TestWatchOfSomebodysRollbackWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:27": {StopTakes: 2 * time.Second}, "backend:37": {StopTakes: 3 * time.Second}})
	w.deploy("37", nil)
	w.until(func(s types.Service) bool { return s.Deployments[0].RunningCount > 0 })
	w.stopDeployment()
	w.want(w.run(w.bare("watch")).Resume(t.Context(), false), 3, event.RolledBack, event.CodeECSRolledBack, "27")
	if n := w.count("TagResource") + w.count("UntagResource") + w.count("DeregisterTaskDefinition"); n != 0 {
		t.Errorf("%d calls wrote about somebody else's deployment", n)
	}
}

// A revision that ever succeeded is never condemned: not by its own redeploy.
func TestFailedRedeployDoesNotCondemnTheRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	w.runtime.Set("backend:38", segfault)
	// What made it crash is over when it is rolled back: the same revision serves
	// again, also where its tasks have to be started anew.
	w.at("conclude", event.Started, func() { w.runtime.Set("backend:38", scripted.Script{}) })
	s := w.settings("good")
	s.Redeploy = true
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "38")
	w.wantTag("38", history.Proven, "")
	if st := w.status("38"); st != "ACTIVE" {
		t.Errorf("38 is %s, want ACTIVE", st)
	}
}

// The setting to restore is the one that the release replaced, not the one that
// preflight saw.
func TestBreakerSetDuringTheBuildIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.at("register", event.Done, func() { w.deploy("", &types.DeploymentCircuitBreaker{Enable: true}) })
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if b := w.breaker(); !b.Enable || b.Rollback {
		t.Errorf("circuit breaker = %+v, want it on without rollback, as somebody set it meanwhile", b)
	}
	if v := w.tags("38").Backstop; v != "" {
		t.Errorf("38 still carries %q", v)
	}

	w = newWorld(t, incident, nil)
	w.at("register", event.Done, func() { w.deploy("", on) })
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if b := w.breaker(); !b.Enable || !b.Rollback || w.tags("38").Backstop != "" {
		t.Errorf("circuit breaker = %+v, noted %q; want it on, with nothing noted", b, w.tags("38").Backstop)
	}
}

// Another release began and failed while this one was being prepared. ECS has come
// back to the very deployment that preflight saw, and its circuit breaker is still on:
// what to restore is what that release recorded.
func TestTheBreakerThatAnotherReleaseLeftMeanwhileIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	first := w.settings("good")
	w.at("verify", event.Done, func() {
		w.onEvent = nil
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		w.onEvent = func(r event.Record) {
			if s, ok := r.Event.(event.Stage); ok && s.Name == "deploy" && s.Status == event.Done && r.Stage == "deploy" {
				w.onEvent = nil
				cancel(sigint)
			}
		}
		w.run(first).Execute(ctx)
		w.until(completedOn("27"))
		if b := w.breaker(); !b.Enable {
			t.Error("the first release left no circuit breaker")
		}
	})
	s := w.settings("good")
	s.RunID = "run2"
	w.want(w.release(s), 0, event.Released, "", "39")
	if b := w.breaker(); b.Enable || w.tags("38").Backstop+w.tags("39").Backstop != "" {
		t.Errorf("circuit breaker = %+v, noted %q and %q; want it off as before both, noted nowhere", b, w.tags("38").Backstop, w.tags("39").Backstop)
	}
}

// What somebody makes of the circuit breaker while the release runs stays.
func TestBreakerSetDuringTheReleaseStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.at("watch", event.Done, func() { w.deploy("", &types.DeploymentCircuitBreaker{Enable: true}) })
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if b := w.breaker(); !b.Enable || b.Rollback || w.tags("38").Backstop != "" {
		t.Errorf("circuit breaker = %+v, noted %q; want it on without rollback, as somebody set it", b, w.tags("38").Backstop)
	}

	w = newWorld(t, incident, nil)
	counted := *on
	counted.ThresholdConfiguration = &types.ThresholdConfiguration{Type: types.ThresholdTypeCount, Value: 7}
	w.at("watch", event.Done, func() { w.deploy("", &counted) })
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	b := w.service().DeploymentConfiguration.DeploymentCircuitBreaker
	if b.Enable || b.ThresholdConfiguration == nil || b.ThresholdConfiguration.Value != 7 {
		t.Errorf("circuit breaker = %+v, want it off as before, with the threshold that somebody set", b)
	}
}

// A record that a release left and that somebody's own setting has overtaken.
func TestStaleBreakerRecordIsNotRestored(t *testing.T) {
	t.Parallel()
	stale := strings.Replace(incident, "  - {family: backend, revision: 27, definition: *v1}",
		`  - {family: backend, revision: 27, tags: {"weelo-deploy:weelocluster/backend:run": run0, "weelo-deploy:weelocluster/backend:backstop": "enable=false rollback=false"}, definition: *v1}`, 1)
	w := newWorld(t, stale, nil)
	w.deploy("", &types.DeploymentCircuitBreaker{Enable: true})
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if b := w.breaker(); !b.Enable || b.Rollback {
		t.Errorf("circuit breaker = %+v, want it on without rollback, as somebody set it", b)
	}
	if v := w.tags("27").Backstop; v != "" {
		t.Errorf("27 still carries %q", v)
	}
}

// A refused redeploy leaves no record on the revision that serves.
func TestRefusedRedeployLeavesNoBreakerRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	w.fault(`{"when":"UpdateService","error":"AccessDeniedException","message":"no"}`)
	s := w.settings("good")
	s.Redeploy = true
	w.want(w.release(s), 4, event.Refused, event.CodeAccessDenied, "38")
	if v := w.tags("38").Backstop; v != "" {
		t.Errorf("38 carries %q, and a later release would switch the breaker off by it", v)
	}
}

func TestNothingChangedIsNotSaidOfAServiceThatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	w.at("preflight", event.Done, func() { w.deploy("26", nil) })
	res := w.release(w.settings("good"))
	if res.ExitCode != 4 || res.Failure == nil || res.Failure.Code != event.CodeChanged {
		t.Errorf("result = exit %d, %s, %v, want a refusal: 26 is being deployed\n%s", res.ExitCode, res.Outcome, res.Failure, w.story())
	}
}

// The release that died had registered a copy of its deregistered target: watch
// goes back to that very copy.
func TestWatchGoesBackToTheCopyOfTheReleaseThatDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:39": {Exits: true, ExitAfter: 900 * time.Millisecond, ExitCode: 139}})
	if _, err := w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("backend:27")}); err != nil {
		t.Fatal(err)
	}
	if _, killed := w.killedAfter(3); !killed { // the copy, the revision, UpdateService
		t.Fatal("the release ended before it was killed")
	}
	s := w.bare("watch")
	s.Bake = 10 * time.Second
	res := w.run(s).Resume(t.Context(), false)
	w.want(res, 3, event.RolledBack, "EXIT_139_SIGSEGV", "38")
	if got := w.tags("38").CopyOf; got != "backend:27" {
		t.Errorf("38 is a copy of %q, want backend:27", got)
	}
	w.wantTag("38", history.Proven, "")
	if n := w.count("RegisterTaskDefinition"); n != 2 {
		t.Errorf("RegisterTaskDefinition was called %d times, want 2", n)
	}
}

// Who can no longer watch says why, and what serves.
func TestLostSightSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: 5 * time.Second}})
	w.at("deploy", event.Done, func() {
		w.fault(`{"when":"DescribeServices","error":"AccessDeniedException","message":"not authorized"}`)
	})
	s := w.settings("good")
	s.Pace.GiveUp = 200 * time.Millisecond
	res := w.release(s)
	if res.ExitCode != 5 || res.Failure == nil || res.Failure.Code != event.CodeAccessDenied || res.ServingNow == "" {
		t.Errorf("result = exit %d, %v, serving %q; want exit 5, ACCESS_DENIED, and a word on what serves", res.ExitCode, res.Failure, res.ServingNow)
	}
}

func TestUpdateServiceThatECSRefusesIsARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.fault(`{"when":"UpdateService","error":"InvalidParameterException","message":"subnets are invalid"}`)
	w.want(w.release(w.settings("good")), 4, event.Refused, event.CodeInvalidDefinition, "27")
}

func TestCommandsNameTheRegion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	s := w.settings("good")
	s.Region = "ap-south-1"
	res := w.release(s)
	if len(res.Next) != 1 || res.Next[0] != "weelo-deploy rollback 27 --cluster weelocluster --service backend --region ap-south-1" {
		t.Errorf("next = %q", res.Next)
	}
}

// supersede never replaces a rollback: it is waited for.
func TestSupersedeWaitsForARollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, slowly())
	w.wantInterrupted(w.cancelled(), 143, "the rollback to backend:27 was started")
	s := w.settings("good")
	s.Supersede, s.RunID = true, "run2"
	w.want(w.release(s), 0, event.Released, "", "39")
	if !strings.Contains(w.story(), "that is rolling back") {
		t.Errorf("the rollback was not waited for\n%s", w.story())
	}
}

func tolerance(t *testing.T, s string) health.Tolerance {
	t.Helper()
	n, err := health.ParseTolerance(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
