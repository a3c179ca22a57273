package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
)

// probe is an engine and an image whose entrypoint is the probe.
func probe(t *testing.T) (*engine.Engine, string) {
	t.Helper()
	e := enginetest.Open(t)
	info, err := e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ref := enginetest.Image{
		Files: map[string][]byte{"/probe": enginetest.Probe(t, info.Arch)},
		Config: v1.Config{
			Entrypoint: []string{"/probe"}, Env: []string{"FROM=image"}, Labels: map[string]string{"weelo-deploy.test": enginetest.Name(t)}, // an image of its own
			Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/probe", "exit=1"}, Interval: 50 * time.Millisecond},
		},
		Arch: info.Arch,
	}.Load(t, e)
	return e, ref
}

// run starts a container to its end.
func run(t *testing.T, e *engine.Engine, s engine.ContainerSpec) (engine.Exit, []engine.LogLine) {
	t.Helper()
	id := enginetest.Create(t, e, s)
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	exit, err := e.WaitContainer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return exit, logs(t, e, id)
}

func logs(t *testing.T, e *engine.Engine, id string) []engine.LogLine {
	t.Helper()
	var lines []engine.LogLine
	if err := e.Logs(t.Context(), id, false, func(l engine.LogLine) { lines = append(lines, l) }); err != nil {
		t.Fatal(err)
	}
	return lines
}

func texts(lines []engine.LogLine) []string {
	var s []string
	for _, l := range lines {
		s = append(s, l.Text)
	}
	return s
}

func TestContainer_RunsToItsEnd(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	before := time.Now().Add(-time.Minute)
	exit, lines := run(t, e, engine.ContainerSpec{
		Image: image, Env: []string{"MINE=set"}, User: "12:12", WorkingDir: "/work", Hostname: "here", Network: "none",
		Cmd: []string{"out=one", "err=two", "env=MINE", "env=FROM", "id", "interfaces", "exit=7"},
	})
	if exit.Code != 7 || exit.OOMKilled || exit.FinishedAt.Before(before) {
		t.Errorf("Exit = %+v, want code 7, finished now", exit)
	}
	streams := map[string]string{}
	for _, l := range lines {
		streams[l.Text] = l.Stream
		if l.At.Before(before) {
			t.Errorf("line %q is of %s", l.Text, l.At)
		}
	}
	for text, stream := range map[string]string{
		"one": "stdout", "two": "stderr", "set": "stdout", "image": "stdout", "here /work 12": "stdout", "1": "stdout",
	} {
		if streams[text] != stream {
			t.Errorf("line %q is on %q, want %q; lines: %q", text, streams[text], stream, texts(lines))
		}
	}
}

func TestContainer_DiesBySignal(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	// PID 1 cannot kill itself by a signal's default action; with an init it is
	// a child.
	exit, _ := run(t, e, engine.ContainerSpec{Image: image, Init: true, Network: "none", Cmd: []string{"signal=9"}})
	if exit.Code != 137 || exit.OOMKilled {
		t.Errorf("Exit = %+v, want code 137 without OOM", exit)
	}
}

func TestContainer_OutOfMemory(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	exit, lines := run(t, e, engine.ContainerSpec{Image: image, Network: "none", MemoryBytes: 32 << 20, Cmd: []string{"eat=400"}})
	if exit.Code != 137 || !exit.OOMKilled {
		t.Errorf("Exit = %+v with lines %q, want 137 by OOM", exit, texts(lines))
	}
}

func TestContainer_ReadonlyRoot(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	_, lines := run(t, e, engine.ContainerSpec{
		Image: image, Network: "none", ReadonlyRootfs: true, NoNewPrivileges: true, CapDrop: []string{"ALL"}, PidsLimit: 64,
		Ulimits: []engine.Ulimit{{Name: "nofile", Soft: 64, Hard: 64}}, Cmd: []string{"write=/file"},
	})
	if got := strings.Join(texts(lines), ""); !strings.Contains(got, "read-only file system") {
		t.Errorf("write on a read-only root says %q", got)
	}
}

