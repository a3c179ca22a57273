package health

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Limits of the API (ListTasks, DescribeTasks, DescribeServiceRevisions, ECS API
// reference).
const (
	tasksPerCall     = 100
	revisionsPerCall = 20
)

// once switches the SDK's own retries off: the loop asks again by itself, and
// must learn at once that AWS throttles.
func once(o *ecs.Options) { o.Retryer = aws.NopRetryer{} }

func (r *run) addSources() {
	r.stopped = &source{what: "list stopped tasks", permission: "ecs:ListTasks", prepare: r.listStopped,
		every: func(p Rhythm) time.Duration {
			if n := r.fleet.stoppedPages; n > 1 { // its pages come all at once
				return p.Stopped * time.Duration(n) * 5 / 4
			}
			return p.Stopped
		}}
	r.service = &source{what: "describe the service", permission: "ecs:DescribeServices", prepare: r.describeService,
		every: func(p Rhythm) time.Duration { return p.Service }}
	r.deployment = &source{what: "read the service deployment", permission: "ecs:ListServiceDeployments, ecs:DescribeServiceDeployments and ecs:DescribeServiceRevisions",
		prepare: r.describeDeployment, every: func(p Rhythm) time.Duration { return p.Deployment }}
	r.tasks = &source{what: "describe tasks", permission: "ecs:DescribeTasks", prepare: r.describeTasks,
		every: func(p Rhythm) time.Duration { return p.Tasks }}
	r.running = &source{what: "list running tasks", permission: "ecs:ListTasks", prepare: r.listRunning,
		every: func(p Rhythm) time.Duration { return p.Service }}
	r.logs = &source{what: "read the log of a task", permission: "logs:GetLogEvents", prepare: r.readLogs,
		every: func(p Rhythm) time.Duration { return p.Stopped }}
	if r.scope.serviceDeployment == "" {
		r.deployment.due = r.began.Add(findFirst) // to look for it takes three calls
	}
	r.sources = []*source{r.service, r.stopped, r.tasks, r.running, r.deployment, r.logs}
}

// findFirst is how long a watch leaves its first calls to the tasks.
const findFirst = 4 * time.Second

// cluster is the cluster's name; nil stands for AWS's default cluster.
func (r *run) cluster() *string {
	if r.scope.cluster == "" {
		return nil
	}
	return &r.scope.cluster
}

func (r *run) describeService() call {
	in := &ecs.DescribeServicesInput{Cluster: r.cluster(), Services: []string{r.scope.serviceName}}
	return func(ctx context.Context) (absorb, error) {
		out, err := r.w.ECS.DescribeServices(ctx, in, once)
		if err != nil {
			return nil, err
		}
		if len(out.Services) == 0 {
			return nil, errNoService
		}
		return func(at time.Time) { r.seeService(out.Services[0], at) }, nil
	}
}

// listStopped is the sentinel: it sees every task that died, also one that lived
// between two calls. ECS keeps stopped tasks for an hour.
func (r *run) listStopped() call {
	return func(ctx context.Context) (absorb, error) {
		ids, pages, err := r.listTasks(ctx, types.DesiredStatusStopped)
		if err != nil {
			return nil, err
		}
		return func(time.Time) { r.seeStopped(ids, pages) }, nil
	}
}

// listRunning looks for tasks of ours when the counts say that there are some
// that were not seen yet.
func (r *run) listRunning() call {
	if !r.fleet.missing {
		return nil
	}
	return func(ctx context.Context) (absorb, error) {
		ids, _, err := r.listTasks(ctx, types.DesiredStatusRunning)
		if err != nil {
			return nil, err
		}
		return func(time.Time) { r.seeRunning(ids) }, nil
	}
}

func (r *run) listTasks(ctx context.Context, status types.DesiredStatus) (ids []string, pages int, err error) {
	in := &ecs.ListTasksInput{Cluster: r.cluster(), ServiceName: &r.scope.serviceName, DesiredStatus: status}
	for p := ecs.NewListTasksPaginator(r.w.ECS, in); p.HasMorePages(); pages++ {
		out, err := p.NextPage(ctx, once)
		if err != nil {
			return nil, pages, err
		}
		for _, arn := range out.TaskArns {
			ids = append(ids, name(arn))
		}
	}
	return ids, pages, nil
}

func (r *run) describeTasks() call {
	ids := r.fleet.ask(time.Now(), r.rhythm(time.Now()).Tasks)
	if len(ids) == 0 {
		return nil
	}
	return func(ctx context.Context) (absorb, error) {
		var tasks []types.Task
		for chunk := range slices.Chunk(ids, tasksPerCall) {
			out, err := r.w.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: r.cluster(), Tasks: chunk}, once)
			if err != nil {
				return nil, err
			}
			tasks = append(tasks, out.Tasks...)
		}
		return func(at time.Time) { r.seeTasks(ids, tasks, at) }, nil
	}
}

