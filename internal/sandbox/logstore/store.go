// Package logstore is the sandbox's CloudWatch Logs: groups and streams in
// memory, written by task containers through [Store.Append] and by clients
// through the API that [Store.API] serves.
//
// Every stream is bounded ([MaxEvents], [MaxBytes]): its oldest events go first,
// so that a container that writes without end costs a fixed amount of memory.
package logstore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// Bounds of one stream.
const (
	MaxEvents = 10_000
	MaxBytes  = 4 << 20
	// maxMessage is the largest message that CloudWatch Logs takes, in bytes.
	maxMessage = 256 << 10
)

// Errors of creating groups.
var (
	ErrExists = errors.New("already exists")
	ErrName   = errors.New("invalid name")
)

// groupRule is the pattern of logGroupName (CreateLogGroup API reference).
var groupRule = form.New(`^[.\-_/#A-Za-z0-9]{1,512}$`)

// Store holds log groups. Its methods may be called concurrently.
type Store struct {
	account, region string
	now             func() time.Time

	onAppend func()

	mu     sync.Mutex
	groups map[string]*group
}

type group struct {
	name      string
	created   time.Time
	retention *int32 // days, for the record
	streams   map[string]*stream
}

type stream struct {
	name    string
	created time.Time
	events  []event // sorted by position
	bytes   int     // of their messages
	next    int64   // the next event's number
}

// event is one line. Events of the same millisecond keep their order by number.
type event struct {
	position
	ingested time.Time
	message  string
}

// position orders the events of a stream.
type position struct {
	at     int64 // milliseconds since 1970
	number int64
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.number, q.number))
}

// New returns a store without groups. A nil clock is time.Now.
func New(account, region string, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{account: account, region: region, now: now, onAppend: func() {}, groups: make(map[string]*group)}
}

// OnAppend sets what is told of every line that a container writes, before the
// first one.
func (s *Store) OnAppend(told func()) { s.onAppend = told }

// CreateGroup makes a log group. It fails with [ErrExists] or [ErrName].
func (s *Store) CreateGroup(name string) error {
	if !groupRule.MatchString(name) {
		return fmt.Errorf("create log group %q: %w", name, ErrName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[name] != nil {
		return fmt.Errorf("create log group %s: %w", name, ErrExists)
	}
	s.groups[name] = &group{name: name, created: s.now(), streams: make(map[string]*stream)}
	return nil
}

// HasGroup says whether the group exists.
func (s *Store) HasGroup(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groups[name] != nil
}

// CreateStream makes a stream in a group that exists; one that is there stays.
// It reports whether the group exists.
func (s *Store) CreateStream(groupName, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream(groupName, name) != nil
}

// stream finds or makes a stream; it is nil when its group does not exist. s.mu
// is held.
func (s *Store) stream(groupName, name string) *stream {
	g := s.groups[groupName]
	if g == nil {
		return nil
	}
	if g.streams[name] == nil {
		g.streams[name] = &stream{name: name, created: s.now()}
	}
	return g.streams[name]
}

// Append adds a line to a stream, which it makes when it is not there. Lines
// for a group that does not exist are dropped: the log driver has failed then.
func (s *Store) Append(groupName, streamName string, at time.Time, message string) {
	defer s.onAppend()
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.stream(groupName, streamName); st != nil {
		st.add(at.UnixMilli(), s.now(), message)
	}
}

// add inserts an event at its time and drops the oldest beyond the bounds.
func (st *stream) add(at int64, ingested time.Time, message string) {
	e := event{position: position{at: at, number: st.next}, ingested: ingested, message: cut(message)}
	st.next++
	i, _ := slices.BinarySearchFunc(st.events, e.position, func(x event, p position) int { return x.compare(p) })
	st.events = slices.Insert(st.events, i, e)
	st.bytes += len(e.message)
	if len(st.events) > MaxEvents || st.bytes > MaxBytes {
		st.shorten(MaxEvents*9/10, MaxBytes*9/10)
	}
}

// shorten drops the oldest events down to both bounds. It goes below the limits
// that call for it, so that a full stream does not move all its events for every
// new one.
func (st *stream) shorten(events, bytes int) {
	drop := 0
	for len(st.events)-drop > events || st.bytes > bytes {
		st.bytes -= len(st.events[drop].message)
		drop++
	}
	st.events = slices.Delete(st.events, 0, drop)
}

// cut shortens a message to what the service takes, at the end of a character.
func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	end := maxMessage
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end]
}

// last is the newest event's time in milliseconds; ok is false without events.
func (st *stream) last() (at int64, ok bool) {
	if len(st.events) == 0 {
		return 0, false
	}
	return st.events[len(st.events)-1].at, true
}

func (s *Store) groupARN(name string) string {
	return fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", s.region, s.account, name)
}

// nameOf takes a group's name or ARN, as logGroupIdentifier does.
func nameOf(identifier string) string {
	if !strings.HasPrefix(identifier, "arn:") {
		return identifier
	}
	_, name, _ := strings.Cut(identifier, ":log-group:")
	return strings.TrimSuffix(name, ":*")
}
