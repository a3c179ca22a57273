package background_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/background"
)

// actVariable makes the test binary a process in the background: its value is what
// it does, its arguments are the Home and the name.
const actVariable = "BACKGROUND_TEST_ACT"

func TestMain(m *testing.M) {
	act := os.Getenv(actVariable)
	if act == "" {
		os.Exit(m.Run())
	}
	os.Exit(play(act, background.Home(os.Args[1]), os.Args[2]))
}

// play is a sandbox without a sandbox.
func play(act string, home background.Home, name string) int {
	if act == "refuse" {
		fmt.Println("the answer")
		fmt.Fprintln(os.Stderr, "error: no")
		return 4
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	place, err := home.Take(context.Background(), name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	r := background.Record{PID: os.Getpid(), Env: []string{"CI=" + os.Getenv("CI")}}
	if act != "starting" {
		r.URL = "http://127.0.0.1:1"
	}
	if err := place.Write(r); err != nil {
		return 1
	}
	for {
		<-signals
		if act == "deaf" {
			continue
		}
		if err := place.Leave(true); err != nil {
			return 1
		}
		return 0
	}
}

// begin starts a process in the background that does act.
func begin(t *testing.T, home background.Home, name, act string) *background.Process {
	t.Helper()
	t.Cleanup(func() {
		if err := home.End(context.Background(), name, time.Millisecond); err != nil {
			t.Error(err)
		}
	})
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := home.Begin(name, "sandbox", program, []string{string(home), name}, append(os.Environ(), actVariable+"="+act, "CI=true", "CODEBUILD_BUILD_ID=1"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func running(t *testing.T, home background.Home, name, act string) background.Sandbox {
	t.Helper()
	s, err := begin(t, home, name, act).Await(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func state(t *testing.T, home background.Home, name string) background.State {
	t.Helper()
	s, err := home.Look(name)
	if err != nil {
		t.Fatal(err)
	}
	return s.State
}

func newHome(t *testing.T) background.Home {
	return background.Home(filepath.Join(t.TempDir(), "background"))
}

func TestSandbox_livesInASessionOfItsOwnUntilItIsEnded(t *testing.T) {
	home := newHome(t)
	s := running(t, home, "one", "serve")
	if s.State != background.Running || s.URL == "" || s.Name != "one" || s.Env[0] != "CI=" {
		t.Errorf("Await gives %+v", s)
	}
	stat, err := exec.Command("ps", "-o", "sid=,tty=", "-p", fmt.Sprint(s.PID)).Output()
	if err != nil || strings.Join(strings.Fields(string(stat)), " ") != fmt.Sprint(s.PID, " ?") {
		t.Errorf("its session and terminal are %q, %v; want a session of its own and none", stat, err)
	}
	if err := home.End(t.Context(), "one", time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := state(t, home, "one"); got != background.Absent {
		t.Errorf("after its end it is %q", got)
	}
	if _, err := os.Stat(filepath.Join(string(home), "one", "record.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record is left: %v", err)
	}
}

func TestSandbox_severalAtOnceAreListedByName(t *testing.T) {
	home := newHome(t)
	running(t, home, "two", "serve")
	running(t, home, "one", "serve")
	all, err := home.List()
	if err != nil || len(all) != 2 || all[0].Name != "one" || all[1].Name != "two" || all[0].PID == all[1].PID {
		t.Errorf("List gives %+v, %v", all, err)
	}
}

func TestSandbox_thatWasKilledIsDeadAndIsTakenOver(t *testing.T) {
	home := newHome(t)
	s := running(t, home, "one", "serve")
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := home.End(t.Context(), "one", time.Minute); err != nil { // returns when the lock is free
		t.Fatal(err)
	}
	if got := state(t, home, "one"); got != background.Dead {
		t.Errorf("after kill -9 it is %q", got)
	}
	if again := running(t, home, "one", "serve"); again.PID == s.PID {
		t.Errorf("the new one is %+v", again)
	}
}

// The process of the record lives, and is not the sandbox: this one.
func TestSandbox_isDeadWhenAnotherProgramHasItsProcessID(t *testing.T) {
	home := newHome(t)
	if err := os.MkdirAll(filepath.Join(string(home), "one"), 0o700); err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf(`{"name":"one","pid":%d,"url":"http://127.0.0.1:1"}`, os.Getpid())
	for _, text := range []string{record, record[:20], ""} {
		if err := os.WriteFile(filepath.Join(string(home), "one", "record.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := state(t, home, "one"); got != background.Dead {
			t.Errorf("with the record %q it is %q", text, got)
		}
		if err := home.End(t.Context(), "one", time.Nanosecond); err != nil { // and does not kill us
			t.Error(err)
		}
	}
	if err := home.Remove("one"); err != nil || state(t, home, "one") != background.Absent {
		t.Errorf("Remove leaves it %q, %v", state(t, home, "one"), err)
	}
}

func TestSandbox_thatDoesNotEndIsKilled(t *testing.T) {
	home := newHome(t)
	running(t, home, "one", "deaf")
	if err := home.End(t.Context(), "one", 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if got := state(t, home, "one"); got != background.Dead {
		t.Errorf("it is %q", got)
	}
}

func TestProcess_thatRefusesIsHeard(t *testing.T) {
	p := begin(t, newHome(t), "one", "refuse")
	if _, err := p.Await(t.Context()); !errors.Is(err, background.ErrEnded) {
		t.Fatalf("Await ends with %v", err)
	}
	code, stdout, stderr, err := p.Said()
	if got := fmt.Sprint(code, string(stdout), string(stderr), err); got != "4the answer\nerror: no\n<nil>" {
		t.Errorf("Said gives %q", got)
	}
}

func TestProcess_thatDoesNotComeUpCanBeGivenUp(t *testing.T) {
	home := newHome(t)
	p := begin(t, home, "one", "starting")
	until(t, func() bool {
		s, err := home.Look("one")
		return err == nil && s.State == background.Starting && s.PID != 0
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("Ctrl-C"))
	if _, err := p.Await(ctx); err == nil || err.Error() != "Ctrl-C" {
		t.Errorf("Await ends with %v", err)
	}
	p.Stop(time.Minute)
	if got := state(t, home, "one"); got != background.Absent {
		t.Errorf("it is %q", got)
	}
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	limit, every := time.NewTimer(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer limit.Stop()
	defer every.Stop()
	for !holds() {
		select {
		case <-every.C:
		case <-limit.C:
			t.Fatal("it does not come to that")
		}
	}
}

func TestTake_isForOneProcess(t *testing.T) {
	home := newHome(t)
	running(t, home, "one", "serve")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := home.Take(ctx, "one"); err == nil {
		t.Error("a second process is the sandbox")
	}
	if got := state(t, home, "one"); got != background.Running {
		t.Errorf("and the first one is %q now", got)
	}
}

func TestReserve_letsOneInAtATime(t *testing.T) {
	home := newHome(t)
	release, err := home.Reserve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := home.Reserve(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second Reserve ends with %v", err)
	}
	release()
	again, err := home.Reserve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestHome_isTheUsersAlone(t *testing.T) {
	home := newHome(t)
	release, err := home.Reserve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	place, err := home.Take(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(place.Write(background.Record{PID: 7}), place.Write(background.Record{PID: 8})); err != nil {
		t.Fatal(err)
	}
	modes := map[string]string{}
	err = filepath.Walk(string(home), func(path string, info os.FileInfo, err error) error {
		if err == nil {
			name, _ := filepath.Rel(string(home), path)
			modes[name] = info.Mode().String()
		}
		return err
	})
	want := map[string]string{".": "drwx------", ".lock": "-rw-------", "one": "drwx------", "one/lock": "-rw-------", "one/record.json": "-rw-------"}
	if d := cmp.Diff(want, modes); d != "" || err != nil {
		t.Errorf("files (-want +got), %v:\n%s", err, d)
	}
	if err := place.Leave(false); err != nil || state(t, home, "one") != background.Dead {
		t.Errorf("one that could not clean up is %q, %v; want dead, so that others do", state(t, home, "one"), err)
	}
}

func TestList_ofNothingIsEmpty(t *testing.T) {
	if all, err := newHome(t).List(); len(all) != 0 || err != nil {
		t.Errorf("List gives %v, %v", all, err)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{"default": true, "a": true, "pr-12": true, "": false, ".lock": false, "a/b": false, "..": false, "A": false, "a-": false, "-a": false,
		strings.Repeat("a", 32): true, strings.Repeat("a", 33): false} {
		if got := background.ValidName(name); got != want {
			t.Errorf("ValidName(%q) is %t", name, got)
		}
	}
}
