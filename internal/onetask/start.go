package onetask

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
)

// ErrUnanswered is Start's error when the request was sent, nobody answered it, and
// no task shows: one may run all the same.
var ErrUnanswered = errors.New("RunTask was sent and not answered, and the task may run all the same")

// startTries is how often RunTask is sent when nobody answers.
const startTries = 6

// Start runs the task. An answer that got lost is asked for again under the same
// client token, which runs nothing twice; a place that is not free is waited for.
// An error other than ErrUnanswered means that nothing runs.
func (r Runner) Start(ctx context.Context, t Task) (types.Task, error) {
	pace := r.Pace.withDefaults()
	in := t.input()
	began, lost := time.Now(), 0
	for pause := pace.Retry; ; pause = min(2*pause, pace.Slowest) {
		out, err := r.ECS.RunTask(ctx, in, once)
		var inUse *types.ConflictException
		switch {
		case err == nil && len(out.Tasks) > 0:
			return out.Tasks[0], nil
		case err == nil:
			f := unplaced(out.Failures)
			if f.Code == event.CodeInternal || time.Since(began)+pause > pace.Capacity {
				return types.Task{}, f
			}
			r.warn(fmt.Sprintf("%s: trying again for %s", f.Message, pace.Capacity))
		case errors.As(err, &inUse) && len(inUse.ResourceIds) > 0:
			// Our token: the very same task, run before under other settings of the service.
			return r.describe(ctx, t, inUse.ResourceIds[0])
		case answered(err) && !throttled(err):
			return types.Task{}, err
		default:
			if lost++; lost == startTries {
				return r.unheard(ctx, t, err)
			}
		}
		if !sleep(ctx, pause) {
			return r.unheard(ctx, t, context.Cause(ctx))
		}
	}
}

// unheard ends Start when RunTask was not answered: the task may show by its
// startedBy.
func (r Runner) unheard(ctx context.Context, t Task, cause error) (types.Task, error) {
	family, _, _ := strings.Cut(short(t.TaskDefinition), ":")
	found, err := r.Find(ctx, t.Cluster, family, t.StartedBy)
	if i := len(found) - 1; err == nil && i >= 0 && !slices.Contains(t.Known, aws.ToString(found[i].TaskArn)) {
		return found[i], nil
	}
	return types.Task{}, fmt.Errorf("%w: %w", ErrUnanswered, cause)
}

// unplaced is what failures[] says, as an error.
func unplaced(failures []types.Failure) *event.Failure {
	if len(failures) == 0 {
		return event.Fail(event.CodeInternal, "RunTask answered with neither a task nor a failure")
	}
	reason := strings.TrimSpace(aws.ToString(failures[0].Reason) + " " + aws.ToString(failures[0].Detail))
	found := health.Classify(health.Facts{Task: types.Task{StopCode: types.TaskStopCodeTaskFailedToStart, StoppedReason: &reason}})
	f := event.Fail(found.Code, "ECS has no place for the task: "+reason).Hint(found.Hints...)
	f.Reason = reason
	if f.Code == "" {
		f.Code = event.CodeCannotStart
	}
	for _, x := range failures {
		f.See(strings.TrimSpace(fmt.Sprintf("%s: %s %s", aws.ToString(x.Arn), aws.ToString(x.Reason), aws.ToString(x.Detail))))
	}
	return f
}

// Find lists the tasks of the family that were started by somebody with the prefix,
// those that stopped within the hour for which ECS keeps them included; oldest
// first. startedBy as a filter may not be combined with others (ListTasks, ECS API
// reference), so all of the family's are looked at.
func (r Runner) Find(ctx context.Context, cluster, family, prefix string) ([]types.Task, error) {
	t := Task{Cluster: cluster}
	var arns []string
	for _, status := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		in := &ecs.ListTasksInput{Cluster: t.cluster(), Family: &family, DesiredStatus: status}
		for more := true; more; more = aws.ToString(in.NextToken) != "" {
			out, err := r.ECS.ListTasks(ctx, in)
			if err != nil {
				return nil, fmt.Errorf("list the tasks of %s: %w", family, err)
			}
			arns, in.NextToken = append(arns, out.TaskArns...), out.NextToken
		}
	}
	slices.Sort(arns) // a task may stop between the two lists
	var found []types.Task
	for some := range slices.Chunk(slices.Compact(arns), 100) {
		out, err := r.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: t.cluster(), Tasks: some})
		if err != nil {
			return nil, fmt.Errorf("describe the tasks of %s: %w", family, err)
		}
		for _, k := range out.Tasks {
			if strings.HasPrefix(aws.ToString(k.StartedBy), prefix) {
				found = append(found, k)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b types.Task) int { return aws.ToTime(a.CreatedAt).Compare(aws.ToTime(b.CreatedAt)) })
	return found, nil
}

// Stop asks ECS to stop a task.
func (r Runner) Stop(ctx context.Context, t Task, arn, reason string) error {
	_, err := r.ECS.StopTask(ctx, &ecs.StopTaskInput{Cluster: t.cluster(), Task: &arn, Reason: &reason})
	return err
}

// once switches the SDK's own retries off: these calls are repeated at our pace.
func once(o *ecs.Options) { o.Retryer = aws.NopRetryer{} }

// describe reads one task, as soon as ECS shows it.
func (r Runner) describe(ctx context.Context, t Task, arn string) (types.Task, error) {
	out, err := r.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: t.cluster(), Tasks: []string{arn}})
	if err != nil || len(out.Tasks) == 0 {
		return types.Task{TaskArn: &arn}, nil // it is there; Follow will see it
	}
	return out.Tasks[0], nil
}

// code is AWS's name of the error, or "" when no answer came.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func throttled(err error) bool {
	return slices.Contains([]string{"ThrottlingException", "Throttling", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException"}, code(err))
}

// answered says whether AWS answered with a refusal, so that the call had no effect.
func answered(err error) bool {
	var api smithy.APIError
	var http interface{ HTTPStatusCode() int }
	if errors.As(err, &http) && http.HTTPStatusCode() >= 500 {
		return false
	}
	return errors.As(err, &api) && api.ErrorFault() != smithy.FaultServer && !strings.HasPrefix(api.ErrorCode(), "Server")
}
