package check

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

// logGroup answers as CloudWatch Logs does: pages forwards, and the token that was
// sent at the end of a stream.
type logGroup struct {
	begin time.Time
	lines map[string][]timed // by stream
	fail  func(call int) error
	calls int
}

type timed struct {
	after time.Duration
	text  string
}

func (g *logGroup) GetLogEvents(_ context.Context, in *cloudwatchlogs.GetLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error) {
	g.calls++
	if g.fail != nil {
		if err := g.fail(g.calls); err != nil {
			return nil, err
		}
	}
	all, ok := g.lines[aws.ToString(in.LogStreamName)]
	if !ok {
		return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "The specified log stream does not exist."}
	}
	from, _ := strconv.Atoi(strings.TrimPrefix(aws.ToString(in.NextToken), "f/"))
	const page = 2
	out := &cloudwatchlogs.GetLogEventsOutput{}
	for _, l := range all[from:] {
		if len(out.Events) < page && time.Since(g.begin) >= l.after {
			out.Events = append(out.Events, types.OutputLogEvent{Message: &l.text})
		}
	}
	out.NextForwardToken = aws.String(fmt.Sprintf("f/%d", from+len(out.Events)))
	return out, nil
}

func TestLogChecks(t *testing.T) {
	lines := map[string][]timed{
		"ecs/app/a": {{0, "listening"}, {0, "ready"}, {0, "pool of 5"}, {8 * time.Second, "Lock acquired by ada"}},
		"ecs/app/b": {{0, "listening"}, {3 * time.Second, "FATAL: out of patience"}},
	}
	denied := &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized"}
	throttled := &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded"}
	for name, c := range map[string]struct {
		check   Log
		tasks   string
		fail    func(int) error
		took    time.Duration
		detail  string
		failure string
	}{
		"a text that is there already":            {check: Log{Contains: "pool of"}, tasks: "a", detail: "task a logged it"},
		"a text that comes in time":               {check: Log{Contains: "Lock acquired"}, tasks: "a b", took: 8 * time.Second, detail: "task a logged it"},
		"a pattern":                               {check: Log{Matches: regexp.MustCompile(`^Lock \w+ by`)}, tasks: "a", took: 8 * time.Second, detail: "task a logged it"},
		"a text that comes too late":              {check: Log{Contains: "Lock acquired", Within: 7 * time.Second}, tasks: "a", took: 7 * time.Second, failure: `the new tasks did not log "Lock acquired" within 7s`},
		"a text of a task that is not ours":       {check: Log{Contains: "pool of", Within: 5 * time.Second}, tasks: "b", took: 5 * time.Second, failure: "did not log"},
		"a text that must not come, and does":     {check: Log{Absent: "FATAL"}, tasks: "a b", took: 4 * time.Second, failure: `task b logged "FATAL"`},
		"a text that must not come, and does not": {check: Log{Absent: "FATAL"}, tasks: "a", took: 10 * time.Second, detail: "not logged: 4 lines of 1 tasks were read"},
		"a task that has logged nothing":          {check: Log{Contains: "x"}, tasks: "new", took: 10 * time.Second, failure: "did not log"},
		"no task":                                 {check: Log{Absent: "x"}, tasks: "", took: 10 * time.Second, failure: "runs no task whose log could be read"},
		"a log that may not be read":              {check: Log{Contains: "x"}, tasks: "a", fail: func(int) error { return denied }, failure: "the log may not be read: "},
		"a call that is throttled":                {check: Log{Contains: "Lock acquired"}, tasks: "a", fail: func(n int) error { return map[bool]error{true: throttled}[n < 4] }, took: 8 * time.Second, detail: "task a logged it"},
		"calls that are throttled for ever":       {check: Log{Absent: "x"}, tasks: "a b", fail: func(int) error { return throttled }, took: 10 * time.Second, failure: "the log cannot be read: "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &logGroup{begin: time.Now(), lines: lines, fail: c.fail}
				if c.check.Name = "locks"; c.check.Within == 0 {
					c.check.Within = 10 * time.Second
				}
				rep, err := c.check.Run(t.Context(), g, tasks(c.tasks))
				var f *event.Failure
				if errors.As(err, &f) != (c.failure != "") || f != nil && (!strings.Contains(f.Message, c.failure) || f.Code != event.CodeCheckFailed) {
					t.Errorf("Run = %v, want %q", err, c.failure)
				}
				if rep.Detail != c.detail || rep.Took != c.took {
					t.Errorf("report = %+v, want %q after %s", rep, c.detail, c.took)
				}
			})
		})
	}
}

func tasks(names string) func(context.Context) ([]Stream, error) {
	return func(context.Context) ([]Stream, error) {
		var out []Stream
		for _, n := range strings.Fields(names) {
			out = append(out, Stream{Task: n, Group: "/ecs/backend", Name: "ecs/app/" + n})
		}
		return out, nil
	}
}

func TestEndlessLogIsReadInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &logGroup{begin: time.Now(), lines: map[string][]timed{"ecs/app/a": {}}}
		long := strings.Repeat("a", 256<<10)
		for range 1000 {
			g.lines["ecs/app/a"] = append(g.lines["ecs/app/a"], timed{0, long})
		}
		_, err := Log{Name: "quiet", Absent: "b", Within: time.Minute}.Run(t.Context(), g, tasks("a"))
		if err == nil || !strings.Contains(err.Error(), "logged more than 32 MiB") {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestInterruptedLogCheckIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("interrupted")
		time.AfterFunc(5*time.Second, func() { cancel(why) })
		g := &logGroup{begin: time.Now(), lines: map[string][]timed{"ecs/app/a": {}}}
		if _, err := (Log{Contains: "x", Within: time.Hour}).Run(ctx, g, tasks("a")); !errors.Is(err, why) {
			t.Errorf("Run = %v, want the cause of the context", err)
		}
	})
}
