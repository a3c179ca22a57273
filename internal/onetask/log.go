package onetask

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
)

// How much of a task's log is told, and kept for the report of its failure.
const (
	shownLines = 2000
	shownBytes = 512 << 10
	keptLines  = 20
	keptBytes  = 16 << 10
	pageLines  = 1000
	pagesALook = 20
)

// tail reads a container's log from its beginning, by GetLogEvents and its forward
// tokens.
type tail struct {
	Runner
	task  Task
	last  []string // the last lines
	token *string
	lines int // told so far
	bytes int
	got   bool // a line has come
	cut   bool // no more lines are told
	off   bool // the log cannot be read
}

func newTail(r Runner, t Task) *tail { return &tail{Runner: r, task: t, off: r.Logs == nil} }

// read hands on what has come since the last look. What cannot be read is told once
// and is no error of the task.
func (l *tail) read(ctx context.Context, k types.Task) {
	if l.off || k.StartedAt == nil && l.task.container(k).ExitCode == nil {
		return
	}
	s, err := health.StreamOf(l.task.Definition, k, l.task.Container)
	if err != nil {
		l.off = true
		l.warn(fmt.Sprintf("container %s: %v", l.task.Container, err))
		return
	}
	for range pagesALook {
		more, err := l.page(ctx, s, k)
		switch {
		case err == nil && more:
			continue
		case err != nil && ctx.Err() == nil && answered(err) && !throttled(err) && !absent(err):
			l.off = true
			l.warn(fmt.Sprintf("the log of container %s cannot be read (logs:GetLogEvents on %s): %s", l.task.Container, s.Group, brief(err)))
		}
		return
	}
}

// page takes one page of the stream. A page without news has the token that was
// sent (GetLogEvents, CloudWatch Logs API reference); an empty one may be followed
// by others.
func (l *tail) page(ctx context.Context, s health.LogStream, k types.Task) (more bool, err error) {
	out, err := l.Logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: &s.Group, LogStreamName: &s.Name, StartFromHead: aws.Bool(true), Limit: aws.Int32(pageLines), NextToken: l.token,
	}, func(o *cloudwatchlogs.Options) {
		o.Retryer = aws.NopRetryer{} // the next look asks again
		if s.Region != "" {
			o.Region = s.Region
		}
	})
	if err != nil {
		return false, err
	}
	for _, e := range out.Events {
		l.take(k, s, time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), health.CleanLine(aws.ToString(e.Message)))
	}
	more = aws.ToString(out.NextForwardToken) != aws.ToString(l.token)
	l.token = out.NextForwardToken
	return more, nil
}

func (l *tail) take(k types.Task, s health.LogStream, at time.Time, text string) {
	l.got = true
	l.last = bounded(append(l.last, text))
	if l.cut {
		return
	}
	if l.lines++; l.lines > shownLines || l.bytes+len(text) > shownBytes {
		l.cut = true
		l.warn(fmt.Sprintf("container %s writes much: the rest is in log group %s, stream %s", l.task.Container, s.Group, s.Name))
		return
	}
	l.bytes += len(text)
	l.emit(event.Log{Task: short(aws.ToString(k.TaskArn)), Container: l.task.Container, At: at, Text: text})
}

// finish reads what is left once the container has ended. Its lines may be a
// moment behind: without any, they are waited for.
func (l *tail) finish(ctx context.Context, k types.Task) {
	if l.task.container(k).ExitCode == nil && k.StartedAt == nil {
		return // it never ran
	}
	pace := l.Pace.withDefaults()
	limit := time.Now().Add(pace.LastLog)
	for l.read(ctx, k); !l.off && !l.got && time.Now().Before(limit); l.read(ctx, k) {
		if !sleep(ctx, min(pace.Poll, 500*time.Millisecond)) {
			return
		}
	}
}

// bounded keeps the last lines that fit.
func bounded(lines []string) []string {
	lines = lines[max(0, len(lines)-keptLines):]
	size := 0
	for i := len(lines) - 1; i >= 0; i-- {
		if size += len(lines[i]); size > keptBytes {
			return lines[i+1:]
		}
	}
	return lines
}

// absent says whether the stream or its group is not there (yet).
func absent(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ResourceNotFoundException"
}
