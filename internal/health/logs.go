package health

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// What is taken of a dead container's log.
const (
	tailLines = 20
	tailBytes = 16 << 10
	lineBytes = 2 << 10
	// logsAgain is how long to wait between two looks for lines that have not
	// arrived yet: the log driver sends in batches.
	logsAgain = 500 * time.Millisecond
	// emptyPages is how many empty pages are followed back: GetLogEvents gives
	// them although there are events (GetLogEvents, CloudWatch Logs API reference).
	emptyPages = 3
)

// corpse is a dead task and what is known of its last words.
type corpse struct {
	facts     Facts
	container string
	lines     []string
	read      bool
}

// stream is where a container's output is in CloudWatch Logs.
type stream struct{ group, name, region string }

// errElsewhere says that a container's log cannot be read here, and where it is.
var errElsewhere = errors.New("its log cannot be read here")

// streamOf finds a container's log stream: prefix/container/task id with a
// stream prefix, the container's runtime id without one (Using the awslogs log
// driver, ECS Developer Guide).
func streamOf(d Definition, t types.Task, container string) (stream, error) {
	if d == nil {
		return stream{}, fmt.Errorf("%w: its task definition is not known", errElsewhere)
	}
	driver, group, prefix, region := d.Log(container)
	switch {
	case driver == "":
		return stream{}, fmt.Errorf("%w: it has no log configuration", errElsewhere)
	case driver != "awslogs" || group == "":
		return stream{}, fmt.Errorf("%w: it goes to %s", errElsewhere, d.LogDestination(container))
	case prefix != "":
		return stream{group, prefix + "/" + container + "/" + id(t), region}, nil
	}
	for _, c := range t.Containers {
		if str(c.Name) == container && str(c.RuntimeId) != "" {
			return stream{group, str(c.RuntimeId), region}, nil
		}
	}
	return stream{}, fmt.Errorf("%w: awslogs has no stream prefix, and the container's id is not known", errElsewhere)
}

// tail reads the last lines of a stream. Until ctx ends it waits for lines that
// have not arrived; without any, it returns none and no error.
func (w *Watcher) tail(ctx context.Context, s stream) ([]logLine, error) {
	for {
		lines, err := w.page(ctx, s)
		if err != nil && ctx.Err() == nil && !absentStream(err) {
			return nil, err
		}
		if len(lines) > 0 {
			return lines, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-time.After(logsAgain):
		}
	}
}

type logLine struct {
	at   time.Time
	text string
}

func (w *Watcher) page(ctx context.Context, s stream) ([]logLine, error) {
	in := &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: &s.group, LogStreamName: &s.name, Limit: aws.Int32(tailLines), StartFromHead: aws.Bool(false),
	}
	for range emptyPages {
		out, err := w.Logs.GetLogEvents(ctx, in, func(o *cloudwatchlogs.Options) {
			if s.region != "" {
				o.Region = s.region
			}
		})
		if err != nil {
			return nil, err
		}
		if len(out.Events) > 0 || str(out.NextBackwardToken) == str(in.NextToken) {
			var lines []logLine
			for _, e := range out.Events {
				lines = append(lines, logLine{time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), clean(str(e.Message))})
			}
			return bounded(lines), nil
		}
		in.NextToken = out.NextBackwardToken
	}
	return nil, nil
}

// bounded keeps the last lines that fit.
func bounded(lines []logLine) []logLine {
	lines = lines[max(0, len(lines)-tailLines):]
	size := 0
	for i, l := range slices.Backward(lines) {
		if size += len(l.text); size > tailBytes {
			return lines[i+1:]
		}
	}
	return lines
}

var escapes = regexp.MustCompile("\x1b(?:\\[[0-9;:?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[@-_])")

// clean takes out of a line what could move a terminal's cursor, and bounds it.
func clean(s string) string {
	s = escapes.ReplaceAllString(strings.ToValidUTF8(s[:min(len(s), 2*lineBytes)], "\uFFFD"), "")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r == '\n', r == '\r':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0:
			return -1
		}
		return r
	}, s)
	return clip(strings.TrimRight(s, " "), lineBytes)
}

// absentStream says whether the stream or its group is not there (yet).
func absentStream(err error) bool {
	var api interface{ ErrorCode() string }
	return errors.As(err, &api) && api.ErrorCode() == "ResourceNotFoundException"
}

// readLogs reads, beside the loop, the log of the first task of each group that
// counted by its exit code: an exit 1 may hide a crash that is fatal at once.
func (r *run) readLogs() call {
	if r.w.Logs == nil || !r.scope.judged {
		return nil
	}
	for _, g := range r.unread() {
		g.logged = true
		s, err := streamOf(r.scope.definition, g.facts.Task, g.Container)
		if err != nil {
			continue
		}
		if g.at.IsZero() {
			return r.readEarlier(g, s)
		}
		return func(ctx context.Context) (absorb, error) {
			ctx, cancel := context.WithTimeout(ctx, r.pace.Logs)
			defer cancel()
			lines, err := r.w.tail(ctx, s)
			return func(at time.Time) { r.seeLog(g, lines, at) }, err
		}
	}
	return nil
}

// unread are the failed tasks whose exit code may hide something, before each of
// them what the revision before failed with under the same code: what was hidden
// there as well is no news.
func (r *run) unread() []*failed {
	var out []*failed
	for _, g := range r.tally.groups() {
		if g.logged || g.Weight != Counts || g.ExitCode == nil || *g.ExitCode == 0 {
			continue
		}
		if e := r.tally.earlier[g.Code]; e != nil && !e.logged {
			out = append(out, e)
		}
		out = append(out, g)
	}
	return out
}

// readEarlier reads what a failure of the revision before hides. Its log is looked
// for where the new definition logs to.
func (r *run) readEarlier(g *failed, s stream) call {
	return func(ctx context.Context) (absorb, error) {
		ctx, cancel := context.WithTimeout(ctx, r.pace.Logs)
		defer cancel()
		lines, err := r.w.tail(ctx, s)
		return func(time.Time) {
			for _, l := range lines {
				g.facts.LogTail = append(g.facts.LogTail, l.text)
			}
			if f := Classify(g.facts); f.Code != g.Code {
				r.tally.known(f, g.facts)
			}
		}, err
	}
}

// seeLog takes in the last lines of a dead task, and judges it once more.
func (r *run) seeLog(g *failed, lines []logLine, at time.Time) {
	for _, l := range lines {
		g.lines = append(g.lines, l.text)
		r.emit(event.Log{Task: id(g.facts.Task), Container: g.Container, At: l.at, Text: l.text})
	}
	g.facts.LogTail = g.lines
	if f := Classify(g.facts); f.Weight > g.Weight {
		g.Finding, g.at = f, at
		e := r.taskEvent(g.facts.Task)
		e.Container, e.ExitCode, e.Code, e.Counted = f.Container, f.ExitCode, f.Code, true
		e.Fatal = f.Weight == Fatal && !r.tally.isKnown(f)
		r.emit(e)
	}
}
