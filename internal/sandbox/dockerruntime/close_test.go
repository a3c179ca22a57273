package dockerruntime_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/sandbox/dockerruntime"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

func TestCloseEndsTasksAndRemovesWhatWasPulled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	only := b.container("only-here", tinyelf.Exit(1, time.Hour, tinyelf.Output{Stdout: enginetest.Name(t)}))
	named := b.container("named", tinyelf.Exit(2, time.Hour, tinyelf.Output{Stdout: enginetest.Name(t)}))
	stubborn := b.container("stubborn", tinyelf.IgnoreTerm())
	stubborn.StopTimeout = time.Hour
	r := b.start(spec(only, named, stubborn))
	for range 3 {
		r.next(task.ContainerStarted)
	}
	keep := enginetest.Name(t) + ":1"
	if err := b.engine.Tag(t.Context(), named.Image, keep); err != nil {
		t.Fatal(err)
	}
	enginetest.Remove(t, b.engine, keep)
	temporary := enginetest.Name(t) + ":1"
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return b.engine.Tag(ctx, only.Image, temporary) },
		func(ctx context.Context) error { return b.engine.Untag(ctx, temporary) },
	} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := b.Folder(); err != nil {
		t.Fatal(err)
	}
	b.close()
	r.rest()
	for _, c := range r.spec.Containers {
		if e := r.exit(c.Name); *e.ExitCode != 137 && *e.ExitCode != 0 {
			t.Errorf("%s: exit code %d, want it stopped or killed", c.Name, *e.ExitCode)
		}
		if _, err := b.engine.Image(t.Context(), c.Image); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("image of %s under the sandbox's name: got %v, want ErrNotFound", c.Name, err)
		}
	}
	if _, err := b.engine.Image(t.Context(), keep); err != nil {
		t.Errorf("image that somebody else has a name for: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(b.locks, "*")); len(files) != 0 {
		t.Errorf("lock file and folder after Close: %v", files)
	}
}

func TestImageThatLostItsNameWhileItRanIsRemoved(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.container("app", tinyelf.Exit(0, time.Hour, tinyelf.Output{Stdout: enginetest.Name(t)}))
	// The image is in the engine under a name of the release's before the pull,
	// as after a build and a push.
	built := enginetest.Name(t) + ":build"
	if err := b.engine.Pull(t.Context(), c.Image, engine.Auth{Username: c.PullAuth.Username, Password: c.PullAuth.Password, Server: b.host}); err != nil {
		t.Fatal(err)
	}
	if err := b.engine.Tag(t.Context(), c.Image, built); err != nil {
		t.Fatal(err)
	}
	image, err := b.engine.Image(t.Context(), built)
	if err != nil {
		t.Fatal(err)
	}
	r := b.start(spec(c))
	r.next(task.ContainerStarted)
	if err := b.engine.Untag(t.Context(), built); err != nil {
		t.Fatal(err)
	}
	b.close()
	r.rest()
	if _, err := b.engine.Image(t.Context(), image.ID); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("image without a name: got %v, want ErrNotFound", err)
	}
}

func TestStopDuringThePull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked, over := make(chan struct{}, 100), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-over // the engine itself gives up after 15 s only
	}))
	t.Cleanup(slow.Close)
	defer close(over)
	c := b.container("app", tinyelf.Idle())
	c.Image = strings.TrimPrefix(slow.URL, "http://") + "/app:1"
	r := b.start(spec(c))
	<-asked
	b.Stop(r.spec.ID)
	r.rest()
	if n := len(r.find(task.StartFailed, "")) + len(r.find(task.ContainerStarted, "")); n != 0 {
		t.Errorf("a task that was stopped in the pull neither starts nor fails; it told:\n%s", r)
	}
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	locks := t.TempDir()
	rt, err := dockerruntime.Open(t.Context(), e, dockerruntime.Options{LockDir: locks})
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rt.Close(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: got %v, want context.Canceled", err)
	}
	next, err := dockerruntime.Open(t.Context(), e, dockerruntime.Options{LockDir: locks})
	if err != nil {
		t.Fatal(err)
	}
	if got := left(t.Context(), t, e, rt.ID()); len(got) != 0 {
		t.Errorf("after the next Open: the engine still has %v", got)
	}
	if err := next.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenSaysWhenThereIsNoEngine(t *testing.T) {
	nowhere, err := engine.Open(engine.Options{On: "unix://" + filepath.Join(t.TempDir(), "no.sock")})
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	locks := t.TempDir()
	if _, err := dockerruntime.Open(t.Context(), nowhere, dockerruntime.Options{LockDir: locks}); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("Open: got %v, want ErrUnreachable", err)
	}
	if files, _ := filepath.Glob(filepath.Join(locks, "*")); len(files) != 0 {
		t.Errorf("lock files after a failed Open: %v", files)
	}
}

