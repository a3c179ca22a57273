package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/check"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
)

// checkedTasks is of how many tasks the logs are read: each costs a call a look.
const checkedTasks = 20

// newStreams are the logs of the released container in the running tasks of our
// deployment.
func (r *Run) newStreams(ctx context.Context) ([]check.Stream, error) {
	released, err := r.next.Released(r.Container)
	if err != nil {
		return nil, err
	}
	list, err := r.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &r.Cluster, ServiceName: &r.Service, DesiredStatus: types.DesiredStatusRunning})
	if err != nil || len(list.TaskArns) == 0 {
		return nil, err
	}
	all, err := r.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &r.Cluster, Tasks: list.TaskArns})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all.Tasks, func(a, b types.Task) int { return aws.ToTime(a.CreatedAt).Compare(aws.ToTime(b.CreatedAt)) })
	var out []check.Stream
	for _, t := range all.Tasks {
		if !r.ours(t) || len(out) == checkedTasks {
			continue
		}
		s, err := health.StreamOf(r.next, t, released.Name)
		if err != nil {
			return nil, fmt.Errorf("container %s: %w", released.Name, err)
		}
		out = append(out, check.Stream{Task: history.Short(aws.ToString(t.TaskArn)), Group: s.Group, Name: s.Name, Region: s.Region})
	}
	return out, nil
}

// ours says whether a task is of our deployment.
func (r *Run) ours(t types.Task) bool {
	if by := aws.ToString(t.StartedBy); by != "" {
		return by == r.deployed.ID
	}
	return aws.ToString(t.TaskDefinitionArn) == r.deployed.TaskDefinition && !aws.ToTime(t.CreatedAt).Before(r.deployed.CreatedAt)
}

// readableLogs refuses log checks whose log is elsewhere or may not be read. It
// asks for a stream that need not exist: being told so is enough.
func (r *Run) readableLogs(ctx context.Context) error {
	if len(r.Checks.Logs) == 0 || r.noChecks() != "" {
		return nil
	}
	released, err := r.pre.base.Released(r.Container)
	if err != nil {
		return err
	}
	probe := types.Task{TaskArn: aws.String("preflight"), Containers: []types.Container{{Name: &released.Name, RuntimeId: aws.String("preflight")}}}
	at, err := health.StreamOf(r.pre.base, probe, released.Name)
	if err != nil {
		return event.Fail(event.CodeConfig, fmt.Sprintf("checks.logs: the log of container %s cannot be read: %v", released.Name, err)).
			Hint("remove checks.logs, or give the container the log driver awslogs")
	}
	_, err = r.Log.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: &at.Group, LogStreamName: &at.Name, Limit: aws.Int32(1)}, func(o *cloudwatchlogs.Options) {
		if at.Region != "" {
			o.Region = at.Region
		}
	})
	var missing interface{ ErrorCode() string }
	if errors.As(err, &missing) && missing.ErrorCode() == "ResourceNotFoundException" {
		return nil
	}
	if err != nil {
		return fromAWS(err, "read the log group "+at.Group+" for checks.logs", "logs:GetLogEvents")
	}
	return nil
}
