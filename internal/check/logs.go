package check

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/weelo/weelo-deploy/internal/event"
)

// What following the logs may cost. GetLogEvents answers at most 1 MB a call, and
// an account may make 10 of them a second (GetLogEvents, CloudWatch Logs API
// reference); a look asks once for each stream that has nothing new.
const (
	lookEvery = 2 * time.Second
	maxRead   = 32 << 20 // of all streams together
	maxPages  = 50       // of one stream at one look
)

// Log is a check of what the new tasks log. Exactly one of Contains, Matches and
// Absent is set.
type Log struct {
	Name     string
	Contains string         // a line holds this text
	Matches  *regexp.Regexp // a line matches
	Absent   string         // no line holds this text
	Within   time.Duration  // how long the text is awaited, or must stay away
}

// Stream is where a container of a task logs.
type Stream struct{ Task, Group, Name, Region string }

// LogReader is the call of the CloudWatch Logs client that a Log makes.
type LogReader interface {
	GetLogEvents(context.Context, *cloudwatchlogs.GetLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error)
}

// Run follows the streams from their beginning until the check is decided.
// streams is asked at every look: a task may start meanwhile. Its error is an
// *event.Failure, or the cause of a context that ended.
func (l Log) Run(ctx context.Context, logs LogReader, streams func(context.Context) ([]Stream, error)) (Report, error) {
	began := time.Now()
	f := &follower{logs: logs, at: map[Stream]*string{}}
	for {
		found, err := l.look(ctx, f, streams)
		took := time.Since(began)
		switch {
		case ctx.Err() != nil:
			return Report{}, context.Cause(ctx)
		case found != nil:
			return l.found(*found, took)
		case denied(err), f.read >= maxRead:
			return Report{Took: took}, l.unread(f, err)
		case took >= l.Within:
			return l.over(f, took, err)
		}
		if err := sleep(ctx, min(lookEvery, l.Within-took)); err != nil {
			return Report{}, err
		}
	}
}

// line is a line of a task's log.
type line struct{ task, text string }

// hit says whether the text that the check is about is in a line.
func (l Log) hit(text string) bool {
	switch {
	case l.Matches != nil:
		return l.Matches.MatchString(text)
	case l.Absent != "":
		return strings.Contains(text, l.Absent)
	}
	return strings.Contains(text, l.Contains)
}

func (l Log) look(ctx context.Context, f *follower, streams func(context.Context) ([]Stream, error)) (*line, error) {
	all, err := streams(ctx)
	if err != nil {
		return nil, err
	}
	f.streams = len(all)
	var errs error
	for _, s := range all {
		found, err := f.next(ctx, s, l.hit)
		if found != nil {
			return found, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, errs
}

// found decides a check whose text was seen.
func (l Log) found(at line, took time.Duration) (Report, error) {
	if l.Absent == "" {
		return Report{Detail: "task " + at.task + " logged it", Took: took}, nil
	}
	return Report{Took: took}, l.fail(fmt.Sprintf("task %s logged %q", at.task, excerpt(l.Absent))).See(at.task + " | " + excerpt(at.text))
}

// over decides a check whose time is over and whose text was not seen.
func (l Log) over(f *follower, took time.Duration, err error) (Report, error) {
	if err != nil || f.streams == 0 {
		return Report{Took: took}, l.unread(f, err)
	}
	if l.Absent != "" {
		return Report{Detail: "not logged: " + f.seen(), Took: took}, nil
	}
	want := l.Contains
	if l.Matches != nil {
		want = l.Matches.String()
	}
	fail := l.fail(fmt.Sprintf("the new tasks did not log %q within %s", excerpt(want), l.Within)).See(f.seen())
	if f.last.text != "" {
		fail.See("the last line: " + f.last.task + " | " + excerpt(f.last.text))
	}
	return Report{Took: took}, fail
}

func (l Log) fail(what string) *event.Failure {
	return event.Fail(event.CodeCheckFailed, "check "+l.Name+": "+what)
}

// unread is the failure of a check whose logs could not be read to the end.
func (l Log) unread(f *follower, err error) *event.Failure {
	switch {
	case denied(err):
		return l.fail("the log may not be read: " + excerpt(err.Error())).Hint("allow logs:GetLogEvents on the log group")
	case err != nil:
		return l.fail("the log cannot be read: " + excerpt(err.Error()))
	case f.streams == 0:
		return l.fail("the deployment runs no task whose log could be read")
	}
	return l.fail(fmt.Sprintf("the new tasks logged more than %d MiB, which is not read to the end", maxRead>>20)).See(f.seen())
}

func denied(err error) bool { return hasCode(err, "AccessDeniedException") }

// hasCode finds an API error by its name, among several too.
func hasCode(err error, code string) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			if hasCode(one, code) {
				return true
			}
		}
		return false
	}
	var api interface{ ErrorCode() string }
	return errors.As(err, &api) && api.ErrorCode() == code
}

// follower reads streams forwards, each from where it ended the last time.
type follower struct {
	logs    LogReader
	at      map[Stream]*string
	streams int // at the last look
	read    int // bytes
	lines   int
	last    line
}

// next reads what is new in a stream, up to the first line that hits.
func (f *follower) next(ctx context.Context, s Stream, hit func(string) bool) (*line, error) {
	for range maxPages {
		out, err := f.logs.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: &s.Group, LogStreamName: &s.Name, NextToken: f.at[s], StartFromHead: aws.Bool(true),
		}, func(o *cloudwatchlogs.Options) {
			if s.Region != "" {
				o.Region = s.Region
			}
		})
		if err != nil {
			if hasCode(err, "ResourceNotFoundException") {
				return nil, nil // it has logged nothing yet
			}
			return nil, err
		}
		for _, e := range out.Events {
			f.last = line{s.Task, aws.ToString(e.Message)}
			f.read += len(f.last.text)
			if f.lines++; hit(f.last.text) {
				found := f.last
				return &found, nil
			}
		}
		// The token that was sent comes back at the end of the stream.
		end := aws.ToString(out.NextForwardToken) == aws.ToString(f.at[s])
		f.at[s] = out.NextForwardToken
		if end || f.read >= maxRead {
			return nil, nil
		}
	}
	return nil, nil
}

func (f *follower) seen() string {
	return fmt.Sprintf("%d lines of %d tasks were read", f.lines, f.streams)
}
