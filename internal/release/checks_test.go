package release_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// live is the service as its clients see it: it answers for the revision that is
// PRIMARY, as a load balancer would that leads to its tasks.
type live struct {
	*httptest.Server
	asked atomic.Int32
}

// newLive starts a service whose answer to each revision is a status.
func newLive(w *world, answer func(revision string) int) *live {
	w.t.Helper()
	l := &live{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		l.asked.Add(1)
		revision := history.Revision(aws.ToString(history.Primary(w.service()).TaskDefinition))
		rw.WriteHeader(answer(revision))
		fmt.Fprintf(rw, "answer of %s", revision)
	}))
	w.t.Cleanup(l.Close)
	return l
}

// broken answers 500 for the given revisions.
func broken(revisions ...string) func(string) int {
	return func(revision string) int {
		if slices.Contains(revisions, revision) {
			return 500
		}
		return 200
	}
}

func (w *world) checked(checks ...check.HTTP) release.Settings {
	s := w.settings("good")
	s.Checks.HTTP = checks
	return s
}

// liveChecks are the events of live checks in a stage, as "name status".
func (w *world) liveChecks(stage string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, r := range w.events {
		if e, ok := r.Event.(event.Check); ok && r.Stage == stage && e.Seconds > 0 {
			out = append(out, e.Name+" "+string(e.Status))
		}
	}
	slices.Sort(out)
	return out
}

func outcomeOf(res event.Result, stage string) event.StageOutcome {
	for _, s := range res.Stages {
		if s.Name == stage {
			return s
		}
	}
	return event.StageOutcome{}
}

func TestReleaseIsProvenOnceItsChecksPassed(t *testing.T) {
	w := newWorld(t, incident, nil)
	l := newLive(w, broken())
	var methods sync.Map
	order := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		methods.Store(r.Method+" "+history.Revision(aws.ToString(history.Primary(w.service()).TaskDefinition)), true)
	}))
	t.Cleanup(order.Close)
	res := w.release(w.checked(check.HTTP{Name: "health", URL: l.URL}, check.HTTP{Name: "order", Method: "POST", URL: order.URL, Repeat: 2, Same: true}))
	w.want(res, 0, event.Released, "", "38")
	if before, after := w.liveChecks("preflight"), w.liveChecks("checks"); !slices.Equal(before, []string{"health done"}) || !slices.Equal(after, []string{"health done", "order done"}) {
		t.Errorf("checks before: %q, after: %q", before, after)
	}
	if _, early := methods.Load("POST 27"); early {
		t.Error("a request that writes was sent before the release")
	}
	if s := outcomeOf(res, "checks"); s.Status != event.Done {
		t.Errorf("stage checks: %+v", s)
	}
}

func TestFailingCheckRollsBack(t *testing.T) {
	w := newWorld(t, incident, nil)
	l := newLive(w, broken("38"))
	s := w.checked(check.HTTP{Name: "first", URL: l.URL, Expect: check.Expect{Status: []int{200, 500}}}, check.HTTP{Name: "health", URL: l.URL + "/health"}, check.HTTP{Name: "later", Method: "POST", URL: l.URL})
	s.Checks.Logs = []check.Log{{Name: "never", Contains: "what nobody logs", Within: time.Hour}}
	res := w.release(s)
	w.want(res, 3, event.RolledBack, "CHECK_FAILED", "27")
	if f := res.Failure; f.Stage != "checks" || f.Message != "check health: status 500, want 200 to 299" || !strings.Contains(f.Evidence[0], "answer of 38") {
		t.Errorf("failure = %+v", f)
	}
	w.wantTag("38", history.Failed, "CHECK_FAILED")
	if made, after := w.liveChecks("checks"), w.liveChecks("conclude"); !slices.Equal(made, []string{"first done", "health failed"}) || !slices.Equal(after, []string{"health done"}) {
		t.Errorf("checks of the release: %q, after the rollback: %q", made, after)
	}
	by := w.settings("good")
	by.Command = "rollback"
	if res := w.run(by).Rollback(t.Context(), "", false); history.Revision(res.Serving) != "26" {
		t.Errorf("rollback by hand leads to %s: %+v, want 26, never forward to what failed its checks", res.Serving, res.Failure)
	}
}

