package cluster

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

func (c *Cluster) runTask(_ context.Context, in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	if err := checkRun(in); err != nil {
		return nil, err
	}
	request, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if tasks := cl.ranBefore(deref(in.ClientToken)); len(tasks) > 0 {
		if tasks[0].request != string(request) {
			return nil, c.tokenInUse(cl, tasks)
		}
		return c.ran(cl, tasks), nil
	}
	def, err := c.usable(deref(in.TaskDefinition))
	if err != nil {
		return nil, err
	}
	setRunDefaults(in)
	if err := checkRunnable(def, in); err != nil {
		return nil, err
	}
	if reason := shortage(def, in); reason != "" {
		return &ecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{{Arn: ptr(c.containerInstance(cl)), Reason: &reason}}}, nil
	}
	want := int(*in.Count)
	ports := c.portsToRun(cl, def, in, want)
	room := c.roomToRun(def, ports)
	out := c.ran(cl, c.addLoose(cl, def, in, room, string(request)))
	out.Failures = append(out.Failures, c.noRoom(cl, in, ports-room)...)
	out.Failures = append(out.Failures, c.noPorts(cl, want-ports)...)
	return out, nil
}

// addLoose makes n tasks of a request.
func (c *Cluster) addLoose(cl *clusterRecord, def *definition.Definition, in *ecs.RunTaskInput, n int, request string) []*looseTask {
	tags := in.Tags
	if in.PropagateTags == types.PropagateTagsTaskDefinition {
		tags = append(slices.Clone(tags), def.Tags...)
	}
	var tasks []*looseTask
	tpl := template(def, in.LaunchType, in.CapacityProviderStrategy)
	placed := make(map[string]int)
	for range n {
		t := &looseTask{
			def: def, launchType: in.LaunchType, providers: in.CapacityProviderStrategy,
			platformVersion: deref(in.PlatformVersion), group: deref(in.Group), startedBy: deref(in.StartedBy),
			clientToken: deref(in.ClientToken), request: request, overrides: in.Overrides, tags: tags,
		}
		t.sched = scheduler.NewTask(newTaskID(), "", tpl, c.env())
		t.sched.Exec = in.EnableExecuteCommand
		t.sched.Provider = scheduler.NextProvider(tpl.Providers, placed)
		placed[t.sched.Provider]++
		cl.loose[t.sched.ID] = t
		tasks = append(tasks, t)
	}
	cl.dirtyLoose = true
	return tasks
}

// ran is the answer that tells of tasks.
func (c *Cluster) ran(cl *clusterRecord, tasks []*looseTask) *ecs.RunTaskOutput {
	out := &ecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, t := range tasks {
		out.Tasks = append(out.Tasks, c.viewTask(taskRef{t.sched, &owner{cluster: cl, def: t.def, loose: t}}, true))
	}
	return out
}

// ranBefore are the tasks that an earlier request with the same client token
// started in this cluster. A token is known for as long as its tasks are: AWS keeps
// one for 24 hours, but not longer than an hour after the task has stopped
// (Ensuring idempotency, ECS API reference).
func (cl *clusterRecord) ranBefore(token string) []*looseTask {
	var tasks []*looseTask
	if token == "" {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(cl.loose)) {
		if t := cl.loose[id]; t.clientToken == token {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

// tokenInUse refuses a client token that an earlier, different request has used,
// and names the tasks of that one (ConflictException of RunTask, ECS API
// reference).
func (c *Cluster) tokenInUse(cl *clusterRecord, tasks []*looseTask) error {
	e := &types.ConflictException{Message: ptr("The provided clientToken is already in use with a different RunTask request.")}
	for _, t := range tasks {
		e.ResourceIds = append(e.ResourceIds, c.arns.task(cl.name, t.sched.ID))
	}
	return e
}
