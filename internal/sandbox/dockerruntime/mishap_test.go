package dockerruntime_test

import (
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/mishap"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

// TestKillAndTheFaultsOfTasks holds package mishap on real containers: one dies with
// the fault's code, and the one beside it runs on.
func TestKillAndTheFaultsOfTasks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	faults := fault.NewSet(nil, nil, nil)
	rt := mishap.Wrap(b.Runtime, faults)
	code := 139
	if _, err := faults.Add(fault.Rule{Task: "app", Container: "app", Exit: &code}); err != nil {
		t.Fatal(err)
	}
	app := b.container("app", tinyelf.Idle())
	app.MemoryMiB = 16 // a SIGKILL would count as the limit's
	r := &run{t: t, b: b, spec: spec(app, b.container("beside", tinyelf.Idle())), events: make(chan task.Event, 1000)}
	rt.Start(r.spec, func(e task.Event) {
		r.events <- e
		if e.Kind == task.Ended {
			close(r.events)
		}
	})
	r.next(task.ContainerExited)
	if e := r.exit("app"); *e.ExitCode != 139 || e.Reason != "" {
		t.Errorf("the container ended with %d %q, want 139 without a reason", *e.ExitCode, e.Reason)
	}
	rt.Kill(r.spec.ID, "app") // it has ended
	rt.Kill("of nobody", "app")
	rt.Stop(r.spec.ID)
	r.rest()
	if e := r.exit("beside"); *e.ExitCode != 0 {
		t.Errorf("the container beside it ended with %d, want 0 by the stop", *e.ExitCode)
	}
}
