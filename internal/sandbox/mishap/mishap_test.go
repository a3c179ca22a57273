package mishap

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ward is a runtime with faults and what it told of its tasks.
type ward struct {
	t      *testing.T
	rt     *Runtime
	inner  *scripted.Runtime
	faults *fault.Set
	began  time.Time

	restart *task.Restart // of the container app

	mu    sync.Mutex
	story []string
}

// inWard runs a test with scripted tasks in fake time.
func inWard(t *testing.T, f func(w *ward)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &ward{t: t, inner: scripted.New(), faults: fault.NewSet(nil, nil, nil), began: time.Now()}
		w.rt = Wrap(w.inner, w.faults)
		defer func() {
			if err := w.rt.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
		f(w)
	})
}

func (w *ward) add(r fault.Rule) string {
	w.t.Helper()
	ids, err := w.faults.Add(r)
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return ids[0]
}

// run starts a task of the service web: an essential container app with a health
// check, and a sidecar log.
func (w *ward) run(id string) {
	w.rt.Start(task.Spec{
		ID: id, Family: "web", Revision: 3, Service: "web",
		Containers: []task.Container{
			{Name: "log", Image: "log", StopTimeout: time.Second},
			{Name: "app", Image: "app", Essential: true, StopTimeout: time.Second, Restart: w.restart, Health: &task.Health{Interval: 5 * time.Second}},
		},
	}, func(e task.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		text := fmt.Sprintf("%g %s %s %s", time.Since(w.began).Seconds(), id, e.Kind, e.Container)
		switch {
		case e.ExitCode != nil:
			text += fmt.Sprint(" ", *e.ExitCode, " ", e.Reason)
		case e.Health != "":
			text += " " + e.Health
		}
		w.story = append(w.story, strings.TrimSpace(text))
	})
	synctest.Wait()
}

func (w *ward) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// want compares what was told of exits and of health.
func (w *ward) want(want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, s := range w.story {
		if strings.Contains(s, "exited") || strings.Contains(s, "restarted") || strings.Contains(s, "health") {
			got = append(got, s)
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("told was %q\nwant %q", got, want)
	}
}

func code(n int) *int { return &n }

func TestAContainerDiesAsTheFaultSays(t *testing.T) {
	for _, c := range []struct {
		name string
		rule fault.Rule
		want string
	}{
		{"with a code", fault.Rule{Task: "web", Exit: code(3)}, "0 t container exited app 3"},
		{"with 0", fault.Rule{Task: "web:3", Exit: code(0)}, "0 t container exited app 0"},
		{"after a time", fault.Rule{Task: "*", Exit: code(139), Delay: fault.Duration(2 * time.Second)}, "2 t container exited app 139"},
		{"of a signal", fault.Rule{Task: "t", Signal: "SIGABRT"}, "0 t container exited app 134"},
		{"at its memory limit", fault.Rule{Task: "web", OOM: true}, "0 t container exited app 137 OutOfMemoryError: Container killed due to memory usage"},
		{"that is not essential", fault.Rule{Task: "web", Container: "log", Exit: code(7)}, "0 t container exited log 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWard(t, func(w *ward) {
				w.add(c.rule)
				w.run("t")
				w.pass(3 * time.Second)
				w.want(c.want)
			})
		})
	}
}

func TestTheTruthIsToldOfAContainerThatEndsByItself(t *testing.T) {
	inWard(t, func(w *ward) {
		w.inner.Set("app", scripted.Script{Exits: true, ExitAfter: time.Second, ExitCode: 9})
		w.add(fault.Rule{Task: "web", Exit: code(3), Delay: fault.Duration(2 * time.Second)})
		w.run("t")
		w.pass(5 * time.Second)
		w.want("1 t container exited app 9")
	})
}

func TestOnlyTasksThatAreMeantDie(t *testing.T) {
	inWard(t, func(w *ward) {
		w.run("a")
		w.add(fault.Rule{Task: "web", Exit: code(1), After: 1, Times: 1})
		for _, id := range []string{"b", "c", "d"} {
			w.run(id)
		}
		w.want("0 c container exited app 1")
		w.add(fault.Rule{Task: "web", Exit: code(2), Running: true, Times: 2})
		w.pass(time.Second)
		if n := len(w.inner.Running()); n != 4 { // the sidecar of each runs on
			t.Errorf("%d tasks run", n)
		}
		died := 0
		for _, s := range w.story {
			if strings.Contains(s, "exited app 2") {
				died++
			}
		}
		if died != 2 {
			t.Errorf("%d running tasks died, want 2", died)
		}
	})
}

