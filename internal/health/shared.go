package health

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Shared is one ECS client for many watchers of a process. Questions of one kind
// that wait at the same moment are asked as one (10 services, 100 tasks, 20
// service deployments or revisions a call), the stopped tasks of a cluster are
// listed once for all its services while that takes fewer calls than asking for
// each, and no more than PerSecond calls are begun in any second. What a failure
// waits for goes first.
type Shared struct {
	ECS       ECS
	PerSecond int // 0: 10; ECS allows 20 reads a second for an account

	mu      sync.Mutex
	queue   []*ticket
	serving bool
	next    time.Time      // when the next call may begin
	pages   map[string]int // of the last list of a cluster's stopped tasks
}

// Watcher is a watcher that shares the client. Its calls may wait for their turn
// for longer than a single call may take.
func (s *Shared) Watcher(w Watcher) *Watcher {
	w.ECS = s
	w.Pace.Call = or(w.Pace.Call, time.Minute)
	return &w
}

// ticket is a question that waits for its turn.
type ticket struct {
	kind    *kind
	cluster string
	items   []string // names of services, ids of tasks, ARNs
	alone   func(context.Context) (any, error)
	ctx     context.Context
	answer  chan reply
}

type reply struct {
	out any
	err error
}

// kind is a kind of question: how soon its turn is, how many items one call may
// have, and the call; nil when every question is asked by itself.
type kind struct {
	rank, most int
	ask        func(s *Shared, ctx context.Context, cluster *string, items []string) (any, error)
}

var (
	askStopped  = &kind{rank: 0}
	askTasks    = &kind{1, tasksPerCall, (*Shared).describeTasks}
	askServices = &kind{2, 10, (*Shared).describeServices}
	askDeployed = &kind{3, 20, (*Shared).describeDeployments}
	askRevised  = &kind{4, revisionsPerCall, (*Shared).describeRevisions}
	askOther    = &kind{rank: 4}
)

// wait takes a place in the queue, and gives what the call answered.
func wait[T any](ctx context.Context, s *Shared, t *ticket) (T, error) {
	var zero T
	t.ctx, t.answer = ctx, make(chan reply, 1)
	s.mu.Lock()
	s.queue = append(s.queue, t)
	if !s.serving {
		s.serving = true
		go s.serve()
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return zero, ctx.Err()
	case r := <-t.answer:
		if r.err != nil {
			return zero, r.err
		}
		return r.out.(T), nil
	}
}

// serve begins one call after another until nobody waits.
func (s *Shared) serve() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.serving = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.turn()
		s.mu.Lock()
		batch := s.take()
		s.mu.Unlock()
		if batch != nil {
			go s.call(batch)
		}
	}
}

// turn waits until the next call may begin.
func (s *Shared) turn() {
	s.mu.Lock()
	now := time.Now()
	at := s.next
	if at.Before(now) {
		at = now
	}
	s.next = at.Add(time.Second / time.Duration(cmp.Or(s.PerSecond, 10)))
	s.mu.Unlock()
	time.Sleep(at.Sub(now))
}

// take takes the first of the most pressing questions out of the queue, and those
// that fit into the same call.
func (s *Shared) take() []*ticket {
	s.queue = slices.DeleteFunc(s.queue, func(t *ticket) bool { return t.ctx.Err() != nil })
	if len(s.queue) == 0 {
		return nil
	}
	first := slices.MinFunc(s.queue, func(a, b *ticket) int { return a.kind.rank - b.kind.rank })
	batch, items := []*ticket{first}, slices.Clone(first.items)
	fits := func(t *ticket) bool {
		if t == first || t.kind != first.kind || t.cluster != first.cluster {
			return false
		}
		if t.kind == askStopped {
			return true
		}
		both := len(items)
		for _, i := range t.items {
			if !slices.Contains(items, i) {
				both++
			}
		}
		return both <= t.kind.most
	}
	for _, t := range s.queue {
		if !fits(t) {
			continue
		}
		batch = append(batch, t)
		for _, i := range t.items {
			if !slices.Contains(items, i) {
				items = append(items, i)
			}
		}
	}
	if first.kind == askStopped && s.pages[first.cluster] > len(batch) {
		batch = batch[:1] // to list the whole cluster would cost more
	}
	s.queue = slices.DeleteFunc(s.queue, func(t *ticket) bool { return slices.Contains(batch, t) })
	return batch
}

// call makes one call for a batch of questions, and hands its answer to each.
func (s *Shared) call(batch []*ticket) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	k, cluster := batch[0].kind, optional(batch[0].cluster)
	var r reply
	switch {
	case k == askStopped && len(batch) > 1:
		r.out, r.err = s.listStopped(ctx, cluster)
	case k.ask == nil:
		r.out, r.err = batch[0].alone(ctx)
	default:
		var items []string
		for _, t := range batch {
			items = append(items, t.items...)
		}
		slices.Sort(items)
		r.out, r.err = k.ask(s, ctx, cluster, slices.Compact(items))
	}
	for _, t := range batch {
		t.answer <- r
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// listStopped lists the stopped tasks of a whole cluster. Watchers describe each
// task once, and leave those of other services alone.
func (s *Shared) listStopped(ctx context.Context, cluster *string) (*ecs.ListTasksOutput, error) {
	all, pages := &ecs.ListTasksOutput{}, 0
	in := &ecs.ListTasksInput{Cluster: cluster, DesiredStatus: types.DesiredStatusStopped}
	for {
		out, err := s.ECS.ListTasks(ctx, in, once)
		if err != nil {
			return nil, err
		}
		pages++
		all.TaskArns = append(all.TaskArns, out.TaskArns...)
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
		s.turn()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages == nil {
		s.pages = map[string]int{}
	}
	s.pages[aws.ToString(cluster)] = pages
	return all, nil
}
