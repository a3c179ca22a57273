package timeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/health"
)

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// fake is ECS and CloudWatch Logs with small pages, some of them empty.
type fake struct {
	mu      sync.Mutex
	tasks   []types.Task
	events  []types.ServiceEvent
	streams map[string][]string // lines by stream, one each second from start
	denied  bool
	lists   int
}

const logPage = 7

func (f *fake) DescribeServices(context.Context, *ecs.DescribeServicesInput, ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &ecs.DescribeServicesOutput{Services: []types.Service{{Events: slices.Clone(f.events)}}}, nil
}

func (f *fake) ListTasks(_ context.Context, in *ecs.ListTasksInput, _ ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	var arns []string
	for _, t := range f.tasks {
		if (t.StoppedAt != nil) == (in.DesiredStatus == types.DesiredStatusStopped) {
			arns = append(arns, *t.TaskArn)
		}
	}
	from, _ := strconv.Atoi(aws.ToString(in.NextToken))
	to := min(from+int(*in.MaxResults), len(arns))
	out := &ecs.ListTasksOutput{TaskArns: arns[from:to]}
	if to < len(arns) {
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	return out, nil
}

func (f *fake) DescribeTasks(_ context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(in.Tasks) > 100 {
		return nil, fmt.Errorf("%d tasks in one call", len(in.Tasks))
	}
	out := &ecs.DescribeTasksOutput{}
	for _, t := range f.tasks {
		if slices.Contains(in.Tasks, *t.TaskArn) {
			out.Tasks = append(out.Tasks, t)
		}
	}
	return out, nil
}

// GetLogEvents pages both ways. The token of a page is the position that it begins
// with; at the end it stays the same, and the page before the last is empty.
func (f *fake) GetLogEvents(_ context.Context, in *cloudwatchlogs.GetLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.denied {
		return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}
	}
	lines, ok := f.streams[*in.LogStreamName]
	if !ok {
		return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException"}
	}
	at := func(i int) *string { return aws.String("t" + strconv.Itoa(i)) }
	page := func(from, to int) (out []logtypes.OutputLogEvent) {
		for i := from; i < to; i++ {
			out = append(out, logtypes.OutputLogEvent{Message: &lines[i], Timestamp: aws.Int64(start.Add(time.Duration(i) * time.Second).UnixMilli())})
		}
		return out
	}
	here := len(lines)
	if in.NextToken != nil {
		here, _ = strconv.Atoi((*in.NextToken)[1:])
	}
	if aws.ToBool(in.StartFromHead) {
		to := min(here+logPage, len(lines))
		return &cloudwatchlogs.GetLogEventsOutput{Events: page(here, to), NextForwardToken: at(to), NextBackwardToken: at(here)}, nil
	}
	from := max(0, here-logPage)
	return &cloudwatchlogs.GetLogEventsOutput{Events: page(from, here), NextForwardToken: at(here), NextBackwardToken: at(from)}, nil
}

func (f *fake) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []logtypes.FilteredLogEvent
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range f.streams {
			if !yield(n) {
				return
			}
		}
	}) {
		for i, l := range f.streams[name] {
			at := start.Add(time.Duration(i) * time.Second).UnixMilli()
			if strings.HasPrefix(name, *in.LogStreamNamePrefix) && at >= *in.StartTime && at <= *in.EndTime {
				all = append(all, logtypes.FilteredLogEvent{LogStreamName: &name, Message: &l, Timestamp: &at})
			}
		}
	}
	from, _ := strconv.Atoi(aws.ToString(in.NextToken))
	to := min(from+logPage, len(all))
	out := &cloudwatchlogs.FilterLogEventsOutput{Events: all[from:to]}
	if to < len(all) {
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	return out, nil
}

// definition logs by awslogs.
type definition struct{ driver string }

func (d definition) Log(string) (driver, group, prefix, region string) {
	return d.driver, "/ecs/web", "ecs", ""
}
func (d definition) LogDestination(string) string                { return d.driver }
func (d definition) Essential(string) (bool, bool)               { return true, true }
func (d definition) HealthChecked() bool                         { return false }
func awslogs(context.Context, string) (health.Definition, error) { return definition{"awslogs"}, nil }

