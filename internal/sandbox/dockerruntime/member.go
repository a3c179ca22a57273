package dockerruntime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// logDrain is how long after a container's end the next of its last lines may take.
const logDrain = 5 * time.Second

// member is how far a container of a task is, for those that depend on it. Each
// channel is closed when it is so far.
type member struct {
	container task.Container

	created, started, healthy, ended chan struct{}
	healthyOnce                      sync.Once

	startedAt time.Time // set before started is closed
	exitCode  *int      // set before ended is closed, when it had started
	logged    time.Time // when the last of its log was written that has been told
	lines     atomic.Int64
}

func newMember(c task.Container) *member {
	return &member{
		container: c, created: make(chan struct{}), started: make(chan struct{}), healthy: make(chan struct{}), ended: make(chan struct{}),
	}
}

// runMember runs one container from its dependencies to its end, with the
// restarts that its policy allows.
func (t *running) runMember(c task.Container) {
	m := t.members[c.Name]
	defer close(m.ended)
	id, ok := t.startMember(c, m)
	if !ok {
		return
	}
	for began := m.startedAt; ; began = time.Now() {
		exit := t.attend(c, id, m)
		if t.stopped() || !c.Restart.Again(exit.ExitCode, time.Since(began)) {
			m.exitCode = exit.ExitCode
			t.send(exit)
			return
		}
		if err := t.rt.engine.StartContainer(t.rt.ctx, id); err != nil {
			exit.Reason = cannotStart(err)
			t.send(exit)
			return
		}
		t.send(task.Event{Kind: task.ContainerRestarted, Container: c.Name, ExitCode: exit.ExitCode})
	}
}

// startMember waits for what the container depends on, and starts it. It reports
// whether it runs.
func (t *running) startMember(c task.Container, m *member) (id string, ok bool) {
	if err := t.await(c); err != nil {
		t.fail(c.Name, fmt.Sprintf("TaskDependencyError: %v", err))
		return "", false
	}
	if t.stopped() {
		return "", false
	}
	id, err := t.rt.engine.CreateContainer(t.rt.ctx, t.containerSpec(c))
	if err != nil {
		t.fail(c.Name, fmt.Sprintf("CannotCreateContainerError: %v", err))
		return "", false
	}
	t.note(c.Name, id) // before it starts: it may ask for its own statistics at once
	close(m.created)
	if t.stopped() {
		return "", false
	}
	if err := t.rt.engine.StartContainer(t.rt.ctx, id); err != nil {
		t.fail(c.Name, cannotStart(err))
		return "", false
	}
	t.send(task.Event{Kind: task.ContainerStarted, Container: c.Name, RuntimeID: id, Address: t.address, Ports: t.bound(c)})
	m.startedAt = time.Now()
	close(m.started)
	return id, true
}

// attend stays with a container that has started, and returns its exit event
// when everything else about it has been told.
func (t *running) attend(c task.Container, id string, m *member) task.Event {
	ctx, cancel := context.WithCancel(t.rt.ctx)
	defer cancel()
	exited := make(chan struct{})
	var attendants sync.WaitGroup
	logged := make(chan struct{})
	attendants.Go(func() {
		defer close(logged)
		t.follow(ctx, c.Name, id, m)
	})
	attendants.Go(func() { t.stopWhenAsked(c, id, exited) })
	attendants.Go(func() { t.killWhenClosing(id, exited) })
	if c.Health != nil {
		attendants.Go(func() { t.watchHealth(ctx, c, id, m, exited) })
	}

	exit, err := t.rt.engine.WaitContainer(t.rt.ctx, id)
	asked := t.stopped()
	close(exited)
	drain(logged, &m.lines)
	cancel()
	attendants.Wait()
	if err == nil && !asked {
		exit.OOMKilled = exit.OutOfMemory(int64(t.memory(c)))
	}
	return exitEvent(c.Name, exit, err)
}

// exitEvent turns what the engine says of an end into ECS's words.
func exitEvent(container string, exit engine.Exit, err error) task.Event {
	e := task.Event{Kind: task.ContainerExited, Container: container, At: exit.FinishedAt}
	switch {
	case err == nil:
		e.ExitCode = &exit.Code
	case errors.Is(err, engine.ErrNotFound): // removed by somebody else
		e.Reason = "ContainerVanishedError: " + err.Error()
	default:
		e.Reason = "CannotInspectContainerError: " + err.Error()
	}
	switch {
	case exit.OOMKilled:
		e.Reason = task.ReasonOutOfMemory
	case exit.Error != "":
		e.Reason = "DockerStateError: " + exit.Error
	}
	return e
}

// drain returns when the log has been told, or nothing more of it has come for a
// while: what a container wrote just before its end may be more than a slow machine
// reads in that time.
func drain(logged <-chan struct{}, lines *atomic.Int64) {
	pause := time.NewTicker(logDrain)
	defer pause.Stop()
	for before := lines.Load(); ; {
		select {
		case <-logged:
			return
		case <-pause.C:
		}
		now := lines.Load()
		if now == before {
			return
		}
		before = now
	}
}

// follow hands on what the container writes. A container whose log cannot be read
// runs on without.
func (t *running) follow(ctx context.Context, container, id string, m *member) {
	var err error
	m.logged, err = t.rt.engine.FollowLogs(ctx, id, m.logged, func(l engine.LogLine) {
		t.send(task.Event{Kind: task.LogLine, Container: container, At: l.At, Line: l.Text})
		m.lines.Add(1)
	})
	if err != nil && ctx.Err() == nil {
		t.send(task.Event{Kind: task.LogLine, Container: container, Line: fmt.Sprintf("[sandbox: %v]", err)})
	}
}

// stopWhenAsked ends the container when its task is to stop.
func (t *running) stopWhenAsked(c task.Container, id string, exited <-chan struct{}) {
	select {
	case <-exited:
		return
	case <-t.stopping:
	}
	if err := t.rt.engine.StopContainer(t.rt.ctx, id, c.StopTimeout); err != nil {
		_ = t.rt.engine.KillContainer(t.rt.ctx, id, "SIGKILL") // WaitContainer tells whether it helped
	}
}

// killWhenClosing ends the container when the Runtime is being closed.
func (t *running) killWhenClosing(id string, exited <-chan struct{}) {
	select {
	case <-exited:
	case <-t.rt.closing:
		_ = t.rt.engine.KillContainer(t.rt.ctx, id, "SIGKILL") // as above
	}
}

// watchHealth tells each change of the container's health. The engine is asked
// four times in an interval of the check.
func (t *running) watchHealth(ctx context.Context, c task.Container, id string, m *member, exited <-chan struct{}) {
	every := time.NewTicker(min(max(c.Health.Interval/4, 100*time.Millisecond), time.Second))
	defer every.Stop()
	last := ""
	for {
		select {
		case <-exited:
			return
		case <-ctx.Done():
			return
		case <-every.C:
		}
		s, err := t.rt.engine.Container(ctx, id)
		if err != nil || !s.Running {
			continue // WaitContainer tells
		}
		health := map[string]string{"healthy": task.Healthy, "unhealthy": task.Unhealthy}[s.Health]
		if health == "" || health == last {
			continue
		}
		last = health
		t.send(task.Event{Kind: task.ContainerHealth, Container: c.Name, Health: health})
		if health == task.Healthy {
			m.healthyOnce.Do(func() { close(m.healthy) })
		}
	}
}
