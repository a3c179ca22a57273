package build

import (
	"os/exec"
	"strconv"
)

// asGroup has the command and its children ended with its context.
func asGroup(cmd *exec.Cmd) (kill func()) {
	end := func() error {
		if cmd.Process == nil {
			return nil
		}
		return exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run()
	}
	cmd.Cancel = end
	return func() { _ = end() } // there may be nothing left
}
