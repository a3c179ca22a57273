package output

import (
	"context"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Pulse keeps a run from falling silent: when no event came for a while, it puts
// a heartbeat into the stream that says what is still going on. It is a sink of
// the stream that it feeds, so every mode shows the same.
type Pulse struct {
	// Every is how long a silence may last; 0: 30 seconds.
	Every time.Duration

	mu      sync.Mutex
	last    time.Time
	stage   string
	began   time.Time // of the stage
	step    string    // the build step that runs
	waiting bool      // a stage is under way
}

// Emit implements event.Sink. It takes the time from time.Now, not from the
// record: what counts is when something was shown.
func (p *Pulse) Emit(r event.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	switch e := r.Event.(type) {
	case event.Stage:
		p.stage, p.step, p.waiting = e.Name, "", e.Status == event.Started
		if p.waiting {
			p.began = p.last
		}
	case event.Build:
		if e.Status == event.Started {
			p.step = e.Step
		} else if e.Status != "" && e.Step == p.step {
			p.step = ""
		}
	case event.Result:
		p.waiting = false
	}
}

// Run feeds the stream until ctx ends.
func (p *Pulse) Run(ctx context.Context, stream *event.Stream) {
	every := p.Every
	if every <= 0 {
		every = silence
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		stage, beat, wait := p.beat(every)
		if beat != nil {
			// Not under the lock: the stream calls Emit.
			stream.In(stage)(*beat)
			wait = every
		}
		timer.Reset(wait)
	}
}

// beat is a heartbeat when one is due, else how long to wait for that.
func (p *Pulse) beat(every time.Duration) (stage string, beat *event.Heartbeat, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	silent := time.Since(p.last)
	switch {
	case !p.waiting:
		return "", nil, every
	case silent < every:
		return "", nil, every - silent
	}
	text := p.stage + " is still running"
	if p.step != "" {
		text = "still running: " + p.step
	}
	return p.stage, &event.Heartbeat{Text: text, Seconds: time.Since(p.began).Round(time.Second).Seconds()}, 0
}
