package logstore

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// epoch is when the lines of these tests begin.
var epoch = time.UnixMilli(1_700_000_000_000)

// serve returns a store with the group /ecs/app and the SDK's client of it.
func serve(t *testing.T) (*Store, *cwl.Client) {
	t.Helper()
	s := New("000000000000", "us-east-1", nil)
	if err := s.CreateGroup("/ecs/app"); err != nil {
		t.Fatal(err)
	}
	var mux awsjson.Mux
	mux.Add("logs", s.API())
	server := httptest.NewServer(&mux)
	t.Cleanup(server.Close)
	return s, cwl.New(cwl.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
}

// fill appends n lines, a second apart.
func fill(s *Store, stream string, n int) {
	for i := range n {
		s.Append("/ecs/app", stream, epoch.Add(time.Duration(i)*time.Second), fmt.Sprintf("line %d", i))
	}
}

func wantAPIError(t *testing.T, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
		t.Errorf("error is %v\nwant %s: %s", err, code, message)
	}
}

func get(t *testing.T, api *cwl.Client, in cwl.GetLogEventsInput) (lines string, out *cwl.GetLogEventsOutput) {
	t.Helper()
	in.LogGroupName, in.LogStreamName = aws.String("/ecs/app"), aws.String("s")
	out, err := api.GetLogEvents(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range out.Events {
		all = append(all, strings.TrimPrefix(*e.Message, "line "))
	}
	return strings.Join(all, " "), out
}

func TestGetLogEvents(t *testing.T) {
	s, api := serve(t)
	fill(s, "s", 10)
	at := func(i int) *int64 { return aws.Int64(epoch.Add(time.Duration(i) * time.Second).UnixMilli()) }
	for name, test := range map[string]struct {
		in   cwl.GetLogEventsInput
		want string
	}{
		"all":                        {cwl.GetLogEventsInput{}, "0 1 2 3 4 5 6 7 8 9"},
		"the latest without a side":  {cwl.GetLogEventsInput{Limit: aws.Int32(3)}, "7 8 9"},
		"the first from the head":    {cwl.GetLogEventsInput{Limit: aws.Int32(3), StartFromHead: aws.Bool(true)}, "0 1 2"},
		"from a time":                {cwl.GetLogEventsInput{StartTime: at(8)}, "8 9"},
		"up to a time, not included": {cwl.GetLogEventsInput{EndTime: at(2)}, "0 1"},
		"by the group's ARN":         {cwl.GetLogEventsInput{LogGroupIdentifier: aws.String("arn:aws:logs:us-east-1:000000000000:log-group:/ecs/app"), StartTime: at(9)}, "9"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := get(t, api, test.in); got != test.want {
				t.Errorf("lines are %q, want %q", got, test.want)
			}
		})
	}
}

// TestGetLogEvents_tokens follows a stream that grows, as tail -f does.
func TestGetLogEvents_tokens(t *testing.T) {
	s, api := serve(t)
	fill(s, "s", 5)
	head := cwl.GetLogEventsInput{Limit: aws.Int32(2), StartFromHead: aws.Bool(true)}
	var lines []string
	var token *string
	for range 3 {
		head.NextToken = token
		got, out := get(t, api, head)
		lines, token = append(lines, got), out.NextForwardToken
	}
	if want := "0 1|2 3|4"; strings.Join(lines, "|") != want {
		t.Errorf("pages are %q, want %q", strings.Join(lines, "|"), want)
	}
	head.NextToken = token
	got, out := get(t, api, head)
	if got != "" || *out.NextForwardToken != *token {
		t.Errorf("at the end come %q and the token %s, want nothing and %s again", got, *out.NextForwardToken, *token)
	}
	s.Append("/ecs/app", "s", epoch.Add(time.Hour), "line new")
	if got, _ = get(t, api, head); got != "new" {
		t.Errorf("after an append comes %q, want new", got)
	}
	_, latest := get(t, api, cwl.GetLogEventsInput{Limit: aws.Int32(2)})
	if got, _ := get(t, api, cwl.GetLogEventsInput{Limit: aws.Int32(2), NextToken: latest.NextBackwardToken}); got != "2 3" {
		t.Errorf("backward from the latest two comes %q, want 2 3", got)
	}
}

func TestGetLogEvents_sameMillisecond(t *testing.T) {
	s, api := serve(t)
	for i := range 4 {
		s.Append("/ecs/app", "s", epoch, fmt.Sprintf("line %d", i))
	}
	s.Append("/ecs/app", "s", epoch.Add(-time.Second), "line late")
	_, first := get(t, api, cwl.GetLogEventsInput{Limit: aws.Int32(3), StartFromHead: aws.Bool(true)})
	got, _ := get(t, api, cwl.GetLogEventsInput{NextToken: first.NextForwardToken})
	if *first.Events[0].Message != "line late" || got != "2 3" {
		t.Errorf("first is %q, then %q; want the earliest first and each line once", *first.Events[0].Message, got)
	}
}

