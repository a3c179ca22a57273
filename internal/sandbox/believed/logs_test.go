package believed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// logged gives the container app of a definition the log driver awslogs.
func logged(in *ecs.RegisterTaskDefinitionInput) {
	in.ContainerDefinitions[0].LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
		"awslogs-group": "/ecs/web", "awslogs-region": region, "awslogs-stream-prefix": "ecs",
	}}
}

func (w *world) group(t *testing.T) {
	t.Helper()
	must(w.logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: new("/ecs/web")}))(t)
}

// lines writes lines to a stream of the group, a millisecond apart.
func (w *world) lines(t *testing.T, stream string, texts ...string) {
	t.Helper()
	w.logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: new("/ecs/web"), LogStreamName: &stream}) // it may be there
	var events []logtypes.InputLogEvent
	began := time.Now().Add(-time.Minute).UnixMilli()
	for i, text := range texts {
		events = append(events, logtypes.InputLogEvent{Message: new(text), Timestamp: new(began + int64(i))})
	}
	must(w.logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: new("/ecs/web"), LogStreamName: &stream, LogEvents: events}))(t)
}

var logs = []behaviour{
	{"log groups are made once, and missed with ResourceNotFoundException", logsAPI + "CreateLogGroup, GetLogEvents", func(t *testing.T, w *world) {
		w.group(t)
		wantError(t, "ResourceAlreadyExistsException", "The specified log group already exists")(w.logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: new("/ecs/web")}))
		wantError(t, "ResourceNotFoundException", "The specified log group does not exist.")(w.logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: new("absent")}))
		wantError(t, "ResourceNotFoundException", "The specified log stream does not exist.")(w.logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: new("/ecs/web"), LogStreamName: new("absent")}))
	}},
	{"a stream is called prefix/container/task, and has its lines before the task is STOPPED", guide + "using_awslogs", func(t *testing.T, w *world) {
		w.group(t)
		w.runtime.Set("talks", scripted.Script{Exits: true, ExitAfter: 3 * time.Millisecond, ExitCode: 1, Lines: []scripted.Line{{Text: "one"}, {After: 3 * time.Millisecond, Text: "the last"}}})
		w.create(t, w.define(t, "talks", logged), 1)
		arn := *w.stopped(t).TaskArn
		stream := "ecs/app/" + arn[strings.LastIndexByte(arn, '/')+1:]
		out := must(w.logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: new("/ecs/web"), LogStreamName: &stream}))(t)
		if n := len(out.Events); n != 2 || *out.Events[1].Message != "the last" {
			t.Errorf("the stream has %+v", out.Events)
		}
	}},
	{"at the end of a stream the forward token is the one that was sent", logsAPI + "GetLogEvents, nextForwardToken", func(t *testing.T, w *world) {
		w.group(t)
		w.lines(t, "s", "a", "b", "c")
		var got []string
		in := &cloudwatchlogs.GetLogEventsInput{LogGroupName: new("/ecs/web"), LogStreamName: new("s"), Limit: new(int32(2)), StartFromHead: new(true)}
		for p := cloudwatchlogs.NewGetLogEventsPaginator(w.logs, in, func(o *cloudwatchlogs.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true }); p.HasMorePages(); {
			for _, e := range must(p.NextPage(t.Context()))(t).Events {
				got = append(got, *e.Message)
			}
		}
		if fmt.Sprint(got) != "[a b c]" {
			t.Errorf("lines are %v", got)
		}
	}},
	{"without startFromHead the newest lines come, oldest of them first", logsAPI + "GetLogEvents, startFromHead", func(t *testing.T, w *world) {
		w.group(t)
		w.lines(t, "s", "a", "b", "c")
		out := must(w.logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: new("/ecs/web"), LogStreamName: new("s"), Limit: new(int32(2))}))(t)
		if len(out.Events) != 2 || *out.Events[0].Message != "b" || *out.Events[1].Message != "c" {
			t.Errorf("lines are %+v", out.Events)
		}
	}},
	{"FilterLogEvents goes through all streams in order of time, and finds words", logsAPI + "FilterLogEvents", func(t *testing.T, w *world) {
		w.group(t)
		w.lines(t, "s/1", "begin", "error: no disk", "end")
		w.lines(t, "s/2", "an ERROR of another kind", "no error here")
		w.lines(t, "other", "error elsewhere")
		var got []string
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: new("/ecs/web"), FilterPattern: new("error"), LogStreamNamePrefix: new("s/"), Limit: new(int32(1))}
		for p := cloudwatchlogs.NewFilterLogEventsPaginator(w.logs, in); p.HasMorePages(); {
			for _, e := range must(p.NextPage(t.Context()))(t).Events {
				got = append(got, *e.LogStreamName+" "+*e.Message)
			}
		}
		if fmt.Sprint(got) != "[s/1 error: no disk s/2 no error here]" && fmt.Sprint(got) != "[s/2 no error here s/1 error: no disk]" {
			t.Errorf("lines are %q", got)
		}
	}},
	{"streams are not ordered by time and by prefix at once", logsAPI + "DescribeLogStreams, orderBy", func(t *testing.T, w *world) {
		w.group(t)
		w.lines(t, "s", "a")
		in := &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: new("/ecs/web"), LogStreamNamePrefix: new("s")}
		if out := must(w.logs.DescribeLogStreams(t.Context(), in))(t); len(out.LogStreams) != 1 || out.LogStreams[0].LastEventTimestamp == nil {
			t.Errorf("streams are %+v", out.LogStreams)
		}
		in.OrderBy = logtypes.OrderByLastEventTime
		wantError(t, "InvalidParameterException", "LastEventTime")(w.logs.DescribeLogStreams(t.Context(), in))
	}},
	{"events of one request are in order of time", logsAPI + "PutLogEvents", func(t *testing.T, w *world) {
		w.group(t)
		w.lines(t, "s", "a")
		events := []logtypes.InputLogEvent{{Message: new("b"), Timestamp: new(int64(2))}, {Message: new("a"), Timestamp: new(int64(1))}}
		wantError(t, "InvalidParameterException", "chronological order")(w.logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: new("/ecs/web"), LogStreamName: new("s"), LogEvents: events}))
	}},
}
