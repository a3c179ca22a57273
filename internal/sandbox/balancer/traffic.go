package balancer

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Bounds of what is remembered of the traffic.
const (
	keptSeconds = 120  // seconds
	keptKeys    = 1000 // target groups with targets, a second and in total
)

// Traffic is what went through the proxies.
type Traffic struct {
	// Seconds are the last two minutes, oldest first; seconds without a request
	// are left out.
	Seconds []Second `json:"seconds"`
	// Totals are counts since the start.
	Totals []Counts `json:"totals"`
}

// Second is one second of traffic.
type Second struct {
	At     time.Time `json:"at"` // its begin
	Counts []Counts  `json:"counts"`
}

// Counts are the requests of one target. Requests that no target got (503, fixed
// responses, redirects) have no Target; what is too much to keep apart has the
// Group "other".
type Counts struct {
	Group    string `json:"group"`  // ARN
	Target   string `json:"target"` // host:port as registered
	Requests int    `json:"requests"`
	Class    [6]int `json:"class"` // answers by the first digit of their status: Class[2] are 2xx
	// Failed counts answers that the load balancer gave because it had none from a
	// target (502, 503, 504), and answers that broke off.
	Failed int `json:"failed"`
}

type key struct{ group, target string }

// traffic counts. It has a lock of its own, since every request takes it.
type traffic struct {
	now func() time.Time

	mu     sync.Mutex
	ring   [keptSeconds]second
	totals map[key]*Counts
}

type second struct {
	at     int64 // Unix time
	counts map[key]*Counts
}

func newTraffic(now func() time.Time) *traffic {
	return &traffic{now: now, totals: make(map[key]*Counts)}
}

// note counts one request that has ended. status 0 is an answer that never began.
func (t *traffic) note(group, target string, status int, failed bool) {
	at := t.now().Unix()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.ring[at%keptSeconds]
	if s.at != at {
		s.at, s.counts = at, make(map[key]*Counts)
	}
	for _, counts := range []map[key]*Counts{s.counts, t.totals} {
		count(counts, key{group, target}).add(status, failed)
	}
}

func count(counts map[key]*Counts, k key) *Counts {
	if counts[k] == nil && len(counts) >= keptKeys {
		k = key{group: "other"}
	}
	if counts[k] == nil {
		counts[k] = &Counts{Group: k.group, Target: k.target}
	}
	return counts[k]
}

func (c *Counts) add(status int, failed bool) {
	c.Requests++
	c.Class[min(max(status/100, 0), len(c.Class)-1)]++
	if failed {
		c.Failed++
	}
}

// Traffic counts what went through the proxies. A request counts when it ends.
func (b *Balancer) Traffic() Traffic {
	t := b.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	out := Traffic{Seconds: []Second{}, Totals: listed(t.totals)}
	oldest := t.now().Unix() - keptSeconds
	for _, s := range t.ring {
		if s.counts != nil && s.at > oldest {
			out.Seconds = append(out.Seconds, Second{At: time.Unix(s.at, 0).UTC(), Counts: listed(s.counts)})
		}
	}
	slices.SortFunc(out.Seconds, func(a, b Second) int { return a.At.Compare(b.At) })
	return out
}

func listed(counts map[key]*Counts) []Counts {
	list := make([]Counts, 0, len(counts))
	for _, c := range counts {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Counts) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Target, b.Target))
	})
	return list
}
