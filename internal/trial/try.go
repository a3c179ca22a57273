package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

const (
	// createTimeout bounds the making of a container, which ctx's end does not
	// interrupt: the engine would go on with it, and nobody would remove what it
	// made.
	createTimeout = 60 * time.Second
	removeTimeout = 60 * time.Second
	// drainTimeout is how long the last output of a process that ended is
	// waited for.
	drainTimeout = 10 * time.Second
)

// toldLines is how many lines of output become events.
const toldLines = 100

// subject is what is tried, and where.
type subject struct {
	request Request
	image   engine.Image
	info    engine.Info
	env     variables
}

// outcome is what was seen.
type outcome struct {
	refused error // why the engine could not make or start the container
	running bool
	exit    engine.Exit
	lived   time.Duration
	output  output
	logErr  error
}

// try runs the container for its time. The error is one of the engine or ctx's
// end; what the image does wrong is in the outcome.
func try(ctx context.Context, e Engine, s subject, emit event.Emit) (outcome, error) {
	spec := s.spec()
	id, err := create(ctx, e, spec)
	defer remove(ctx, e, spec.Name, emit)
	if ctx.Err() != nil {
		return outcome{}, context.Cause(ctx)
	}
	if err == nil {
		err = e.StartContainer(ctx, id)
	}
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, engine.ErrUnreachable) {
			return outcome{}, err
		}
		return outcome{refused: err}, nil
	}
	return watch(ctx, e, id, s.request, emit)
}

func create(ctx context.Context, e Engine, spec engine.ContainerSpec) (string, error) {
	made, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	return e.CreateContainer(made, spec)
}

// remove removes the container by its name, which also finds one whose making
// was not answered.
func remove(ctx context.Context, e Engine, name string, emit event.Emit) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if err := e.RemoveContainer(ctx, name); err != nil {
		emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("the trial's container was left behind: %v; docker rm --force --volumes %s removes it", err, name)})
	}
}

// ended is the answer of WaitContainer.
type ended struct {
	exit engine.Exit
	err  error
}

// watch looks at the running container until its process ends or the time is
// over. Events are told from this goroutine only, so that a panic of emit meets
// the caller's defer.
func watch(ctx context.Context, e Engine, id string, r Request, emit event.Emit) (outcome, error) {
	inner, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()

	lines, logErr := make(chan engine.LogLine), error(nil)
	group.Go(func() {
		defer close(lines)
		logErr = e.Logs(inner, id, true, func(l engine.LogLine) {
			select {
			case lines <- l:
			case <-inner.Done():
			}
		})
	})
	exited := make(chan ended, 1)
	group.Go(func() {
		x, err := e.WaitContainer(inner, id)
		exited <- ended{x, err}
	})

	var o outcome
	over := time.NewTimer(time.Duration(r.Seconds) * time.Second)
	defer over.Stop()
	for gone := false; !gone || lines != nil; {
		select {
		case l, more := <-lines:
			if !more {
				lines, o.logErr = nil, logErr
				continue
			}
			tell(emit, r.Container.Name, l, o.output.add(l))
		case x := <-exited:
			if x.err != nil && ctx.Err() == nil {
				return o, x.err
			}
			gone, o.exit = true, x.exit
			over.Reset(drainTimeout)
		case <-over.C:
			if gone {
				return o.timed(ctx, e, id)
			}
			o.running, o.lived = true, time.Duration(r.Seconds)*time.Second
			return o, nil
		case <-ctx.Done():
			return o, context.Cause(ctx)
		}
	}
	return o.timed(ctx, e, id)
}

// timed adds how long the process lived, by the engine's clock.
func (o outcome) timed(ctx context.Context, e Engine, id string) (outcome, error) {
	st, err := e.Container(ctx, id)
	if err != nil {
		return o, err
	}
	o.lived = max(st.FinishedAt.Sub(st.StartedAt), 0)
	return o, nil
}

// tell hands on a line of output, n being its number.
func tell(emit event.Emit, container string, l engine.LogLine, n int) {
	switch {
	case n <= toldLines:
		emit(event.Log{Task: "trial", Container: container, At: l.At, Text: l.Text})
	case n == toldLines+1:
		emit(event.Note{Level: event.Info, Text: fmt.Sprintf("trial run: further output than these %d lines is not shown", toldLines)})
	}
}
