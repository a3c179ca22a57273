package check

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// gate makes requests arrive together: each is sent but for its last byte, and
// the last bytes go when all have come so far. Names, connections and
// certificates then cost no head start.
type gate struct {
	mu   sync.Mutex
	away int // how many have still to come
	open chan struct{}
	at   time.Time // when it opened
}

func newGate(n int) *gate { return &gate{away: n, open: make(chan struct{})} }

// ticket is one request's place at a gate. A request that comes to nothing gives
// it back, so that the others do not wait for it.
type ticket struct {
	*gate
	once sync.Once
}

func (t *ticket) arrive() {
	t.once.Do(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.away--; t.away == 0 {
			t.at = time.Now()
			close(t.open)
		}
	})
}

func (t *ticket) pass(ctx context.Context) error {
	t.arrive()
	select {
	case <-t.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// opened is when the request was let go, which was at the start without a gate.
func (t *ticket) opened(start time.Time) time.Time {
	if t == nil {
		return start
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at.IsZero() {
		return start
	}
	return t.at
}

// held is a body whose last byte waits.
type held struct {
	rest *bytes.Reader
	wait func() error
}

// Read implements io.Reader.
func (h *held) Read(p []byte) (int, error) {
	if n := h.rest.Len() - 1; n > 0 {
		return h.rest.Read(p[:min(len(p), n)])
	}
	if h.rest.Len() == 1 {
		if err := h.wait(); err != nil {
			return 0, err
		}
	}
	return h.rest.Read(p)
}
