//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// become puts a program in place of this one, so that signals, terminal and exit
// code are its own. It returns only when that fails.
func become(program string, args, env []string) (code int, err error) {
	signal.Reset() // what is ignored would be ignored by the program too
	return 0, syscall.Exec(program, args, env)
}
