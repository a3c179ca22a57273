package background

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Process is a sandbox that this process has started.
type Process struct {
	home  Home
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
}

// ErrEnded is the end of a process that should have become a sandbox. What it
// said is in [Process.Said].
var ErrEnded = errors.New("the process of the sandbox has ended")

// Begin starts a program that takes the place of the name. It is detached: it
// outlives this process and its terminal. The caller has reserved the Home.
func (h Home) Begin(name string, argv0, program string, args, environ []string) (*Process, error) {
	if err := os.MkdirAll(h.folder(name), 0o700); err != nil {
		return nil, err
	}
	answer, err := os.OpenFile(h.file(name, answerFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	log, err := os.OpenFile(h.file(name, logFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Args[0], cmd.Dir, cmd.Env = argv0, h.folder(name), withoutCI(environ)
	cmd.Stdout, cmd.Stderr = answer, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sandbox %s: %w", name, err)
	}
	p := &Process{home: h, name: name, cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended is read off ProcessState
	}()
	return p, nil
}

// withoutCI drops what says that this is a CI job: a program ends there with the
// shell that started it, which is what a background is not to do.
func withoutCI(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		return strings.HasPrefix(kv, "CI=") || strings.HasPrefix(kv, "CODEBUILD_BUILD_ID=")
	})
}

// Await returns when the sandbox answers. It is ErrEnded when the process ends
// first, and the context's error when that does.
func (p *Process) Await(ctx context.Context) (Sandbox, error) {
	every := time.NewTicker(tick)
	defer every.Stop()
	for {
		s, err := p.home.Look(p.name)
		if err != nil || s.State == Running {
			return s, err
		}
		select {
		case <-p.ended:
			return s, ErrEnded
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-every.C:
		}
	}
}

// Said is how the process ended and what it printed, once Await was ErrEnded.
func (p *Process) Said() (code int, stdout, stderr []byte, err error) {
	stdout, err = os.ReadFile(p.home.file(p.name, answerFile))
	if err != nil {
		return 0, nil, nil, err
	}
	stderr, err = os.ReadFile(p.home.file(p.name, logFile))
	return p.cmd.ProcessState.ExitCode(), stdout, stderr, err
}

// Stop ends the process before it has become a sandbox, and waits for its end as
// long as End does.
func (p *Process) Stop(patience time.Duration) {
	terminate(p.cmd.Process.Pid)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill() // it has ended in between, or it ends now
		<-p.ended
	}
}

// End ends a sandbox and returns when its process is gone. One that has not
// cleaned up when patience is over is killed, and Dead then.
func (h Home) End(ctx context.Context, name string, patience time.Duration) error {
	every := time.NewTicker(tick)
	defer every.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	asked := 0
	for {
		s, err := h.Look(name)
		if err != nil || !s.Lives() {
			return err
		}
		if s.PID != 0 && s.PID != asked { // the lock is held, so the process is its
			asked = s.PID
			terminate(asked)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
			kill(s.PID)
		case <-every.C:
		}
	}
}

// kill ends a process that does not end by itself.
func kill(pid int) {
	if pid == 0 {
		return
	}
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill() // one that is gone needs none
	}
}
