package main

import (
	"errors"
	"os"
	"os/exec"
)

// become runs a program and waits for its end: Windows cannot put it in place of
// this one. Ctrl-C reaches every program of the console by itself.
func become(program string, args, env []string) (code int, err error) {
	cmd := exec.Command(program, args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}
