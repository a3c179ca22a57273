package fault

import (
	"context"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// keptCalls bounds how many calls a [Log] shows; it counts all.
const keptCalls = 2000

// maxTotals bounds how many operations are counted by name, for a client can
// make names up. The others are counted as "other".
const maxTotals = 500

// Entry is one call.
type Entry struct {
	Time      time.Time `json:"time"`
	Service   string    `json:"service"`
	Operation string    `json:"operation"`
	Status    int       `json:"status"`          // 0 while it runs, and when the connection was cut
	Error     string    `json:"error,omitempty"` // the exception's name
	Millis    int64     `json:"milliseconds"`
}

// Log remembers calls. Its methods may be called concurrently.
type Log struct {
	now func() time.Time

	mu      sync.Mutex
	entries []*Entry // a ring once it is full
	oldest  int
	totals  map[string]int // "ecs.UpdateService" → calls
}

// NewLog returns an empty log. A nil clock is time.Now.
func NewLog(now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{now: now, totals: make(map[string]int)}
}

// Begin notes a call that starts; the function that it returns notes its end.
func (l *Log) Begin(service, operation string) (end func(status int, errorCode string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &Entry{Time: l.now().UTC(), Service: service, Operation: operation}
	name := service + "." + operation
	if _, known := l.totals[name]; !known && len(l.totals) >= maxTotals {
		name = "other"
	}
	l.totals[name]++
	if len(l.entries) < keptCalls {
		l.entries = append(l.entries, e)
	} else {
		l.entries[l.oldest] = e
		l.oldest = (l.oldest + 1) % keptCalls
	}
	return func(status int, errorCode string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		e.Status, e.Error, e.Millis = status, errorCode, l.now().Sub(e.Time).Milliseconds()
	}
}

// Calls returns the latest calls, oldest first, and the number of all calls by
// "service.Operation".
func (l *Log) Calls() ([]Entry, map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Entry, 0, len(l.entries))
	for i := range l.entries {
		list = append(list, *l.entries[(l.oldest+i)%len(l.entries)])
	}
	totals := make(map[string]int, len(l.totals))
	for k, n := range l.totals {
		totals[k] = n
	}
	return list, totals
}

// Latest returns up to n of the latest calls, newest first.
func (l *Log) Latest(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.entries))
	list := make([]Entry, 0, n)
	for i := range n {
		list = append(list, *l.entries[(l.oldest+len(l.entries)-1-i)%len(l.entries)])
	}
	return list
}

// Reset forgets all calls.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.oldest, l.totals = nil, 0, make(map[string]int)
}

// Intercept notes a call around whatever does it.
func (l *Log) Intercept(next awsjson.Interceptor) awsjson.Interceptor {
	return func(ctx context.Context, c awsjson.Call, do func(context.Context) awsjson.Answer) awsjson.Answer {
		end := l.Begin(c.Service, c.Operation)
		answer := next(ctx, c, do)
		status := answer.Status
		if answer.Cut || answer.Half {
			status = 0
		}
		end(status, answer.ErrorCode)
		return answer
	}
}
