package logstore

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

// Bounds of what is kept: the newest events of each stream, and of all streams
// those that were written to last.
const (
	keptEvents = MaxEvents / 5
	keptBytes  = 512 << 10 // of a stream's messages
	keptTotal  = 32 << 20  // of all
)

// kept is what of a store lives through a restart.
type kept struct {
	groups map[string]*group
}

// Save is the state as it is now, within the bounds. Writers wait only while it is
// copied.
func (s *Store) Save() (json.RawMessage, error) { return snapshot.Marshal(s.copy()) }

func (s *Store) copy() *kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &kept{groups: make(map[string]*group, len(s.groups))}
	var all []*stream
	for name, g := range s.groups {
		c := *g
		c.streams = make(map[string]*stream, len(g.streams))
		for stream, st := range g.streams {
			short := *st
			short.events = slices.Clone(short.newest(keptEvents, keptBytes))
			c.streams[stream] = &short
			all = append(all, &short)
		}
		k.groups[name] = &c
	}
	within(all, keptTotal)
	return k
}

// newest are the last events within the bounds.
func (st *stream) newest(events, bytes int) []event {
	first, size := len(st.events), 0
	for first > 0 && len(st.events)-first < events {
		size += len(st.events[first-1].message)
		if size > bytes {
			break
		}
		first--
	}
	return st.events[first:]
}

// within drops the events of the streams that were written to first, as far as
// all of them together exceed the bound. It counts what is left.
func within(all []*stream, bound int) {
	slices.SortFunc(all, func(a, b *stream) int {
		x, _ := a.last()
		y, _ := b.last()
		return cmp.Or(cmp.Compare(y, x), cmp.Compare(a.name, b.name))
	})
	total := 0
	for _, st := range all {
		st.bytes = 0
		for _, e := range st.events {
			st.bytes += len(e.message)
		}
		if total += st.bytes; total > bound {
			st.events, st.bytes = nil, 0
		}
	}
}

// Load takes a state that was saved, before anything else happens.
func (s *Store) Load(raw json.RawMessage) error {
	var k kept
	if err := snapshot.Unmarshal(raw, &k); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = k.groups
	return nil
}
