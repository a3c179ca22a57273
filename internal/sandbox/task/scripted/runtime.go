package scripted

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Runtime is a [task.Runtime] that follows scripts.
type Runtime struct {
	mu      sync.Mutex
	scripts map[string]Script
	tasks   map[string]*run
	started []task.Spec
	closed  bool
	kill    chan struct{} // closed by Close
	all     sync.WaitGroup
}

// New returns a runtime without scripts.
func New() *Runtime {
	return &Runtime{scripts: make(map[string]Script), tasks: make(map[string]*run), kill: make(chan struct{})}
}

// Set gives what key names a script, for tasks that start from now on. A key
// is a command ("$ migrate up"), a revision and container ("web:3/app"), a revision ("web:3"), an image
// reference, a digest, a repository with its host, or a repository's last
// name; the first of these that has a script decides.
func (r *Runtime) Set(key string, s Script) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scripts[key] = s
}

// Started lists the specs of all tasks that were started, in order.
func (r *Runtime) Started() []task.Spec {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.started)
}

// Running lists the ids of the tasks that have not ended.
func (r *Runtime) Running() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, s := range r.started {
		if r.tasks[s.ID] != nil {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// Exit makes a running container end now, as by itself. It reports whether
// there was one.
func (r *Runtime) Exit(taskID, container string, code int) bool {
	return r.tell(taskID, task.Event{Kind: task.ContainerExited, Container: container, ExitCode: &code})
}

// Kill ends a running container as SIGKILL does.
func (r *Runtime) Kill(taskID, container string) { r.Exit(taskID, container, 137) }

// Health changes the health of a running container. It reports whether there
// was one.
func (r *Runtime) Health(taskID, container, status string) bool {
	return r.tell(taskID, task.Event{Kind: task.ContainerHealth, Container: container, Health: status})
}

func (r *Runtime) tell(taskID string, e task.Event) bool {
	r.mu.Lock()
	t := r.tasks[taskID]
	r.mu.Unlock()
	if t == nil {
		return false
	}
	select {
	case t.orders <- e:
		return true
	case <-t.ended:
		return false
	}
}

// Metadata asks the metadata endpoint of a running task, as one of its containers
// would. Every container that runs has the statistics {}. The status is 0 when the
// task does not run.
func (r *Runtime) Metadata(taskID, path string) (status int, body []byte) {
	r.mu.Lock()
	t := r.tasks[taskID]
	r.mu.Unlock()
	if t == nil {
		return 0, nil
	}
	return t.spec.Metadata(path, func(string) ([]byte, error) { return []byte("{}"), nil })
}

// Start begins to play a task.
func (r *Runtime) Start(spec task.Spec, events func(task.Event)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &run{
		spec: spec, events: events, address: address(len(r.started)),
		stop: make(chan struct{}), kill: r.kill, ended: make(chan struct{}), orders: make(chan task.Event),
	}
	for _, c := range spec.Containers {
		t.scripts = append(t.scripts, r.script(spec, c))
	}
	r.started = append(r.started, spec)
	if r.closed {
		t.halt()
	}
	r.tasks[spec.ID] = t
	r.all.Go(func() {
		t.play()
		r.mu.Lock()
		delete(r.tasks, spec.ID)
		r.mu.Unlock()
	})
}

// script finds a container's script. The caller holds the lock.
func (r *Runtime) script(spec task.Spec, c task.Container) Script {
	for _, k := range keys(spec, c) {
		if s, ok := r.scripts[k]; ok {
			return s
		}
	}
	return Script{}
}

// Stop ends a task.
func (r *Runtime) Stop(taskID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tasks[taskID]; t != nil {
		t.halt()
	}
}

// Close ends all tasks at once and waits for them.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.kill)
	}
	for _, t := range r.tasks {
		t.halt()
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.all.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// address is the private address of the n-th task.
func address(n int) string { return fmt.Sprintf("10.0.%d.%d", n/250%250, n%250+1) }

func itoa(n int) string { return strconv.Itoa(n) }