func TestStartAfterClose(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.close()
	b.Start(spec(b.container("app", tinyelf.Idle())), func(e task.Event) { t.Errorf("after Close: %v", e.Kind) })
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestSameIDTwiceIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := spec(b.container("app", tinyelf.Idle()))
	first := b.start(s)
	first.next(task.ContainerStarted)
	second := b.start(s)
	second.rest()
	if failed := second.find(task.StartFailed, ""); len(failed) != 1 {
		t.Errorf("second start: got %s, want it refused", second)
	}
	b.Stop(s.ID)
	first.rest()
	if e := first.exit("app"); *e.ExitCode != 0 {
		t.Errorf("the first one: exit code %d, want 0", *e.ExitCode)
	}
}

// crashDir names the lock folder for a test binary that is to be killed.
const crashDir = "DOCKERRUNTIME_TEST_CRASH"

// crashMe is the process that will be killed: it starts what DIR/spec asks for and
// waits.
func crashMe(dir string) {
	e, err := engine.Open(engine.Options{})
	if err != nil {
		panic(err)
	}
	rt, err := dockerruntime.Open(context.Background(), e, dockerruntime.Options{LockDir: dir})
	if err != nil {
		panic(err)
	}
	if _, err := rt.Folder(); err != nil {
		panic(err)
	}
	host, _, _ := strings.Cut(os.Getenv("IMAGE"), "/")
	sp := spec(task.Container{
		Name: "app", Image: os.Getenv("IMAGE"), StopTimeout: time.Second, Mounts: []task.Mount{{Volume: "own", Path: "/own"}, {Volume: "disk", Path: "/disk"}},
		PullAuth: &task.PullAuth{Username: "AWS", Password: os.Getenv("PASSWORD"), Server: host},
	})
	sp.Volumes = []task.Volume{{Name: "own"}, {Name: "disk", Key: "host /srv"}}
	rt.Start(sp, func(e task.Event) {
		fmt.Println(e.Kind, e.Reason)
		if e.Kind == task.ContainerStarted {
			fmt.Println("id", rt.ID())
		}
	})
	select {}
}

func TestNextOpenRemovesWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t) // lives all the time: its objects must stay
	alive := b.start(spec(b.container("app", tinyelf.Idle())))
	alive.next(task.ContainerStarted)

	image := b.image(tinyelf.Exit(0, time.Hour, tinyelf.Output{Stdout: enginetest.Name(t)}))
	_, password := b.store.Credentials()
	locks := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), crashDir+"="+locks, "IMAGE="+image, "PASSWORD="+password)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	id := lines(t, bufio.NewScanner(out), "id ")

	// While it lives, nobody takes its things away.
	open := func() {
		rt, err := dockerruntime.Open(t.Context(), b.engine, dockerruntime.Options{LockDir: t.TempDir(), Warn: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := rt.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	open()
	if got := left(t.Context(), t, b.engine, id); len(got) != 6 {
		t.Errorf("while the process lives: the engine has %v, want two containers, a network, two volumes and an image", got)
	}

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	open()
	if got := left(t.Context(), t, b.engine, id); len(got) != 0 {
		t.Errorf("after the next Open: the engine still has %v", got)
	}
	if _, err := b.engine.Image(t.Context(), image); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("image that the killed process had pulled: got %v, want ErrNotFound", err)
	}
	if files, _ := filepath.Glob(filepath.Join(locks, "*")); len(files) != 0 {
		t.Errorf("lock file and folder of the killed process: %v", files)
	}
	if got := left(t.Context(), t, b.engine, b.ID()); len(got) != 4 {
		t.Errorf("the living sandbox: the engine has %v, want two containers, a network and an image", got)
	}
}
