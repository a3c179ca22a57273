package trial

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

// watched is an engine that remembers the containers that were made in it.
type watched struct {
	*engine.Engine
	mu    sync.Mutex
	specs []engine.ContainerSpec
}

func (w *watched) CreateContainer(ctx context.Context, s engine.ContainerSpec) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.specs = append(w.specs, s)
	return w.Engine.CreateContainer(ctx, s)
}

// open gives an engine, and fails the test when a trial leaves a container.
func open(t *testing.T) *watched {
	t.Helper()
	w := &watched{Engine: enginetest.Open(t)}
	t.Cleanup(func() {
		for _, s := range w.specs {
			if _, err := w.Container(context.WithoutCancel(t.Context()), s.Name); !errors.Is(err, engine.ErrNotFound) {
				t.Errorf("container %s: %v, want it removed", s.Name, err)
			}
		}
	})
	return w
}

// recorder keeps events.
type recorder []event.Event

func (r *recorder) emit(e event.Event) { *r = append(*r, e) }

// check is the one outcome that was told.
func (r recorder) check(t *testing.T) event.Check {
	t.Helper()
	var all []event.Check
	for _, e := range r {
		if c, ok := e.(event.Check); ok {
			all = append(all, c)
		}
	}
	if len(all) != 1 || all[0].Name != "trial run" {
		t.Fatalf("checks = %+v, want one of the trial run", all)
	}
	return all[0]
}

// amd64 is an image with one program for linux/amd64.
func amd64(t *testing.T, program []byte, config v1.Config) enginetest.Image {
	config.Entrypoint, config.Labels = []string{"/app"}, unique(t)
	return enginetest.Image{Files: map[string][]byte{"/app": program}, Arch: "amd64", Config: config}
}

// unique makes an image another one than those of tests that run beside: the
// engine stumbles over two removals of one image.
func unique(t *testing.T) map[string]string {
	return map[string]string{"weelo-deploy.test": enginetest.Name(t)}
}

// probe is an image of the engine's own platform, and a request that runs the
// probe in it.
func probe(t *testing.T, w *watched, config v1.Config, args ...string) Request {
	t.Helper()
	info, err := w.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if config.Entrypoint == nil {
		config.Entrypoint = []string{"/probe"}
	}
	config.Labels = unique(t)
	img := enginetest.Image{Files: map[string][]byte{"/probe": enginetest.Probe(t, info.Arch)}, Arch: info.Arch, Config: config}
	return Request{Image: img.Load(t, w.Engine), Platform: "linux/" + info.Arch, Container: Container{Name: "app", Command: args}, Seconds: 30}
}

func TestRun_DeathsThatCondemn(t *testing.T) {
	t.Parallel()
	w := open(t)
	hello := tinyelf.Output{Stdout: "starting\n", Stderr: "\x1b[31mloading native module\x1b[0m\n"}
	for _, c := range []struct {
		name    string
		program []byte
		init    bool
		atLeast float64
	}{
		{name: "a segmentation fault at once", program: tinyelf.Segfault(0, hello)},
		{name: "a segmentation fault after two seconds", program: tinyelf.Segfault(2*time.Second, hello), atLeast: 1.9},
		{name: "a segmentation fault under init", program: tinyelf.Segfault(0, hello), init: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Request{
				Image: amd64(t, c.program, v1.Config{}).Load(t, w.Engine), Platform: "linux/amd64", Seconds: 30,
				Container: Container{Name: "app", Init: c.init, Secrets: []string{"DATABASE_URL"}},
			}
			var rec recorder
			res, err := Run(t.Context(), w, r, rec.emit)
			f := event.FailuresOf(err)[0]
			if f.Code != "EXIT_139_SIGSEGV" || f.Stage != "verify" || f.Container != "app" || f.ExitCode == nil || *f.ExitCode != 139 {
				t.Fatalf("Run = %+v, %v; want EXIT_139_SIGSEGV", f, err)
			}
			if !slices.Equal(slices.Sorted(slices.Values(f.Logs)), []string{"loading native module", "starting"}) {
				t.Errorf("logs = %q, want the two lines, cleaned", f.Logs)
			}
			if len(f.Hints) < 2 || !strings.Contains(strings.Join(f.Evidence, "\n"), "DATABASE_URL") || len(f.Next) == 0 {
				t.Errorf("failure %+v lacks hints, what had a placeholder, or the command to try", f)
			}
			if res.Seconds < c.atLeast || res.Seconds > 25 || res.Status != event.Failed {
				t.Errorf("Result = %+v, want at least %v s and Failed", res, c.atLeast)
			}
			if got := rec.check(t); got.Status != event.Failed || got.Code != f.Code || got.Hint == "" {
				t.Errorf("told %+v, want the failure", got)
			}
		})
	}
}

