package builds

import "os/exec"

// endWithChildren leaves what the command started: there are no process groups to
// end.
func endWithChildren(*exec.Cmd) {}
