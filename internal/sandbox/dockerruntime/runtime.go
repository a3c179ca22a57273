// Package dockerruntime runs the sandbox's tasks as real containers on a Docker
// engine: it is a [task.Runtime]. Open is the place to start.
//
// A task is a pause container, which owns the network namespace and the
// published ports and does nothing, and the task's containers, which join it:
// they reach each other on 127.0.0.1, as on Fargate. Ports are published on
// 127.0.0.1 of the host only. The pause container of an isolated task has no
// network at all: on an internal network of engine 20.10 a container still reaches
// everything that listens on the engine's host (measured), and what it cannot
// reach it waits for instead of failing. Exit codes, signals, memory limits, health checks
// and logs are the engine's, and real. A container's CPU units are its weight; those
// of a task are not enforced, so that a rehearsal on a small machine is not slower
// than it must be.
//
// Whoever reaches the sandbox's port can start tasks, and must not become root of
// this machine by that: no folder of it is ever mounted (see [task.Volume]), no
// container is privileged, and of the capabilities only those are added that end at
// the container's own namespaces.
//
// Everything that a Runtime makes in the engine carries the label
// weelo-deploy.sandbox=ID, and ID names a lock file that is held while the
// Runtime lives, and a folder ([Runtime.Folder]). Close removes everything. What a killed process left behind is
// removed by the next Open on the same machine, which finds its lock free.
package dockerruntime

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Labels of everything that is made in the engine.
const (
	LabelSandbox   = "weelo-deploy.sandbox"           // the Runtime's id
	labelLock      = "weelo-deploy.sandbox.lock"      // path of its lock file
	labelHost      = "weelo-deploy.sandbox.host"      // the machine where that path means something
	LabelTask      = "weelo-deploy.sandbox.task"      // task ARN, on containers
	LabelContainer = "weelo-deploy.sandbox.container" // name in the task definition, on containers
)

// tidyTime is how long the engine may take to remove what a task left.
const tidyTime = 30 * time.Second

// Engine is what a Runtime needs of a Docker engine; *engine.Engine has it.
type Engine interface {
	Image(ctx context.Context, ref string) (engine.Image, error)
	Images(ctx context.Context, labels ...string) ([]engine.ImageSummary, error)
	Pull(ctx context.Context, ref string, a engine.Auth) error
	Load(ctx context.Context, r io.Reader) ([]string, error)
	Untag(ctx context.Context, ref string) error
	RemoveImage(ctx context.Context, ref string) error

	CreateContainer(ctx context.Context, s engine.ContainerSpec) (string, error)
	StartContainer(ctx context.Context, id string) error
	WaitContainer(ctx context.Context, id string) (engine.Exit, error)
	StopContainer(ctx context.Context, id string, timeout time.Duration) error
	KillContainer(ctx context.Context, id, signal string) error
	RemoveContainer(ctx context.Context, id string) error
	Container(ctx context.Context, id string) (engine.ContainerState, error)
	Containers(ctx context.Context, labels ...string) ([]engine.ContainerSummary, error)
	FollowLogs(ctx context.Context, id string, after time.Time, line func(engine.LogLine)) (time.Time, error)
	Attach(ctx context.Context, id string) (io.ReadWriteCloser, error)
	Stats(ctx context.Context, id string) ([]byte, error)

	CreateVolume(ctx context.Context, name string, labels map[string]string) error
	RemoveVolume(ctx context.Context, name string) error
	Volumes(ctx context.Context, labels ...string) ([]engine.VolumeSummary, error)

	CreateNetwork(ctx context.Context, s engine.NetworkSpec) (string, error)
	RemoveNetwork(ctx context.Context, id string) error
	Networks(ctx context.Context, labels ...string) ([]engine.NetworkSummary, error)
}

var (
	_ Engine       = (*engine.Engine)(nil)
	_ task.Runtime = (*Runtime)(nil)
)

// Options of Open.
type Options struct {
	// LockDir is where lock files are. It is made when it is not there. Empty:
	// weelo-deploy/sandboxes in the user's cache folder.
	LockDir string

	// Warn, when set, hears of what a dead sandbox left that cannot be removed.
	Warn func(error)
}

// Runtime runs tasks on one engine. It is made by Open.
type Runtime struct {
	engine Engine
	id     string
	labels map[string]string
	lock   *lockFile
	images *images
	pause  string // reference of the pause container's image

	ctx  context.Context // ends when Close has given up
	quit context.CancelCauseFunc

	mu      sync.Mutex
	tasks   map[string]*running
	bridge  string        // id of the sandbox's network, made when it is first needed
	closing chan struct{} // closed by Close: kill, do not wait
	closed  bool
	active  int           // tasks that have not sent their last event
	idle    chan struct{} // closed when closed and active is 0
}

// errClosed is what a task gets that starts too late.
var errClosed = errors.New("the sandbox is being closed")

