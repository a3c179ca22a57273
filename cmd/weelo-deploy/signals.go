package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/release"
)

// withSignals ends the context with a release.Interrupt at the first SIGINT,
// SIGTERM or SIGHUP, and reports later SIGINTs on the channel. SIGPIPE is
// ignored: a reader of our output that goes away must not kill a release in the
// middle.
func withSignals(parent context.Context) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	again := make(chan struct{}, 1)
	signals := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
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

func interruptOf(s os.Signal) *release.Interrupt {
	switch s {
	case syscall.SIGTERM:
		return &release.Interrupt{Signal: "SIGTERM", Code: event.ExitTerminate}
	case syscall.SIGHUP:
		return &release.Interrupt{Signal: "SIGHUP", Code: event.ExitInterrupt, Hangup: true}
	}
	return &release.Interrupt{Signal: "SIGINT", Code: event.ExitInterrupt}
}
