package main

import (
	"sync"
	"time"
)

// keyLife is how long an idempotency key is remembered.
const keyLife = 24 * time.Hour

// ledger remembers the orders that were placed, by idempotency key, and who is
// placing one at the moment.
type ledger struct {
	now func() time.Time

	mu     sync.Mutex
	placed map[string]entry // by customer and key
	busy   map[string]bool  // by customer
}

type entry struct {
	order Order
	sum   [32]byte // of the request
	until time.Time
}

// outcome is what begin found.
type outcome int

const (
	locked   outcome = iota // the customer's lock is ours: commit or abort
	replayed                // the same request was answered before
	reused                  // the key belongs to another request
	busy                    // the customer's lock is somebody else's
)

func newLedger(now func() time.Time) *ledger {
	return &ledger{now: now, placed: map[string]entry{}, busy: map[string]bool{}}
}

// id joins a customer and a key; the lengths cannot be confused.
func id(customer, key string) string { return customer + "\x00" + key }

// begin takes the customer's lock, unless there is nothing to do.
func (l *ledger) begin(customer, key string, sum [32]byte) (Order, outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire()
	if e, ok := l.placed[id(customer, key)]; ok {
		if e.sum != sum {
			return Order{}, reused
		}
		return e.order, replayed
	}
	if l.busy[customer] {
		return Order{}, busy
	}
	l.busy[customer] = true
	return Order{}, locked
}

// commit remembers the order and gives the lock back.
func (l *ledger) commit(o Order, key string, sum [32]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.placed[id(o.Customer, key)] = entry{order: o, sum: sum, until: l.now().Add(keyLife)}
	delete(l.busy, o.Customer)
}

// abort gives the lock back; the key stays free.
func (l *ledger) abort(customer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, customer)
}

// expire forgets old keys.
func (l *ledger) expire() {
	now := l.now()
	for k, e := range l.placed {
		if now.After(e.until) {
			delete(l.placed, k)
		}
	}
}