// Open makes a Runtime: it takes a lock of its own, removes from the engine what
// dead ones have left, and loads the pause image. The caller closes it.
func Open(ctx context.Context, e Engine, o Options) (*Runtime, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	dir := o.LockDir
	if dir == "" {
		dir = defaultLockDir()
	}
	lock, err := acquire(filepath.Join(dir, id+lockSuffix))
	if err != nil {
		return nil, fmt.Errorf("lock the sandbox: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("name this machine: %w", err), lock.release())
	}
	r := &Runtime{
		engine: e, id: id, lock: lock,
		labels:  map[string]string{LabelSandbox: id, labelLock: lock.path, labelHost: host},
		tasks:   map[string]*running{},
		closing: make(chan struct{}),
		idle:    make(chan struct{}),
	}
	r.images = &images{engine: e, held: map[string]*pulled{}, record: lock.append}
	r.ctx, r.quit = context.WithCancelCause(context.WithoutCancel(ctx))
	err = sweep(ctx, e, host, dir, o.Warn)
	if err == nil {
		r.pause, err = loadPause(ctx, e, id, r.labels)
	}
	if err != nil {
		r.quit(errClosed)
		return nil, errors.Join(err, lock.release())
	}
	return r, nil
}

// newID is 8 hex digits by chance.
func newID() (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// ID is the value of LabelSandbox on everything that the Runtime makes.
func (r *Runtime) ID() string { return r.id }

// Folder makes a folder for files that go with the Runtime: Close removes it, or
// the next Open when this process is killed.
func (r *Runtime) Folder() (string, error) {
	dir := r.lock.folder()
	return dir, os.MkdirAll(dir, 0o700)
}

// Start implements [task.Runtime]. After Close has returned it does nothing.
func (r *Runtime) Start(spec task.Spec, events func(task.Event)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed && r.active == 0 {
		return
	}
	r.active++
	t := newRunning(r, spec, events)
	switch {
	case r.closed:
		go t.refuse(errClosed)
	case r.tasks[spec.ID] != nil:
		go t.refuse(fmt.Errorf("a task with the id %s runs already", spec.ID))
	default:
		r.tasks[spec.ID] = t
		go t.run()
	}
}

// ended is called by a task after its last event.
func (r *Runtime) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active--
	if r.closed && r.active == 0 {
		close(r.idle)
	}
}

// Stop implements [task.Runtime].
func (r *Runtime) Stop(taskID string) {
	r.mu.Lock()
	t := r.tasks[taskID]
	r.mu.Unlock()
	if t != nil {
		t.stop()
	}
}

// Kill implements [task.Runtime].
func (r *Runtime) Kill(taskID, container string) {
	r.mu.Lock()
	t := r.tasks[taskID]
	r.mu.Unlock()
	if t != nil {
		// One that has just ended cannot be killed, and need not be.
		_ = r.engine.KillContainer(r.ctx, t.name(container), "SIGKILL")
	}
}

// forget is called by a task that has nothing left in the engine.
func (r *Runtime) forget(taskID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tasks, taskID)
}

// Close implements [task.Runtime]. Containers are killed, not asked: nobody is
// served by them any more. When ctx ends first, the lock is given up with what is
// left behind, for a later Open to remove. A second call waits for the first.
func (r *Runtime) Close(ctx context.Context) error {
	tasks, first := r.startClosing()
	for _, t := range tasks {
		t.stop()
	}
	err := r.wait(ctx)
	r.quit(errClosed)
	if !first {
		return err
	}
	if err = errors.Join(err, r.tidy(ctx)); err != nil {
		r.lock.abandon()
		return err
	}
	return r.lock.release()
}

// startClosing returns the tasks to stop, and whether this call is the first.
func (r *Runtime) startClosing() (tasks []*running, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false
	}
	r.closed = true
	close(r.closing)
	if r.active == 0 {
		close(r.idle)
	}
	return slices.Collect(maps.Values(r.tasks)), true
}

// wait returns when all tasks have ended, or with the cause of ctx's end.
func (r *Runtime) wait(ctx context.Context) error {
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
		r.quit(errClosed) // ends the tasks' calls to the engine
		<-r.idle
		return fmt.Errorf("end the sandbox's tasks: %w", context.Cause(ctx))
	}
}

// tidy removes all that the Runtime has in the engine.
func (r *Runtime) tidy(ctx context.Context) error {
	return errors.Join(removeLabelled(ctx, r.engine, r.id), r.images.release(ctx))
}

// network returns the id of the sandbox's network, and makes it first when this
// is the first task that wants it. One for each task would use up the engine's
// address pool at about 30.
func (r *Runtime) network(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bridge != "" {
		return r.bridge, nil
	}
	id, err := r.engine.CreateNetwork(ctx, engine.NetworkSpec{Name: "weelo-sandbox-" + r.id, Labels: r.labels})
	if err != nil {
		return "", err
	}
	r.bridge = id
	return id, nil
}

// labelled is the Runtime's labels and those of one container of a task.
func (r *Runtime) labelled(arn, container string) map[string]string {
	all := maps.Clone(r.labels)
	all[LabelTask], all[LabelContainer] = arn, container
	return all
}
