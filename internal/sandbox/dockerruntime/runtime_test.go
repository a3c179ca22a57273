package dockerruntime_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

func TestExitTellsTheStoryInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	began := time.Now()
	r := b.start(spec(b.container("app", tinyelf.Exit(7, 0, tinyelf.Output{Stdout: "one\ntwo\n", Stderr: "three\n"}))))
	r.rest()

	var kinds []string
	lines := map[string]bool{}
	for _, e := range r.seen {
		if e.At.Before(began.Add(-time.Second)) || e.At.After(time.Now().Add(time.Second)) {
			t.Errorf("%v at %v, want a time during the test", e.Kind, e.At)
		}
		if e.Kind == task.LogLine {
			lines[e.Line] = true
		}
		kinds = append(kinds, e.Kind.String())
	}
	want := []string{"pull started", "pull stopped", "container started", "log line", "log line", "log line", "container exited", "ended"}
	if d := cmp.Diff(want, kinds); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]bool{"one": true, "two": true, "three": true}, lines); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	if e := r.exit("app"); *e.ExitCode != 7 || e.Reason != "" {
		t.Errorf("exit: got %d %q, want 7 without a reason", *e.ExitCode, e.Reason)
	}
	if e := r.find(task.ContainerStarted, "app")[0]; len(e.RuntimeID) != 64 || net.ParseIP(e.Address) == nil {
		t.Errorf("started: got id %q, address %q, want both", e.RuntimeID, e.Address)
	}
}

func TestSegfaultExitsWith139(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.start(spec(b.container("app", tinyelf.Segfault(200*time.Millisecond, tinyelf.Output{Stdout: "listening\n"}))))
	r.rest()
	if e := r.exit("app"); *e.ExitCode != 139 || e.Reason != "" {
		t.Errorf("exit: got %d %q, want 139 without a reason, as ECS reports it", *e.ExitCode, e.Reason)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stubborn := b.container("stubborn", tinyelf.IgnoreTerm())
	stubborn.StopTimeout = time.Second
	r := b.start(spec(b.container("obeys", tinyelf.Idle()), stubborn))
	r.next(task.ContainerStarted)
	r.next(task.ContainerStarted)
	began := time.Now()
	b.Stop(r.spec.ID)
	b.Stop(r.spec.ID)
	b.Stop("of nobody")
	r.rest()
	if took := time.Since(began); took < time.Second || took > 9*time.Second {
		t.Errorf("stopped after %v, want the stop timeout of 1 s and little more", took)
	}
	if e := r.exit("obeys"); *e.ExitCode != 0 {
		t.Errorf("container that obeys SIGTERM: got exit code %d, want 0", *e.ExitCode)
	}
	if e := r.exit("stubborn"); *e.ExitCode != 137 || e.Reason != "" {
		t.Errorf("container that ignores SIGTERM: got %d %q, want 137 without a reason", *e.ExitCode, e.Reason)
	}
}

func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	own := b.container("own-limit", tinyelf.Hog(256<<20))
	own.MemoryMiB = 16
	shared := b.container("task-limit", tinyelf.Hog(256<<20))
	s := spec(own, shared, b.container("modest", tinyelf.Hog(1<<20)))
	s.MemoryMiB = 32
	r := b.start(s)
	r.next(task.ContainerExited)
	r.next(task.ContainerExited)
	b.Stop(s.ID)
	r.rest()
	for _, name := range []string{"own-limit", "task-limit"} {
		if e := r.exit(name); *e.ExitCode != 137 || e.Reason != task.ReasonOutOfMemory {
			t.Errorf("%s: got %d %q, want 137 and %q", name, *e.ExitCode, e.Reason, task.ReasonOutOfMemory)
		}
	}
	if e := r.exit("modest"); *e.ExitCode != 0 || e.Reason != "" {
		t.Errorf("container within its limit: got %d %q, want 0", *e.ExitCode, e.Reason)
	}
}

func TestMissingEntrypointEndsTheTask(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	broken := b.container("broken", tinyelf.Idle())
	broken.EntryPoint = []string{"/nope"}
	broken.DependsOn = []task.Dependency{{Container: "fine", Condition: task.DependStart}}
	r := b.start(spec(b.container("fine", tinyelf.Idle()), broken))
	r.rest()
	failed := r.find(task.StartFailed, "")
	if len(failed) != 1 || failed[0].Container != "broken" {
		t.Fatalf("start failed: got %v, want once, of broken", failed)
	}
	if reason := failed[0].Reason; !strings.HasPrefix(reason, "CannotStartContainerError: ") || !strings.Contains(reason, "/nope") {
		t.Errorf("reason: got %q, want CannotStartContainerError naming /nope", reason)
	}
	if e := r.exit("fine"); *e.ExitCode != 0 {
		t.Errorf("the container that had started: got exit code %d, want 0", *e.ExitCode)
	}
	if all := r.find(task.ContainerExited, "broken"); len(all) != 0 {
		t.Errorf("the container that never started exited: %v", all)
	}
}