func TestContainer_StopAndKill(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	for _, c := range []struct {
		verb    string
		timeout time.Duration
		code    int
	}{{"wait", 10 * time.Second, 0}, {"stay", 300 * time.Millisecond, 137}} {
		t.Run(c.verb, func(t *testing.T) {
			id := enginetest.Create(t, e, engine.ContainerSpec{Image: image, Network: "none", Cmd: []string{c.verb}})
			started(t, e, id)
			if err := e.StopContainer(t.Context(), id, c.timeout); err != nil {
				t.Fatal(err)
			}
			s, err := e.Container(t.Context(), id)
			if err != nil || s.Running || s.Status != "exited" || s.ExitCode != c.code {
				t.Errorf("after stop: %+v, %v; want exited with %d", s, err, c.code)
			}
			if err := e.KillContainer(t.Context(), id, "SIGKILL"); err != nil {
				t.Errorf("kill of an ended container: %v", err)
			}
		})
	}
}

// started starts a container and waits for its first line.
func started(t *testing.T, e *engine.Engine, id string) {
	t.Helper()
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	first := false
	err := e.Logs(ctx, id, true, func(engine.LogLine) { first = true; cancel() })
	if !first {
		t.Fatalf("no line from the container: %v", err)
	}
}

func TestLogs_FollowEndsWithTheContainer(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	id := enginetest.Create(t, e, engine.ContainerSpec{Image: image, Network: "none", Cmd: []string{"out=first", "wait", "unfinished=last"}})
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	var lines []string
	var once sync.Once
	err := e.Logs(t.Context(), id, true, func(l engine.LogLine) {
		lines = append(lines, l.Text)
		if l.Text == "waiting" {
			once.Do(func() { go e.KillContainer(t.Context(), id, "SIGTERM") })
		}
	})
	if want := []string{"first", "waiting", "terminated", "last"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("Logs = %q, %v; want %q", lines, err, want)
	}
}

func TestLogs_LongLines(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	_, lines := run(t, e, engine.ContainerSpec{Image: image, Network: "none", Cmd: []string{"long=40000", "long=70000", "out=after"}})
	var got []int
	for _, l := range lines {
		got = append(got, len(l.Text))
		if strings.Trim(l.Text, "x") != "" && l.Text != "after" {
			t.Errorf("a line of %d bytes holds something else", len(l.Text))
		}
	}
	if want := []int{40000, 65536, 70000 - 65536, 5}; !slices.Equal(got, want) {
		t.Errorf("lengths = %v, want %v", got, want)
	}
}

func TestLogs_Cancelled(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	id := enginetest.Create(t, e, engine.ContainerSpec{Image: image, Network: "none", Cmd: []string{"wait"}})
	if err := e.StartContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := e.Logs(ctx, id, true, func(engine.LogLine) { cancel(why) })
	if !errors.Is(err, why) {
		t.Errorf("Logs = %v, want %v", err, why)
	}
}

func TestWaitContainer_Cancelled(t *testing.T) {
	e, image := probe(t)
	id := enginetest.Create(t, e, engine.ContainerSpec{Image: image, Network: "none", Cmd: []string{"wait"}})
	started(t, e, id)
	leaks := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := e.WaitContainer(ctx, id); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitContainer = %v, want cancelled", err)
	}
	goleak.VerifyNone(t, leaks)
}

func TestContainer_Health(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	off := enginetest.Create(t, e, engine.ContainerSpec{Image: image, Network: "none", Cmd: []string{"wait"}})
	started(t, e, off)
	if s, err := e.Container(t.Context(), off); err != nil || s.Health != "" || !s.Running {
		t.Errorf("without a check: %+v, %v; want no health", s, err)
	}
	for want, code := range map[string]string{"healthy": "exit=0", "unhealthy": "exit=3"} {
		id := enginetest.Create(t, e, engine.ContainerSpec{Image: image, Network: "none", Cmd: []string{"wait"}, Health: &engine.HealthCheck{
			Test: []string{"CMD", "/probe", code}, Interval: 100 * time.Millisecond, Timeout: 10 * time.Second, Retries: 1,
		}})
		started(t, e, id)
		if got := health(t, e, id); got != want {
			t.Errorf("health with %s = %q, want %q", code, got, want)
		}
	}
}

