package build

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	apitypes "github.com/moby/buildkit/api/types"
	"github.com/moby/buildkit/solver/pb"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// fakeEngine is an engine of any machine, with a BuildKit that answers what it
// is and nothing else.
type fakeEngine struct {
	info      engine.Info
	err       error
	platforms [][2]string // os, architecture; none: no BuildKit
	sessions  bool        // sessions are taken, and nothing is asked in them
	conns     chan net.Conn
}

func newFakeEngine(t *testing.T, arch string, platforms ...[2]string) *fakeEngine {
	t.Helper()
	f := &fakeEngine{
		info:      engine.Info{Version: "27.0", OS: "linux", Arch: arch, OperatingSystem: "Docker Desktop"},
		platforms: platforms,
	}
	f.serve(t, control{f: f})
	return f
}

func (f *fakeEngine) serve(t *testing.T, c controlapi.ControlServer) {
	t.Helper()
	f.conns = make(chan net.Conn)
	srv := grpc.NewServer()
	controlapi.RegisterControlServer(srv, c)
	go srv.Serve(f)
	t.Cleanup(srv.Stop)
}

func (f *fakeEngine) Endpoint() string                          { return "unix:///fake.sock" }
func (f *fakeEngine) Info(context.Context) (engine.Info, error) { return f.info, f.err }
func (f *fakeEngine) DialHijack(ctx context.Context, path, proto string, _ map[string][]string) (net.Conn, error) {
	if f.sessions && path == "/session" {
		ours, theirs := net.Pipe()
		context.AfterFunc(ctx, func() { theirs.Close() })
		return ours, nil
	}
	if len(f.platforms) == 0 || path != "/grpc" || proto != "h2c" {
		return nil, errors.New("unable to upgrade to " + proto + ", received 404")
	}
	ours, theirs := net.Pipe()
	select {
	case f.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make the fake a net.Listener of dialled connections.
func (f *fakeEngine) Accept() (net.Conn, error) {
	c, ok := <-f.conns
	if !ok {
		return nil, io.EOF
	}
	return c, nil
}
func (f *fakeEngine) Close() error   { close(f.conns); return nil }
func (f *fakeEngine) Addr() net.Addr { return &net.UnixAddr{Name: "fake"} }

type control struct {
	controlapi.UnimplementedControlServer
	f *fakeEngine
}

func (c control) ListWorkers(context.Context, *controlapi.ListWorkersRequest) (*controlapi.ListWorkersResponse, error) {
	w := &apitypes.WorkerRecord{ID: "w"}
	for _, p := range c.f.platforms {
		w.Platforms = append(w.Platforms, &pb.Platform{OS: p[0], Architecture: p[1]})
	}
	return &controlapi.ListWorkersResponse{Record: []*apitypes.WorkerRecord{w}}, nil
}

var (
	amd64 = [2]string{"linux", "amd64"}
	arm64 = [2]string{"linux", "arm64"}
)

func request(dir string) Request {
	return Request{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Platform: "linux/amd64"}
}

const (
	plainFile = "FROM node:20 AS app\nCOPY . .\nRUN npm ci\nRUN npm run build\n"
	crossFile = "FROM --platform=$BUILDPLATFORM golang AS b\nRUN go build\nFROM scratch\nCOPY --from=b /x /x\n"
	copyFile  = "FROM scratch\nCOPY x /x\n"
)

func TestCheck_AppleSilicon(t *testing.T) {
	e := newFakeEngine(t, "arm64", arm64, amd64)
	dir := write(t, map[string]string{"Dockerfile": plainFile})
	n, err := New(e).Check(t.Context(), request(dir))
	fs := event.FailuresOf(err)
	if len(fs) != 1 || fs[0].Code != event.CodeEmulatedBuild {
		t.Fatalf("Check = %v, want EMULATED_BUILD", err)
	}
	for _, want := range []string{"linux/amd64", "linux/arm64", "2 steps", "[app] RUN npm ci (line 3)"} {
		if !strings.Contains(fs[0].Message, want) {
			t.Errorf("message %q does not say %q", fs[0].Message, want)
		}
	}
	evidence, hints := strings.Join(fs[0].Evidence, "\n"), strings.Join(fs[0].Hints, "\n")
	for _, want := range []string{"Docker Desktop", "npm run build", "linux/arm64, linux/amd64"} {
		if !strings.Contains(evidence, want) {
			t.Errorf("evidence does not say %q:\n%s", want, evidence)
		}
	}
	for _, want := range []string{"GitHub Actions", "build.on: ssh://", "docker context ls", "$BUILDPLATFORM", "--allow-emulation", "139"} {
		if !strings.Contains(hints, want) {
			t.Errorf("hints do not say %q:\n%s", want, hints)
		}
	}
	if next := strings.Join(fs[0].Next, "\n"); !strings.Contains(next, "WEELO_DEPLOY_BUILD_ON=amd64-builder weelo-deploy release") {
		t.Errorf("commands to try:\n%s", next)
	}
	if n.Worker != "linux/arm64" || n.Target != "linux/amd64" || n.Native || !n.HasRun || len(n.Emulated) != 2 || n.Engine.Arch != "arm64" {
		t.Errorf("Check = %+v", n)
	}
}

func TestCheck_Passes(t *testing.T) {
	for _, c := range []struct {
		name, file string
		worker     [2]string
		change     func(*Request)
		native     bool
		hasRun     bool
	}{
		{name: "a native build", file: plainFile, worker: amd64, native: true, hasRun: true},
		{name: "a cross build on another machine", file: crossFile, worker: arm64, native: true, hasRun: true},
		{name: "a build that only copies, on another machine", file: copyFile, worker: arm64, native: true},
		{name: "an emulated build that is allowed", file: plainFile, worker: arm64, change: func(r *Request) { r.AllowEmulation = true }, hasRun: true},
		{name: "a 386 step on amd64", file: "FROM --platform=linux/386 a\nRUN x\n", worker: amd64, native: true, hasRun: true},
		{name: "a variant of the worker's own", file: plainFile, worker: amd64, change: func(r *Request) { r.Platform = "linux/amd64/v2" }, native: true, hasRun: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(write(t, map[string]string{"Dockerfile": c.file}))
			if c.change != nil {
				c.change(&r)
			}
			n, err := New(newFakeEngine(t, c.worker[1], c.worker)).Check(t.Context(), r)
			if err != nil || n.Native != c.native || n.HasRun != c.hasRun || len(n.Emulated) == 0 != c.native {
				t.Errorf("Check = %+v, %v; want native %v, hasRun %v", n, err, c.native, c.hasRun)
			}
		})
	}
}

func TestCheck_CustomFrontendMayRunAnything(t *testing.T) {
	dir := write(t, map[string]string{"Dockerfile": "# syntax=example.com/fe:1\nnot: a Dockerfile\n"})
	if _, err := New(newFakeEngine(t, "arm64", arm64)).Check(t.Context(), request(dir)); event.FailuresOf(err)[0].Code != event.CodeEmulatedBuild {
		t.Errorf("Check on another machine = %v, want EMULATED_BUILD", err)
	}
	if n, err := New(newFakeEngine(t, "amd64", amd64)).Check(t.Context(), request(dir)); err != nil || !n.Native {
		t.Errorf("Check on the same machine = %+v, %v", n, err)
	}
}

func TestCheck_FindsAllThatIsWrongAtOnce(t *testing.T) {
	b := New(newFakeEngine(t, "amd64", amd64))
	b.lookup = func(string) (string, bool) { return "", false }
	r := Request{
		Context: "/nonexistent/context", Dockerfile: "/nonexistent/Dockerfile", Platform: "lin ux",
		Secrets: []Secret{{ID: "a", Env: "NOT_SET"}, {ID: "b", File: "/nonexistent/secret"}, {ID: "c"}, {ID: "", Env: "X"}},
		SSH:     []string{"default", "key=/nonexistent/key"},
	}
	_, err := b.Check(t.Context(), r)
	var got []string
	for _, f := range event.FailuresOf(err) {
		if f.Code != event.CodeUsage {
			t.Errorf("%s is %s, want USAGE", f.Message, f.Code)
		}
		got = append(got, f.Error())
	}
	want := []string{`platform "lin ux"`, "context /nonexistent/context", "/nonexistent/Dockerfile", "NOT_SET", "/nonexistent/secret", `secret "c"`, "no id", "SSH_AUTH_SOCK", "/nonexistent/key"}
	if len(got) != len(want) {
		t.Errorf("Check found %d things, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(got, "\n"), w) {
			t.Errorf("Check does not say %q:\n%s", w, strings.Join(got, "\n"))
		}
	}
}

func TestCheck_Refuses(t *testing.T) {
	dir := write(t, map[string]string{"Dockerfile": plainFile, "twice": "secret"})
	away := newFakeEngine(t, "amd64", amd64)
	away.err = &engine.UnreachableError{Endpoint: "unix:///x.sock", From: "DOCKER_HOST", Hints: []string{"start the engine"}}
	for _, c := range []struct {
		name   string
		engine *fakeEngine
		change func(*Request)
		code   event.Code
		want   string
	}{
		{"an engine that is away", away, nil, event.CodeNoEngine, "unix:///x.sock (DOCKER_HOST) does not answer"},
		{"an engine without BuildKit", newFakeEngine(t, "amd64"), nil, event.CodeNoEngine, "does not answer as BuildKit"},
		{"an unknown target", newFakeEngine(t, "amd64", amd64), func(r *Request) { r.Target = "ap" }, event.CodeUsage, `target "ap" is no stage`},
		{"a context that is a file", newFakeEngine(t, "amd64", amd64), func(r *Request) { r.Context = r.Dockerfile }, event.CodeUsage, "is not a folder"},
		{"a secret that is given twice", newFakeEngine(t, "amd64", amd64), func(r *Request) {
			r.Secrets = []Secret{{ID: "s", File: filepath.Join(dir, "twice")}, {ID: "s", File: filepath.Join(dir, "twice")}}
		}, event.CodeUsage, "given twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(dir)
			if c.change != nil {
				c.change(&r)
			}
			_, err := New(c.engine).Check(t.Context(), r)
			f := event.FailuresOf(err)
			if len(f) != 1 || f[0].Code != c.code || !strings.Contains(f[0].Message+f[0].Error(), c.want) || c.code == event.CodeNoEngine && len(f[0].Hints) == 0 {
				t.Errorf("Check = %v (%+v), want %s with %q", err, f, c.code, c.want)
			}
		})
	}
}

func TestCheck_LeavesNothingBehind(t *testing.T) {
	e := newFakeEngine(t, "amd64", amd64)
	dir := write(t, map[string]string{"Dockerfile": plainFile})
	before := goleak.IgnoreCurrent()
	if _, err := New(e).Check(t.Context(), request(dir)); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

func TestCheck_Cancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	e := newFakeEngine(t, "amd64", amd64)
	_, err := New(e).Check(ctx, request(write(t, map[string]string{"Dockerfile": plainFile})))
	if !errors.Is(err, why) {
		t.Errorf("Check = %v, want %v", err, why)
	}
}
