package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// tool runs weelo-deploy in the runner's folder, against its sandbox.
func (r *runner) tool(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("weelo-deploy", args...)
	cmd.Dir, cmd.Env = r.dir, append(r.server.Env(), "HOME="+r.dir, "PATH="+os.Getenv("PATH"), "CI=true", "USER=ana")
	cmd.Env = append(cmd.Env, r.env...)
	var out, story strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &story
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), story.String(), cmd.ProcessState.ExitCode()
}

// webhook answers with a status, and gives the bodies that it was sent.
func webhook(t *testing.T, status int) (url string, bodies chan string) {
	t.Helper()
	bodies = make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies <- string(b)
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/canary-hook", bodies
}

func TestWebhooksAreToldAfterTheVerdictAndChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	good, told := webhook(t, http.StatusOK)
	gone, _ := webhook(t, http.StatusNotFound)
	elsewhere := "https://hooks.slack.com/services/canary-hook"
	notify := "notify: [{url: '" + elsewhere + "'}, {url: '" + gone + "'}, {url: '" + good + "', on: [released]}]\n"
	if err := os.WriteFile(r.file("weelo-deploy.yaml"), []byte(actionConfig+notify), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := r.tool(t, "release", "--output", "json", "--no-trial", "--image", r.server.Registry()+"/weelo-backend:good")
	if code != 0 {
		t.Fatalf("exit %d:\n%s%s", code, stdout, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, `"type":"result"`) {
		t.Errorf("the last line is %s, want the result", last)
	}
	if stderr != "note: notify[1] was not told: it answered 404 not found\n" {
		t.Errorf("stderr is %q, want one note; the webhook that is not on loopback is none of a sandbox's", stderr)
	}
	if strings.Contains(stdout+stderr, "canary-hook") {
		t.Error("a webhook's URL is shown")
	}
	var body struct{ Event, Text, By, Serving string }
	if err := json.Unmarshal([]byte(<-told), &body); err != nil {
		t.Fatal(err)
	}
	if body.Event != "released" || body.Text != "backend on weelocluster: backend:28 is released and serves" || !strings.HasSuffix(body.Serving, "backend:28") || body.By == "" {
		t.Errorf("the webhook was told %+v", body)
	}
}

func TestAWebhookThatAskedIsToldOfARefusal(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	url, told := webhook(t, http.StatusNoContent)
	if err := os.WriteFile(r.file("weelo-deploy.yaml"), []byte(actionConfig+"notify: [{url: '"+url+"', on: [refused], format: slack}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := r.tool(t, "release", "--service", "missing", "--image", r.server.Registry()+"/weelo-backend:good"); code != 4 {
		t.Fatalf("exit %d, want 4:\n%s", code, stderr)
	}
	if got := <-told; !strings.Contains(got, `:no_entry: missing on weelocluster: release was refused`) {
		t.Errorf("the webhook was told %s", got)
	}
}

func TestARehearsalTellsNobody(t *testing.T) {
	url, told := webhook(t, http.StatusOK)
	tell := func(s session, res event.Result) {
		s.app = &app{stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
		s.config = &config.Config{Settings: config.Settings{Notify: []config.Notice{{URL: url}}}}
		s.redact = redact.New()
		s.tell(res)
	}
	released := event.Result{Command: "release", Outcome: event.Released}
	tell(session{rehearsal: true}, released)
	tell(session{}, event.Result{Command: "release", Outcome: event.Released, Rehearsal: true})
	tell(session{}, event.Result{Command: "plan", Outcome: event.Planned})
	if len(told) != 0 {
		t.Errorf("the webhook was told %s", <-told)
	}
	tell(session{}, released)
	if len(told) != 1 {
		t.Error("a release told nobody")
	}
}

func TestNobodyWaitsForAWebhookAfterAnInterrupt(t *testing.T) {
	interrupted, again := make(chan struct{}), make(chan struct{}, 1)
	a := &app{interrupted: interrupted, again: again}
	ctx, cancel := a.afterwards()
	defer cancel()
	close(interrupted)
	<-ctx.Done()

	began := time.Now()
	short, cancelShort := a.afterwards()
	defer cancelShort()
	if until, _ := short.Deadline(); until.Sub(began) > interruptedTotal+time.Second {
		t.Errorf("after an interrupt it may take %s", until.Sub(began))
	}
	again <- struct{}{}
	<-short.Done()
}
