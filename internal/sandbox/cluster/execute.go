package cluster

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// Texts of ExecuteCommand, as users have seen them.
const (
	execNotEnabled = "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again."
	execNoAgent    = "The execute command failed due to an internal error. Try again later."
)

// executeCommand refuses in AWS's words: there is no Systems Manager here that a
// session could go through. A task that has ECS Exec answers as one whose agent is
// not connected.
func (c *Cluster) executeCommand(_ context.Context, in *ecs.ExecuteCommandInput) (*ecs.ExecuteCommandOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	t, ok := c.task(cl, deref(in.Task))
	switch {
	case !in.Interactive:
		return nil, invalid("Interactive is the only mode supported currently.")
	case deref(in.Command) == "":
		return nil, invalid("Command cannot be blank.")
	case !ok:
		return nil, invalid("The referenced task was not found.")
	}
	containers := t.owner.def.Task.ContainerDefinitions
	switch {
	case in.Container == nil && len(containers) > 1:
		return nil, invalid("A container name must be specified, since there are multiple containers in the task.")
	case in.Container != nil && !hasContainer(t.owner.def, *in.Container):
		return nil, invalid("The container %s is not in the task.", *in.Container)
	case !t.sched.Exec || t.sched.Status != scheduler.Running:
		return nil, invalid(execNotEnabled)
	}
	return nil, &types.TargetNotConnectedException{Message: ptr(execNoAgent)}
}

// maxInstances is the limit of StartTask.
const maxInstances = 10

// startTask places a task on container instances of the caller's choice: on the one
// that a cluster has here.
func (c *Cluster) startTask(_ context.Context, in *ecs.StartTaskInput) (*ecs.StartTaskOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	switch n := len(in.ContainerInstances); {
	case n == 0:
		return nil, invalid("Container instances cannot be empty.")
	case n > maxInstances:
		return nil, invalid("Container instances cannot have more than %d elements.", maxInstances)
	}
	run := &ecs.RunTaskInput{
		TaskDefinition: in.TaskDefinition, LaunchType: types.LaunchTypeEc2, Group: in.Group, Overrides: in.Overrides,
		StartedBy: in.StartedBy, Tags: in.Tags, PropagateTags: in.PropagateTags, NetworkConfiguration: in.NetworkConfiguration,
		EnableExecuteCommand: in.EnableExecuteCommand,
	}
	if err := checkRun(run); err != nil {
		return nil, err
	}
	def, err := c.usable(deref(in.TaskDefinition))
	if err != nil {
		return nil, err
	}
	if err := checkRunnable(def, run); err != nil {
		return nil, err
	}
	out := &ecs.StartTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, ref := range in.ContainerInstances {
		if c.arns.nameIn("container-instance", cl.name, ref) != c.instanceID(cl) {
			out.Failures = append(out.Failures, missing(ref))
			continue
		}
		if reason := shortage(def, run); reason != "" || c.roomToRun(def, 1) == 0 {
			failures := c.noRoom(cl, run, 1)
			if reason != "" {
				failures[0].Reason = &reason
			}
			out.Failures = append(out.Failures, failures...)
			continue
		}
		out.Tasks = slices.Concat(out.Tasks, c.ran(cl, c.addLoose(cl, def, run, 1, "")).Tasks)
	}
	return out, nil
}
