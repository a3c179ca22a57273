package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/redact"
)

const canary = "canary-hook-T0KEN"

var rolledBack = event.Result{
	Outcome: event.RolledBack, ExitCode: 3, Command: "release", Cluster: "weelocluster", Service: "backend",
	Image: "repo@sha256:0f", TaskDefinition: "arn:aws:ecs:x:1:task-definition/backend:28", Deployment: "ecs-svc/1",
	Stable: "arn:aws:ecs:x:1:task-definition/backend:27", Serving: "arn:aws:ecs:x:1:task-definition/backend:27", ServingNow: "backend:27, 1 of 1 tasks healthy",
	Failure: &event.Failure{Code: "EXIT_139_SIGSEGV", Stage: "watch", Message: "container app exited with 139\n(SIGSEGV) <@here> " + canary, Logs: []string{"a line of the log"}},
}

func about(t *testing.T, res event.Result) Message {
	t.Helper()
	m, ok := About(res, Origin{By: "ana", Run: "https://ci/1", Time: time.Date(2026, 11, 22, 9, 15, 0, 0, time.UTC)}, redact.New(canary).String)
	if !ok {
		t.Fatalf("About(%s) tells nobody", res.Outcome)
	}
	return m
}

func TestMessageIsWhatTheDocumentationShows(t *testing.T) {
	got, err := about(t, rolledBack).body(JSON)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"v":1,"event":"rolled_back","text":"backend on weelocluster: backend:28 failed and was rolled back: container app exited with 139 (SIGSEGV) \u003c@here\u003e *** [EXIT_139_SIGSEGV]\nnow: backend:27, 1 of 1 tasks healthy",` +
		`"time":"2026-11-22T09:15:00Z","command":"release","outcome":"rolled_back","exitCode":3,"cluster":"weelocluster","service":"backend","image":"repo@sha256:0f",` +
		`"taskDefinition":"arn:aws:ecs:x:1:task-definition/backend:28","deployment":"ecs-svc/1","stable":"arn:aws:ecs:x:1:task-definition/backend:27","serving":"arn:aws:ecs:x:1:task-definition/backend:27",` +
		`"failure":{"code":"EXIT_139_SIGSEGV","stage":"watch","message":"container app exited with 139 (SIGSEGV) \u003c@here\u003e ***"},"by":"ana","run":"https://ci/1"}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("body (-want +got):\n%s", d)
	}
}

func TestSlackGetsTextThatCallsNobody(t *testing.T) {
	got, err := about(t, rolledBack).body(Slack)
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Text string }
	if err := json.Unmarshal(got, &body); err != nil {
		t.Fatal(err)
	}
	want := ":leftwards_arrow_with_hook: backend on weelocluster: backend:28 failed and was rolled back: container app exited with 139 (SIGSEGV) &lt;@here&gt; *** [EXIT_139_SIGSEGV]\n" +
		"now: backend:27, 1 of 1 tasks healthy\nby ana\n<https://ci/1|the job>"
	if d := cmp.Diff(want, body.Text); d != "" {
		t.Errorf("text (-want +got):\n%s", d)
	}
}

func TestEveryOutcomeIsAnEventOrNone(t *testing.T) {
	for name, c := range map[string]struct {
		res         event.Result
		event, text string
	}{
		"released":                      {event.Result{Outcome: event.Released, TaskDefinition: "x/backend:28"}, Released, "backend:28 is released and serves"},
		"rolled back by hand":           {event.Result{Outcome: event.RolledBack, Serving: "x/backend:27"}, RolledBack, "rolled back by hand to backend:27"},
		"failed":                        {event.Result{Outcome: event.FailedRun, TaskDefinition: "x/backend:28"}, Failed, "backend:28 failed, and production is not known to be healthy"},
		"superseded":                    {event.Result{Outcome: event.Superseded, TaskDefinition: "x/backend:28"}, Failed, "backend:28 was superseded"},
		"stopped after a before-task":   {event.Result{Outcome: event.Stopped, Command: "release"}, Failed, "release was stopped"},
		"interrupted in a deployment":   {event.Result{Outcome: event.InterruptedO, TaskDefinition: "x/backend:28", Deployment: "ecs-svc/1"}, Failed, "backend:28 was interrupted"},
		"interrupted before":            {event.Result{Outcome: event.InterruptedO}, "", ""},
		"refused":                       {event.Result{Outcome: event.Refused, ExitCode: 4, Command: "release"}, Refused, "release was refused, production was not touched"},
		"refused for what was typed":    {event.Result{Outcome: event.Refused, ExitCode: 2}, "", ""},
		"nothing changed":               {event.Result{Outcome: event.Unchanged}, "", ""},
		"planned":                       {event.Result{Outcome: event.Planned}, "", ""},
		"watched, nothing was released": {event.Result{Outcome: event.Watched}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, ok := About(c.res, Origin{}, redact.Patterns)
			if m.Event != c.event || ok != (c.event != "") || !strings.HasSuffix(m.Text, c.text) {
				t.Errorf("About = %q, %q, %v, want %q, %q", m.Event, m.Text, ok, c.event, c.text)
			}
		})
	}
}