func (r *run) describeDeployment() call {
	arn := str(r.own.ServiceDeploymentArn)
	if arn == "" {
		arn = r.scope.serviceDeployment
	}
	switch {
	case arn != "":
		return func(ctx context.Context) (absorb, error) { return r.readDeployment(ctx, arn) }
	case r.scope.id == "" || r.scope.created.IsZero():
		return nil
	}
	return func(ctx context.Context) (absorb, error) {
		arn, err := r.findDeployment(ctx)
		if err != nil || arn == "" {
			return func(time.Time) {}, err
		}
		return r.readDeployment(ctx, arn)
	}
}

func (r *run) readDeployment(ctx context.Context, arn string) (absorb, error) {
	out, err := r.w.ECS.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}}, once)
	if err != nil {
		return nil, err
	}
	return func(time.Time) {
		if len(out.ServiceDeployments) > 0 {
			r.own = out.ServiceDeployments[0]
			r.tellSettings()
		}
	}, nil
}

// clockSlack is how much earlier than our deployment ECS may date the service
// deployment that belongs to it: two records of one act.
const clockSlack = 5 * time.Second

// findDeployment gives the ARN of our service deployment: the first one created
// at or after our deployment whose target service revision has our task
// definition; failing that, the last one within clockSlack before. The ids of
// the two are not related.
func (r *run) findDeployment(ctx context.Context) (string, error) {
	after := r.scope.created.Add(-clockSlack)
	in := &ecs.ListServiceDeploymentsInput{Cluster: r.cluster(), Service: &r.scope.serviceName, CreatedAt: &types.CreatedAt{After: &after}}
	var all []types.ServiceDeploymentBrief
	for {
		out, err := r.w.ECS.ListServiceDeployments(ctx, in, once)
		if err != nil {
			return "", err
		}
		all = append(all, out.ServiceDeployments...)
		if in.NextToken = out.NextToken; str(in.NextToken) == "" {
			break
		}
	}
	definitions, err := r.revisionDefinitions(ctx, all)
	if err != nil {
		return "", err
	}
	return choose(all, r.scope.created, func(b types.ServiceDeploymentBrief) bool {
		return definitions[str(b.TargetServiceRevisionArn)] == r.scope.taskDefinition
	}), nil
}

// revisionDefinitions maps service revisions to their task definitions.
func (r *run) revisionDefinitions(ctx context.Context, all []types.ServiceDeploymentBrief) (map[string]string, error) {
	var arns []string
	for _, b := range all {
		if a := str(b.TargetServiceRevisionArn); a != "" && !slices.Contains(arns, a) {
			arns = append(arns, a)
		}
	}
	definitions := map[string]string{}
	for chunk := range slices.Chunk(arns, revisionsPerCall) {
		out, err := r.w.ECS.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: chunk}, once)
		if err != nil {
			return nil, err
		}
		for _, v := range out.ServiceRevisions {
			definitions[str(v.ServiceRevisionArn)] = str(v.TaskDefinition)
		}
	}
	return definitions, nil
}

// choose picks the earliest deployment at or after created, or the latest before.
func choose(all []types.ServiceDeploymentBrief, created time.Time, fits func(types.ServiceDeploymentBrief) bool) string {
	var after, before types.ServiceDeploymentBrief
	for _, b := range all {
		at := aws.ToTime(b.CreatedAt)
		switch {
		case !fits(b) || at.Before(created.Add(-clockSlack)):
		case at.Before(created):
			if before.CreatedAt == nil || at.After(*before.CreatedAt) {
				before = b
			}
		case after.CreatedAt == nil || at.Before(*after.CreatedAt):
			after = b
		}
	}
	if after.CreatedAt == nil {
		after = before
	}
	return str(after.ServiceDeploymentArn)
}