func TestRun_WrapperHidesTheSignal(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, c := range []struct {
		name string
		args []string
		code event.Code
	}{
		{"a shell", []string{"err=Segmentation fault (core dumped)", "exit=1"}, "EXIT_139_SIGSEGV"},
		{"npm", []string{"out=npm error signal SIGSEGV", "exit=1"}, "EXIT_139_SIGSEGV"},
		{"a shell with an illegal instruction", []string{"err=/run.sh: line 3: 7 Illegal instruction     ./app", "exit=1"}, "EXIT_132_SIGILL"},
		{"a shell with a bus error", []string{"err=Bus error", "exit=1"}, "EXIT_135_SIGBUS"},
		{"a shell with another machine's program", []string{"err=/run.sh: 3: ./app: Exec format error", "exit=126"}, "EXEC_FORMAT"},
		{"Go with a nil pointer", []string{"err=[signal SIGSEGV: segmentation violation code=0x1 addr=0x0]", "exit=2"}, ""},
		{"a crash that was survived", []string{"err=Segmentation fault", "exit=0"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Run(t.Context(), w, probe(t, w, v1.Config{}, c.args...), event.Discard)
			var f *event.Failure
			if got := errors.As(err, &f); got != (c.code != "") || got && f.Code != c.code {
				t.Errorf("Run = %v, want %q", err, c.code)
			}
		})
	}
}

func TestRun_NotJudged(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, c := range []struct {
		name   string
		change func(*Request)
		args   []string
		text   string
		status event.Status
		want   Result
	}{
		{name: "exit 1", args: []string{"out=no database", "exit=1"}, text: "it may want its database; its last words: no database", status: event.Warned, want: Result{ExitCode: 1}},
		{name: "exit 0", args: []string{"out=done"}, text: "exited with 0 after ", status: event.Warned, want: Result{}},
		{name: "a missing library", args: []string{"err=node: error while loading shared libraries: libssl.so.1.1: cannot open", "exit=127"}, text: "libssl.so.1.1", status: event.Warned, want: Result{ExitCode: 127}},
		{name: "a process that goes on", args: []string{"wait"}, change: func(r *Request) { r.Seconds = 1 }, text: "still ran after 1.0 s", status: event.Done, want: Result{Running: true, Seconds: 1}},
		{name: "a process that goes on after a child's crash", args: []string{"err=Segmentation fault", "wait"}, change: func(r *Request) { r.Seconds = 2 }, text: "may have died by SIGSEGV", status: event.Warned, want: Result{Running: true, Seconds: 2}},
		{name: "more memory than the limit", args: []string{"eat=200"}, change: func(r *Request) { r.Container.MemoryBytes = 32 << 20 }, text: "memory limit of 32 MiB", status: event.Warned, want: Result{ExitCode: 137, OOMKilled: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := probe(t, w, v1.Config{}, c.args...)
			if c.change != nil {
				c.change(&r)
			}
			var rec recorder
			res, err := Run(t.Context(), w, r, rec.emit)
			if err != nil {
				t.Fatalf("Run: %v", err)
			}
			if !strings.Contains(res.Text, c.text) || res.Status != c.status || res.Skip != "" {
				t.Errorf("Result = %+v, want %s with %q", res, c.status, c.text)
			}
			if res.Running != c.want.Running || res.ExitCode != c.want.ExitCode || res.OOMKilled != c.want.OOMKilled || c.want.Running && res.Seconds != c.want.Seconds {
				t.Errorf("Result = %+v, want %+v", res, c.want)
			}
			if got := rec.check(t); got.Status != c.status || got.Detail != res.Text {
				t.Errorf("told %+v, want the result's text", got)
			}
		})
	}
}

