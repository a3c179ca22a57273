// weelo-deploy releases a container image to an Amazon ECS service, watches it,
// and goes back to the last proven revision when it fails.
//
// The package is an adapter: each file holds one command that turns arguments
// into a call of an internal package. clients.go is the one place that builds
// AWS and Docker clients; main.go turns errors into text and exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output"
)

func main() { os.Exit(Main()) }

// Main runs the command line and gives the exit code.
func Main() int {
	a := &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, environ: os.Environ, now: time.Now,
		stdoutTerminal: isTerminal(os.Stdout), stderrTerminal: isTerminal(os.Stderr) && takesEscapes(os.Stderr), stdinTerminal: isTerminal(os.Stdin),
	}
	done := make(chan struct{})
	defer close(done)
	ctx, again, stop := withSignals(context.Background(), orphanedInCI(os.Getenv, os.Getppid, 200*time.Millisecond, done))
	defer stop()
	a.interrupted, a.again = ctx.Done(), again
	return a.run(ctx, os.Args[1:])
}

// app is the outside world as the commands see it.
type app struct {
	stdin                                         io.Reader
	stdout, stderr                                io.Writer
	stdoutTerminal, stderrTerminal, stdinTerminal bool
	getenv                                        func(string) string
	environ                                       func() []string
	now                                           func() time.Time
	interrupted                                   <-chan struct{} // closed by the first signal
	again                                         <-chan struct{} // signals after the first

	flags  globalFlags
	report string // --report
}

// exit is the error of a command that has said all there is to say.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func (a *app) run(ctx context.Context, args []string) int {
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	var code exit
	switch {
	case err == nil:
		return event.ExitOK
	case errors.As(err, &code):
		return int(code)
	}
	// What is left are errors of arguments and of the way to write, found before a
	// command began.
	var known *event.Failure
	if !errors.As(err, &known) {
		err = event.Fail(event.CodeUsage, err.Error()).Try(a.commandPath(root, args) + " --help")
	}
	output.WriteError(a.stderr, nil, err)
	return event.ExitUsage
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
