// Package timeline puts on one line of time what AWS knows of a service: what
// became of its tasks, the service's events, and what its containers wrote to
// CloudWatch Logs.
//
// Read gives what there is, Follow goes on from there. What may not be read (a
// missing permission, a log driver other than awslogs) is a note and not an error.
// Every list is read to its last page, but for logs, of which only the newest lines
// are fetched when not all are wanted.
package timeline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/health"
)

// ECS is what a timeline needs of the ECS API.
type ECS interface {
	DescribeServices(context.Context, *ecs.DescribeServicesInput, ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error)
	ListTasks(context.Context, *ecs.ListTasksInput, ...func(*ecs.Options)) (*ecs.ListTasksOutput, error)
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
}

// Logs is what it needs of CloudWatch Logs.
type Logs interface {
	GetLogEvents(context.Context, *cloudwatchlogs.GetLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error)
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
}

// Kind is what an entry is.
type Kind string

// The kinds of entries.
const (
	Task  Kind = "task"  // a task changed
	Event Kind = "event" // an event of the service, in AWS's words
	Log   Kind = "log"   // a line of a container
)

// Entry is something that happened. Its text may be untrusted.
type Entry struct {
	At        time.Time `json:"time"`
	Kind      Kind      `json:"kind"`
	Task      string    `json:"task,omitempty"`     // id
	Revision  string    `json:"revision,omitempty"` // family:revision
	Container string    `json:"container,omitempty"`
	Code      string    `json:"code,omitempty"` // failure code of a task that failed
	Text      string    `json:"text"`
}

// Window is a time in which a revision was being deployed.
type Window struct{ From, To time.Time }

// Query says what is wanted.
type Query struct {
	Cluster, Service string
	Revision         string    // number of the revision; empty: all
	Failed           bool      // only tasks that failed
	Since            time.Time // zero: as far back as AWS knows
	Most             int       // newest entries; 0: all
	// Deployed are the times in which Revision was being deployed: where its logs
	// are looked for when ECS has forgotten its tasks.
	Deployed []Window
	// Forgotten is the revision's definition for that, nil when it is not known, and
	// Containers are the names of its containers.
	Forgotten  health.Definition
	Containers []string
}

// Timeline is what was found, oldest first.
type Timeline struct {
	Entries []Entry
	Left    int // older entries that were found and are not shown
	More    bool
	Notes   []string
}

// Reader reads a timeline. It keeps what it has told, for Follow, and is used by
// one goroutine.
type Reader struct {
	ECS  ECS
	Logs Logs
	// Definition gives a revision's definition; it may be asked often for the same.
	Definition func(ctx context.Context, arn string) (health.Definition, error)
	Every      time.Duration // between two looks of Follow; 0: 2 s

	told    map[string]bool // events and states of tasks
	cursors map[health.LogStream]*cursor
	notes   []string
}

// Read gives the timeline as it is now.
func (r *Reader) Read(ctx context.Context, q Query) (Timeline, error) {
	r.told, r.cursors, r.notes = map[string]bool{}, map[health.LogStream]*cursor{}, nil
	entries, err := r.look(ctx, q)
	if err != nil {
		return Timeline{}, err
	}
	t := Timeline{Entries: sorted(entries), Notes: slices.Clone(r.notes)}
	for _, c := range r.cursors {
		t.More = t.More || c.cut
	}
	if q.Most > 0 && len(t.Entries) > q.Most {
		t.Left = len(t.Entries) - q.Most
		t.Entries = t.Entries[t.Left:]
	}
	return t, nil
}

// Follow tells what comes after Read, until ctx ends. A look that fails is a note,
// once, and the next one is made all the same.
func (r *Reader) Follow(ctx context.Context, q Query, tell func(Entry), note func(string)) {
	q.Most, q.Deployed = 0, nil
	tick := time.NewTicker(cmp.Or(r.Every, 2*time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		known := len(r.notes)
		entries, err := r.look(ctx, q)
		if err != nil && ctx.Err() == nil {
			r.remark(err.Error())
		}
		for _, e := range sorted(entries) {
			tell(e)
		}
		for _, n := range r.notes[min(known, len(r.notes)):] {
			note(n)
		}
	}
}

// look gives what is new since the last look.
func (r *Reader) look(ctx context.Context, q Query) ([]Entry, error) {
	svc, err := r.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &q.Cluster, Services: []string{q.Service}})
	if err != nil {
		return nil, fmt.Errorf("describe service %s: %w", q.Service, err)
	}
	all, err := r.tasks(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []Entry
	tasks := q.wanted(all)
	for _, t := range tasks {
		out = append(out, r.fresh(states(t))...)
	}
	for _, s := range svc.Services {
		out = append(out, r.fresh(q.events(s, tasks))...)
	}
	lines, err := r.lines(ctx, q, tasks)
	if err != nil {
		return nil, err
	}
	out = append(out, lines...)
	if len(tasks) == 0 && len(q.Deployed) > 0 {
		lines, err := r.forgotten(ctx, q, all)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return slices.DeleteFunc(out, func(e Entry) bool { return e.At.Before(q.Since) }), nil
}

// fresh is what of a list was not told yet.
func (r *Reader) fresh(list []Entry) []Entry {
	return slices.DeleteFunc(list, func(e Entry) bool {
		key := string(e.Kind) + "\x00" + e.Task + "\x00" + e.Text + "\x00" + e.At.String()
		if r.told[key] {
			return true
		}
		r.told[key] = true
		return false
	})
}

func (r *Reader) remark(text string) {
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// tasks are the service's tasks, running and stopped: 100 a page, 100 a call.
func (r *Reader) tasks(ctx context.Context, q Query) ([]types.Task, error) {
	var out []types.Task
	for _, status := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		in := ecs.ListTasksInput{Cluster: &q.Cluster, ServiceName: &q.Service, DesiredStatus: status, MaxResults: aws.Int32(100)}
		for more := true; more; more = in.NextToken != nil {
			page, err := r.ECS.ListTasks(ctx, &in)
			if err != nil {
				return nil, fmt.Errorf("list the tasks of service %s: %w", q.Service, err)
			}
			in.NextToken = page.NextToken
			if len(page.TaskArns) == 0 {
				continue
			}
			res, err := r.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &q.Cluster, Tasks: page.TaskArns})
			if err != nil {
				return nil, fmt.Errorf("describe the tasks of service %s: %w", q.Service, err)
			}
			out = append(out, res.Tasks...)
		}
	}
	return out, nil
}

func sorted(list []Entry) []Entry {
	slices.SortStableFunc(list, func(a, b Entry) int { return a.At.Compare(b.At) })
	return list
}
