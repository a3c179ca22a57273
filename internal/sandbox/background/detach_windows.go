package background

import (
	"os/exec"
	"syscall"
)

// detachedProcess is DETACHED_PROCESS (Process Creation Flags): no console, so
// that the end of ours does not reach it.
const detachedProcess = 0x00000008

// detach gives the command no console and a process group of its own.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess, HideWindow: true}
}

// terminate ends a process. Windows cannot ask one that has no console; what it
// leaves is removed as after a kill.
func terminate(pid int) { kill(pid) }