func TestCannotPull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gone := b.container("app", tinyelf.Exit(0, 0, tinyelf.Output{Stdout: "gone"}))
	b.store.DeleteImage("app")
	r := b.start(spec(gone))
	r.rest()
	failed := r.find(task.StartFailed, "app")
	if len(failed) != 1 || !strings.HasPrefix(failed[0].Reason, "CannotPullContainerError: ") {
		t.Errorf("start failed: got %v, want CannotPullContainerError\n%s", failed, r)
	}
	if n := len(r.find(task.PullStopped, "")); n != 0 {
		t.Errorf("pull stopped: told %d times, want never", n)
	}
}

func TestWrongCredentialsCannotPull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.container("app", tinyelf.Idle())
	c.PullAuth = &task.PullAuth{Username: "AWS", Password: "wrong", Server: b.host}
	r := b.start(spec(c))
	r.rest()
	if failed := r.find(task.StartFailed, "app"); len(failed) != 1 || !strings.HasPrefix(failed[0].Reason, "CannotPullContainerError: ") {
		t.Errorf("start failed: got %v, want CannotPullContainerError", failed)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	checked := func(name, command string) task.Container {
		c := b.container(name, nil)
		c.Image = b.imageOf(map[string][]byte{
			"/app": tinyelf.Idle(), "/yes": tinyelf.Exit(0, 0, tinyelf.Output{}), "/no": tinyelf.Exit(1, 0, tinyelf.Output{}),
		})
		c.Health = &task.Health{Test: []string{"CMD", command}, Interval: 100 * time.Millisecond, Timeout: 10 * time.Second, Retries: 2}
		return c
	}
	waits := b.container("waits", tinyelf.Idle())
	waits.DependsOn = []task.Dependency{{Container: "well", Condition: task.DependHealthy}}
	r := b.start(spec(waits, checked("well", "/yes"), checked("ill", "/no")))
	r.next(task.ContainerHealth)
	r.next(task.ContainerHealth)
	for len(r.find(task.ContainerStarted, "waits")) == 0 {
		r.next(task.ContainerStarted)
	}
	b.Stop(r.spec.ID)
	r.rest()
	for name, want := range map[string]string{"well": task.Healthy, "ill": task.Unhealthy} {
		if all := r.find(task.ContainerHealth, name); len(all) != 1 || all[0].Health != want {
			t.Errorf("%s: told %v, want %s once", name, all, want)
		}
	}
	place := places(r)
	if place["container health well"] >= place["container started waits"] {
		t.Errorf("the container that waits for HEALTHY started before it; the task told:\n%s", r)
	}
}

// places maps "kind container" to where in the story its last event is.
func places(r *run) map[string]int {
	place := map[string]int{}
	for i, e := range r.seen {
		place[fmt.Sprint(e.Kind, " ", e.Container)] = i
	}
	return place
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	migrate := b.container("migrate", tinyelf.Exit(0, 100*time.Millisecond, tinyelf.Output{}))
	lint := b.container("lint", tinyelf.Exit(9, 0, tinyelf.Output{}))
	app := b.container("app", tinyelf.Idle())
	app.DependsOn = []task.Dependency{
		{Container: "migrate", Condition: task.DependSuccess},
		{Container: "lint", Condition: task.DependComplete},
	}
	proxy := b.container("proxy", tinyelf.Idle())
	proxy.DependsOn = []task.Dependency{{Container: "app", Condition: task.DependStart}}
	r := b.start(spec(proxy, app, lint, migrate))
	for range 4 {
		r.next(task.ContainerStarted)
	}
	b.Stop(r.spec.ID)
	r.rest()
	place := places(r)
	for _, order := range [][2]string{
		{"container exited migrate", "container started app"},
		{"container exited lint", "container started app"},
		{"container started app", "container started proxy"},
	} {
		if place[order[0]] >= place[order[1]] {
			t.Errorf("%q came after %q; the task told:\n%s", order[0], order[1], r)
		}
	}
}

func TestDependencyThatCannotBeMetFailsTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	migrate := b.container("migrate", tinyelf.Exit(3, 0, tinyelf.Output{}))
	app := b.container("app", tinyelf.Idle())
	app.DependsOn = []task.Dependency{{Container: "migrate", Condition: task.DependSuccess}}
	r := b.start(spec(app, migrate))
	r.rest()
	failed := r.find(task.StartFailed, "app")
	if len(failed) != 1 || !strings.Contains(failed[0].Reason, "migrate exited with code 3") {
		t.Errorf("start failed: got %v, want it to name the exit code of migrate", failed)
	}
	if n := len(r.find(task.ContainerStarted, "app")); n != 0 {
		t.Error("app started although its dependency had failed")
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	serve := func(body string) *run {
		c := b.container("app", tinyelf.Serve(8080, body))
		c.Ports = []task.Port{{ContainerPort: 8080, HostPort: 8080, Protocol: "tcp"}}
		return b.start(spec(c))
	}
	first, second := serve("first"), serve("second")
	for _, x := range []struct {
		r    *run
		body string
	}{{first, "first"}, {second, "second"}} {
		e := x.r.next(task.ContainerStarted)
		if len(e.Ports) != 1 || e.Ports[0].HostIP != "127.0.0.1" || e.Ports[0].ContainerPort != 8080 {
			t.Fatalf("ports: got %+v, want 8080 on 127.0.0.1", e.Ports)
		}
		if got := get(t, fmt.Sprintf("http://127.0.0.1:%d/", e.Ports[0].HostPort)); got != x.body {
			t.Errorf("GET: got %q, want %q", got, x.body)
		}
	}
}

func TestContainersOfATaskShareLoopback(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	client := b.container("client", probe(t))
	client.Command = []string{"dial", "127.0.0.1:8080"}
	client.DependsOn = []task.Dependency{{Container: "server", Condition: task.DependStart}}
	server := b.container("server", tinyelf.Serve(8080, ""))
	r := b.start(spec(server, client))
	r.next(task.ContainerExited)
	b.Stop(r.spec.ID)
	r.rest()
	if e := r.exit("client"); *e.ExitCode != 0 {
		t.Errorf("dial the other container on 127.0.0.1: exit code %d, want 0\n%s", *e.ExitCode, r)
	}
}

// get reads a URL that a program has just begun to serve.
func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for deadline := time.Now().Add(patience); ; {
		answer, err := client.Get(url)
		if err == nil {
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(body)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestContainerSettings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.container("app", probe(t))
	c.Command, c.Env, c.User, c.WorkingDir = []string{"report", "two words"}, []string{"COLOR=blue"}, "1000:1001", "/proc"
	c.ReadonlyRoot, c.Init, c.Hostname = true, true, "orders"
	r := b.start(spec(c))
	r.rest()
	if e := r.exit("app"); *e.ExitCode != 0 {
		t.Fatalf("exit code %d, want 0\n%s", *e.ExitCode, r)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(r.find(task.LogLine, "app")[0].Line), &got); err != nil {
		t.Fatal(err)
	}
	if got["pid"] == 1.0 {
		t.Error("with init the program is not process 1")
	}
	delete(got, "pid")
	want := map[string]any{
		"args": []any{"/app", "report", "two words"}, "dir": "/proc", "uid": 1000.0, "gid": 1001.0,
		"host": "orders", "color": "blue", "writable": false,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("inside the container (-want +got):\n%s", d)
	}
}

func TestIsolatedTaskReachesNothingOutside(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	outside := net.JoinHostPort(hostAddress(t), fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
	dial := b.container("app", probe(t))
	dial.Command = []string{"dial", outside}
	for _, x := range []struct {
		isolated bool
		code     int
	}{{false, 0}, {true, 3}} {
		s := spec(dial)
		s.Isolated = x.isolated
		r := b.start(s)
		r.rest()
		if e := r.exit("app"); *e.ExitCode != x.code {
			t.Errorf("isolated %v: dial %s: exit code %d, want %d\n%s", x.isolated, outside, *e.ExitCode, x.code, r)
		}
	}
}

// hostAddress is an address of this machine that is not loopback: it has one at
// least, that of the engine's bridge.
func hostAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	t.Fatal("this machine has no address but loopback")
	return ""
}

func TestIsolatedTaskHasLoopback(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := b.container("server", tinyelf.Serve(8080, "rehearsal"))
	server.Ports = []task.Port{{ContainerPort: 8080}}
	client := b.container("client", probe(t))
	client.Command = []string{"dial", "127.0.0.1:8080"}
	client.DependsOn = []task.Dependency{{Container: "server", Condition: task.DependStart}}
	s := spec(server, client)
	s.Isolated = true
	r := b.start(s)
	if e := r.next(task.ContainerStarted); len(e.Ports) != 0 || e.Address != "" {
		t.Errorf("started: got ports %v, address %q, want neither", e.Ports, e.Address)
	}
	r.next(task.ContainerExited)
	b.Stop(s.ID)
	r.rest()
	if e := r.exit("client"); *e.ExitCode != 0 {
		t.Errorf("dial the other container on 127.0.0.1: exit code %d, want 0\n%s", *e.ExitCode, r)
	}
}