// task is one of a revision; exit < 0: it still runs.
func task(n, revision, exit int) types.Task {
	t := types.Task{
		TaskArn: aws.String(fmt.Sprintf("arn:aws:ecs:x:1:task/c/%08d", n)), TaskDefinitionArn: aws.String(fmt.Sprintf("arn:aws:ecs:x:1:task-definition/web:%d", revision)),
		LastStatus: aws.String("RUNNING"), CreatedAt: aws.Time(start.Add(time.Duration(n) * time.Second)), Containers: []types.Container{{Name: aws.String("app")}},
	}
	if exit >= 0 {
		t.LastStatus, t.StoppedAt = aws.String("STOPPED"), aws.Time(t.CreatedAt.Add(time.Minute))
		t.StopCode, t.StoppedReason = types.TaskStopCodeEssentialContainerExited, aws.String("Essential container in task exited")
		t.Containers[0].ExitCode = aws.Int32(int32(exit))
	}
	return t
}

func stream(n int) string { return fmt.Sprintf("ecs/app/%08d", n) }

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, "line "+strconv.Itoa(i))
	}
	return out
}

func read(t *testing.T, f *fake, q Query) Timeline {
	t.Helper()
	q.Cluster, q.Service = "c", "web"
	got, err := (&Reader{ECS: f, Logs: f, Definition: awslogs}).Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(got.Entries, func(a, b Entry) int { return a.At.Compare(b.At) }) {
		t.Error("the entries are not in order")
	}
	return got
}

func count(list []Entry, k Kind) int {
	n := 0
	for _, e := range list {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func TestRead_sizes(t *testing.T) {
	for _, n := range []int{0, 1, 1000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			f := &fake{streams: map[string][]string{}}
			for i := range n {
				f.tasks = append(f.tasks, task(i, 38, []int{-1, 0}[i%2]))
				f.streams[stream(i)] = numbered(3)
			}
			got := read(t, f, Query{})
			if tasks, lines := count(got.Entries, Task), count(got.Entries, Log); tasks != n+n/2 || lines != 3*n {
				t.Errorf("%d task entries and %d lines, want %d and %d", tasks, lines, n+n/2, 3*n)
			}
		})
	}
}

func TestRead_pagesOfALog(t *testing.T) {
	f := &fake{tasks: []types.Task{task(1, 38, -1)}, streams: map[string][]string{stream(1): numbered(1000)}}
	if got := read(t, f, Query{}); count(got.Entries, Log) != 1000 || got.More || got.Left != 0 {
		t.Errorf("%d lines, more %v, left %d; want all 1000", count(got.Entries, Log), got.More, got.Left)
	}
	got := read(t, f, Query{Most: 20})
	if len(got.Entries) != 20 || got.Entries[19].Text != "line 999" || !got.More {
		t.Errorf("%d entries, the last %q, more %v; want the newest 20", len(got.Entries), got.Entries[len(got.Entries)-1].Text, got.More)
	}
	if got := read(t, f, Query{Since: start.Add(990 * time.Second)}); count(got.Entries, Log) != 10 {
		t.Errorf("%d lines since the last ten seconds, want 10", count(got.Entries, Log))
	}
}