func TestCheckThatFailsAfterTheRollbackTooIsNotTheReleasesFault(t *testing.T) {
	w := newWorld(t, incident, nil)
	var down atomic.Bool
	l := newLive(w, func(revision string) int {
		if revision == "38" {
			down.Store(true)
		}
		return map[bool]int{true: 503, false: 200}[down.Load()]
	})
	res := w.release(w.checked(check.HTTP{Name: "health", URL: l.URL}))
	w.want(res, 5, event.FailedRun, "CHECK_FAILED", "27")
	if e := strings.Join(res.Failure.Evidence, "\n"); !strings.Contains(e, "the release is not the cause: after the rollback to backend:27, check health: status 503") || !strings.Contains(e, "answer of 27") || !strings.Contains(e, "answer of 38") {
		t.Errorf("evidence = %q", res.Failure.Evidence)
	}
	w.wantTag("38", history.Left, "")
}

func TestCheckThatFailsBeforeTheReleaseIsARefusal(t *testing.T) {
	w := newWorld(t, incident, nil)
	l := newLive(w, broken("27"))
	res := w.release(w.checked(check.HTTP{Name: "health", URL: l.URL}, check.HTTP{Name: "dns", URL: "http://weelo..invalid"}))
	w.want(res, 4, event.Refused, "CHECK_FAILED", "27")
	if f := res.Failure; !strings.Contains(f.Message, "it fails before the release already") || len(f.Also) != 1 || f.Also[0].Code != event.CodeCheckDNS {
		t.Errorf("failure = %+v, want both", f)
	}
	if n := w.count("RegisterTaskDefinition") + w.count("UpdateService") + w.count("TagResource"); n != 0 {
		t.Errorf("%d calls changed something", n)
	}
}

func TestCheckMayFailBeforeTheReleaseThatBringsIt(t *testing.T) {
	for name, c := range map[string]struct {
		broken  []string
		exit    int
		outcome event.Outcome
		code    event.Code
		serving string
	}{
		"it passes afterwards":                             {[]string{"27"}, 0, event.Released, "", "38"},
		"it fails afterwards, and is not asked after that": {[]string{"27", "38", "39"}, 3, event.RolledBack, "CHECK_FAILED", "27"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, incident, nil)
			l := newLive(w, broken(c.broken...))
			w.want(w.release(w.checked(check.HTTP{Name: "new", URL: l.URL, FailingBefore: true})), c.exit, c.outcome, c.code, c.serving)
			if got := w.liveChecks("preflight"); !slices.Equal(got, []string{"new warned"}) || len(w.liveChecks("conclude")) != 0 {
				t.Errorf("checks before: %q, after the rollback: %q", got, w.liveChecks("conclude"))
			}
		})
	}
}

func TestFailingCheckWithoutAWayBackIsExit5(t *testing.T) {
	w := newWorld(t, incident, nil)
	l := newLive(w, broken("38"))
	s := w.checked(check.HTTP{Name: "health", URL: l.URL})
	s.NoRollback = true
	w.want(w.release(s), 5, event.FailedRun, "CHECK_FAILED", "38")

	// The next release goes back to what serves, and says what that is.
	w.runtime.Set("backend:39", segfault)
	s = w.settings("v1")
	s.RunID = "run2"
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "38")
	if said := "backend:38, the way back, serves although its own release found that it failed (CHECK_FAILED)"; !w.told(said) {
		t.Errorf("want %q:\n%s", said, w.story())
	}
}

// hanging is a service that tells of its first request and answers none.
func hanging(t *testing.T, first func()) *httptest.Server {
	t.Helper()
	var once sync.Once
	l := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		once.Do(first)
		<-r.Context().Done()
	}))
	t.Cleanup(l.Close)
	return l
}

func TestTaskThatDiesWhileChecksAreMadeEndsThem(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {Exits: true, ExitAfter: 2 * time.Second, ExitCode: 139}})
	l := hanging(t, func() {})
	res := w.release(w.checked(check.HTTP{Name: "order", Method: "POST", URL: l.URL, Timeout: time.Minute}))
	w.want(res, 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if s := outcomeOf(res, "checks"); s.Status != event.Failed {
		t.Errorf("stage checks: %+v, want it to have found the failure\n%s", s, w.story())
	}
}

func TestDeploymentOfSomebodyElseEndsTheChecks(t *testing.T) {
	w := newWorld(t, incident, nil)
	l := hanging(t, func() {
		_, err := w.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName), TaskDefinition: aws.String("backend:27")})
		if err != nil {
			t.Error(err)
		}
	})
	res := w.release(w.checked(check.HTTP{Name: "order", Method: "POST", URL: l.URL, Timeout: time.Minute}))
	if res.ExitCode != 6 || w.count("StopServiceDeployment") != 0 {
		t.Errorf("result = exit %d, %v\n%s", res.ExitCode, res.Failure, w.story())
	}
}

