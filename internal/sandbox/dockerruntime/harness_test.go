package dockerruntime_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/sandbox/dockerruntime"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashMe(dir)
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait for the engine.
const patience = 60 * time.Second

// bench is a runtime on the real engine, with a registry of the sandbox's to pull
// from.
type bench struct {
	*dockerruntime.Runtime
	t      *testing.T
	engine *engine.Engine
	store  *registry.Store
	host   string
	locks  string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, engine: enginetest.Open(t), locks: t.TempDir()}
	b.store, b.host = newRegistry(t)
	rt, err := dockerruntime.Open(t.Context(), b.engine, dockerruntime.Options{LockDir: b.locks, Warn: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	b.Runtime = rt
	t.Cleanup(b.close)
	return b
}

func newRegistry(t *testing.T) (*registry.Store, string) {
	t.Helper()
	store, err := registry.Open(t.TempDir(), "000000000000", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := store.CreateRepository("app", false); err != nil {
		t.Fatal(err)
	}
	return store, strings.TrimPrefix(server.URL, "http://")
}

// close closes the runtime and checks that the engine has nothing of it.
func (b *bench) close() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.t.Context()), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		b.t.Errorf("close: %v", err)
	}
	for _, what := range left(ctx, b.t, b.engine, b.ID()) {
		b.t.Errorf("after Close the engine still has %s", what)
	}
}

// left lists what the engine has of a sandbox.
func left(ctx context.Context, t *testing.T, e *engine.Engine, id string) []string {
	t.Helper()
	label := dockerruntime.LabelSandbox + "=" + id
	var all []string
	containers, err := e.Containers(ctx, label)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		all = append(all, "container "+c.Name)
	}
	networks, err := e.Networks(ctx, label)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks {
		all = append(all, "network "+n.Name)
	}
	volumes, err := e.Volumes(ctx, label)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes {
		all = append(all, "volume "+v.Name)
	}
	images, err := e.Images(ctx, label)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images {
		all = append(all, fmt.Sprint("image ", i.RepoTags))
	}
	return all
}

// image puts a one-file image into the registry and returns its reference there.
func (b *bench) image(program []byte) string {
	b.t.Helper()
	return b.imageOf(map[string][]byte{"/app": program})
}

// imageOf makes an image that runs /app.
func (b *bench) imageOf(files map[string][]byte) string {
	b.t.Helper()
	digest, err := b.store.PutTiny("app", "", files, registry.TinyConfig{Entrypoint: []string{"/app"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.host + "/app@" + digest
}

// probe is testdata/probe as a static program.
func probe(t *testing.T) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", out, "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile the probe: %v\n%s", err, msg)
	}
	program, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// container is a container of a task that runs the program.
func (b *bench) container(name string, program []byte) task.Container {
	b.t.Helper()
	user, password := b.store.Credentials()
	return task.Container{
		Name: name, Image: b.image(program), Essential: true, StopTimeout: 10 * time.Second,
		PullAuth: &task.PullAuth{Username: user, Password: password, Server: b.host},
	}
}

// specs numbers the tasks of a test binary.
var specs = struct {
	sync.Mutex
	n int
}{}

func spec(containers ...task.Container) task.Spec {
	specs.Lock()
	defer specs.Unlock()
	specs.n++
	id := fmt.Sprintf("%032x", specs.n)
	return task.Spec{
		ID: id, ARN: "arn:aws:ecs:us-east-1:000000000000:task/c/" + id, Family: "app", Revision: 1,
		Cluster: "c", NetworkMode: "awsvpc", Containers: containers,
	}
}

// run is a started task and what was told of it.
type run struct {
	t      *testing.T
	b      *bench
	spec   task.Spec
	events chan task.Event
	seen   []task.Event
}

func (b *bench) start(s task.Spec) *run {
	r := &run{t: b.t, b: b, spec: s, events: make(chan task.Event, 1000)}
	b.Start(s, func(e task.Event) {
		r.events <- e
		if e.Kind == task.Ended {
			close(r.events) // a later event would panic
		}
	})
	return r
}

// next is the next event of the kind; those before it are kept in seen.
func (r *run) next(kind task.Kind) task.Event {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-r.events:
			if !ok {
				r.t.Fatalf("the task ended without %v; it told:\n%s", kind, r)
			}
			r.seen = append(r.seen, e)
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			r.t.Fatalf("no %v within %v; the task told:\n%s", kind, patience, r)
		}
	}
}

// rest is all events until the last.
func (r *run) rest() []task.Event {
	r.t.Helper()
	r.next(task.Ended)
	return r.seen
}

// find returns the events of a kind, of all containers or of one.
func (r *run) find(kind task.Kind, container string) []task.Event {
	var all []task.Event
	for _, e := range r.seen {
		if e.Kind == kind && (container == "" || e.Container == container) {
			all = append(all, e)
		}
	}
	return all
}

// exit is how a container ended, after the task has.
func (r *run) exit(container string) task.Event {
	r.t.Helper()
	all := r.find(task.ContainerExited, container)
	if len(all) != 1 {
		r.t.Fatalf("container %s exited %d times, want once; the task told:\n%s", container, len(all), r)
	}
	if all[0].ExitCode == nil {
		r.t.Fatalf("container %s exited without a code: %s", container, all[0].Reason)
	}
	return all[0]
}

func (r *run) String() string {
	var s strings.Builder
	for _, e := range r.seen {
		fmt.Fprintf(&s, "  %s %q", e.Kind, e.Container)
		if e.ExitCode != nil {
			fmt.Fprintf(&s, " exit %d", *e.ExitCode)
		}
		fmt.Fprintln(&s, e.Reason, e.Health, e.Line, e.Ports)
	}
	return s.String()
}

// lines reads lines until one has the prefix, and returns what follows it.
func lines(t *testing.T, in *bufio.Scanner, prefix string) string {
	t.Helper()
	for in.Scan() {
		if rest, ok := strings.CutPrefix(in.Text(), prefix); ok {
			return rest
		}
	}
	t.Fatalf("no line begins with %q: %v", prefix, in.Err())
	return ""
}
