package image

import (
	"fmt"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// How often a long push is told of: in words, and in bytes for whoever draws it.
const (
	tellEvery  = 10 * time.Second
	countEvery = 500 * time.Millisecond
)

// progress tells a push in few lines: that it began, each layer that arrived,
// how far it is every 10 s, and how it ended.
type progress struct {
	step   string
	emit   event.Emit
	began  time.Time
	last   time.Time // when something was told
	count  time.Time // when the bytes were
	layers map[string]*layer
}

type layer struct {
	sent, total int64
	finished    bool
	existed     bool
}

func newProgress(step string, emit event.Emit) *progress {
	now := time.Now()
	emit(event.Build{Step: step, Status: event.Started})
	return &progress{step: step, emit: emit, began: now, last: now, layers: map[string]*layer{}}
}

func (p *progress) line(format string, a ...any) {
	p.last = time.Now()
	p.emit(event.Build{Step: p.step, Line: fmt.Sprintf(format, a...)})
}

// tell takes the engine's word on a layer.
func (p *progress) tell(s engine.PushProgress) {
	if s.Layer == "" || s.Status == "" {
		return
	}
	l := p.layers[s.Layer]
	if l == nil {
		l = &layer{}
		p.layers[s.Layer] = l
	}
	if l.finished {
		return
	}
	if s.Current > 0 {
		l.sent, l.total = s.Current, max(s.Total, s.Current)
	}
	if now := time.Now(); now.Sub(p.count) >= countEvery {
		if sent, total, _, _ := p.sums(); sent > 0 {
			p.count = now
			p.emit(event.Build{Step: p.step, Bytes: sent, TotalBytes: total})
		}
	}
	switch {
	case s.Status == "Pushed":
		l.finished = true
		p.line("layer %s: pushed, %s", s.Layer, event.Bytes(l.sent))
	case s.Status == "Layer already exists", strings.HasPrefix(s.Status, "Mounted from "):
		l.finished, l.existed = true, true
	default:
		if time.Since(p.last) >= tellEvery {
			sent, total, _, _ := p.sums()
			p.line("%s of at least %s sent", event.Bytes(sent), event.Bytes(total))
		}
	}
}

// sums are bytes sent and known, and layers sent and found there.
func (p *progress) sums() (sent, total int64, pushed, existed int) {
	for _, l := range p.layers {
		switch {
		case l.existed:
			existed++
		case l.finished:
			pushed++
		}
		sent += l.sent
		total += l.total
	}
	return sent, total, pushed, existed
}

// again tells that the push is repeated.
func (p *progress) again(after time.Duration, err error) {
	p.line("again in %s: %v", after.Round(100*time.Millisecond), err)
}

func (p *progress) done(digest string) {
	_, _, pushed, existed := p.sums()
	p.line("%s: %d layers pushed, %d were there", digest, pushed, existed)
	p.end(event.Done, "")
}

func (p *progress) end(s event.Status, err string) {
	e := event.Build{Step: p.step, Status: s, Seconds: time.Since(p.began).Round(time.Millisecond).Seconds()}
	if s == event.Failed {
		e.Error = err
	} else if err != "" {
		p.line("%s", err)
	}
	p.emit(e)
}
