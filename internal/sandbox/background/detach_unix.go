//go:build unix

package background

import (
	"os/exec"
	"syscall"
)

// detach makes the command the leader of a session of its own: the end of our
// terminal and its Ctrl-C do not reach it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// terminate asks a process to clean up and end.
func terminate(pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) } // one that is gone needs none
