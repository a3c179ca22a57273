package dockerruntime

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// running is one task. Workers, one for each container, send what happens to out;
// run hands it to the task's events from one goroutine.
type running struct {
	rt      *Runtime
	spec    task.Spec
	events  func(task.Event)
	out     chan task.Event
	members map[string]*member // by container name

	stopping chan struct{} // closed by stop
	stopOnce sync.Once
	failOnce sync.Once

	mu  sync.Mutex
	ids map[string]string // the engine's, by container name

	pause   string // id of the pause container
	address string
	ports   []engine.PortBinding
}

func newRunning(r *Runtime, spec task.Spec, events func(task.Event)) *running {
	t := &running{
		rt: r, spec: spec, events: events,
		out: make(chan task.Event), members: map[string]*member{}, stopping: make(chan struct{}), ids: map[string]string{},
	}
	for _, c := range spec.Containers {
		t.members[c.Name] = newMember(c)
	}
	return t
}

// refuse answers a task that cannot even be tried.
func (t *running) refuse(why error) {
	defer t.rt.ended()
	t.events(task.Event{Kind: task.StartFailed, At: time.Now(), Reason: cannotStart(why)})
	t.events(task.Event{Kind: task.Ended, At: time.Now()})
}

// run is the task's life, from pull to the last event.
func (t *running) run() {
	defer t.rt.ended()
	go func() {
		defer close(t.out)
		t.work()
	}()
	for e := range t.out {
		t.events(e)
	}
	t.rt.forget(t.spec.ID)
	t.events(task.Event{Kind: task.Ended, At: time.Now()})
}

func (t *running) work() {
	defer t.remove()
	if err := task.CheckDependencies(t.spec.Containers); err != nil {
		t.fail("", fmt.Sprintf("TaskDependencyError: %v", err))
		return
	}
	if !t.pull() || !t.startPause() {
		return
	}
	var members, watch sync.WaitGroup
	done := make(chan struct{})
	if t.together() {
		watch.Go(func() { t.watchMemory(done) })
	}
	for _, c := range t.spec.Containers {
		members.Go(func() { t.runMember(c) })
	}
	members.Wait()
	close(done)
	watch.Wait()
}

// stop makes the task end; it may be called again.
func (t *running) stop() { t.stopOnce.Do(func() { close(t.stopping) }) }

func (t *running) stopped() bool {
	select {
	case <-t.stopping:
		return true
	default:
		return false
	}
}

// send stamps an event that has no time yet.
func (t *running) send(e task.Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	t.out <- e
}

// fail tells why the task cannot start, once, and ends what had started. A task
// that was stopped meanwhile has not failed.
func (t *running) fail(container, reason string) {
	if t.stopped() {
		return
	}
	t.failOnce.Do(func() { t.send(task.Event{Kind: task.StartFailed, Container: container, Reason: reason}) })
	t.stop()
}

