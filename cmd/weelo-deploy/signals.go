package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/release"
)

// withSignals ends the context with a release.Interrupt at the first SIGINT,
// SIGTERM or SIGHUP, and reports later SIGINTs on the channel. SIGPIPE is
// ignored: a reader of our output that goes away must not kill a release in the
// middle. orphaned is closed when the shell that started us has died; nil never is.
func withSignals(parent context.Context, orphaned <-chan struct{}) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	again := make(chan struct{}, 1)
	signals := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // under nohup the end of the terminal is meant to change nothing
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-orphaned:
				cancel(&release.Interrupt{Signal: "the end of the shell that ran it", Code: event.ExitTerminate})
				orphaned = nil
			case s := <-signals:
				if ctx.Err() == nil {
					cancel(interruptOf(s))
				} else if s == os.Interrupt {
					select {
					case again <- struct{}{}:
					default:
					}
				}
			}
		}
	}()
	return ctx, again, func() { signal.Stop(signals); close(done); cancel(nil) }
}

// orphanedInCI is closed when the process that started us is gone, in a CI job. A
// runner sends its signals to the shell of a step alone: a shell that runs us in the
// foreground does not hand SIGINT on, and dies of the SIGTERM that follows. Elsewhere
// a parent may end for good reasons (nohup, a closed terminal), and the channel is nil.
func orphanedInCI(getenv func(string) string, parent func() int, every time.Duration, done <-chan struct{}) <-chan struct{} {
	first := parent()
	if !output.InCI(getenv) && getenv("CODEBUILD_BUILD_ID") == "" || first <= 1 {
		return nil
	}
	orphaned := make(chan struct{})
	go func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				if parent() != first {
					close(orphaned)
					return
				}
			}
		}
	}()
	return orphaned
}

func interruptOf(s os.Signal) *release.Interrupt {
	switch s {
	case syscall.SIGTERM:
		return &release.Interrupt{Signal: "SIGTERM", Code: event.ExitTerminate}
	case syscall.SIGHUP:
		return &release.Interrupt{Signal: "SIGHUP", Code: event.ExitInterrupt, Hangup: true}
	}
	return &release.Interrupt{Signal: "SIGINT", Code: event.ExitInterrupt}
}
