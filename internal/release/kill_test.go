package release_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// wire carries all the calls of a process, to AWS and to the registry. When its
// nth call was answered the process is killed (kill -9): whatever it would do next
// never happens.
type wire struct {
	mu     sync.Mutex
	last   int // the call after which it dies; 0: it lives
	calls  []string
	dead   chan struct{} // closed when it died
	buried chan struct{} // closed when nobody looks any more
}

func newWire(last int) *wire {
	return &wire{last: last, dead: make(chan struct{}), buried: make(chan struct{})}
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-w.dead:
		<-w.buried
		return nil, errKilled
	default:
	}
	name := r.Method + " " + r.URL.Path
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		name = target[strings.LastIndex(target, ".")+1:]
	}
	w.mu.Lock()
	w.calls = append(w.calls, name)
	n := len(w.calls)
	w.mu.Unlock()
	res, err := http.DefaultTransport.RoundTrip(r)
	if n == w.last {
		close(w.dead)
		<-w.buried
		if err == nil {
			res.Body.Close()
		}
		return nil, errKilled
	}
	return res, err
}

func (w *wire) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.calls...)
}

// over gives the world's clients a wire of their own. Nothing is retried: a call
// that is sent twice is two calls.
func (w *world) over(line *wire) release.Clients {
	cfg := w.config
	cfg.HTTPClient, cfg.Retryer = &http.Client{Transport: line}, func() aws.Retryer { return aws.NopRetryer{} }
	c := w.clients
	c.ECS, c.ECR, c.Log = ecs.NewFromConfig(cfg), ecr.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg)
	c.OpenRegistry = func(a engine.Auth) release.Registry { return image.NewRemote(a, line) }
	return c
}

// killed runs a release that is killed after its nth call, and gives what it had
// called; done is false when it died.
func (w *world) killed(s release.Settings, n int) (calls []string, done bool) {
	line := newWire(n)
	ctx, cancel := context.WithCancelCause(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		release.New(s, w.over(line), event.NewStream(nil, w), nil).Execute(ctx)
	}()
	w.bury = func() { cancel(sighup); close(line.buried) }
	w.t.Cleanup(func() { <-ended })
	select {
	case <-ended:
		return line.names(), true
	case <-line.dead:
		return line.names(), false
	}
}

// atOnce crashes as soon as it runs: never healthy, however busy the machine is.
var atOnce = scripted.Script{Exits: true, ExitCode: 139}

// fate is how the image of a release behaves, and what has to come of it.
type fate struct {
	script  scripted.Script
	exit    int
	outcome event.Outcome
	kind    history.Kind
}

var fates = map[string]fate{
	"an image that serves":  {scripted.Script{}, 0, event.Released, history.Proven},
	"an image that crashes": {atOnce, 3, event.RolledBack, history.Failed},
}

// killWorld is the incident with an image of that fate, whatever revision runs it.
func killWorld(t *testing.T, f fate) *world {
	t.Helper()
	w := newWorld(t, eager, nil)
	good, err := w.server.Images().Resolve("weelo-backend", "good", "linux", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	w.runtime.Set(good.Digest, f.script)
	return w
}

// kill9 kills a release after each of its calls, and goes on each time: then
// brings the world to its end, and wants it to be right.
func kill9(t *testing.T, f fate, goOn func(w *world, when string, deployed bool)) {
	w := killWorld(t, f)
	calls, done := w.killed(w.settings("good"), 0)
	if !done || len(calls) < 20 {
		t.Fatalf("a whole release made the calls %q", calls)
	}
	var all sync.WaitGroup
	slots := make(chan struct{}, 6)
	for n := 1; n <= len(calls); n++ {
		if !everyCall && n%8 != 0 && !changes(calls[n-1]) {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			w := killWorld(t, f)
			calls, done := w.killed(w.settings("good"), n)
			when := fmt.Sprintf("killed after call %d (%s)", n, calls[len(calls)-1])
			if done {
				when = fmt.Sprintf("ended before call %d", n)
			}
			deployed := len(w.attempts("38")) > 0
			goOn(w, when, deployed)
			w.nothingLeft(when)
			w.bury()
		})
	}
	all.Wait()
}

