package release_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// The revision carries the record of the release before, which had one.
func TestAFailedRedeployDoesNotSpeakOfAnEarlierReleasesBeforeTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
	w.want(w.release(w.withBefore(migrate)), 0, event.Released, "", "38")
	w.runtime.Set("backend:38", segfault)
	w.at("conclude", event.Started, func() { w.runtime.Set("backend:38", scripted.Script{}) })
	s := w.settings("good")
	s.Redeploy, s.RunID = true, "run2"
	res := w.release(s)
	w.want(res, 3, event.RolledBack, "EXIT_139_SIGSEGV", "38")
	if text := said(res.Failure); strings.Contains(text, "migrate") {
		t.Errorf("it speaks of a task that it did not run:\n%s", text)
	}
}

// ECS calls a redeploy a success whose live checks failed. The history shows what the
// release found, and holds it against neither the revision nor its other deployments.
func TestHistoryShowsARedeployThatItsLiveChecksRefuted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	var bad atomic.Bool
	l := newLive(w, func(string) int {
		if bad.Load() {
			return 500
		}
		return 200
	})
	w.onEvent = func(r event.Record) {
		if st, ok := r.Event.(event.Stage); ok && st.Status == event.Started {
			bad.Store(st.Name == "checks")
		}
	}
	s := w.checked(check.HTTP{Name: "health", URL: l.URL})
	s.Redeploy, s.RunID = true, "run2"
	res := w.release(s)
	if res.ExitCode != 3 {
		t.Fatalf("the redeploy ended with %d: %v\n%s", res.ExitCode, res.Failure, w.story())
	}
	w.wantTag("38", history.Proven, "")
	var got []string
	ledger := w.ledger()
	for _, a := range w.attempts("38") { // newest first
		got = append(got, strings.TrimSpace(ledger.Outcome(a)+" "+ledger.Failure(a)))
	}
	want := []string{"succeeded", "completed, then failed " + string(res.Failure.Code), "succeeded"}
	if !slices.Equal(got, want) {
		t.Errorf("history = %q, want %q", got, want)
	}
}