// hook is a webhook that answers each request by the next of its handlers, and by
// the last one for ever.
func hook(t *testing.T, answers ...http.HandlerFunc) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1)) - 1
		answers[min(n, len(answers)-1)](w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/services/" + canary, requests
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestSend(t *testing.T) {
	elsewhere, followed := hook(t, status(200))
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		format  string
		tries   int64
		missed  string
	}{
		"a good answer":                {answers: []http.HandlerFunc{expect(t, JSON, 204)}, tries: 1},
		"Slack's format":               {answers: []http.HandlerFunc{expect(t, Slack, 200)}, format: Slack, tries: 1},
		"a failure, then good":         {answers: []http.HandlerFunc{status(500), status(200)}, tries: 2},
		"too many requests, then good": {answers: []http.HandlerFunc{status(429), status(200)}, tries: 2},
		"a refusal is final":           {answers: []http.HandlerFunc{status(404)}, tries: 1, missed: "notify[0] was not told: it answered 404 not found"},
		"a redirect is not followed": {answers: []http.HandlerFunc{http.RedirectHandler(elsewhere, http.StatusTemporaryRedirect).ServeHTTP},
			tries: 1, missed: "notify[0] was not told: it answered 307, and redirects are not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := hook(t, c.answers...)
			missed := Send(t.Context(), []Target{{URL: url, Format: c.format}}, about(t, rolledBack))
			if got := texts(missed); got != c.missed {
				t.Errorf("Send = %q, want %q", got, c.missed)
			}
			if requests.Load() != c.tries {
				t.Errorf("%d requests were sent, want %d", requests.Load(), c.tries)
			}
		})
	}
	if followed.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestSendEndsWithItsContextAndSaysWhoWasNotTold(t *testing.T) {
	ended := make(chan struct{})
	hanging, _ := hook(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(ended)
	})
	good, told := hook(t, status(200))
	unwanted, spared := hook(t, status(200))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	missed := Send(ctx, []Target{{URL: hanging}, {URL: good}, {URL: unwanted, On: []string{Released}}}, about(t, rolledBack))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("Send took %s after its context ended", took)
	}
	<-ended
	if got := texts(missed); got != "notify[0] was not told: no answer in time" {
		t.Errorf("Send = %q", got)
	}
	if told.Load() != 1 || spared.Load() != 0 {
		t.Errorf("the good webhook was told %d times, one that did not ask %d times", told.Load(), spared.Load())
	}
}

func TestNoErrorHoldsTheURL(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, url := range []string{closed.URL + "/" + canary, "http://" + canary + ".invalid/x", "http://[::1/" + canary, "ftp://127.0.0.1/" + canary} {
		missed := Send(ctx, []Target{{URL: url}}, about(t, rolledBack))
		if len(missed) != 1 || strings.Contains(strings.ToLower(texts(missed)), strings.ToLower(canary)) {
			t.Errorf("Send to %s = %q, want one error without the URL", url, texts(missed))
		}
	}
}

func TestTheFormatGoesByTheHost(t *testing.T) {
	for url, want := range map[string]string{
		"https://hooks.slack.com/services/T/B/x":     Slack,
		"https://hooks.slack-gov.com/services/T/B/x": Slack,
		"https://example.com/hooks.slack.com":        JSON,
	} {
		if got := (Target{URL: url}).format(); got != want {
			t.Errorf("format of %s = %s, want %s", url, got, want)
		}
	}
	if got := (Target{URL: "https://mattermost.example/hooks/x", Format: Slack}).format(); got != Slack {
		t.Errorf("format = %s, want what was configured", got)
	}
}

// expect answers with a code when the request is a JSON body of the form.
func expect(t *testing.T, format string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %q: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		if own := body["v"] != nil; own != (format == JSON) {
			t.Errorf("the body is %v, want the form %s", body, format)
		}
		w.WriteHeader(code)
	}
}

func texts(errs []error) string {
	if err := errors.Join(errs...); err != nil {
		return err.Error()
	}
	return ""
}
