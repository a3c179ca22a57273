//go:build unix

package build

import (
	"os/exec"
	"syscall"
)

// asGroup gives the command a process group of its own, which its context's end
// asks to terminate. The returned function kills what is left of the group.
func asGroup(cmd *exec.Cmd) (kill func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signal := func(s syscall.Signal) error {
		if cmd.Process == nil {
			return nil
		}
		return syscall.Kill(-cmd.Process.Pid, s)
	}
	cmd.Cancel = func() error { return signal(syscall.SIGTERM) }
	return func() { _ = signal(syscall.SIGKILL) } // there may be nothing left
}
