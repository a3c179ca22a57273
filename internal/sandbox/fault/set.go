package fault

import (
	"cmp"
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

// Alarms is what the faults do to alarms.
type Alarms interface {
	Set(name, state, reason string) error
}

// Set is the rules that are there. Its methods may be called concurrently.
type Set struct {
	Alarms Alarms // of rules with an alarm; not changed once calls come

	images     Images
	operations func(service, operation string) bool
	closing    <-chan struct{}

	mu       sync.Mutex
	next     int
	rules    []*active
	onChange []func()
	loseHost func(kind string, share int) []string
}

// active is a rule with its history.
type active struct {
	Rule
	seen    int           // matching calls so far
	acted   int           // calls that it acted on
	did     []Deed        // the latest of them
	removed chan struct{} // closed when the rule goes
	ending  *time.Timer   // with Lasts
}

// keptDeeds is how many deeds of a rule are listed.
const keptDeeds = 10

// Deed is one time that a rule acted.
type Deed struct {
	Time time.Time `json:"time"`
	On   string    `json:"on"` // "UpdateService", "task 0123…, container app"
}

// Report is a rule as it is listed.
type Report struct {
	Rule
	Acted int    `json:"acted"`
	Did   []Deed `json:"did,omitempty"` // the latest, oldest first
}

// NewSet returns a set without rules. operations says which operations exist
// (the service may be ""), and closing ends delays and hanging calls.
func NewSet(images Images, operations func(service, operation string) bool, closing <-chan struct{}) *Set {
	return &Set{images: images, operations: operations, closing: closing}
}

// OnChange has f called after rules were added or have gone. It is called before
// the set is used, as OnHost is.
func (s *Set) OnChange(f func()) { s.onChange = append(s.onChange, f) }

// OnHost has f called for a host that is lost: it ends that share (in percent) of
// the tasks on such hosts and returns their ids.
func (s *Set) OnHost(f func(kind string, share int) []string) { s.loseHost = f }

func (s *Set) changed() {
	for _, f := range s.onChange {
		f()
	}
}

// loseHosts carries out the rules about hosts among those that were added.
func (s *Set) loseHosts(ids []string) {
	for _, id := range ids {
		s.mu.Lock()
		i := slices.IndexFunc(s.rules, func(a *active) bool { return a.ID == id && a.Host != "" })
		if i < 0 {
			s.mu.Unlock()
			continue
		}
		a := s.rules[i]
		s.mu.Unlock()
		for _, lost := range s.loseHost(a.Host, cmp.Or(a.Share, 100)) {
			s.mu.Lock()
			a.noteDeed("task " + lost)
			s.mu.Unlock()
		}
	}
}

// Skew is how far AWS's clock is off.
func (s *Set) Skew() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.rules {
		if a.Clock != 0 {
			return time.Duration(a.Clock)
		}
	}
	return 0
}

// Skewed counts a request that was refused for its time.
func (s *Set) Skewed(what string) { s.take(func(r Rule) bool { return r.Clock != 0 }, what) }

// Add takes rules, all or none, and returns their ids.
func (s *Set) Add(rules ...Rule) ([]string, error) {
	ids, err := s.add(rules)
	if err == nil {
		s.loseHosts(ids)
		s.changed()
	}
	return ids, err
}

func (s *Set) add(rules []Rule) ([]string, error) {
	for i, r := range rules {
		if err := r.check(s.operations); err != nil {
			if len(rules) > 1 {
				err = fmt.Errorf("fault %d: %w", i+1, err)
			}
			return nil, err
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
		a := &active{Rule: r, removed: make(chan struct{})}
		if r.Lasts > 0 {
			a.ending = time.AfterFunc(time.Duration(r.Lasts), func() { s.Remove(r.ID) })
		}
		s.rules = append(s.rules, a)
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
		list = append(list, Report{a.Rule, a.acted, slices.Clone(a.did)})
	}
	return list
}

// Remove removes the rule with an id, or every rule for "". It reports whether
// there was one. Calls that a removed rule keeps hanging go on.
func (s *Set) Remove(id string) bool {
	found := s.remove(id)
	if found {
		s.changed()
	}
	return found
}

func (s *Set) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.rules)
	s.rules = slices.DeleteFunc(s.rules, func(a *active) bool {
		gone := id == "" || a.ID == id
		if gone {
			close(a.removed)
			if a.ending != nil {
				a.ending.Stop()
			}
		}
		return gone
	})
	return len(s.rules) < before
}

