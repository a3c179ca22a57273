package tinyelf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
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

// relay runs a Relay and returns its address and its standard streams.
func relay(t *testing.T) (address string, in io.WriteCloser, out io.Reader) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	l, err := net.Listen("tcp", "127.0.170.2:0")
	if err != nil {
		t.Fatal(err)
	}
	address, port := l.Addr().String(), l.Addr().(*net.TCPAddr).Port
	l.Close()
	if err := os.WriteFile(path, tinyelf.Relay([4]byte{127, 0, 170, 2}, uint16(port)), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	if in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if status := ended(cmd); !status.Exited() || status.ExitStatus() != 0 {
			t.Errorf("on SIGTERM: wait status %#x, want exit code 0", status)
		}
	})
	return address, in, out
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestRelayHandsRequestsOverAndAnswersBack(t *testing.T) {
	address, in, out := relay(t)
	for _, size := range []int{0, 1, 8191, 8192, 8193, 200_000} {
		c := dial(t, address)
		if _, err := io.WriteString(c, "GET /"); err != nil {
			t.Fatal(err)
		}
		var head [4]byte
		if _, err := io.ReadFull(out, head[:]); err != nil {
			t.Fatal(err)
		}
		asked := make([]byte, binary.LittleEndian.Uint32(head[:]))
		if _, err := io.ReadFull(out, asked); err != nil || string(asked) != "GET /" {
			t.Fatalf("the request arrives as %q, %v", asked, err)
		}
		answer := bytes.Repeat([]byte("x"), size)
		if _, err := in.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(size)), answer...)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, answer) {
			t.Errorf("an answer of %d bytes arrives with %d, %v", size, len(got), err)
		}
	}
}

func TestRelayServesOnAfterAClientThatSaysNothingOrGoes(t *testing.T) {
	address, in, out := relay(t)
	dial(t, address) // says nothing, and is dropped
	gone := dial(t, address)
	if _, err := io.WriteString(gone, "one"); err != nil {
		t.Fatal(err)
	}
	gone.Close()
	after := dial(t, address)
	if _, err := io.WriteString(after, "two"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "two"} {
		got := make([]byte, 4+len(want))
		if _, err := io.ReadFull(out, got); err != nil || string(got[4:]) != want {
			t.Fatalf("the request arrives as %q, %v; want %q", got, err, want)
		}
		if _, err := in.Write([]byte("\x02\x00\x00\x00ok")); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := io.ReadAll(after); err != nil || string(got) != "ok" {
		t.Errorf("answer %q, %v", got, err)
	}
}

func TestRelayStopsListeningWhenItsStandardInputEnds(t *testing.T) {
	address, in, out := relay(t)
	c := dial(t, address)
	if _, err := io.WriteString(c, "GET /"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if got, err := io.ReadAll(c); len(got) != 0 {
		t.Errorf("answer %q, %v; want none", got, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			c.Close()
		}
		if time.Now().After(deadline) {
			t.Fatal("it listens still")
		}
	}
}
