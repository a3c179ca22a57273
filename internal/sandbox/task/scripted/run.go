package scripted

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// run is one task being played, by one goroutine.
type run struct {
	spec    task.Spec
	scripts []Script // of its containers, in their order
	events  func(task.Event)
	stop    chan struct{} // closed: stop signal
	kill    chan struct{} // closed: SIGKILL, at once
	once    sync.Once
	ended   chan struct{}
	orders  chan task.Event // what a test makes containers do

	exited map[string]bool
}

func (t *run) halt() { t.once.Do(func() { close(t.stop) }) }

func (t *run) send(e task.Event) {
	e.At = time.Now()
	t.events(e)
}

// play tells the life of the task from pull to end.
func (t *run) play() {
	defer close(t.ended)
	defer t.send(task.Event{Kind: task.Ended})
	t.exited = make(map[string]bool)
	if !t.pull() || !t.start() {
		return
	}
	t.live()
	t.stopAll()
}

// pull reports whether the task is to be started.
func (t *run) pull() bool {
	t.send(task.Event{Kind: task.PullStarted})
	for i, s := range t.scripts {
		if !t.wait(s.PullTakes) {
			return false
		}
		if s.PullError != "" {
			t.send(task.Event{Kind: task.StartFailed, Container: t.spec.Containers[i].Name, Reason: "CannotPullContainerError: " + s.PullError})
			return false
		}
	}
	t.send(task.Event{Kind: task.PullStopped})
	return t.wait(0)
}

func (t *run) start() bool {
	for i, s := range t.scripts {
		c := t.spec.Containers[i]
		if s.StartError != "" {
			t.send(task.Event{Kind: task.StartFailed, Container: c.Name, Reason: "CannotStartContainerError: " + s.StartError})
			for _, before := range t.spec.Containers[:i] {
				t.exit(task.Event{Kind: task.ContainerExited, Container: before.Name, ExitCode: new(int)})
			}
			return false
		}
		t.send(task.Event{
			Kind: task.ContainerStarted, Container: c.Name, RuntimeID: t.spec.ID + "-" + c.Name,
			Address: "127.0.0.1", Ports: c.Ports,
		})
	}
	return true
}

// wait pauses; it reports false as soon as the task is to stop.
func (t *run) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.stop:
		return false
	default:
	}
	select {
	case <-timer.C:
		return true
	case <-t.stop:
		return false
	}
}

// live plays what the containers do by themselves, until all have ended or
// the task is to stop.
func (t *run) live() {
	var steps []step
	for i, s := range t.scripts {
		steps = append(steps, s.steps(t.spec.Containers[i])...)
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.after, b.after) })
	began := time.Now()
	for len(t.exited) < len(t.spec.Containers) {
		if len(steps) > 0 && time.Since(began) >= steps[0].after {
			t.do(steps[0].event)
			steps = steps[1:]
			continue
		}
		if !t.await(began, steps) {
			return
		}
	}
}

// await waits for the next step, an order, or the stop, which ends it.
func (t *run) await(began time.Time, steps []step) bool {
	var due <-chan time.Time
	if len(steps) > 0 {
		timer := time.NewTimer(time.Until(began.Add(steps[0].after)))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case e := <-t.orders:
		t.do(e)
	case <-t.stop:
		return false
	}
	return true
}

func (t *run) do(e task.Event) {
	if t.exited[e.Container] {
		return
	}
	if e.Kind == task.ContainerExited {
		t.exit(e)
		return
	}
	t.send(e)
}

func (t *run) exit(e task.Event) {
	t.exited[e.Container] = true
	t.send(e)
}

// stopAll ends the containers that run, each in its own time.
func (t *run) stopAll() {
	type ending struct {
		after time.Duration
		event task.Event
	}
	var endings []ending
	for i, c := range t.spec.Containers {
		if t.exited[c.Name] {
			continue
		}
		s := t.scripts[i]
		e := ending{s.StopTakes, task.Event{Kind: task.ContainerExited, Container: c.Name, ExitCode: &s.StopCode}}
		if s.IgnoresTERM || s.StopTakes > c.StopTimeout {
			killed := 137
			e.after, e.event.ExitCode = c.StopTimeout, &killed
		}
		endings = append(endings, e)
	}
	slices.SortStableFunc(endings, func(a, b ending) int { return cmp.Compare(a.after, b.after) })
	began := time.Now()
	for _, e := range endings {
		timer := time.NewTimer(time.Until(began.Add(e.after)))
		select {
		case <-timer.C:
		case <-t.kill:
			killed := 137
			e.event.ExitCode = &killed
		}
		timer.Stop()
		t.exit(e.event)
	}
}
