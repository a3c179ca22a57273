package cluster

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func (c *Cluster) listTasks(_ context.Context, in *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	if deref(in.StartedBy) != "" && (in.ServiceName != nil || in.Family != nil || in.ContainerInstance != nil) {
		return nil, invalid("startedBy must be the only filter that is specified.")
	}
	if in.ServiceName != nil && cl.services[c.arns.nameIn("service", cl.name, *in.ServiceName)] == nil {
		return nil, serviceNotFound()
	}
	arns := []string{}
	for _, t := range cl.allTasks() {
		if c.listed(in, cl, t) {
			arns = append(arns, c.arns.task(cl.name, t.sched.ID))
		}
	}
	list, next, err := page(arns, itself, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &ecs.ListTasksOutput{TaskArns: list, NextToken: next}, nil
}

// listed applies the filters of ListTasks; without a status it lists what is
// desired to run.
func (c *Cluster) listed(in *ecs.ListTasksInput, cl *clusterRecord, t taskRef) bool {
	want := string(in.DesiredStatus)
	if want == "" {
		want = "RUNNING"
	}
	if t.sched.Desired() != want {
		return false
	}
	if in.ServiceName != nil && (t.owner.service == nil || t.owner.service.name != c.arns.nameIn("service", cl.name, *in.ServiceName)) {
		return false
	}
	if in.Family != nil && t.owner.def.Family != *in.Family {
		return false
	}
	if in.StartedBy != nil && t.startedBy() != *in.StartedBy {
		return false
	}
	return in.LaunchType == "" || t.effectiveLaunchType() == in.LaunchType
}

func (c *Cluster) describeTasks(_ context.Context, in *ecs.DescribeTasksInput) (*ecs.DescribeTasksOutput, error) {
	switch {
	case len(in.Tasks) == 0:
		return nil, invalid("Tasks cannot be empty.")
	case len(in.Tasks) > 100:
		return nil, invalid("Tasks cannot have more than 100 elements.")
	}
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeTasksOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, ref := range in.Tasks {
		t, ok := c.task(cl, ref)
		if !ok {
			if !strings.HasPrefix(ref, "arn:") {
				ref = c.arns.task(cl.name, ref)
			}
			out.Failures = append(out.Failures, missing(ref))
			continue
		}
		out.Tasks = append(out.Tasks, c.viewTask(t, slices.Contains(in.Include, types.TaskFieldTags)))
	}
	return out, nil
}

func (c *Cluster) stopTask(_ context.Context, in *ecs.StopTaskInput) (*ecs.StopTaskOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	t, ok := c.task(cl, deref(in.Task))
	if !ok {
		return nil, invalid("The referenced task was not found.")
	}
	t.sched.StopByUser(deref(in.Reason), c.cfg.Now())
	t.owner.touch()
	return &ecs.StopTaskOutput{Task: ptr(c.viewTask(t, false))}, nil
}
