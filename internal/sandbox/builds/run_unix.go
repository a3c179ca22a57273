//go:build unix

package builds

import (
	"os/exec"
	"syscall"
)

// endWithChildren makes the end of the command's context the end of all that it
// started: StopBuild takes a build's machine away.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
