// Package event holds the typed events of a run and the one way they travel:
// a domain package calls an Emit, a Stream numbers and stamps what it is given,
// and every Sink (a renderer, a JSON writer, a test) gets the same Records in
// the same order.
//
// The package knows nothing of ECS, Docker or terminals, and imports nothing of
// ours, so that everything else may import it. The JSON form of the types here
// is a public contract, described in docs/json-output.md: members are added,
// never renamed or removed.
package event

import (
	"sync"
	"time"
)

// Event is one thing that happened. The concrete types are the structs of this
// package; Kind is the "type" member of its JSON form.
type Event interface{ Kind() Kind }

// Kind names an event type.
type Kind string

// The kinds of events, a closed list (design.md §5).
const (
	KindStage        Kind = "stage"
	KindBuild        Kind = "build"
	KindLog          Kind = "log"
	KindCheck        Kind = "check"
	KindTask         Kind = "task"
	KindDeployment   Kind = "deployment"
	KindServiceEvent Kind = "serviceEvent"
	KindDiff         Kind = "diff"
	KindNote         Kind = "note"
	KindHeartbeat    Kind = "heartbeat"
	KindResult       Kind = "result"
)

// Status is how a stage, a build step or a check stands.
type Status string

// The statuses. Started is never the last one of a stage.
const (
	Started     Status = "started"
	Done        Status = "done"
	Skipped     Status = "skipped"
	Failed      Status = "failed"
	Interrupted Status = "interrupted"
	Cached      Status = "cached" // build steps only
	Warned      Status = "warned" // checks only
)

// Stage says that a stage of the release began or ended.
type Stage struct {
	Name    string  `json:"name"`
	Index   int     `json:"index"` // 1-based position among Total
	Total   int     `json:"total"`
	Status  Status  `json:"status"`
	Reason  string  `json:"reason,omitempty"`  // why it was skipped
	Detail  string  `json:"detail,omitempty"`  // what it found or made, one line
	Seconds float64 `json:"seconds,omitempty"` // wall time, when it ended
	// UsualSeconds is how long it took lately, when it begins and that is known.
	UsualSeconds float64 `json:"usualSeconds,omitempty"`
}

// Build is a step of an image build, or a line that the step printed.
type Build struct {
	Step    string  `json:"step"`             // as the builder names it: "[builder 2/4] RUN npm ci"
	Status  Status  `json:"status,omitempty"` // empty for a line of output
	Line    string  `json:"line,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Error   string  `json:"error,omitempty"`
	// How far a push is, on an event with neither status nor line.
	Bytes      int64 `json:"bytes,omitempty"`
	TotalBytes int64 `json:"totalBytes,omitempty"`
}

// Log is a line that a container of the service wrote, fetched from its log
// driver's destination. The text is untrusted.
type Log struct {
	Task      string    `json:"task"` // short id
	Container string    `json:"container"`
	At        time.Time `json:"at,omitzero"`
	Text      string    `json:"text"`
}

// Check is the outcome of one named check: of preflight, verify, or of the live
// service.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"` // Done, Warned, Failed or Skipped
	Detail string `json:"detail,omitempty"`
	Code   Code   `json:"code,omitempty"` // when Failed
	Hint   string `json:"hint,omitempty"`
	// Seconds is how long it took, of a check of the live service.
	Seconds float64 `json:"seconds,omitempty"`
}

// Task is a change in a task of the service.
type Task struct {
	ID         string `json:"id"` // short id, the last part of the ARN
	Revision   string `json:"revision"`
	Deployment string `json:"deployment,omitempty"` // startedBy
	Status     string `json:"status"`               // lastStatus as ECS gives it
	Health     string `json:"health,omitempty"`     // HEALTHY, UNHEALTHY; empty when UNKNOWN
	Container  string `json:"container,omitempty"`  // the one that decided how it ended
	ExitCode   *int   `json:"exitCode,omitempty"`
	StopCode   string `json:"stopCode,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Code       Code   `json:"code,omitempty"` // our classification, when it failed
	Fatal      bool   `json:"fatal,omitempty"`
	Counted    bool   `json:"counted,omitempty"`
	Alike      int    `json:"alike,omitempty"`   // how many tasks failed like this one, with it
	Ignored    Code   `json:"ignored,omitempty"` // why its end says nothing about the revision
}

// Deployment is a change in a deployment of the service.
type Deployment struct {
	ID             string `json:"id"`
	Ours           bool   `json:"ours"`
	Status         string `json:"status"` // PRIMARY, ACTIVE, …
	TaskDefinition string `json:"taskDefinition"`
	RolloutState   string `json:"rolloutState,omitempty"`
	RolloutReason  string `json:"rolloutReason,omitempty"`
	Desired        int    `json:"desired"`
	Running        int    `json:"running"`
	Pending        int    `json:"pending"`
	FailedTasks    int    `json:"failedTasks"`
}

// ServiceEvent is an event of the ECS service, in AWS's words. The text is
// untrusted.
type ServiceEvent struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Message string    `json:"message"`
}

// Diff is the difference between two task definitions, values of environment
// variables masked.
type Diff struct {
	From  string   `json:"from"` // ARN or family:revision
	To    string   `json:"to"`   // ARN, or "next" when it is not registered yet
	Lines []string `json:"lines"`
}

// Level is how much a Note matters.
type Level string

// The levels of a Note.
const (
	Info Level = "info"
	Warn Level = "warning"
)

// Note is a sentence for people that no other event carries.
type Note struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// Heartbeat says that the run is alive and what it waits for.
type Heartbeat struct {
	Text    string  `json:"text"`
	Seconds float64 `json:"seconds"` // since the stage began
}

// Kind implements Event.
func (Stage) Kind() Kind        { return KindStage }
func (Build) Kind() Kind        { return KindBuild }
func (Log) Kind() Kind          { return KindLog }
func (Check) Kind() Kind        { return KindCheck }
func (Task) Kind() Kind         { return KindTask }
func (Deployment) Kind() Kind   { return KindDeployment }
func (ServiceEvent) Kind() Kind { return KindServiceEvent }
func (Diff) Kind() Kind         { return KindDiff }
func (Note) Kind() Kind         { return KindNote }
func (Heartbeat) Kind() Kind    { return KindHeartbeat }
func (Result) Kind() Kind       { return KindResult }

// Record is an event with its place in the run.
type Record struct {
	Seq   int       // 1, 2, 3, …
	Time  time.Time // UTC
	Stage string    // the stage it belongs to; empty outside of any
	Event Event
}

// Sink receives the records of a run, one at a time, in order. Emit must not
// block for long and never fails: a sink that cannot write drops the record.
type Sink interface{ Emit(Record) }

// Emit hands one event on. Packages that do the work take an Emit and know
// nothing else of output.
type Emit func(Event)

// Stream numbers and stamps events and hands them to its sinks. Its methods may
// be called from any goroutine.
type Stream struct {
	mu    sync.Mutex
	seq   int
	now   func() time.Time
	sinks []Sink
}

// NewStream makes a stream on the given clock (nil: time.Now).
func NewStream(now func() time.Time, sinks ...Sink) *Stream {
	if now == nil {
		now = time.Now
	}
	return &Stream{now: now, sinks: sinks}
}

// In is the Emit of one stage.
func (s *Stream) In(stage string) Emit {
	return func(e Event) { s.emit(stage, e) }
}

func (s *Stream) emit(stage string, e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	r := Record{Seq: s.seq, Time: s.now().UTC(), Stage: stage, Event: e}
	for _, k := range s.sinks {
		k.Emit(r)
	}
}

// Discard is an Emit that drops what it is given.
func Discard(Event) {}
