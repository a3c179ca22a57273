package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

// Bounds: of what is remembered, and of a function behind a URL. ECS gives a
// function 15 minutes; nobody rehearses that.
const (
	keptCalls  = 100
	maxScripts = 1000
	maxAnswer  = 1 << 20
	askTime    = time.Minute
)

// A Call is one call of a function.
type Call struct {
	At       time.Time       `json:"at"`
	Function string          `json:"function"`
	Event    json.RawMessage `json:"event"`
	Answer   json.RawMessage `json:"answer,omitempty"`
	Error    string          `json:"error,omitempty"`
	By       string          `json:"by"` // script, url or nobody
}

// Store holds the scripts, and the calls that were made.
type Store struct {
	now    func() time.Time
	client *http.Client

	mu      sync.Mutex // guards all that follows
	scripts []Script
	calls   []Call
}

// New returns a store without scripts.
func New(now func() time.Time) *Store {
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return checkLoopback(address) }}
	return &Store{now: now, client: &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true},
		Timeout:   askTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// Add adds scripts, all of them or none.
func (s *Store) Add(scripts ...Script) error {
	for _, x := range scripts {
		if err := x.Check(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.scripts)+len(scripts) > maxScripts {
		return fmt.Errorf("there are %d scripts already; DELETE /_sandbox/hooks removes them", len(s.scripts))
	}
	for _, x := range scripts {
		x.Calls = 0
		s.scripts = append(s.scripts, x)
	}
	return nil
}

// Reset removes all scripts and forgets the calls.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts, s.calls = nil, nil
}

// List is the scripts and the latest calls, oldest first.
func (s *Store) List() ([]Script, []Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Script{}, s.scripts...), append([]Call{}, s.calls...)
}

// Invoke answers for a function.
func (s *Store) Invoke(ctx context.Context, function string, event []byte) ([]byte, error) {
	script, n := s.scriptFor(function, event)
	c := Call{At: s.now(), Function: function, Event: event, By: "nobody"}
	var answer json.RawMessage
	var err error
	switch {
	case script == nil:
		answer, err = Script{}.answer(1)
	case script.URL != "":
		c.By = "url"
		answer, err = s.ask(ctx, script.URL, event)
	default:
		c.By = "script"
		answer, err = script.answer(n)
	}
	c.note(answer, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	if n := len(s.calls) - keptCalls; n > 0 {
		s.calls = slices.Delete(s.calls, 0, n)
	}
	return answer, err
}

// note remembers what was said. What is no JSON is remembered as a text.
func (c *Call) note(answer json.RawMessage, err error) {
	if err != nil {
		c.Error = err.Error()
		return
	}
	if c.Answer = answer; !json.Valid(answer) {
		c.Answer, _ = json.Marshal(string(answer)) // a string always can be
	}
}

// scriptFor finds the script of a call, and which of its calls this is.
func (s *Store) scriptFor(function string, event []byte) (*Script, int) {
	var e struct {
		LifecycleStage string `json:"lifecycleStage"`
	}
	_ = json.Unmarshal(event, &e) // an event without a stage fits scripts without one
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range slices.Backward(s.scripts) {
		if x := &s.scripts[i]; x.fits(function, e.LifecycleStage) {
			x.Calls++
			copied := *x
			return &copied, copied.Calls
		}
	}
	return nil, 0
}

// ask posts the event to a program of this machine.
func (s *Store) ask(ctx context.Context, url string, event []byte) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return body, nil
}

// kept is what lives through a restart.
type kept struct{ scripts []Script }

// Save is the scripts as they are now.
func (s *Store) Save() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return snapshot.Marshal(&kept{s.scripts})
}

// Load takes scripts that were saved.
func (s *Store) Load(raw json.RawMessage) error {
	var k kept
	if err := snapshot.Unmarshal(raw, &k); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts = k.scripts
	return nil
}
