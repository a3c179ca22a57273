package health

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The calls of a Shared client: each takes its place in the queue, and out of the
// answer to all it gives its own part.

// ListTasks implements ECS. An answer for the first page of a service's stopped
// tasks may be the whole list of the cluster.
func (s *Shared) ListTasks(ctx context.Context, in *ecs.ListTasksInput, opts ...func(*ecs.Options)) (*ecs.ListTasksOutput, error) {
	t := &ticket{kind: askOther, cluster: str(in.Cluster), alone: func(ctx context.Context) (any, error) { return s.ECS.ListTasks(ctx, in, opts...) }}
	if in.DesiredStatus == types.DesiredStatusStopped && str(in.NextToken) == "" {
		t.kind = askStopped
	}
	return wait[*ecs.ListTasksOutput](ctx, s, t)
}

// DescribeTasks implements ECS.
func (s *Shared) DescribeTasks(ctx context.Context, in *ecs.DescribeTasksInput, _ ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error) {
	all, err := wait[*ecs.DescribeTasksOutput](ctx, s, &ticket{kind: askTasks, cluster: str(in.Cluster), items: in.Tasks})
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeTasksOutput{}
	for _, t := range all.Tasks {
		if asked(in.Tasks, str(t.TaskArn)) {
			out.Tasks = append(out.Tasks, t)
		}
	}
	for _, f := range all.Failures {
		if asked(in.Tasks, str(f.Arn)) {
			out.Failures = append(out.Failures, f)
		}
	}
	return out, nil
}

func (s *Shared) describeTasks(ctx context.Context, cluster *string, ids []string) (any, error) {
	return s.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: cluster, Tasks: ids}, once)
}

// DescribeServices implements ECS.
func (s *Shared) DescribeServices(ctx context.Context, in *ecs.DescribeServicesInput, _ ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	all, err := wait[*ecs.DescribeServicesOutput](ctx, s, &ticket{kind: askServices, cluster: str(in.Cluster), items: in.Services})
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeServicesOutput{}
	for _, v := range all.Services {
		if asked(in.Services, str(v.ServiceName)) || asked(in.Services, str(v.ServiceArn)) {
			out.Services = append(out.Services, v)
		}
	}
	return out, nil
}

func (s *Shared) describeServices(ctx context.Context, cluster *string, names []string) (any, error) {
	return s.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: cluster, Services: names}, once)
}

// DescribeServiceDeployments implements ECS.
func (s *Shared) DescribeServiceDeployments(ctx context.Context, in *ecs.DescribeServiceDeploymentsInput, _ ...func(*ecs.Options)) (*ecs.DescribeServiceDeploymentsOutput, error) {
	all, err := wait[*ecs.DescribeServiceDeploymentsOutput](ctx, s, &ticket{kind: askDeployed, items: in.ServiceDeploymentArns})
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeServiceDeploymentsOutput{}
	for _, d := range all.ServiceDeployments {
		if slices.Contains(in.ServiceDeploymentArns, str(d.ServiceDeploymentArn)) {
			out.ServiceDeployments = append(out.ServiceDeployments, d)
		}
	}
	return out, nil
}

func (s *Shared) describeDeployments(ctx context.Context, _ *string, arns []string) (any, error) {
	return s.ECS.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: arns}, once)
}

// DescribeServiceRevisions implements ECS.
func (s *Shared) DescribeServiceRevisions(ctx context.Context, in *ecs.DescribeServiceRevisionsInput, _ ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error) {
	all, err := wait[*ecs.DescribeServiceRevisionsOutput](ctx, s, &ticket{kind: askRevised, items: in.ServiceRevisionArns})
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeServiceRevisionsOutput{}
	for _, v := range all.ServiceRevisions {
		if slices.Contains(in.ServiceRevisionArns, str(v.ServiceRevisionArn)) {
			out.ServiceRevisions = append(out.ServiceRevisions, v)
		}
	}
	return out, nil
}

func (s *Shared) describeRevisions(ctx context.Context, _ *string, arns []string) (any, error) {
	return s.ECS.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: arns}, once)
}

// ListServiceDeployments implements ECS.
func (s *Shared) ListServiceDeployments(ctx context.Context, in *ecs.ListServiceDeploymentsInput, opts ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error) {
	return wait[*ecs.ListServiceDeploymentsOutput](ctx, s, &ticket{kind: askOther, cluster: str(in.Cluster),
		alone: func(ctx context.Context) (any, error) { return s.ECS.ListServiceDeployments(ctx, in, opts...) }})
}

// asked says whether an ARN or name is among those asked for, which may be
// written either way.
func asked(items []string, is string) bool {
	return slices.Contains(items, is) || slices.ContainsFunc(items, func(i string) bool { return name(i) == name(is) && is != "" })
}

var _ ECS = (*Shared)(nil)