func TestRun_CannotStart(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, c := range []struct {
		name    string
		config  v1.Config
		change  func(*Request)
		message string
	}{
		{"a command that is not there", v1.Config{Entrypoint: []string{"/nothing"}}, nil, `"/nothing" is not in the image`},
		{"a command that PATH does not find", v1.Config{Entrypoint: []string{"nothing"}}, nil, `"nothing" is not in the image`},
		{"the definition's command is not there", v1.Config{}, func(r *Request) { r.Container.EntryPoint = []string{"/other"} }, `"/other" is not in the image`},
		{"a command that is not there, under init", v1.Config{Entrypoint: []string{"/nothing"}}, func(r *Request) { r.Container.Init = true }, "cannot be executed"},
		{"no command at all", v1.Config{Entrypoint: []string{}}, nil, "names a command"},
		{"a user that is not there", v1.Config{User: "nobody-here"}, nil, `user "nobody-here"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := probe(t, w, c.config)
			r.Container.Command = nil
			if c.change != nil {
				c.change(&r)
			}
			_, err := Run(t.Context(), w, r, event.Discard)
			f := event.FailuresOf(err)[0]
			if f.Code != event.CodeCannotStart || !strings.Contains(f.Message, c.message) || len(f.Hints) == 0 || len(f.Evidence) == 0 {
				t.Errorf("Run = %+v, want CANNOT_START with %q", f, c.message)
			}
		})
	}
}

func TestRun_FilesThatCannotBeExecuted(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, c := range []struct {
		name string
		file []byte
		code event.Code
		init bool
	}{
		{"another machine's program, labelled as ours", enginetest.Probe(t, "arm64"), event.CodeExecFormat, false},
		{"the same under init, which tries a shell then", enginetest.Probe(t, "arm64"), event.CodeCannotStart, true},
		{"a script without its first line", []byte("echo hello\n"), event.CodeExecFormat, false},
		{"a script whose interpreter is missing", []byte("#!/bin/sh\necho hello\n"), event.CodeCannotStart, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Request{Image: amd64(t, c.file, v1.Config{}).Load(t, w.Engine), Platform: "linux/amd64", Container: Container{Init: c.init}, Seconds: 30}
			_, err := Run(t.Context(), w, r, event.Discard)
			if f := event.FailuresOf(err)[0]; f.Code != c.code || len(f.Hints) == 0 {
				t.Errorf("Run = %+v, want %s", f, c.code)
			}
		})
	}
}

func TestRun_CancelledLeavesNothing(t *testing.T) {
	w := open(t)
	r := probe(t, w, v1.Config{}, "wait")
	before := goleak.IgnoreCurrent()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	began := time.Now()
	_, err := Run(ctx, w, r, func(e event.Event) {
		if l, ok := e.(event.Log); ok && l.Text == "waiting" {
			cancel(why)
		}
	})
	if !errors.Is(err, why) {
		t.Errorf("Run = %v, want %v", err, why)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("Run took %s after it was cancelled", took)
	}
	gone(t, w)
	w.Close() // idle connections
	goleak.VerifyNone(t, before)
}

func TestRun_PanicLeavesNothing(t *testing.T) {
	w := open(t)
	r := probe(t, w, v1.Config{}, "wait")
	defer func() {
		if recover() == nil {
			t.Error("Run swallowed the panic")
		}
		gone(t, w)
	}()
	_, _ = Run(t.Context(), w, r, func(event.Event) { panic("renderer") })
}

func gone(t *testing.T, w *watched) {
	t.Helper()
	if len(w.specs) == 0 {
		t.Error("no container was made")
	}
	for _, s := range w.specs {
		if _, err := w.Container(context.WithoutCancel(t.Context()), s.Name); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("container %s: %v, want it removed", s.Name, err)
		}
	}
}

func TestRun_SweepsWhatAKilledRunLeft(t *testing.T) {
	t.Parallel()
	w := open(t)
	r := probe(t, w, v1.Config{})
	left := enginetest.Create(t, w.Engine, engine.ContainerSpec{Image: r.Image, Network: "none", Labels: map[string]string{labelUntil: "2020-01-02T03:04:05Z"}})
	busy := enginetest.Create(t, w.Engine, engine.ContainerSpec{Image: r.Image, Network: "none", Labels: map[string]string{labelUntil: "2999-01-02T03:04:05Z"}})
	if _, err := Run(t.Context(), w, r, event.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Container(t.Context(), left); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the old container: %v, want it gone", err)
	}
	if _, err := w.Container(t.Context(), busy); err != nil {
		t.Errorf("the container of another trial: %v, want it left alone", err)
	}
}

func TestRun_OutputIsBounded(t *testing.T) {
	t.Parallel()
	w := open(t)
	args := []string{"long=5000"}
	for range toldLines + 10 {
		args = append(args, "out=more")
	}
	var rec recorder
	res, err := Run(t.Context(), w, probe(t, w, v1.Config{}, append(args, "out=last")...), rec.emit)
	if err != nil || len(res.Logs) != keptLines || res.Logs[keptLines-1] != "last" {
		t.Errorf("Run = %+v, %v; want the last %d lines", res, err, keptLines)
	}
	logs := 0
	for _, e := range rec {
		if _, ok := e.(event.Log); ok {
			logs++
		}
	}
	if logs != toldLines {
		t.Errorf("told %d lines, want %d", logs, toldLines)
	}
}