func TestGetLogEvents_refuses(t *testing.T) {
	s, api := serve(t)
	fill(s, "s", 1)
	ctx := t.Context()
	_, err := api.GetLogEvents(ctx, &cwl.GetLogEventsInput{LogGroupName: aws.String("/none"), LogStreamName: aws.String("s")})
	wantAPIError(t, err, "ResourceNotFoundException", "The specified log group does not exist.")
	_, err = api.GetLogEvents(ctx, &cwl.GetLogEventsInput{LogGroupName: aws.String("/ecs/app"), LogStreamName: aws.String("none")})
	wantAPIError(t, err, "ResourceNotFoundException", "The specified log stream does not exist.")
	_, err = api.GetLogEvents(ctx, &cwl.GetLogEventsInput{LogGroupName: aws.String("/ecs/app"), LogStreamName: aws.String("s"), NextToken: aws.String("x")})
	wantAPIError(t, err, "InvalidParameterException", "The specified nextToken is invalid.")
	_, err = api.GetLogEvents(ctx, &cwl.GetLogEventsInput{LogStreamName: aws.String("s")})
	wantAPIError(t, err, "InvalidParameterException", "Either logGroupName or logGroupIdentifier must be specified.")
}

func TestStream_bounded(t *testing.T) {
	s, api := serve(t)
	fill(s, "s", 3*MaxEvents)
	st := s.groups["/ecs/app"].streams["s"]
	if n := len(st.events); n > MaxEvents || n < MaxEvents/2 {
		t.Errorf("stream keeps %d events, want %d at most", n, MaxEvents)
	}
	if got, _ := get(t, api, cwl.GetLogEventsInput{Limit: aws.Int32(1)}); got != fmt.Sprint(3*MaxEvents-1) {
		t.Errorf("the newest line is %q", got)
	}
	for i := range 100 {
		s.Append("/ecs/app", "big", epoch.Add(time.Duration(i)), strings.Repeat("é", maxMessage))
	}
	big := s.groups["/ecs/app"].streams["big"]
	if big.bytes > MaxBytes {
		t.Errorf("stream keeps %d bytes, want %d at most", big.bytes, MaxBytes)
	}
	if m := big.events[0].message; len(m) > maxMessage || !strings.HasSuffix(m, "é") {
		t.Errorf("a long message is cut to %d bytes, and ends with %q", len(m), m[len(m)-3:])
	}
}

func TestAppend_needsAGroup(t *testing.T) {
	s, _ := serve(t)
	s.Append("/none", "s", epoch, "lost")
	if s.HasGroup("/none") || !s.HasGroup("/ecs/app") {
		t.Error("appending made a group")
	}
	if s.CreateStream("/none", "s") || !s.CreateStream("/ecs/app", "s") {
		t.Error("CreateStream does not tell whether the group exists")
	}
}

func TestPutLogEvents(t *testing.T) {
	_, api := serve(t)
	ctx := t.Context()
	group, stream := aws.String("/ecs/app"), aws.String("s")
	event := func(ms int64) types.InputLogEvent {
		return types.InputLogEvent{Timestamp: &ms, Message: aws.String(fmt.Sprintf("line %d", ms))}
	}
	if _, err := api.CreateLogStream(ctx, &cwl.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}); err != nil {
		t.Fatal(err)
	}
	_, err := api.CreateLogStream(ctx, &cwl.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
	wantAPIError(t, err, "ResourceAlreadyExistsException", "The specified log stream already exists")
	out, err := api.PutLogEvents(ctx, &cwl.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []types.InputLogEvent{event(1), event(2)}})
	if err != nil || out.NextSequenceToken == nil {
		t.Errorf("PutLogEvents = %+v, %v", out, err)
	}
	_, err = api.PutLogEvents(ctx, &cwl.PutLogEventsInput{LogGroupName: group, LogStreamName: stream, LogEvents: []types.InputLogEvent{event(2), event(1)}})
	wantAPIError(t, err, "InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
	if got, _ := get(t, api, cwl.GetLogEventsInput{}); got != "1 2" {
		t.Errorf("lines are %q, want 1 2", got)
	}
}