// health polls until the container's health is decided.
func health(t *testing.T, e *engine.Engine, id string) string {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for {
		s, err := e.Container(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if s.Health != "starting" {
			return s.Health
		}
		select {
		case <-tick.C:
		case <-late:
			return s.Health
		}
	}
}

func TestNetwork_AndPorts(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	name := enginetest.Name(t)
	label := "weelo-deploy.test=" + name
	id, err := e.CreateNetwork(t.Context(), engine.NetworkSpec{Name: name, Labels: map[string]string{"weelo-deploy.test": name}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := e.RemoveNetwork(ctx, id); err != nil {
			t.Error(err)
		}
		if n, err := e.Networks(ctx, label); err != nil || len(n) != 0 {
			t.Errorf("networks left: %v, %v", n, err)
		}
		if err := e.RemoveNetwork(ctx, id); err != nil {
			t.Errorf("remove a network twice: %v", err)
		}
	})
	if n, err := e.Networks(t.Context(), label); err != nil || len(n) != 1 || n[0].ID != id || n[0].Name != name {
		t.Errorf("Networks = %+v, %v; want %s", n, err, id)
	}
	owner := enginetest.Create(t, e, engine.ContainerSpec{
		Image: image, Network: id, Hostname: "owner", Labels: map[string]string{"weelo-deploy.test": name}, Cmd: []string{"wait"},
		Publish: []engine.PortBinding{{ContainerPort: 8099, HostIP: "127.0.0.1"}},
	})
	started(t, e, owner)
	guest := enginetest.Create(t, e, engine.ContainerSpec{
		Image: image, Network: "container:" + owner, Hostname: "guest", Labels: map[string]string{"weelo-deploy.test": name}, Cmd: []string{"listen=8099"},
	})
	started(t, e, guest)

	s, err := e.Container(t.Context(), owner)
	if err != nil || s.IP == "" || len(s.Ports) != 1 || s.Ports[0].ContainerPort != 8099 || s.Ports[0].HostPort == 0 {
		t.Fatalf("Container = %+v, %v; want an address and port 8099 published", s, err)
	}
	if got := get(t, fmt.Sprintf("127.0.0.1:%d", s.Ports[0].HostPort)); got != "hello\n" {
		t.Errorf("the published port says %q", got)
	}
	cs, err := e.Containers(t.Context(), label)
	if err != nil || len(cs) != 2 || cs[0].State != "running" || cs[0].Labels["weelo-deploy.test"] != name || cs[0].Name == "" {
		t.Errorf("Containers = %+v, %v; want two running", cs, err)
	}
}

func get(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestContainer_NotFound(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	gone := enginetest.Name(t)
	if _, err := e.Container(t.Context(), gone); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("Container = %v, want ErrNotFound", err)
	}
	if _, err := e.CreateContainer(t.Context(), engine.ContainerSpec{Name: gone, Image: gone}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("CreateContainer = %v, want ErrNotFound", err)
	}
	if err := e.KillContainer(t.Context(), gone, "SIGKILL"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("KillContainer = %v, want ErrNotFound", err)
	}
	if err := e.RemoveContainer(t.Context(), gone); err != nil {
		t.Errorf("RemoveContainer of nothing = %v", err)
	}
}

func TestContainer_CannotStart(t *testing.T) {
	t.Parallel()
	e, image := probe(t)
	id := enginetest.Create(t, e, engine.ContainerSpec{Image: image, Network: "none", Entrypoint: []string{"/missing"}})
	if err := e.StartContainer(t.Context(), id); err == nil || !strings.Contains(err.Error(), "/missing") || strings.Contains(err.Error(), "Error response") {
		t.Errorf("StartContainer = %v, want the engine's words on /missing", err)
	}
	exit, err := e.WaitContainer(t.Context(), id)
	if err != nil || exit.Code != 0 && exit.Code != 127 || exit.Error == "" {
		t.Errorf("WaitContainer = %+v, %v; want the reason", exit, err)
	}
}
