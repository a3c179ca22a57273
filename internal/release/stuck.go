package release

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/health"
)

// lastFailure is how the last task of a deployment died, for the words about a
// deployment that is stuck. nil when no such task can be seen: ECS shows stopped
// tasks for an hour.
func (r *Run) lastFailure(ctx context.Context, deployment string) *health.Finding {
	list, err := r.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &r.Cluster, ServiceName: &r.Service, DesiredStatus: types.DesiredStatusStopped})
	if err != nil || len(list.TaskArns) == 0 {
		return nil
	}
	out, err := r.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &r.Cluster, Tasks: list.TaskArns[:min(100, len(list.TaskArns))]})
	if err != nil {
		return nil
	}
	var last types.Task
	var found *health.Finding
	for _, t := range out.Tasks {
		if aws.ToString(t.StartedBy) != deployment || found != nil && !aws.ToTime(t.StoppedAt).After(aws.ToTime(last.StoppedAt)) {
			continue
		}
		if f := health.Classify(health.Facts{Task: t}); f.Weight > health.Ignored {
			last, found = t, &f
		}
	}
	return found
}