// pull fetches the images, and reports whether the task goes on. Whether an image
// exists has been decided before, by the control plane: the engine would answer
// from what it has.
func (t *running) pull() bool {
	ctx, cancel := context.WithCancel(t.rt.ctx)
	defer cancel()
	go func() {
		select {
		case <-t.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	t.send(task.Event{Kind: task.PullStarted})
	done := map[string]bool{}
	for _, c := range t.spec.Containers {
		if done[c.Image] {
			continue
		}
		done[c.Image] = true
		if err := t.rt.images.pull(ctx, c.Image, auth(c.PullAuth)); err != nil {
			t.fail(c.Name, fmt.Sprintf("CannotPullContainerError: %v", err))
			return false
		}
	}
	t.send(task.Event{Kind: task.PullStopped})
	return !t.stopped()
}

func auth(a *task.PullAuth) engine.Auth {
	if a == nil {
		return engine.Auth{}
	}
	return engine.Auth{Username: a.Username, Password: a.Password, Server: a.Server}
}

// startPause makes the container that owns the task's network namespace.
func (t *running) startPause() bool {
	if err := t.makeVolumes(); err != nil {
		t.fail("", fmt.Sprintf("CannotCreateVolumeError: %v", err))
		return false
	}
	if err := t.makePause(); err != nil {
		t.fail("", cannotStart(err))
		return false
	}
	return !t.stopped()
}

func (t *running) makePause() error {
	spec := engine.ContainerSpec{
		Name: t.name("pause"), Image: t.rt.pause, Labels: t.rt.labelled(t.spec.ARN, ""),
		Network: "none", Hostname: hostname(t.spec), Sysctls: map[string]string{},
		ReadonlyRootfs: true, NoNewPrivileges: true, CapDrop: []string{"ALL"}, OpenStdin: true, NoLog: true,
	}
	for _, c := range t.spec.Containers {
		spec.ExtraHosts = append(spec.ExtraHosts, c.ExtraHosts...)
		spec.DNS, spec.DNSSearch = append(spec.DNS, c.DNS...), append(spec.DNSSearch, c.DNSSearch...)
		maps.Copy(spec.Sysctls, sysctls(c, true))
	}
	if t.spec.NetworkMode != "none" && !t.spec.Isolated {
		id, err := t.rt.network(t.rt.ctx)
		if err != nil {
			return err
		}
		spec.Network, spec.Publish = id, t.publish()
	}
	id, err := t.rt.engine.CreateContainer(t.rt.ctx, spec)
	if err != nil {
		return err
	}
	t.pause = id
	if t.spec.Metadata != nil {
		streams, err := t.rt.engine.Attach(t.rt.ctx, id)
		if err != nil {
			return err
		}
		go t.relay(streams) // ends with the pause container
	}
	if err := t.rt.engine.StartContainer(t.rt.ctx, id); err != nil {
		return err
	}
	s, err := t.rt.engine.Container(t.rt.ctx, id)
	t.address, t.ports = s.IP, s.Ports
	return err
}

// hostname is the first that a container asks for: they share one.
func hostname(s task.Spec) string {
	for _, c := range s.Containers {
		if c.Hostname != "" {
			return c.Hostname
		}
	}
	return ""
}

// publish lists the ports of all containers, each once, on loopback. A host port
// is not kept in the network mode awsvpc: there it is the port on the task's own
// address, and two tasks have the same one.
func (t *running) publish() []engine.PortBinding {
	var all []engine.PortBinding
	seen := map[string]bool{}
	for _, c := range t.spec.Containers {
		for _, p := range c.Ports {
			key := fmt.Sprint(p.ContainerPort, p.Protocol)
			if seen[key] {
				continue
			}
			seen[key] = true
			b := engine.PortBinding{ContainerPort: p.ContainerPort, Protocol: p.Protocol, HostIP: "127.0.0.1"}
			if t.spec.NetworkMode != "awsvpc" {
				b.HostPort = p.HostPort
			}
			all = append(all, b)
		}
	}
	return all
}

// bound says where the ports of a container can be reached: nowhere, when the task
// has no network.
func (t *running) bound(c task.Container) []task.Port {
	var all []task.Port
	for _, p := range c.Ports {
		for _, b := range t.ports {
			if b.ContainerPort == p.ContainerPort && b.Protocol == cmp.Or(strings.ToLower(p.Protocol), "tcp") {
				all = append(all, task.Port{ContainerPort: b.ContainerPort, HostPort: b.HostPort, HostIP: b.HostIP, Protocol: b.Protocol})
				break
			}
		}
	}
	return all
}

// name is what a container is called in the engine, for people who look there.
func (t *running) name(container string) string {
	return fmt.Sprintf("weelo-sandbox-%s-%s-%s", t.rt.id, t.spec.ID, container)
}

// remove takes what is left of the task out of the engine: all containers that
// carry its ARN, also one whose creation was answered too late.
func (t *running) remove() {
	ctx, cancel := context.WithTimeout(t.rt.ctx, tidyTime)
	defer cancel()
	left, err := t.rt.engine.Containers(ctx, LabelSandbox+"="+t.rt.id, LabelTask+"="+t.spec.ARN)
	if err != nil {
		return // Close lists them again
	}
	var wg sync.WaitGroup
	for _, c := range left {
		wg.Go(func() { _ = t.rt.engine.RemoveContainer(ctx, c.ID) }) // so does Close
	}
	wg.Wait()
	t.removeVolumes(ctx)
}

// cannotStart is how ECS names what the engine said.
func cannotStart(err error) string { return fmt.Sprintf("CannotStartContainerError: %v", err) }
