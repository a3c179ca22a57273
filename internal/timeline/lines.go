package timeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// cursor is how far a stream was read.
type cursor struct {
	next string // token of what comes after the newest line
	cut  bool   // older lines are there that were not fetched
}

// place is a container's stream, and whose it is.
type place struct {
	stream health.LogStream
	entry  Entry // without time and text
}

// lines are what the containers of tasks wrote since the last look.
func (r *Reader) lines(ctx context.Context, q Query, tasks []types.Task) ([]Entry, error) {
	places, err := r.places(ctx, tasks)
	if err != nil {
		return nil, err
	}
	found := make([][]Entry, len(places))
	denied := make([]error, len(places))
	cursors := make([]*cursor, len(places))
	for i, p := range places {
		c := r.cursors[p.stream]
		if c == nil {
			c = &cursor{}
			r.cursors[p.stream] = c
		}
		cursors[i] = c
	}
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(5)
	for i, p := range places {
		g.Go(func() error {
			var events []logtypes.OutputLogEvent
			var err error
			if cursors[i].next == "" {
				events, err = r.newest(inner, p.stream, q, cursors[i])
			} else {
				events, err = r.further(inner, p.stream, cursors[i])
			}
			for _, e := range events {
				entry := p.entry
				entry.At, entry.Text = time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), health.CleanLine(aws.ToString(e.Message))
				found[i] = append(found[i], entry)
			}
			denied[i] = err
			return inner.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, err := range denied {
		if err != nil && !absent(err) {
			r.remark(fmt.Sprintf("the log group %s cannot be read: %v", places[i].stream.Group, brief(err)))
		}
	}
	return slices.Concat(found...), nil
}

// places are the streams of the tasks' containers.
func (r *Reader) places(ctx context.Context, tasks []types.Task) ([]place, error) {
	var out []place
	known := map[string]health.Definition{}
	for _, t := range tasks {
		arn := aws.ToString(t.TaskDefinitionArn)
		d, ok := known[arn]
		if !ok {
			var err error
			if d, err = r.Definition(ctx, arn); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				r.remark(fmt.Sprintf("the definition %s cannot be read: %v", history.Name(arn), err))
			}
			known[arn] = d
		}
		for _, c := range t.Containers {
			name := aws.ToString(c.Name)
			s, err := health.StreamOf(d, t, name)
			if err != nil {
				if d != nil {
					r.remark(fmt.Sprintf("container %s: %v", name, err))
				}
				continue
			}
			out = append(out, place{s, Entry{Kind: Log, Task: history.Short(aws.ToString(t.TaskArn)), Revision: history.Name(arn), Container: name}})
		}
	}
	return out, nil
}

// newest reads a stream backwards from its end, until there is enough. A page may
// be empty although there is more: the end is where the token stays the same
// (GetLogEvents, CloudWatch Logs API reference).
func (r *Reader) newest(ctx context.Context, s health.LogStream, q Query, c *cursor) ([]logtypes.OutputLogEvent, error) {
	in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: &s.Group, LogStreamName: &s.Name, StartFromHead: aws.Bool(false)}
	if !q.Since.IsZero() {
		in.StartTime = aws.Int64(q.Since.UnixMilli())
	}
	var pages [][]logtypes.OutputLogEvent
	n := 0
	for {
		out, err := r.Logs.GetLogEvents(ctx, in, inRegion(s))
		if err != nil {
			return nil, err
		}
		if c.next == "" {
			c.next = aws.ToString(out.NextForwardToken)
		}
		pages = append(pages, out.Events)
		n += len(out.Events)
		end := out.NextBackwardToken == nil || aws.ToString(out.NextBackwardToken) == aws.ToString(in.NextToken)
		if end || q.Most > 0 && n >= q.Most {
			c.cut = !end
			break
		}
		in.NextToken = out.NextBackwardToken
	}
	slices.Reverse(pages)
	return slices.Concat(pages...), nil
}

// further reads what came after the last look.
func (r *Reader) further(ctx context.Context, s health.LogStream, c *cursor) ([]logtypes.OutputLogEvent, error) {
	var all []logtypes.OutputLogEvent
	for {
		out, err := r.Logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: &s.Group, LogStreamName: &s.Name, StartFromHead: aws.Bool(true), NextToken: &c.next,
		}, inRegion(s))
		if err != nil {
			return all, err
		}
		all = append(all, out.Events...)
		if next := aws.ToString(out.NextForwardToken); next == "" || next == c.next {
			return all, nil
		}
		c.next = aws.ToString(out.NextForwardToken)
	}
}

// forgotten are the lines of a revision whose tasks ECS no longer knows: it keeps
// them for an hour, CloudWatch Logs for longer. They are found by the times in
// which the revision was being deployed; known tasks are those of other revisions.
func (r *Reader) forgotten(ctx context.Context, q Query, known []types.Task) ([]Entry, error) {
	if q.Forgotten == nil || q.Failed {
		return nil, nil
	}
	others := map[string]bool{}
	for _, t := range known {
		others[history.Short(aws.ToString(t.TaskArn))] = true
	}
	var out []Entry
	for _, name := range q.Containers {
		driver, group, prefix, region := q.Forgotten.Log(name)
		if driver != "awslogs" || group == "" || prefix == "" {
			continue
		}
		for _, w := range q.Deployed {
			in := &cloudwatchlogs.FilterLogEventsInput{
				LogGroupName: &group, LogStreamNamePrefix: aws.String(prefix + "/" + name + "/"),
				StartTime: aws.Int64(w.From.UnixMilli()), EndTime: aws.Int64(w.To.UnixMilli()),
			}
			for more := true; more; more = in.NextToken != nil {
				page, err := r.Logs.FilterLogEvents(ctx, in, inRegion(health.LogStream{Region: region}))
				if err != nil {
					if ctx.Err() != nil {
						return nil, ctx.Err()
					}
					r.remark(fmt.Sprintf("the log group %s cannot be searched: %v", group, brief(err)))
					break
				}
				in.NextToken = page.NextToken
				for _, e := range page.Events {
					stream := aws.ToString(e.LogStreamName)
					task := stream[strings.LastIndexByte(stream, '/')+1:]
					if !others[task] {
						out = append(out, Entry{At: time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), Kind: Log, Task: task, Container: name, Text: health.CleanLine(aws.ToString(e.Message))})
					}
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	r.remark("ECS has forgotten the tasks of revision " + q.Revision + " (it keeps stopped ones for an hour): these lines were written while it was being deployed, and some may be of other revisions")
	return out, nil
}

func inRegion(s health.LogStream) func(*cloudwatchlogs.Options) {
	return func(o *cloudwatchlogs.Options) {
		if s.Region != "" {
			o.Region = s.Region
		}
	}
}

// absent says whether a stream or its group is not there (yet).
func absent(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ResourceNotFoundException"
}

func brief(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}