func TestAFaultThatIsTakenBackDoesNothingMore(t *testing.T) {
	inWard(t, func(w *ward) {
		id := w.add(fault.Rule{Task: "web", Exit: code(1), Delay: fault.Duration(10 * time.Second)})
		w.run("t")
		w.pass(5 * time.Second)
		w.faults.Remove(id)
		w.pass(time.Minute)
		w.want("5 t container health app HEALTHY")
	})
}

func TestAFaultLastsAsLongAsItSays(t *testing.T) {
	inWard(t, func(w *ward) {
		w.add(fault.Rule{Task: "web", Exit: code(1), Lasts: fault.Duration(10 * time.Second)})
		w.pass(9 * time.Second)
		w.run("a")
		w.pass(2 * time.Second)
		w.run("b")
		w.want("9 a container exited app 1")
		if left := w.faults.List(); len(left) != 0 {
			t.Errorf("faults %v are left", left)
		}
	})
}

func TestHealthIsSlow(t *testing.T) {
	inWard(t, func(w *ward) {
		w.add(fault.Rule{Task: "web", Health: fault.Slow, Delay: fault.Duration(30 * time.Second)})
		w.run("t")
		w.pass(time.Minute)
		w.want("30 t container health app HEALTHY")
	})
}

func TestHealthFails(t *testing.T) {
	t.Run("from the beginning", func(t *testing.T) {
		inWard(t, func(w *ward) {
			w.add(fault.Rule{Task: "web", Health: fault.Failing})
			w.run("t")
			w.pass(time.Minute)
			w.want("5 t container health app UNHEALTHY")
		})
	})
	t.Run("after a time, and recovers", func(t *testing.T) {
		inWard(t, func(w *ward) {
			w.run("t")
			w.pass(10 * time.Second)
			id := w.add(fault.Rule{Task: "web", Health: fault.Failing, Delay: fault.Duration(20 * time.Second), Running: true})
			w.pass(20 * time.Second)
			w.faults.Remove(id)
			w.pass(time.Minute)
			w.want("5 t container health app HEALTHY", "20 t container health app UNHEALTHY", "30 t container health app HEALTHY")
		})
	})
}

func TestAFaultOfHealthWantsAHealthCheck(t *testing.T) {
	inWard(t, func(w *ward) {
		w.add(fault.Rule{Task: "web", Container: "log", Health: fault.Failing})
		w.run("t")
		if got := w.faults.List()[0].Acted; got != 0 {
			t.Errorf("the fault acted %d times on a container without a check", got)
		}
	})
}

func TestAFaultTellsWhatItDid(t *testing.T) {
	inWard(t, func(w *ward) {
		w.add(fault.Rule{Task: "web", Exit: code(1)})
		w.run("a")
		w.run("b")
		got := w.faults.List()[0]
		if got.Acted != 2 || len(got.Did) != 2 || got.Did[1].On != "task b, container app" {
			t.Errorf("the fault says %+v", got)
		}
	})
}

func TestAContainerThatIsRestartedDiesAgain(t *testing.T) {
	inWard(t, func(w *ward) {
		w.restart = &task.Restart{Period: 5 * time.Second}
		w.add(fault.Rule{Task: "web", Exit: code(3), Delay: fault.Duration(10 * time.Second), Times: 1})
		w.run("t")
		w.pass(15 * time.Second)
		w.add(fault.Rule{Task: "web", Exit: code(4), Running: true})
		w.pass(time.Minute)
		w.want("5 t container health app HEALTHY", "10 t container restarted app 3", "15 t container restarted app 4", "15 t container exited app 4")
	})
}

func TestAFaultIsNotSpentOnAContainerThatHasEnded(t *testing.T) {
	inWard(t, func(w *ward) {
		w.add(fault.Rule{Task: "web", Exit: code(1), Times: 1})
		w.run("a")
		w.add(fault.Rule{Task: "web", Exit: code(2), Running: true, Times: 1})
		w.run("b")
		w.want("0 a container exited app 1", "0 b container exited app 2")
	})
}
