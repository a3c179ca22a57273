package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// maxRules bounds the rules that are kept at once.
const maxRules = 1000

// Images is what the faults do to the registry.
type Images interface {
	// DeleteImage removes the images that ref names and returns their number.
	DeleteImage(ref string) int
	// Hold keeps the scheduler from resolving images until release.
	Hold() (release func())
}

// Set is the rules that are there. Its methods may be called concurrently.
type Set struct {
	images     Images
	operations func(service, operation string) bool
	closing    <-chan struct{}

	mu    sync.Mutex
	next  int
	rules []*active
}

// active is a rule with its history.
type active struct {
	Rule
	seen    int           // matching calls so far
	acted   int           // calls that it acted on
	removed chan struct{} // closed when the rule goes
}

// Report is a rule as it is listed.
type Report struct {
	Rule
	Acted int `json:"acted"`
}

// NewSet returns a set without rules. operations says which operations exist
// (the service may be ""), and closing ends delays and hanging calls.
func NewSet(images Images, operations func(service, operation string) bool, closing <-chan struct{}) *Set {
	return &Set{images: images, operations: operations, closing: closing}
}

// Add takes rules, all or none, and returns their ids.
func (s *Set) Add(rules ...Rule) ([]string, error) {
	for i, r := range rules {
		if err := r.check(s.operations); err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.rules)+len(rules) > maxRules {
		return nil, errors.New("there are too many faults")
	}
	ids := make([]string, 0, len(rules))
	for _, r := range rules {
		s.next++
		r.ID = strconv.Itoa(s.next)
		s.rules = append(s.rules, &active{Rule: r, removed: make(chan struct{})})
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// List returns the rules, oldest first.
func (s *Set) List() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Report, 0, len(s.rules))
	for _, a := range s.rules {
		list = append(list, Report{a.Rule, a.acted})
	}
	return list
}

// Remove removes the rule with an id, or every rule for "". It reports whether
// there was one. Calls that a removed rule keeps hanging go on.
func (s *Set) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.rules)
	s.rules = slices.DeleteFunc(s.rules, func(a *active) bool {
		gone := id == "" || a.ID == id
		if gone {
			close(a.removed)
		}
		return gone
	})
	return len(s.rules) < before
}

// take returns the rule that acts on what matches says, and counts it; nil when
// none does.
func (s *Set) take(matches func(Rule) bool) *active {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.rules {
		if !matches(a.Rule) || a.limit() > 0 && a.acted >= a.limit() {
			continue
		}
		a.seen++
		if a.seen > a.After {
			a.acted++
			return a
		}
	}
	return nil
}

// Intercept does one API call under the rules. It is an [awsjson.Interceptor].
func (s *Set) Intercept(ctx context.Context, c awsjson.Call, next func(context.Context) awsjson.Answer) awsjson.Answer {
	if action, denied := s.forbids(c); denied {
		return c.Refuse(awsjson.Errorf("AccessDeniedException", http.StatusBadRequest,
			"User: sandbox is not authorized to perform: %s because no identity-based policy allows the %s action", action, action))
	}
	a := s.take(func(r Rule) bool {
		return r.When == c.Operation && (r.Service == "" || r.Service == c.Service) &&
			strings.Contains(string(c.Body), r.Contains)
	})
	if a == nil {
		return next(ctx)
	}
	if !s.wait(ctx, a) {
		return awsjson.Answer{Cut: true}
	}
	if a.refuses() {
		code, status, message := a.refusal()
		return c.Refuse(awsjson.Errorf(code, status, "%s", message))
	}
	return s.perform(ctx, a, next)
}

// wait spends the rule's delay, or hangs. It returns false when the call ends
// without an answer.
func (s *Set) wait(ctx context.Context, a *active) bool {
	var elapsed <-chan time.Time
	switch {
	case a.Hang: // elapsed stays nil, and nil channels never deliver
	case a.Delay > 0:
		timer := time.NewTimer(time.Duration(a.Delay))
		defer timer.Stop()
		elapsed = timer.C
	default:
		return true
	}
	select {
	case <-elapsed:
		return true
	case <-a.removed:
		return true
	case <-ctx.Done():
	case <-s.closing:
	}
	return false
}

// perform does the operation and, when it succeeded, what comes after it.
func (s *Set) perform(ctx context.Context, a *active, next func(context.Context) awsjson.Answer) awsjson.Answer {
	if a.DeleteImage != "" {
		defer s.images.Hold()()
	}
	answer := next(ctx)
	if answer.ErrorCode != "" {
		s.giveBack(a)
		return answer
	}
	if a.DeleteImage != "" {
		s.images.DeleteImage(a.DeleteImage)
	}
	answer.Cut = answer.Cut || a.DropAnswer
	return answer
}

// giveBack undoes the counting of a rule that waits for a success and saw a
// failure.
func (s *Set) giveBack(a *active) {
	if !a.DropAnswer && a.DeleteImage == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.acted--
}

// Push says what happens to a push to the repository: "", [Denied],
// [NoSpace] or [Unavailable].
func (s *Set) Push(repository string) string {
	if slices.ContainsFunc(pushes, s.Denies) {
		return Denied
	}
	a := s.take(func(r Rule) bool { return r.Push != "" && (r.Repository == "" || r.Repository == repository) })
	if a == nil {
		return ""
	}
	return a.Rule.Push
}

// Pull says what happens to a pull from the repository: "" or [Denied].
func (s *Set) Pull(repository string) string {
	if slices.ContainsFunc(pulls, s.Denies) {
		return Denied
	}
	a := s.take(func(r Rule) bool { return r.Pull != "" && (r.Repository == "" || r.Repository == repository) })
	if a == nil {
		return ""
	}
	return a.Rule.Pull
}