func TestLogChecksReadTheNewTasks(t *testing.T) {
	for name, c := range map[string]struct {
		check   check.Log
		exit    int
		outcome event.Outcome
		code    event.Code
		serving string
	}{
		"what the new tasks log":          {check.Log{Name: "locks", Contains: "Lock acquired", Within: 5 * time.Second}, 0, event.Released, "", "38"},
		"what only the old ones log":      {check.Log{Name: "old", Contains: "the old one", Within: 50 * time.Millisecond}, 3, event.RolledBack, "CHECK_FAILED", "27"},
		"what the new tasks must not log": {check.Log{Name: "no locks", Absent: "Lock acquired", Within: 5 * time.Second}, 3, event.RolledBack, "CHECK_FAILED", "27"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{
				"backend:27": {Lines: []scripted.Line{{Text: "this is the old one"}}},
				"backend:38": {Lines: []scripted.Line{{Text: "Lock acquired by ada"}}},
			})
			s := w.settings("good")
			s.Checks.Logs = []check.Log{c.check}
			w.want(w.release(s), c.exit, c.outcome, c.code, c.serving)
		})
	}
}

func TestLogThatMayNotBeReadIsARefusal(t *testing.T) {
	w := newWorld(t, incident, nil)
	w.fault(`{"when":"GetLogEvents","error":"AccessDeniedException","message":"User is not authorized to perform: logs:GetLogEvents"}`)
	s := w.settings("good")
	s.Checks.Logs = []check.Log{{Name: "locks", Contains: "x", Within: time.Second}}
	w.want(w.release(s), 4, event.Refused, "ACCESS_DENIED", "27")
}

func TestWatchMakesTheChecksOfAReleaseThatDied(t *testing.T) {
	for name, c := range map[string]struct {
		checks func(url string) release.Checks
		broken []string
		exit   int
		stage  event.Status
		reason string
	}{
		"that pass":            {func(u string) release.Checks { return release.Checks{HTTP: []check.HTTP{{Name: "health", URL: u}}} }, nil, 0, event.Done, ""},
		"that fail":            {func(u string) release.Checks { return release.Checks{HTTP: []check.HTTP{{Name: "health", URL: u}}} }, []string{"38"}, 3, event.Failed, ""},
		"that nobody knows of": {func(string) release.Checks { return release.Checks{Unknown: "there is no file"} }, []string{"38"}, 0, event.Skipped, "not made: there is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, incident, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			dying := hanging(t, func() { cancel(&release.Interrupt{Signal: "SIGHUP", Code: 130, Hangup: true}) })
			res := w.run(w.checked(check.HTTP{Name: "order", Method: "POST", URL: dying.URL})).Execute(ctx)
			if res.ExitCode != 130 || outcomeOf(res, "checks").Status != event.Interrupted {
				t.Fatalf("result = %+v", res)
			}
			s := w.settings("good")
			s.Command, s.RunID = "watch", ""
			s.Checks = c.checks(newLive(w, broken(c.broken...)).URL)
			res = w.run(s).Resume(t.Context(), false)
			if got := outcomeOf(res, "checks"); res.ExitCode != c.exit || got.Status != c.stage || got.Reason != c.reason {
				t.Errorf("exit %d, stage checks %+v; want exit %d, %s %q\n%s", res.ExitCode, got, c.exit, c.stage, c.reason, w.story())
			}
		})
	}
}

func TestRehearsalAsksNoConfiguredAddress(t *testing.T) {
	w := newWorld(t, incident, nil)
	l := newLive(w, broken())
	s := w.checked(check.HTTP{Name: "health", URL: l.URL}, check.HTTP{Name: "order", Method: "POST", URL: l.URL})
	s.Rehearsal = true
	res := w.release(s)
	w.want(res, 0, event.Released, "", "38")
	if n := l.asked.Load(); n != 0 {
		t.Errorf("the live service was asked %d times", n)
	}
	if got := outcomeOf(res, "checks"); got.Status != event.Skipped || !strings.HasPrefix(got.Reason, "a rehearsal has no live service") {
		t.Errorf("stage checks: %+v", got)
	}
}

func TestPlanShowsTheChecksAndThatTheyPassNow(t *testing.T) {
	w := newWorld(t, incident, nil)
	l := newLive(w, broken())
	s := w.checked(check.HTTP{Name: "health", URL: l.URL}, check.HTTP{Name: "order", Method: "POST", URL: l.URL})
	s.Checks.Logs = []check.Log{{Name: "locks", Contains: "x"}}
	res := w.run(s).Plan(t.Context(), false)
	w.want(res, 0, event.Planned, "", "27")
	if story := w.story(); l.asked.Load() != 1 || !strings.Contains(story, "checks: health, order (POST), locks (logs)") || !strings.Contains(story, "passes now: 200") {
		t.Errorf("asked %d times\n%s", l.asked.Load(), story)
	}
}