// everyCall makes kill9 really kill after every call: make test and CI set it. A run
// by hand takes every eighth of the calls that only read.
var everyCall = os.Getenv("WEELO_TEST_EVERY_CALL") != ""

func changes(call string) bool {
	for _, verb := range []string{"Update", "Stop", "Register", "Deregister", "Tag", "Untag", "Put"} {
		if strings.HasPrefix(call, verb) {
			return true
		}
	}
	return false
}

// attempts are the service deployments of a revision.
func (w *world) attempts(revision string) []history.Attempt {
	w.t.Helper()
	var of []history.Attempt
	for _, a := range w.ledger().Attempts {
		if history.Revision(a.TaskDefinition) == revision {
			of = append(of, a)
		}
	}
	return of
}

func (w *world) ledger() history.Ledger {
	w.t.Helper()
	l, err := history.Read(context.Background(), w.ecs, clusterName, serviceName, "backend")
	if err != nil {
		w.t.Error(err)
	}
	return l
}

// nothingLeft wants the service and the records to be as if nobody had died: the
// settings of before, every attempt concluded, nothing deployed twice.
func (w *world) nothingLeft(when string) {
	w.t.Helper()
	s, l := w.service(), w.ledger()
	if before, after := asJSON(w.t, w.before), asJSON(w.t, s.DeploymentConfiguration); before != after {
		w.t.Errorf("%s: the service's settings are %s, want %s as before", when, after, before)
	}
	if !history.Completed(s) || len(s.Deployments) != 1 {
		w.t.Errorf("%s: at the end %s", when, release.Serves(s))
	}
	seen := map[string]int{}
	for _, a := range l.Attempts {
		name := history.Name(a.TaskDefinition)
		if number := history.Revision(name); number != "38" && number != "39" {
			continue
		}
		if seen[name]++; seen[name] > 1 {
			w.t.Errorf("%s: %s was deployed %d times", when, name, seen[name])
		}
		t := l.Tags[a.TaskDefinition]
		if l.Unconcluded(a.TaskDefinition) || t.Backstop != "" {
			w.t.Errorf("%s: %s is left with %+v", when, name, t)
		}
		succeeded, kept := l.EverProven(a.TaskDefinition), l.Statuses[a.TaskDefinition] == "ACTIVE"
		if succeeded != kept || succeeded != (t.Outcome.Kind == history.Proven) {
			w.t.Errorf("%s: %s succeeded: %t, is active: %t, is tagged %s", when, name, succeeded, kept, t.Outcome.Kind)
		}
	}
}

// A release is killed after every single call that it makes, and whoever comes next
// types watch: the right revision serves, what is said and recorded is true, and a
// second watch has nothing left to do.
func TestKill9AfterEveryCallThenWatch(t *testing.T) {
	t.Parallel()
	for name, f := range fates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kill9(t, f, func(w *world, when string, deployed bool) {
				concluded := !deployed || !w.ledger().Unconcluded(w.attempts("38")[0].TaskDefinition)
				res := w.run(w.bare("watch")).Resume(t.Context(), false)
				serving := map[bool]string{true: "38", false: "27"}[deployed && f.kind == history.Proven]
				want := f
				if concluded && res.Outcome == event.Unchanged {
					want.exit, want.outcome = 0, event.Unchanged
				}
				w.says(when, res, want.exit, want.outcome, serving)
				if again := w.run(w.bare("watch")).Resume(t.Context(), false); again.Outcome != event.Unchanged {
					w.t.Errorf("%s: a second watch ended with %s", when, again.Outcome)
				}
				if deployed && w.tags("38").Outcome.Kind != f.kind {
					w.t.Errorf("%s: 38 is tagged %q, want %q", when, w.tags("38").Outcome.Kind, f.kind)
				}
			})
		})
	}
}

