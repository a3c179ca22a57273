package cluster

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// maxRun is the largest count of RunTask.
const maxRun = 10

func (c *Cluster) runTask(_ context.Context, in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	count := 1
	if in.Count != nil {
		count = int(*in.Count)
	}
	if count < 1 || count > maxRun {
		return nil, invalid("count must be between 1 and %d.", maxRun)
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	def, err := c.usable(deref(in.TaskDefinition))
	if err != nil {
		return nil, err
	}
	proto := looseTask{
		def: def, launchType: in.LaunchType, providers: in.CapacityProviderStrategy,
		platformVersion: deref(in.PlatformVersion), group: deref(in.Group), startedBy: deref(in.StartedBy),
		clientToken: deref(in.ClientToken), overrides: in.Overrides, tags: in.Tags,
	}
	if proto.launchType == "" && len(proto.providers) == 0 {
		proto.launchType = types.LaunchTypeEc2
	}
	placed := &ecs.CreateServiceInput{LaunchType: proto.launchType, CapacityProviderStrategy: proto.providers, NetworkConfiguration: in.NetworkConfiguration}
	if err := checkPlacement(def, placed); err != nil {
		return nil, err
	}
	out := &ecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	tasks := cl.ranBefore(proto.clientToken)
	for range count {
		if len(tasks) >= count {
			break
		}
		t := proto
		t.sched = scheduler.NewTask(newTaskID(), "", template(def, onFargate(t.launchType, t.providers)), c.env())
		cl.loose[t.sched.ID] = &t
		tasks = append(tasks, &t)
	}
	cl.dirtyLoose = true
	for _, t := range tasks {
		out.Tasks = append(out.Tasks, c.viewTask(taskRef{t.sched, &owner{cluster: cl, def: t.def, loose: t}}, true))
	}
	return out, nil
}

// ranBefore are the tasks that an earlier request with the same client token
// started, which makes RunTask idempotent.
func (cl *clusterRecord) ranBefore(token string) []*looseTask {
	var tasks []*looseTask
	if token == "" {
		return nil
	}
	for _, t := range cl.loose {
		if t.clientToken == token {
			tasks = append(tasks, t)
		}
	}
	return tasks
}
