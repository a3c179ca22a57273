package check

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Report is a check that passed.
type Report struct {
	Detail string // what came, in a few words
	Took   time.Duration
}

// Placeholders in URL, headers and body.
const (
	Random = "{{.Random}}" // new each time that the check is made, the same in all its requests
	Number = "{{.Number}}" // of the request within the check: 1, 2, …
)

// Run makes the check, and again as often as it may be retried. Its error is an
// *event.Failure, or the cause of a context that ended.
func (c Client) Run(ctx context.Context, h HTTP) (Report, error) {
	for try := 0; ; try++ {
		began := time.Now()
		detail, f := c.once(ctx, h)
		if ctx.Err() != nil {
			return Report{}, context.Cause(ctx)
		}
		took := time.Since(began)
		switch {
		case f == nil:
			return Report{Detail: detail, Took: took}, nil
		case try < h.Retries:
			if err := sleep(ctx, h.Pause); err != nil {
				return Report{}, err
			}
			continue
		case try > 0:
			f.See(fmt.Sprintf("it was tried %d times, %s apart", try+1, h.Pause))
		}
		return Report{Took: took}, f
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// once makes the check one time.
func (c Client) once(ctx context.Context, h HTTP) (string, *event.Failure) {
	calls := h.calls()
	if h.Parallel > 0 {
		return h.judgeTogether(c.together(ctx, calls))
	}
	answers := make([]Answer, 0, len(calls))
	for i, one := range calls {
		a, err := c.ask(ctx, one)
		if err != nil {
			return "", h.unanswered(err).numbered(i, len(calls))
		}
		if wrong := h.Expect.Judge(a); len(wrong) > 0 {
			return "", h.wrong(wrong, a).numbered(i, len(calls))
		}
		answers = append(answers, a)
	}
	return h.judgeSame(answers)
}

// calls are the requests of the check.
func (h HTTP) calls() []call {
	random := strings.ToLower(rand.Text())
	out := make([]call, max(1, h.Repeat, h.Parallel))
	for i := range out {
		out[i] = call{HTTP: h, fill: strings.NewReplacer(Random, random, Number, strconv.Itoa(i+1))}
	}
	return out
}

// outcome is what came of one of several requests.
type outcome struct {
	answer Answer
	err    error
}

// together sends all requests at once.
func (c Client) together(ctx context.Context, calls []call) []outcome {
	out := make([]outcome, len(calls))
	g := newGate(len(calls))
	var all sync.WaitGroup
	for i, one := range calls {
		all.Go(func() {
			one.gate = &ticket{gate: g}
			defer one.gate.arrive()
			out[i].answer, out[i].err = c.ask(ctx, one)
		})
	}
	all.Wait()
	return out
}

func (h HTTP) judgeTogether(got []outcome) (string, *event.Failure) {
	have := map[int]int{}
	var slow time.Duration
	for i, o := range got {
		if o.err != nil {
			return "", h.unanswered(o.err).numbered(i, len(got))
		}
		if len(h.Statuses) == 0 {
			if wrong := h.Expect.Judge(o.answer); len(wrong) > 0 {
				return "", h.wrong(wrong, o.answer).numbered(i, len(got))
			}
		}
		have[o.answer.Status]++
		slow = max(slow, o.answer.Took)
	}
	if len(h.Statuses) > 0 && !maps.Equal(have, h.Statuses) {
		f := h.fail(event.CodeCheckFailed, fmt.Sprintf("%d at once: %s, want %s", len(got), counts(have), counts(h.Statuses)))
		for _, o := range got {
			if have[o.answer.Status] != h.Statuses[o.answer.Status] && len(f.Evidence) < 4 {
				f.See(o.answer.String())
			}
		}
		return "", f.Failure
	}
	if within := h.Expect.Within; within > 0 && slow > within {
		return "", h.fail(event.CodeCheckFailed, fmt.Sprintf("%d at once: the slowest took %s, want at most %s", len(got), span(slow), within)).Failure
	}
	return fmt.Sprintf("%d at once: %s", len(got), counts(have)), nil
}

func (h HTTP) judgeSame(got []Answer) (string, *event.Failure) {
	first := got[0]
	if len(got) == 1 {
		return strconv.Itoa(first.Status), nil
	}
	if !h.Same {
		return fmt.Sprintf("%d times %d", len(got), first.Status), nil
	}
	for i, a := range got {
		if a.Cut || string(a.Body) != string(first.Body) {
			f := h.fail(event.CodeCheckFailed, fmt.Sprintf("the same request got another answer the %s time", ordinal(i+1)))
			if a.Cut {
				f.Message += ", or " + a.body() + " is all that could be compared"
			}
			return "", f.See("first: "+first.String(), "then: "+a.String())
		}
	}
	return fmt.Sprintf("%d times %d, the same body", len(got), first.Status), nil
}

func ordinal(n int) string {
	switch {
	case n%100/10 == 1:
	case n%10 == 1:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}

// counts are statuses and how often each came: "1 × 200, 4 × 409".
func counts(n map[int]int) string {
	var words []string
	for _, status := range slices.Sorted(maps.Keys(n)) {
		if n[status] > 0 {
			words = append(words, fmt.Sprintf("%d × %d", n[status], status))
		}
	}
	return strings.Join(words, ", ")
}

// failure is an event.Failure of a check in the making.
type failure struct{ *event.Failure }

// numbered says which of several requests failed.
func (f failure) numbered(i, of int) *event.Failure {
	if of > 1 {
		f.See(fmt.Sprintf("it was request %d of %d", i+1, of))
	}
	return f.Failure
}

func (h HTTP) fail(code event.Code, what string) failure {
	f := event.Fail(code, fmt.Sprintf("check %s: %s", h.Name, what)).See(h.request())
	return failure{f.Hint(hints(code)...)}
}

func (h HTTP) wrong(what []string, a Answer) failure {
	f := h.fail(event.CodeCheckFailed, what[0])
	f.Evidence[0] += " → " + a.String()
	f.See(what[1:]...)
	return f
}

func (h HTTP) unanswered(err error) failure {
	var f *fault
	if !errors.As(err, &f) {
		return h.fail(event.CodeCheckFailed, err.Error())
	}
	code, what := f.name()
	out := h.fail(code, what)
	if f.proxy != "" {
		out.See("the request goes through the proxy " + f.proxy)
	}
	return out
}