func TestRead_chooses(t *testing.T) {
	f := &fake{
		tasks:   []types.Task{task(1, 37, 139), task(2, 38, 139), task(3, 38, -1)},
		streams: map[string][]string{stream(1): {"one"}, stream(2): {"two"}, stream(3): {"three"}},
		events: []types.ServiceEvent{
			{Id: aws.String("a"), CreatedAt: aws.Time(start.Add(3 * time.Second)), Message: aws.String("near")},
			{Id: aws.String("b"), CreatedAt: aws.Time(start.Add(-time.Hour)), Message: aws.String("long ago")},
		},
	}
	texts := func(q Query) string {
		var out []string
		for _, e := range read(t, f, q).Entries {
			if e.Kind != Task {
				out = append(out, e.Text)
			} else if e.Code != "" {
				out = append(out, e.Task+" "+e.Revision+" "+e.Code)
			}
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	for name, c := range map[string]struct {
		q    Query
		want string
	}{
		"all":               {Query{}, "00000001 web:37 EXIT_139_SIGSEGV, 00000002 web:38 EXIT_139_SIGSEGV, long ago, near, one, three, two"},
		"failed":            {Query{Failed: true}, "00000001 web:37 EXIT_139_SIGSEGV, 00000002 web:38 EXIT_139_SIGSEGV, near, one, two"},
		"a revision":        {Query{Revision: "38"}, "00000002 web:38 EXIT_139_SIGSEGV, near, three, two"},
		"failed of it":      {Query{Revision: "38", Failed: true}, "00000002 web:38 EXIT_139_SIGSEGV, near, two"},
		"of an unknown one": {Query{Revision: "99"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := texts(c.q); got != c.want {
				t.Errorf("entries = %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestRead_findsTheLinesOfForgottenTasks(t *testing.T) {
	f := &fake{tasks: []types.Task{task(3, 39, -1)}, streams: map[string][]string{stream(1): numbered(100), stream(3): numbered(5)}}
	got := read(t, f, Query{
		Revision: "38", Forgotten: definition{"awslogs"}, Containers: []string{"app"}, Deployed: []Window{{start.Add(10 * time.Second), start.Add(59 * time.Second)}},
	})
	if len(got.Entries) != 50 || got.Entries[0].Text != "line 10" || got.Entries[0].Task != "00000001" || len(got.Notes) != 1 {
		t.Errorf("%d entries, notes %q; want the 50 lines of that time, and that it is said", len(got.Entries), got.Notes)
	}
}

func TestRead_whatCannotBeReadIsANote(t *testing.T) {
	f := &fake{tasks: []types.Task{task(1, 38, -1), task(2, 38, -1)}, streams: map[string][]string{}, denied: true}
	if got := read(t, f, Query{}); len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "/ecs/web cannot be read: AccessDeniedException") {
		t.Errorf("notes = %q, want one of the log group", got.Notes)
	}
	f.denied = false // the streams are not there: nothing was written yet
	if got := read(t, f, Query{}); len(got.Notes) != 0 {
		t.Errorf("notes = %q, want none", got.Notes)
	}
	r := &Reader{ECS: f, Logs: f, Definition: func(context.Context, string) (health.Definition, error) { return definition{"splunk"}, nil }}
	got, err := r.Read(t.Context(), Query{})
	if err != nil || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "splunk") {
		t.Errorf("notes = %q, %v; want where the lines go", got.Notes, err)
	}
}

func TestFollow_tellsEachThingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{tasks: []types.Task{task(1, 38, -1)}, streams: map[string][]string{stream(1): numbered(10)}}
		r := &Reader{ECS: f, Logs: f, Definition: awslogs}
		q := Query{Cluster: "c", Service: "web", Most: 3}
		if _, err := r.Read(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		go r.Follow(ctx, q, func(e Entry) { got = append(got, e.Text) }, func(n string) { got = append(got, "note "+n) })
		time.Sleep(5 * time.Second)
		f.mu.Lock()
		f.streams[stream(1)] = numbered(30)
		f.mu.Unlock()
		time.Sleep(5 * time.Second)
		f.mu.Lock()
		f.tasks[0] = task(1, 38, 139)
		f.events = append(f.events, types.ServiceEvent{Id: aws.String("a"), CreatedAt: aws.Time(start), Message: aws.String("an event")})
		f.mu.Unlock()
		time.Sleep(20 * time.Second)
		cancel()
		synctest.Wait()
		if len(got) != 22 || got[0] != "line 10" || got[19] != "line 29" || got[20] != "an event" || !strings.Contains(got[21], "exited with 139") {
			t.Errorf("%d entries: %q; want the 20 new lines, the event and the end of the task, once", len(got), got)
		}
	})
}
