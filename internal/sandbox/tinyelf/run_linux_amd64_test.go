package tinyelf_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

// start writes a program to disk and runs it; the test's end kills it.
func start(t *testing.T, program []byte) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, &stdout, &stderr
}

// ended waits for the process and says how it ended.
func ended(cmd *exec.Cmd) syscall.WaitStatus {
	_ = cmd.Wait()
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func TestExitPrintsWaitsAndExits(t *testing.T) {
	const after = 150 * time.Millisecond
	began := time.Now()
	cmd, stdout, stderr := start(t, tinyelf.Exit(42, after, hello))
	status := ended(cmd)
	if !status.Exited() || status.ExitStatus() != 42 {
		t.Errorf("wait status: got %#x, want exit code 42", status)
	}
	if took := time.Since(began); took < after {
		t.Errorf("ended after %v, want at least %v", took, after)
	}
	if stdout.String() != hello.Stdout || stderr.String() != hello.Stderr {
		t.Errorf("output: got %q and %q, want %q and %q", stdout, stderr, hello.Stdout, hello.Stderr)
	}
}

func TestSegfaultIsKilledBySIGSEGV(t *testing.T) {
	cmd, stdout, _ := start(t, tinyelf.Segfault(50*time.Millisecond, hello))
	status := ended(cmd)
	if !status.Signaled() || status.Signal() != syscall.SIGSEGV {
		t.Errorf("wait status: got %#x, want killed by SIGSEGV", status)
	}
	if stdout.String() != hello.Stdout {
		t.Errorf("stdout: got %q, want %q", stdout, hello.Stdout)
	}
}

// waitSleeping returns when the process is in a system call that waits, which is
// where each of the long-running programs ends up with its handlers in place.
func waitSleeping(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		after := stat[bytes.LastIndexByte(stat, ')')+2:]
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if after[0] == 'S' && filepath.Base(exe) == "program" {
			return
		}
	}
	t.Fatalf("process %d does not wait for anything", pid)
}

func TestTermEndsWithCode0(t *testing.T) {
	long := time.Hour
	for name, program := range map[string][]byte{
		"idle":     tinyelf.Idle(),
		"exit":     tinyelf.Exit(1, long, tinyelf.Output{}),
		"segfault": tinyelf.Segfault(long, tinyelf.Output{}),
		"hog":      tinyelf.Hog(1 << 20),
		"serve":    tinyelf.Serve(freePort(t), ""),
	} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(name+" "+signal.String(), func(t *testing.T) {
				cmd, _, _ := start(t, program)
				waitSleeping(t, cmd.Process.Pid)
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if status := ended(cmd); !status.Exited() || status.ExitStatus() != 0 {
					t.Errorf("wait status: got %#x, want exit code 0", status)
				}
			})
		}
	}
}

func TestIgnoreTermEndsOnlyBySIGKILL(t *testing.T) {
	cmd, _, _ := start(t, tinyelf.IgnoreTerm())
	waitSleeping(t, cmd.Process.Pid)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	if status := ended(cmd); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("wait status: got %#x, want killed by SIGKILL, not by what came before it", status)
	}
}

func TestHogTouchesItsMemory(t *testing.T) {
	const size = 32 << 20
	cmd, _, _ := start(t, tinyelf.Hog(size))
	waitSleeping(t, cmd.Process.Pid)
	var pages, resident int
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(raw), &pages, &resident); err != nil {
		t.Fatal(err)
	}
	if got := resident * os.Getpagesize(); got < size {
		t.Errorf("resident memory: got %d bytes, want at least %d", got, size)
	}
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestServeAnswersHTTP(t *testing.T) {
	port := freePort(t)
	cmd, _, _ := start(t, tinyelf.Serve(port, "revision 27"))
	waitSleeping(t, cmd.Process.Pid)
	for range 3 {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/health", port))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || string(body) != "revision 27" {
			t.Errorf("GET /health: got %s %q %v, want 200 and the body", answer.Status, body, err)
		}
	}
}

func TestServeExitsWhenThePortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd, _, _ := start(t, tinyelf.Serve(uint16(l.Addr().(*net.TCPAddr).Port), ""))
	if status := ended(cmd); !status.Exited() || status.ExitStatus() != 1 {
		t.Errorf("wait status: got %#x, want exit code 1", status)
	}
}