// take returns the rule that acts on what matches says, and counts it; nil when
// none does.
func (s *Set) take(matches func(Rule) bool, on string) *active {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.rules {
		if matches(a.Rule) && s.counts(a, on) {
			return a
		}
	}
	return nil
}

// counts says whether a rule that matches acts this time, and counts it. The
// caller holds the lock.
func (s *Set) counts(a *active, on string) bool {
	if a.limit() > 0 && a.acted >= a.limit() {
		return false
	}
	a.seen++
	if a.seen <= a.After {
		return false
	}
	a.noteDeed(on)
	return true
}

func (a *active) noteDeed(on string) {
	a.acted++
	if len(a.did) == keptDeeds {
		a.did = slices.Delete(a.did, 0, 1)
	}
	a.did = append(a.did, Deed{Time: time.Now().UTC(), On: on})
}

// Intercept does one API call under the rules. It is an [awsjson.Interceptor].
func (s *Set) Intercept(ctx context.Context, c awsjson.Call, next func(context.Context) awsjson.Answer) awsjson.Answer {
	if action, denied := s.forbids(c); denied {
		return c.Refuse(awsjson.Errorf("AccessDeniedException", http.StatusBadRequest,
			"User: sandbox is not authorized to perform: %s because no identity-based policy allows the %s action", action, action))
	}
	a := s.take(func(r Rule) bool {
		return (r.When == c.Operation || r.When == everything) && (r.Service == "" || r.Service == c.Service) &&
			strings.Contains(string(c.Body), r.Contains)
	}, c.Service+" "+c.Operation)
	if a == nil {
		return next(ctx)
	}
	if !s.wait(ctx, a) {
		return awsjson.Answer{Cut: true}
	}
	switch {
	case a.Cut == Before:
		return awsjson.Answer{Cut: true}
	case a.Garbage:
		return garbage(a.Status)
	case a.refuses():
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
	if a.Alarm != "" {
		s.alarm(a.Rule)
	}
	answer.Cut = answer.Cut || a.DropAnswer
	answer.Half = a.Cut == Middle
	return answer
}

// alarm gives the rule's alarm its state, at once or later on. An alarm that is
// not there (any more) stays so.
func (s *Set) alarm(r Rule) {
	set := func() { _ = s.Alarms.Set(r.Alarm, r.State, "A fault of the sandbox says so.") }
	if r.In == 0 {
		set()
		return
	}
	time.AfterFunc(time.Duration(r.In), set)
}

// garbage is what something between a client and AWS answers: a portal that wants
// a login, a proxy that is broken.
func garbage(status int) awsjson.Answer {
	if status == 0 {
		status = http.StatusOK
	}
	return awsjson.Answer{
		Status: status, ContentType: "text/html", ErrorCode: "garbage",
		Body: []byte("<!DOCTYPE html><html><head><title>Sign in</title></head><body>This is not the service that was called.</body></html>\n"),
	}
}

// giveBack undoes the counting of a rule that waits for a success and saw a
// failure.
func (s *Set) giveBack(a *active) {
	if !a.wantsSuccess() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.acted--
	if n := len(a.did); n > 0 {
		a.did = a.did[:n-1]
	}
}

// Push says what happens to a push to the repository: "", [Denied],
// [NoSpace] or [Unavailable].
func (s *Set) Push(repository string) string {
	if slices.ContainsFunc(pushes, s.Denies) {
		return Denied
	}
	a := s.take(func(r Rule) bool { return r.Push != "" && (r.Repository == "" || r.Repository == repository) }, "push to "+repository)
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
	a := s.take(func(r Rule) bool { return r.Pull == Denied && (r.Repository == "" || r.Repository == repository) }, "pull from "+repository)
	if a == nil {
		return ""
	}
	return a.Rule.Pull
}
