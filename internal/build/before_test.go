//go:build unix

package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestRunBefore(t *testing.T) {
	dir := t.TempDir()
	var rec recorder
	err := RunBefore(t.Context(), dir, []string{"echo one; echo two >&2", "pwd > made; printf unfinished"}, rec.emit)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"| one", "| two", "done before: echo one; echo two >&2", "| unfinished", "done before: pwd > made; printf unfinished"}
	if got := rec.steps(); !slices.Equal(got, want) {
		t.Errorf("steps = %q, want %q", got, want)
	}
	b, err := os.ReadFile(filepath.Join(dir, "made"))
	if real, _ := filepath.EvalSymlinks(dir); err != nil || strings.TrimSpace(string(b)) != real {
		t.Errorf("the command ran in %q, %v; want %s", b, err, real)
	}
}

func TestRunBefore_Fails(t *testing.T) {
	var rec recorder
	err := RunBefore(t.Context(), t.TempDir(), []string{"for i in $(seq 30); do echo $i; done; exit 3", "echo never"}, rec.emit)
	f := event.FailuresOf(err)[0]
	if f.Code != event.CodeBuildFailed || !strings.Contains(f.Message, "exit status 3") || len(f.Logs) != keptLines || f.Logs[keptLines-1] != "30" {
		t.Errorf("RunBefore = %+v, want the exit code and the last lines", f)
	}
	if slices.Contains(rec.steps(), "| never") {
		t.Error("the next command ran")
	}
	err = RunBefore(t.Context(), t.TempDir(), []string{"no-such-program-here"}, event.Discard)
	if f := event.FailuresOf(err)[0]; !strings.Contains(strings.Join(f.Hints, ""), "127") {
		t.Errorf("RunBefore of a missing program = %+v, want a hint", f)
	}
	if err := RunBefore(t.Context(), "/nonexistent", []string{"true"}, event.Discard); event.FailuresOf(err)[0].Code != event.CodeBuildFailed {
		t.Errorf("RunBefore in a missing folder = %v", err)
	}
}

// TestRunBefore_Cancelled ends a command that started another one which ignores
// SIGTERM; both are gone after it.
func TestRunBefore_Cancelled(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	var pid int
	rec := recorder{seen: func(e event.Event) {
		if b, ok := e.(event.Build); ok && strings.HasPrefix(b.Line, "child ") {
			pid, _ = strconv.Atoi(strings.TrimPrefix(b.Line, "child "))
			cancel(why)
		}
	}}
	err := RunBefore(ctx, t.TempDir(), []string{`sh -c 'trap "" TERM; echo child $$; while :; do sleep 0.05; done'; echo after`}, rec.emit)
	if !errors.Is(err, why) || pid == 0 {
		t.Fatalf("RunBefore = %v with child %d, want %v", err, pid, why)
	}
	if last := rec.steps(); !strings.HasPrefix(last[len(last)-1], "interrupted before: ") {
		t.Errorf("steps = %q, want the last to be interrupted", last)
	}
	if !gone(t, pid) {
		t.Errorf("process %d outlived the command", pid)
	}
}

// gone waits until a process has ended; its parent may not have reaped it.
func gone(t *testing.T, pid int) bool {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) == syscall.ESRCH {
			return true
		}
		select {
		case <-tick.C:
		case <-late:
			return false
		}
	}
}

func TestRunBefore_Background(t *testing.T) {
	t.Parallel()
	var rec recorder
	dir := t.TempDir()
	err := RunBefore(t.Context(), dir, []string{"(while test ! -e stop; do sleep 0.05; done; touch stopped) & echo started"}, rec.emit)
	put(t, dir, "stop", "")
	if err != nil || rec.steps()[0] != "| started" {
		t.Errorf("RunBefore = %v with %q, want it to go on without the background", err, rec.steps())
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C { // the folder goes with the test
		if _, err := os.Stat(filepath.Join(dir, "stopped")); err == nil {
			return
		}
	}
}
