package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"golang.org/x/sys/unix"

	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

const processSeed = `
clusters: [{name: weelocluster}]
repositories: [{name: weelo-backend, images: [
  {name: v1, tags: [v1], builtin: {program: idle}}, {name: good, tags: [good], builtin: {program: ignore-term}}]}]
logGroups: [{name: /ecs/backend}]
taskDefinitions:
  - {family: backend, revision: 27, definition: {networkMode: bridge, containerDefinitions: [{name: app, image: "${REGISTRY}/weelo-backend:v1", memory: 64, essential: true}]}}
services:
  - {cluster: weelocluster, name: backend, family: backend, desiredCount: 1, deployments: [{revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}]}
`

// host is a machine on which the real binary runs as a process of its own, against a
// sandbox without containers: what is tested are signals, terminals and deaths.
type host struct {
	t      *testing.T
	server *sandbox.Server
	ecs    *ecs.Client
	env    []string
	dir    string
}

func newHost(t *testing.T, script scripted.Script) *host {
	t.Helper()
	sd, err := seed.Parse("seed.yaml", []byte(processSeed))
	if err != nil {
		t.Fatal(err)
	}
	r := scripted.New()
	r.Set("backend:28", script)
	h := &host{t: t, dir: t.TempDir()}
	h.server, err = sandbox.Start(t.Context(), sandbox.Config{Listen: "127.0.0.1:0", Account: "318774499084", Region: "ap-south-1", Speed: 400, Runtime: r, Seed: sd})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.server.Close(); err != nil {
			t.Error(err)
		}
	})
	h.ecs = ecs.NewFromConfig(aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(h.server.URL()), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	config := "region: ap-south-1\ncluster: weelocluster\nservice: backend\nimage: {repository: weelo-backend}\nrelease: {bake: 100ms}\n"
	if err := os.WriteFile(filepath.Join(h.dir, "weelo-deploy.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	h.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "TERM=xterm", "GORACE=atexit_sleep_ms=0"}, h.server.Env()...)
	return h
}

// release is the command line of a release of the image that is in the repository.
func (h *host) release(flags ...string) []string {
	image := strings.TrimPrefix(h.server.URL(), "http://") + "/weelo-backend:good"
	return append([]string{"weelo-deploy", "release", "--image", image, "--no-trial"}, flags...)
}

// process is a command that runs.
type process struct {
	h      *host
	cmd    *exec.Cmd
	out    *buffer
	ended  chan struct{}
	master *os.File      // of its terminal
	read   chan struct{} // closed when all that the terminal shows was read
}

// buffer takes output while others look at it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a command without a terminal.
func (h *host) start(env []string, args ...string) *process {
	h.t.Helper()
	p := h.prepare(env, args)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = 20 * time.Second // a child of a shell that was killed holds the pipe
	p.begin()
	return p
}

func (h *host) prepare(env, args []string) *process {
	h.t.Helper()
	path, err := exec.LookPath(args[0])
	if err != nil {
		h.t.Fatal(err)
	}
	p := &process{h: h, cmd: exec.Command(path, args[1:]...), out: &buffer{}, ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = append(h.env, env...), h.dir
	return p
}

func (p *process) begin() {
	if err := p.cmd.Start(); err != nil {
		p.h.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		var exited *exec.ExitError
		if err := p.cmd.Wait(); err != nil && !errors.As(err, &exited) && !errors.Is(err, exec.ErrWaitDelay) {
			p.h.t.Error(err)
		}
	}()
	p.h.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test failed
		<-p.ended
	})
}

// startOnTerminal runs a command as the leader of a session of its own, with a
// terminal.
func (h *host) startOnTerminal(args ...string) *process {
	h.t.Helper()
	p := h.prepare(nil, args)
	master, slave := openTerminal(h.t)
	defer slave.Close()
	p.master = master
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.begin()
	p.read = make(chan struct{})
	go func() {
		defer close(p.read)
		_, _ = io.Copy(p.out, master) // ends with EIO when nobody holds the other side
	}()
	h.t.Cleanup(func() { master.Close() })
	return p
}

func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "ptmx"), slave
}

func (p *process) signal(s os.Signal) {
	p.h.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.h.t.Error(err)
	}
}

// ctrlC presses it.
func (p *process) ctrlC() {
	p.h.t.Helper()
	if _, err := p.master.Write([]byte{3}); err != nil {
		p.h.t.Error(err)
	}
}

// wants waits for the end of the process, and checks how it ended and what it said.
func (p *process) wants(exit int, said ...string) {
	p.h.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(40 * time.Second):
		p.h.t.Fatalf("it does not end; so far it said\n%s", p.out)
	}
	if p.read != nil { // what it said last may still be in the terminal
		<-p.read
	}
	if code := p.cmd.ProcessState.ExitCode(); code != exit {
		p.h.t.Errorf("exit %d (%s), want %d", code, p.cmd.ProcessState, exit)
	}
	for _, s := range said {
		if !strings.Contains(p.out.String(), s) {
			p.h.t.Errorf("it does not say %q", s)
		}
	}
	if p.h.t.Failed() {
		p.h.t.Logf("it said\n%s", p.out)
	}
}

// until waits for something that is looked at again and again.
func (h *host) until(what string, holds func() bool) {
	h.t.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !holds() {
		select {
		case <-every.C:
		case <-limit.C:
			h.t.Fatalf("it does not come to: %s", what)
		}
	}
}

func (p *process) untilSaid(s string) {
	p.h.t.Helper()
	p.h.until("it says "+s, func() bool { return strings.Contains(p.out.String(), s) })
}

func (h *host) service() types.Service {
	h.t.Helper()
	s, err := release.Site{ECS: h.ecs, Cluster: "weelocluster", Service: "backend"}.Read(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// untilPrimary waits until a revision's deployment is PRIMARY.
func (h *host) untilPrimary(revision string) {
	h.t.Helper()
	h.until(revision+" is PRIMARY", func() bool { return history.Revision(aws.ToString(h.service().TaskDefinition)) == revision })
}

// untilServing waits until a revision serves, alone.
func (h *host) untilServing(revision string) {
	h.t.Helper()
	h.until(revision+" serves", func() bool {
		s := h.service()
		return history.Revision(aws.ToString(s.TaskDefinition)) == revision && history.Completed(s) && len(s.Deployments) == 1
	})
}

func (h *host) calls(operation string) int {
	h.t.Helper()
	res, err := http.Get(h.server.URL() + "/_sandbox/calls")
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Totals map[string]int }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		h.t.Fatal(err)
	}
	return out.Totals["ecs."+operation]
}

func (h *host) fault(rule string) {
	h.t.Helper()
	if err := postFault(context.Background(), h.server.URL(), rule); err != nil {
		h.t.Fatal(err)
	}
}
