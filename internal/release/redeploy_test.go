package release_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
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