// The same, and whoever comes next releases the same image, and waits for what is in
// progress.
func TestKill9AfterEveryCallThenAnotherRelease(t *testing.T) {
	t.Parallel()
	for name, f := range fates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kill9(t, f, func(w *world, when string, deployed bool) {
				s := w.settings("good")
				s.RunID, s.Wait = "run2", true
				res := w.run(s).Execute(t.Context())
				serving, want := "27", f
				if f.kind == history.Proven {
					serving = history.Revision(res.TaskDefinition)
				}
				if deployed && f.kind == history.Proven {
					serving, want.outcome = "38", event.Unchanged
				}
				w.says(when, res, want.exit, want.outcome, serving)
			})
		})
	}
}

// says wants a result, and that it is true of the service as it is now.
func (w *world) says(when string, res event.Result, exit int, outcome event.Outcome, serving string) {
	w.t.Helper()
	now := history.Revision(release.ServingARN(w.service()))
	if res.ExitCode == exit && res.Outcome == outcome && history.Revision(res.Serving) == serving && now == serving && strings.Contains(res.ServingNow, "backend:"+serving+" serves") {
		return
	}
	w.t.Errorf("%s: exit %d, %s, %v, it says that %s serves (%q) and %s does; want exit %d, %s, serving %s\n%s",
		when, res.ExitCode, res.Outcome, res.Failure, history.Revision(res.Serving), res.ServingNow, now, exit, outcome, serving, w.story())
}

// A killed release that nobody goes on with: ECS's own circuit breaker, which the
// release had switched on, brings the stable revision back; whoever comes next, and
// whenever, restores the service's settings to the letter.
func TestTheBackstopBringsBackWhatNobodyWatches(t *testing.T) {
	t.Parallel()
	configured := strings.Replace(incident, "deploymentConfiguration: {minimumHealthyPercent: 100, maximumPercent: 200, deploymentCircuitBreaker: {enable: false, rollback: false, thresholdConfiguration: {type: COUNT, value: 50}}}",
		`deploymentConfiguration: {minimumHealthyPercent: 50, maximumPercent: 250, alarms: {alarmNames: [errors, latency], enable: true, rollback: false},
      deploymentCircuitBreaker: {enable: true, rollback: false, thresholdConfiguration: {type: COUNT, value: 2}}}`, 1)
	for name, next := range map[string]func(w *world) event.Result{
		"watch": func(w *world) event.Result { return w.run(w.bare("watch")).Resume(w.t.Context(), false) },
		"another release": func(w *world) event.Result {
			s := w.settings("v1")
			s.RunID = "run2"
			return w.run(s).Execute(w.t.Context())
		},
		"a rollback by hand": func(w *world) event.Result { return w.run(w.bare("rollback")).Rollback(w.t.Context(), "", false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, configured, map[string]scripted.Script{"backend:38": atOnce})
			calls, _ := w.killed(w.settings("good"), 0)
			at := 1
			for calls[at-1] != "UpdateService" {
				at++
			}
			w = newWorld(t, configured, map[string]scripted.Script{"backend:38": atOnce})
			w.killed(w.settings("good"), at)
			defer w.bury()
			if b := w.service().DeploymentConfiguration.DeploymentCircuitBreaker; !b.Enable || !b.Rollback || b.ThresholdConfiguration == nil || b.ThresholdConfiguration.Value != 2 {
				t.Errorf("circuit breaker during the release = %+v, want it on with rollback and its threshold of 2", b)
			}
			w.until(completedOn("27"))
			res := next(w)
			if res.ExitCode != map[string]int{"watch": 3}[name] {
				t.Errorf("exit %d, %s, %v\n%s", res.ExitCode, res.Outcome, res.Failure, w.story())
			}
			w.nothingLeft("after " + name)
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
