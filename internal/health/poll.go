package health

import (
	"context"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// source is one thing that is asked again and again. At most one call of a
// source is under way.
type source struct {
	what, permission string // for messages: "list tasks", "ecs:ListTasks"
	every            func(Rhythm) time.Duration
	// prepare runs in the loop, where it may read the run's state, and gives the
	// call to make; nil when there is nothing to ask. The call runs beside the
	// loop; what it returns is run in the loop again.
	prepare func() call

	due     time.Time
	busy    bool
	urgent  bool      // a decision waits for the answer
	off     bool      // not asked any more
	started time.Time // when the last call began
	asked   time.Time // when the last call began that was answered
	failing failing
}

type call func(context.Context) (absorb, error)

// absorb takes an answer in. arrived is when it came.
type absorb func(arrived time.Time)

// failing is an unbroken row of failed calls.
type failing struct {
	count int
	since time.Time
	err   error
	told  bool
}

type answer struct {
	from           *source
	asked, arrived time.Time
	absorb         absorb
	err            error
}

// launch starts the calls that are due.
func (r *run) launch(ctx context.Context, now time.Time) {
	for _, s := range r.sources {
		if s.busy || s.off || now.Before(s.due) {
			continue
		}
		if ok, at := r.affords(s, now); !ok {
			r.wake(at)
			continue
		}
		if c := s.prepare(); c != nil {
			r.spend(s)
			s.busy, s.started, s.urgent = true, now, false
			go r.ask(ctx, s, c)
		}
	}
}

// ask makes one call. The channel has room for one answer of every source, so
// that it never waits for a loop that has ended.
func (r *run) ask(ctx context.Context, s *source, c call) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, r.pace.Call)
	defer cancel()
	take, err := c(ctx)
	r.answers <- answer{s, asked, time.Now(), take, err}
}

// take takes an answer in and plans the source's next call.
func (r *run) take(a answer) {
	s := a.from
	s.busy = false
	s.due = a.asked.Add(r.interval(s))
	if a.err != nil {
		r.failed(s, a)
		return
	}
	s.asked, s.failing = a.asked, failing{}
	r.speedUp(a.arrived)
	a.absorb(a.arrived)
}

// interval is the time between two calls of a source: longer, and spread by
// chance, while AWS throttles.
func (r *run) interval(s *source) time.Duration {
	d := s.every(r.rhythm(time.Now()))
	if r.slow > 1 {
		d = time.Duration(float64(d) * float64(r.slow) * (0.75 + r.pace.Jitter()/2))
	}
	return d
}

func (r *run) rhythm(now time.Time) Rhythm {
	p := r.pace.Later
	switch {
	case r.baking:
		p = r.pace.Bake
	case r.firstTask.IsZero() && now.Sub(r.began) < r.pace.EarlyFor,
		!r.firstTask.IsZero() && now.Sub(r.firstTask) < r.pace.EarlyFor:
		p = r.pace.Early
	}
	if !r.scope.judged { // a rollback: what counts is when the service serves again
		p.Service, p.Stopped = p.Stopped, p.Service
	}
	return p
}

// sentinel is the source that keeps its pace whatever else is asked: the stopped
// tasks of a deployment that brings something new, the service itself when it
// goes back.
func (r *run) sentinel() *source {
	if r.scope.judged {
		return r.stopped
	}
	return r.service
}

// hurry asks a source as soon as it is free, unless AWS throttles.
func (r *run) hurry(s *source) {
	if r.slow == 1 && !s.off {
		s.due, s.urgent = time.Time{}, true
	}
}

// look asks a source once more, if its last call began before t.
func (r *run) look(s *source, t time.Time) {
	if s.started.Before(t) {
		r.hurry(s)
	}
}

// soon asks a source at the pace of the sentinel, whatever its own is: at once,
// unless AWS throttles.
func (r *run) soon(s *source) {
	if !s.readable() {
		return
	}
	at := time.Time{}
	if r.slow > 1 {
		at = s.started.Add(r.rhythm(s.started).Stopped * time.Duration(r.slow))
	}
	if at.Before(s.due) {
		s.due = at
	}
}

// throttled slows all polling down.
func (r *run) throttled(at time.Time) {
	if r.slow == 1 {
		r.emit(event.Note{Level: event.Warn, Text: "AWS throttles the API calls of this account: asking less often, so failures show later"})
	}
	r.slow = min(r.slow*2, r.pace.Throttled)
	r.slowSince = at
}

// speedUp speeds polling up again, step by step, while calls succeed.
func (r *run) speedUp(at time.Time) {
	if r.slow > 1 && at.Sub(r.slowSince) >= recoverAfter {
		r.slow /= 2
		r.slowSince = at
	}
}

// recoverAfter is how long calls must succeed before polling speeds up a step.
const recoverAfter = 20 * time.Second

// next is when the loop has to wake up at the latest.
func (r *run) next(now time.Time) time.Duration {
	at := now.Add(time.Second)
	for _, s := range r.sources {
		if !s.busy && !s.off && s.due.After(now) && s.due.Before(at) {
			at = s.due
		}
	}
	if r.alarm.After(now) && r.alarm.Before(at) {
		at = r.alarm
	}
	return at.Sub(now)
}

// wake makes the loop look again at t.
func (r *run) wake(t time.Time) {
	if t.After(time.Now()) && (r.alarm.IsZero() || t.Before(r.alarm)) {
		r.alarm = t
	}
}
