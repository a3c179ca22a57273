package build

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// killDelay is what a command gets to end after it was asked to.
const killDelay = 3 * time.Second

// RunBefore runs commands one after the other with `sh -c` in dir, and hands on
// their output. The first that fails ends it: CodeBuildFailed, with its last
// lines. When ctx ends, the command and all that it started are ended too.
func RunBefore(ctx context.Context, dir string, commands []string, emit event.Emit) error {
	for _, c := range commands {
		if err := runBefore(ctx, dir, c, emit); err != nil {
			return err
		}
	}
	return nil
}

func runBefore(ctx context.Context, dir, command string, emit event.Emit) error {
	step := "before: " + shorten(command)
	began := time.Now()
	emit(event.Build{Step: step, Status: event.Started})
	last, err := sh(ctx, dir, command, func(line string) { emit(event.Build{Step: step, Line: line}) })
	took := time.Since(began).Seconds()
	if err == nil {
		emit(event.Build{Step: step, Status: event.Done, Seconds: took})
		return nil
	}
	if ctx.Err() != nil {
		emit(event.Build{Step: step, Status: event.Interrupted, Seconds: took})
		return fmt.Errorf("run build.before %q: %w", shorten(command), context.Cause(ctx))
	}
	emit(event.Build{Step: step, Status: event.Failed, Seconds: took, Error: err.Error()})
	f := event.Fail(event.CodeBuildFailed, fmt.Sprintf("build.before command %q failed: %s", shorten(command), err)).Because(err)
	f.Logs = last
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 127 {
		f.Hint("exit code 127: sh did not find a program; it runs in " + dir)
	}
	return f
}

// sh runs one command and returns its last lines.
func sh(ctx context.Context, dir, command string, line func(string)) ([]string, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = dir
	cmd.WaitDelay = killDelay
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	kill := asGroup(cmd)
	last := []string{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines(r, func(s string) {
			if len(last) == keptLines {
				last = last[1:]
			}
			last = append(last, s)
			line(s)
		})
	}()
	err := cmd.Run()
	if ctx.Err() != nil {
		kill() // what outlived the polite signal
	}
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		err = nil // it succeeded, and left something in the background
	}
	w.Close()
	<-read
	return last, err
}

// lines splits a stream into lines of at most maxLine bytes, to its end.
func lines(r io.Reader, line func(string)) {
	b := bufio.NewReaderSize(r, maxLine)
	for {
		s, _, err := b.ReadLine()
		if err != nil {
			return
		}
		line(string(s))
	}
}
