package scripted

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// run is one task being played, by one goroutine.
type run struct {
	spec    task.Spec
	address string   // of the task
	scripts []Script // of its containers, in their order
	events  func(task.Event)
	stop    chan struct{} // closed: stop signal
	kill    chan struct{} // closed: SIGKILL, at once
	once    sync.Once
	ended   chan struct{}
	orders  chan task.Event // what a test makes containers do

	members map[string]*member
	steps   []step
}

// member is how far a container is.
type member struct {
	started, healthy, exited bool

	startedAt time.Time // or restarted
	firstAt   time.Time
	exitCode  *int
	served    *served // nil: nothing
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
	t.members = make(map[string]*member)
	for _, c := range t.spec.Containers {
		t.members[c.Name] = new(member)
	}
	if err := task.CheckDependencies(t.spec.Containers); err != nil {
		t.send(task.Event{Kind: task.StartFailed, Reason: "TaskDependencyError: " + err.Error()})
		return
	}
	if !t.pull() {
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

// live plays what the containers do by themselves, until all have ended, one of
// them cannot be started, or the task is to stop.
func (t *run) live() {
	for {
		if !t.startAll() || t.over() {
			return
		}
		if len(t.steps) > 0 && !time.Now().Before(t.steps[0].at) {
			s := t.steps[0]
			t.steps = t.steps[1:]
			t.do(s.event)
			continue
		}
		if !t.await() {
			return
		}
	}
}

func (t *run) over() bool {
	for _, m := range t.members {
		if !m.exited {
			return false
		}
	}
	return true
}

// startAll starts what has to wait for nothing any more. It reports false when the
// task has failed by that.
func (t *run) startAll() bool {
	for again := true; again; {
		again = false
		for i, c := range t.spec.Containers {
			if t.members[c.Name].started {
				continue
			}
			ready, err := t.ready(c)
			reason := ""
			switch {
			case err != nil:
				reason = fmt.Sprintf("TaskDependencyError: container %s: %v", c.Name, err)
			case ready && t.scripts[i].StartError != "":
				reason = "CannotStartContainerError: " + t.scripts[i].StartError
			case ready:
				t.start(i)
				again = true
			}
			if reason != "" {
				t.send(task.Event{Kind: task.StartFailed, Container: c.Name, Reason: reason})
				return false
			}
		}
	}
	return true
}

func (t *run) start(i int) {
	c, m := t.spec.Containers[i], t.members[t.spec.Containers[i].Name]
	m.started, m.startedAt, m.firstAt = true, time.Now(), time.Now()
	ports := c.Ports
	if h := t.scripts[i].Serve; h != nil {
		m.served, ports = serve(ports, h)
	}
	t.send(task.Event{
		Kind: task.ContainerStarted, Container: c.Name, RuntimeID: t.spec.ID + "-" + c.Name,
		Address: t.address, Ports: ports,
	})
	t.plan(i)
	if c.StartTimeout > 0 { // look again when it is over
		t.add(step{m.firstAt.Add(c.StartTimeout), task.Event{}})
	}
}

// plan notes what a container does from now on.
func (t *run) plan(i int) {
	for _, s := range t.scripts[i].steps(t.spec.Containers[i]) {
		t.add(step{time.Now().Add(s.after), s.event})
	}
}

func (t *run) add(s step) {
	t.steps = append(t.steps, s)
	slices.SortStableFunc(t.steps, func(a, b step) int { return a.at.Compare(b.at) })
}

// ready reports whether the container's dependencies are met. The error is one that
// can no longer be met.
func (t *run) ready(c task.Container) (bool, error) {
	for _, d := range c.DependsOn {
		on := t.members[d.Container]
		met := on.exited
		switch d.Condition {
		case task.DependStart:
			met = on.started
		case task.DependHealthy:
			met = on.healthy
		}
		switch of := t.definition(d.Container); {
		case on.exited:
			if err := d.Unmet(on.exitCode, met); err != nil {
				return false, err
			}
		case !met && on.started && of.StartTimeout > 0 && time.Since(on.firstAt) >= of.StartTimeout:
			return false, d.Late(of)
		case !met:
			return false, nil
		}
	}
	return true, nil
}

func (t *run) definition(name string) task.Container {
	i := slices.IndexFunc(t.spec.Containers, func(c task.Container) bool { return c.Name == name })
	return t.spec.Containers[i]
}

// await waits for the next step, an order, or the stop, which ends it.
func (t *run) await() bool {
	var due <-chan time.Time
	if len(t.steps) > 0 {
		timer := time.NewTimer(time.Until(t.steps[0].at))
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
	m := t.members[e.Container]
	switch {
	case m == nil || !m.started || m.exited:
	case e.Kind == task.ContainerExited && t.restart(e, m):
	case e.Kind == task.ContainerExited:
		t.exit(e)
	default:
		m.healthy = m.healthy || e.Health == task.Healthy
		t.send(e)
	}
}

// restart starts a container again that has ended, when its policy says so.
func (t *run) restart(e task.Event, m *member) bool {
	if !t.definition(e.Container).Restart.Again(e.ExitCode, time.Since(m.startedAt)) {
		return false
	}
	m.startedAt = time.Now()
	t.steps = slices.DeleteFunc(t.steps, func(s step) bool { return s.event.Container == e.Container })
	t.send(task.Event{Kind: task.ContainerRestarted, Container: e.Container, ExitCode: e.ExitCode})
	t.plan(slices.IndexFunc(t.spec.Containers, func(c task.Container) bool { return c.Name == e.Container }))
	return true
}

func (t *run) exit(e task.Event) {
	m := t.members[e.Container]
	m.exited, m.exitCode = true, e.ExitCode
	if m.served != nil {
		m.served.close()
	}
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
		if m := t.members[c.Name]; !m.started || m.exited {
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
