package onetask

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

const taskARN = "arn:aws:ecs:ap-south-1:318774499084:task/weelocluster/0123456789abcdef"

// account is ECS and CloudWatch Logs with one task, whose state and log follow the
// time since it began.
type account struct {
	began time.Time
	state func(since time.Duration) types.Task
	lines func(since time.Duration) int // how many lines its log has

	run             func(n int) (*ecs.RunTaskOutput, error) // nth call of RunTask, from 1
	describeErr     func(since time.Duration) error
	missing         func(since time.Duration) bool
	logErr, stopErr error
	list            []string
	runs, looks     int
	stopped         time.Time
	reason          string
	events          []event.Event
}

func (a *account) RunTask(_ context.Context, in *ecs.RunTaskInput, _ ...func(*ecs.Options)) (*ecs.RunTaskOutput, error) {
	a.runs++
	return a.run(a.runs)
}

func (a *account) DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	a.looks++
	since := time.Since(a.began)
	if a.describeErr != nil {
		if err := a.describeErr(since); err != nil {
			return nil, err
		}
	}
	if a.missing != nil && a.missing(since) {
		return &ecs.DescribeTasksOutput{Failures: []types.Failure{{Reason: aws.String("MISSING")}}}, nil
	}
	k := a.state(since)
	if !a.stopped.IsZero() && k.Containers[0].ExitCode == nil {
		k = ended(143)
		k.StopCode = types.TaskStopCodeUserInitiated
	}
	return &ecs.DescribeTasksOutput{Tasks: []types.Task{k}}, nil
}

func (a *account) ListTasks(context.Context, *ecs.ListTasksInput, ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	return &ecs.ListTasksOutput{TaskArns: a.list}, nil
}

func (a *account) StopTask(_ context.Context, in *ecs.StopTaskInput, _ ...func(*ecs.Options)) (*ecs.StopTaskOutput, error) {
	if a.stopErr != nil {
		return nil, a.stopErr
	}
	a.stopped, a.reason = time.Now(), aws.ToString(in.Reason)
	return &ecs.StopTaskOutput{}, nil
}

// GetLogEvents gives pages of at most a thousand lines; a token is the number of
// lines that came before it.
func (a *account) GetLogEvents(_ context.Context, in *cloudwatchlogs.GetLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error) {
	if a.logErr != nil {
		return nil, a.logErr
	}
	n := a.lines(time.Since(a.began))
	if n == 0 {
		return nil, &logtypes.ResourceNotFoundException{}
	}
	from, _ := strconv.Atoi(strings.TrimPrefix(aws.ToString(in.NextToken), "f/"))
	to := min(n, from+int(*in.Limit))
	out := &cloudwatchlogs.GetLogEventsOutput{NextForwardToken: aws.String(fmt.Sprintf("f/%d", to))}
	for i := from; i < to; i++ {
		out.Events = append(out.Events, logtypes.OutputLogEvent{Message: aws.String(fmt.Sprintf("line %d", i+1)), Timestamp: aws.Int64(int64(i))})
	}
	return out, nil
}

func (a *account) emit(e event.Event) { a.events = append(a.events, e) }

// told lists what was told: log lines, notes and statuses of the task.
func (a *account) told() (lines, notes, statuses []string) {
	for _, e := range a.events {
		switch e := e.(type) {
		case event.Log:
			lines = append(lines, e.Text)
		case event.Note:
			notes = append(notes, e.Text)
		case event.Task:
			statuses = append(statuses, e.Status)
		}
	}
	return lines, notes, statuses
}

// definition is a task definition with the containers app, proxy and the optional
// tool.
type definition struct{ driver string }

func (d definition) Log(string) (driver, group, prefix, region string) {
	if d.driver != "awslogs" {
		return d.driver, "", "", ""
	}
	return d.driver, "/ecs/backend", "ecs", ""
}
func (d definition) LogDestination(string) string { return "its lines go by " + d.driver }
func (d definition) Essential(container string) (essential, known bool) {
	return container != "tool", true
}
func (d definition) HealthChecked() bool { return false }

func running() types.Task {
	return types.Task{
		TaskArn: aws.String(taskARN), TaskDefinitionArn: aws.String("arn:aws:ecs:ap-south-1:318774499084:task-definition/backend:38"),
		LastStatus: aws.String("RUNNING"), DesiredStatus: aws.String("RUNNING"), StartedAt: aws.Time(time.Now()),
		Containers: []types.Container{{Name: aws.String("app"), LastStatus: aws.String("RUNNING")}},
	}
}

func ended(code int32) types.Task {
	k := running()
	k.LastStatus, k.DesiredStatus, k.StopCode = aws.String("STOPPED"), aws.String("STOPPED"), types.TaskStopCodeEssentialContainerExited
	k.StoppedReason = aws.String("Essential container in task exited")
	k.Containers[0].LastStatus, k.Containers[0].ExitCode = aws.String("STOPPED"), &code
	return k
}

// after is a task that runs until then.
func after(d time.Duration, then types.Task) func(time.Duration) types.Task {
	return func(since time.Duration) types.Task {
		if since < d {
			return running()
		}
		return then
	}
}

func always(n int) func(time.Duration) int { return func(time.Duration) int { return n } }

var migrate = Task{
	Name: "before-task migrate", Cluster: "weelocluster", TaskDefinition: "arn:aws:ecs:ap-south-1:318774499084:task-definition/backend:38",
	Definition: definition{"awslogs"}, Container: "app", Command: []string{"migrate"}, StartedBy: "weelo-deploy/run1/0-abcd", Token: "weelo-deploy/run1/0-abcd-0",
}

// inAccount runs a test in a bubble of fake time.
func inAccount(t *testing.T, a *account, f func(t *testing.T, r Runner)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a.began = time.Now()
		if a.lines == nil {
			a.lines = always(0)
		}
		f(t, Runner{ECS: a, Logs: a, Emit: a.emit})
	})
}

func refused(code string) error {
	return &smithy.GenericAPIError{Code: code, Message: "no", Fault: smithy.FaultClient}
}
