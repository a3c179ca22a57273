package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/dockerruntime"
)

// worldCommands are the scripts' commands about the world around the tool: its
// exit codes, an engine of another architecture, listeners, what is left behind.
var worldCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": cmdExits, "refused": cmdRefused, "foreign-engine": cmdForeignEngine, "recorder": cmdRecorder, "recorded": cmdRecorded,
	"leftovers": cmdLeftovers, "gobuild": cmdGoBuild, "most-lines": cmdMostLines, "helps": cmdHelps, "no-canary": cmdNoCanary,
}

// withWorld adds them to the others.
func withWorld(cmds map[string]func(*testscript.TestScript, bool, []string)) map[string]func(*testscript.TestScript, bool, []string) {
	maps.Copy(cmds, worldCommands)
	return cmds
}

// world is what the commands above have started for one script.
type world struct {
	solves    atomic.Int64 // builds that the foreign engine was asked for
	mu        sync.Mutex
	recorders map[string]*recorder
}

type worldKey struct{}

func newWorld() *world { return &world{recorders: map[string]*recorder{}} }

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// cmdExits: exits CODE PROGRAM ARG… — runs it and wants that exit code.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// cmdRefused: refused FILE EXIT CODE — the file is a run in JSON Lines that was
// refused with exit code and failure code, says why, and has not registered or
// deployed anything.
func cmdRefused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: refused FILE EXIT CODE")
	}
	cmdStory(ts, false, args[:1])
	for path, want := range map[string]string{"outcome": "refused", "exitCode": args[1], "failure.code": args[2]} {
		cmdField(ts, false, []string{args[0], path, want})
	}
	lines := jsonLines(ts, ts.ReadFile(args[0]))
	raw, err := json.Marshal(lines[len(lines)-1])
	ts.Check(err)
	var res struct {
		Failure struct{ Message string }
		Stages  []struct{ Name, Status string }
	}
	ts.Check(json.Unmarshal(raw, &res))
	if res.Failure.Message == "" {
		ts.Fatalf("the refusal has no message")
	}
	for _, s := range res.Stages {
		if (s.Name == "deploy" || s.Name == "register") && s.Status == "done" {
			ts.Fatalf("the run was refused, and its stage %s is done", s.Name)
		}
	}
}

// cmdMostLines: most-lines FILE N — the file has at most N lines, and no control
// character but line feeds.
func cmdMostLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: most-lines FILE N")
	}
	most, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, "\n"); n > most || n == 0 {
		ts.Fatalf("%s has %d lines, want 1 to %d", args[0], n, most)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }); i >= 0 {
		ts.Fatalf("%s has the control character %q in %q", args[0], text[i], text[max(0, i-20):min(len(text), i+20)])
	}
}

// cmdHelps: helps — the help of the root and of every command that does
// something has an example, and every example names a command that exists.
func cmdHelps(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: helps")
	}
	root := newRootCommand(&app{getenv: os.Getenv, environ: os.Environ})
	for _, c := range append(root.Commands(), root) {
		if !c.Runnable() || c.Hidden {
			continue
		}
		path := strings.Fields(c.CommandPath())[1:]
		ts.Check(ts.Exec("weelo-deploy", append(path, "--help")...))
		_, examples, ok := strings.Cut(ts.ReadFile("stdout"), "Examples:\n")
		if !ok {
			ts.Fatalf("%s --help has no example", c.CommandPath())
		}
		examples, _, _ = strings.Cut(examples, "\n\n")
		for line := range strings.Lines(examples) {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "weelo-deploy" {
				continue
			}
			if at, _, err := root.Find(words[1:]); err != nil || at == root {
				ts.Fatalf("%s --help has the example %q, whose command does not exist", c.CommandPath(), line)
			}
		}
	}
}

// cmdGoBuild: gobuild SOURCE FILE [ARCH] — compiles a static linux program, for
// amd64 unless another architecture is named.
func cmdGoBuild(ts *testscript.TestScript, neg bool, args []string) {
	arch := "amd64"
	if len(args) == 3 {
		arch, args = args[2], args[:2]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: gobuild SOURCE FILE [ARCH]")
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", ts.MkAbs(args[1]), ts.MkAbs(args[0]))
	cmd.Dir = filepath.Dir(ts.MkAbs(args[0]))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH="+arch, "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("compile %s: %v\n%s", args[0], err, out)
	}
}

