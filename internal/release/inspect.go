package release

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// Inspection is what preflight finds, for whoever wants to look at more.
type Inspection struct {
	Account, Caller string
	// Checks are preflight's, in the order in which they ended; a check that finds
	// several faults is there for each.
	Checks []event.Check
	Notes  []event.Note
	// Failures are those of the checks that failed.
	Failures []*event.Failure

	// Service is nil when it was not found.
	Service *types.Service
	Current *taskdef.Definition // nil when the service's definition was not read
	Target  *history.Target     // what a rollback would go back to; nil: nothing
	// Repository is empty when it was not found.
	Repository image.Repository
}

// Inspect runs preflight and keeps what it finds, whatever that is. It waits for
// no deployment and writes nothing.
func (r *Run) Inspect(ctx context.Context) Inspection {
	var seen collector
	r.out = event.NewStream(r.now, &seen)
	_, err := r.preflight(ctx)
	in := Inspection{
		Account: r.pre.account, Caller: r.pre.caller, Checks: seen.checks, Notes: seen.notes, Failures: event.FailuresOf(err),
		Current: r.pre.current, Target: r.pre.target, Repository: r.pre.repo,
	}
	if r.pre.account == "" {
		return in
	}
	// Preflight stops at a service that cannot be released to; there is more to say
	// of it all the same.
	if in.Service = &r.pre.service; in.Service.ServiceArn == nil {
		s, err := r.site().Read(ctx)
		if in.Service = &s; err != nil {
			in.Service = nil
		}
	}
	if in.Service != nil && in.Current == nil {
		if def, err := (taskdef.Client{API: r.ECS}).Describe(ctx, aws.ToString(in.Service.TaskDefinition)); err == nil {
			in.Current = def
		}
	}
	return in
}

// collector keeps checks and notes.
type collector struct {
	mu     sync.Mutex
	checks []event.Check
	notes  []event.Note
}

// Emit implements event.Sink.
func (c *collector) Emit(r event.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := r.Event.(type) {
	case event.Check:
		c.checks = append(c.checks, e)
	case event.Note:
		c.notes = append(c.notes, e)
	}
}
