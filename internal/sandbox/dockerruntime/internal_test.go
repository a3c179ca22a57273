package dockerruntime

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "1234"+lockSuffix)
	l, err := acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockAt(path, false); !errors.Is(err, errHeld) {
		t.Errorf("lock twice: got %v, want errHeld", err)
	}
	for _, line := range []string{
		`{"ref":"r/app@sha256:1"}` + "\n",
		`{"ref":"r/app@sha256:2","given":true}` + "\n",
		`{"ref":"r/app@sha256:1","id":"sha256:a"}` + "\n",
		`{"ref":"r/app@sha256:3","i`, // cut off by a crash
	} {
		if err := l.append([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	l.abandon()
	if l, err = lockAt(path, false); err != nil {
		t.Fatalf("lock what its owner abandoned: %v", err)
	}
	got, err := l.images()
	if err != nil {
		t.Fatal(err)
	}
	want := []heldImage{{Ref: "r/app@sha256:1", ID: "sha256:a"}, {Ref: "r/app@sha256:2", Given: true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("images (-want +got):\n%s", d)
	}
	if err := os.MkdirAll(filepath.Join(l.folder(), "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); len(left) != 0 || err != nil {
		t.Errorf("after release: %v, %v are left", left, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after release: got %v, want the file gone", err)
	}
	if _, err := lockAt(path, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lock what is not there: got %v, want ErrNotExist", err)
	}
}

func TestExitEvent(t *testing.T) {
	code := func(n int) *int { return &n }
	for name, x := range map[string]struct {
		exit   engine.Exit
		err    error
		code   *int
		reason string
	}{
		"code":            {exit: engine.Exit{Code: 3}, code: code(3)},
		"out of memory":   {exit: engine.Exit{Code: 137, OOMKilled: true}, code: code(137), reason: task.ReasonOutOfMemory},
		"state error":     {exit: engine.Exit{Code: 127, Error: "no such file"}, code: code(127), reason: "DockerStateError: no such file"},
		"vanished":        {err: engine.ErrNotFound, reason: "ContainerVanishedError: not found"},
		"engine has gone": {err: errors.New("eof"), reason: "CannotInspectContainerError: eof"},
	} {
		t.Run(name, func(t *testing.T) {
			got := exitEvent("app", x.exit, x.err)
			want := task.Event{Kind: task.ContainerExited, Container: "app", ExitCode: x.code, Reason: x.reason}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("event (-want +got):\n%s", d)
			}
		})
	}
}

// forgetful is an engine that loses an image the first times it was pulled.
type forgetful struct {
	Engine
	pulls, losses int
}

func (f *forgetful) Pull(context.Context, string, engine.Auth) error { f.pulls++; return nil }

func (f *forgetful) Images(context.Context, ...string) ([]engine.ImageSummary, error) {
	return nil, nil
}

func (f *forgetful) Image(context.Context, string) (engine.Image, error) {
	if f.pulls <= f.losses {
		return engine.Image{}, engine.ErrNotFound
	}
	return engine.Image{ID: "sha256:a"}, nil
}

func TestPullAgainWhatTheEngineLost(t *testing.T) {
	for _, x := range []struct {
		losses, pulls int
		err           error
	}{{0, 1, nil}, {2, 3, nil}, {9, pulls, engine.ErrNotFound}} {
		e := &forgetful{losses: x.losses}
		im := &images{engine: e, held: map[string]*pulled{}, record: func([]byte) error { return nil }}
		if err := im.pull(t.Context(), "r/app@sha256:1", engine.Auth{}); !errors.Is(err, x.err) || e.pulls != x.pulls {
			t.Errorf("lost %d times: got %v after %d pulls, want %v after %d", x.losses, err, e.pulls, x.err, x.pulls)
		}
	}
}