// cmdLeftovers: leftovers [LABEL] — the sandboxes that the script's own processes
// have started left nothing in the engine, no lock file, and no image with the
// label.
func cmdLeftovers(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 1 {
		ts.Fatalf("usage: leftovers [LABEL]")
	}
	e, err := engine.Open(engine.Options{})
	ts.Check(err)
	defer e.Close()
	ctx, work := context.Background(), ts.Getenv("WORK")
	ours := func(labels map[string]string) bool { // by the path of the lock file, which is in the script's cache folder
		for k, v := range labels {
			if strings.HasPrefix(k, dockerruntime.LabelSandbox) && strings.HasPrefix(v, work) {
				return true
			}
		}
		return false
	}
	var left []string
	containers, err := e.Containers(ctx, dockerruntime.LabelSandbox)
	ts.Check(err)
	for _, c := range containers {
		if ours(c.Labels) {
			left = append(left, "container "+c.Name)
		}
	}
	networks, err := e.Networks(ctx, dockerruntime.LabelSandbox)
	ts.Check(err)
	for _, n := range networks {
		if ours(n.Labels) {
			left = append(left, "network "+n.Name)
		}
	}
	volumes, err := e.Volumes(ctx, dockerruntime.LabelSandbox)
	ts.Check(err)
	for _, v := range volumes {
		if ours(v.Labels) {
			left = append(left, "volume "+v.Name)
		}
	}
	images, err := e.Images(ctx, dockerruntime.LabelSandbox)
	ts.Check(err)
	for _, i := range images {
		if ours(i.Labels) {
			left = append(left, "image "+i.ID)
		}
	}
	if len(args) == 1 {
		images, err := e.Images(ctx, args[0])
		ts.Check(err)
		for _, i := range images {
			left = append(left, "image "+i.ID+" with the label "+args[0])
		}
	}
	locks, err := filepath.Glob(filepath.Join(ts.Getenv("XDG_CACHE_HOME"), "weelo-deploy", "sandboxes", "*"))
	ts.Check(err)
	if left = append(left, locks...); (len(left) > 0) != neg {
		ts.Fatalf("left behind: %q", left)
	}
}

// recorder counts who connects to an address, and what HTTP requests come.
type recorder struct {
	connections atomic.Int64
	mu          sync.Mutex
	requests    []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.Method+" "+req.URL.Path+" "+req.Header.Get("X-Amz-Target"))
	http.Error(w, "recorded", http.StatusTeapot)
}

// countingListener counts what it accepts.
type countingListener struct {
	net.Listener
	n *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.n.Add(1)
	}
	return c, err
}

// cmdRecorder: recorder NAME [outside|everywhere] — listens on loopback, on an
// address of this host that others can reach, or on all of them and for UDP too, and
// puts HOST:PORT into the variable NAME (everywhere: 127.0.0.1:PORT into
// NAME_LOOPBACK as well).
func cmdRecorder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 || len(args) == 2 && args[1] != "outside" && args[1] != "everywhere" {
		ts.Fatalf("usage: recorder NAME [outside|everywhere]")
	}
	host, bind := "127.0.0.1", "127.0.0.1"
	if len(args) == 2 {
		host = outsideAddress(ts)
		bind = host
	}
	everywhere := len(args) == 2 && args[1] == "everywhere"
	if everywhere {
		bind = "0.0.0.0"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(bind, "0"))
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	r := &recorder{}
	if everywhere {
		r.hearDatagrams(ts, net.JoinHostPort(bind, port))
		ts.Setenv(args[0]+"_LOOPBACK", net.JoinHostPort("127.0.0.1", port))
	}
	server := &http.Server{Handler: r}
	go server.Serve(countingListener{l, &r.connections})
	ts.Defer(func() { server.Close() })
	ts.Setenv(args[0], net.JoinHostPort(host, port))
	w := worldOf(ts)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorders[args[0]] = r
}

// hearDatagrams counts and answers datagrams at an address.
func (r *recorder) hearDatagrams(ts *testscript.TestScript, address string) {
	c, err := net.ListenPacket("udp", address)
	ts.Check(err)
	ts.Defer(func() { c.Close() })
	go func() {
		buffer := make([]byte, 512)
		for {
			_, from, err := c.ReadFrom(buffer)
			if err != nil {
				return // closed with the script
			}
			r.connections.Add(1)
			_, _ = c.WriteTo([]byte("heard"), from)
		}
	}()
}

// outsideAddress is an IPv4 address of this host that is not loopback; that of
// Docker's own bridge will do.
func outsideAddress(ts *testscript.TestScript) string {
	addrs, err := net.InterfaceAddrs()
	ts.Check(err)
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	ts.Fatalf("this host has no address but loopback")
	return ""
}

// cmdRecorded: recorded NAME none — nothing has connected to the recorder;
// ! recorded NAME none — something has.
func cmdRecorded(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || args[1] != "none" {
		ts.Fatalf("usage: recorded NAME none")
	}
	w := worldOf(ts)
	w.mu.Lock()
	r := w.recorders[args[0]]
	w.mu.Unlock()
	if r == nil {
		ts.Fatalf("there is no recorder %s", args[0])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.connections.Load(); (n == 0) == neg {
		ts.Fatalf("%s had %d connections: %q", args[0], n, r.requests)
	}
}