func TestDescribeLogGroups(t *testing.T) {
	s, api := serve(t)
	ctx := t.Context()
	for i := range 5 {
		if err := s.CreateGroup(fmt.Sprintf("/other/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := api.CreateLogGroup(ctx, &cwl.CreateLogGroupInput{LogGroupName: aws.String("/ecs/app")})
	wantAPIError(t, err, "ResourceAlreadyExistsException", "The specified log group already exists")
	var names []string
	for pages := cwl.NewDescribeLogGroupsPaginator(api, &cwl.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/other/"), Limit: aws.Int32(2)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.LogGroups {
			names = append(names, *g.LogGroupName)
		}
	}
	if got := strings.Join(names, " "); got != "/other/0 /other/1 /other/2 /other/3 /other/4" {
		t.Errorf("groups are %s", got)
	}
	if _, err := api.DeleteLogGroup(ctx, &cwl.DeleteLogGroupInput{LogGroupName: aws.String("/ecs/app")}); err != nil || s.HasGroup("/ecs/app") {
		t.Errorf("DeleteLogGroup: %v", err)
	}
}

func TestDescribeLogStreams(t *testing.T) {
	s, api := serve(t)
	fill(s, "ecs/b/1", 3)
	fill(s, "ecs/a/1", 1)
	fill(s, "other", 2)
	describe := func(in cwl.DescribeLogStreamsInput) string {
		in.LogGroupName = aws.String("/ecs/app")
		var names []string
		for pages := cwl.NewDescribeLogStreamsPaginator(api, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range page.LogStreams {
				names = append(names, *st.LogStreamName)
			}
		}
		return strings.Join(names, " ")
	}
	for want, in := range map[string]cwl.DescribeLogStreamsInput{
		"ecs/a/1 ecs/b/1 other": {Limit: aws.Int32(1)},
		"other ecs/b/1 ecs/a/1": {Descending: aws.Bool(true), Limit: aws.Int32(2)},
		"ecs/a/1 ecs/b/1":       {LogStreamNamePrefix: aws.String("ecs/")},
		"ecs/a/1 other ecs/b/1": {OrderBy: types.OrderByLastEventTime, Limit: aws.Int32(1)},
		"ecs/b/1 other ecs/a/1": {OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true)},
	} {
		if got := describe(in); got != want {
			t.Errorf("streams are %q, want %q", got, want)
		}
	}
	_, err := api.DescribeLogStreams(t.Context(), &cwl.DescribeLogStreamsInput{LogGroupName: aws.String("/ecs/app"), OrderBy: types.OrderByLastEventTime, LogStreamNamePrefix: aws.String("e")})
	wantAPIError(t, err, "InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
}

func TestFilterLogEvents(t *testing.T) {
	s, api := serve(t)
	for i, line := range []string{"GET /health 200", "ERROR timeout of db", "GET /orders 500", "ERROR bad request", "say \"hi\""} {
		s.Append("/ecs/app", fmt.Sprintf("ecs/%d", i%2), epoch.Add(time.Duration(i)*time.Second), line)
	}
	filter := func(in cwl.FilterLogEventsInput) []string {
		in.LogGroupName = aws.String("/ecs/app")
		lines := []string{}
		for pages := cwl.NewFilterLogEventsPaginator(api, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				lines = append(lines, *e.Message)
			}
		}
		return lines
	}
	for name, test := range map[string]struct {
		in   cwl.FilterLogEventsInput
		want int
		last string
	}{
		"everything, in order of time":  {cwl.FilterLogEventsInput{Limit: aws.Int32(2)}, 5, `say "hi"`},
		"one term":                      {cwl.FilterLogEventsInput{FilterPattern: aws.String("ERROR")}, 2, "ERROR bad request"},
		"two terms":                     {cwl.FilterLogEventsInput{FilterPattern: aws.String("ERROR db")}, 1, "ERROR timeout of db"},
		"a phrase":                      {cwl.FilterLogEventsInput{FilterPattern: aws.String(`"of db"`)}, 1, "ERROR timeout of db"},
		"without a term":                {cwl.FilterLogEventsInput{FilterPattern: aws.String("GET -health")}, 1, "GET /orders 500"},
		"one term or another":           {cwl.FilterLogEventsInput{FilterPattern: aws.String("?500 ?bad")}, 2, "ERROR bad request"},
		"the streams of a name":         {cwl.FilterLogEventsInput{LogStreamNames: []string{"ecs/1"}}, 2, "ERROR bad request"},
		"the streams of a prefix":       {cwl.FilterLogEventsInput{LogStreamNamePrefix: aws.String("ecs/0")}, 3, `say "hi"`},
		"from a time up to another one": {cwl.FilterLogEventsInput{StartTime: aws.Int64(epoch.UnixMilli() + 1), EndTime: aws.Int64(epoch.UnixMilli() + 2000)}, 1, "ERROR timeout of db"},
	} {
		t.Run(name, func(t *testing.T) {
			got := filter(test.in)
			if len(got) != test.want || got[len(got)-1] != test.last {
				t.Errorf("events are %q, want %d with %q as the last", got, test.want, test.last)
			}
		})
	}
	for _, pattern := range []string{`{ $.level = "error" }`, `[ip, user]`, `"open`, `-`} {
		_, err := api.FilterLogEvents(t.Context(), &cwl.FilterLogEventsInput{LogGroupName: aws.String("/ecs/app"), FilterPattern: &pattern})
		var e *types.InvalidParameterException
		if !errors.As(err, &e) {
			t.Errorf("pattern %s = %v, want InvalidParameterException", pattern, err)
		}
	}
}
