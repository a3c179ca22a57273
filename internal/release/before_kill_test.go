package release_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// A release is killed after every single call between the registration of its
// revision and UpdateService; whoever releases the same again deploys that revision,
// and no before-task has run twice.
func TestABeforeTaskRunsOnceWhereverItsReleaseIsKilled(t *testing.T) {
	t.Parallel()
	scripts := map[string]scripted.Script{"$ migrate up": exits(0, "migrated"), "$ seed": exits(0)}
	w := newWorld(t, incident, scripts)
	calls, done := w.killed(w.withBefore(migrate, plant), 0)
	from, to := slices.Index(calls, "RegisterTaskDefinition"), slices.Index(calls, "UpdateService")
	if !done || from < 0 || to < from+6 {
		t.Fatalf("a whole release made the calls %q", calls)
	}
	var all sync.WaitGroup
	slots := make(chan struct{}, 4)
	for n := from + 1; n <= to; n++ {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			w := newWorld(t, incident, scripts)
			calls, _ := w.killed(w.withBefore(migrate, plant), n)
			when := fmt.Sprintf("killed after call %d (%s)", n, calls[len(calls)-1])
			s := w.withBefore(migrate, plant)
			s.RunID, s.Wait = "run2", true
			res := w.release(s)
			w.bury()
			if slices.Contains(calls, "UpdateService") {
				return // it was quicker than the run that was counted
			}
			if ran := w.ran(); !slices.Equal(ran, []string{"migrate up", "seed"}) {
				t.Errorf("%s: %q ran\n%s", when, ran, w.story())
			}
			if res.ExitCode != 0 || res.Outcome != event.Released || history.Revision(res.Serving) != "38" {
				t.Errorf("%s: exit %d, %s serves, %+v\n%s", when, res.ExitCode, history.Revision(res.Serving), res.Failure, w.story())
			}
		})
	}
	all.Wait()
}
