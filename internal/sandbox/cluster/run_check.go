package cluster

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// Limits of RunTask (ECS API reference).
const (
	maxRun       = 10
	maxOverrides = 8192 // characters of JSON
)

// What the one container instance of a cluster has to give. It is more than any
// test machine has, and less than what a mistyped number asks for.
const (
	instanceMemoryMiB = 256 << 10
	instanceCPUUnits  = 64 << 10
)

var (
	startedByForm   = form.New(`^[A-Za-z0-9/_-]{0,128}$`)
	clientTokenForm = form.New(`^[!-~]{0,64}$`)
	// CreateService's is shorter.
	serviceTokenForm = form.New(`^[!-~]{0,36}$`)
)

// checkRun refuses what RunTask refuses without looking at the task definition.
func checkRun(in *ecs.RunTaskInput) error {
	switch {
	case deref(in.TaskDefinition) == "":
		return invalid("TaskDefinition cannot be blank.")
	case in.Count != nil && (*in.Count < 1 || *in.Count > maxRun):
		return invalid("count must be between 1 and %d.", maxRun)
	case in.LaunchType != "" && len(in.CapacityProviderStrategy) > 0:
		return invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	case !startedByForm.MatchString(deref(in.StartedBy)):
		return invalid("startedBy must have at most 128 letters, numbers, hyphens, forward slashes and underscores.")
	case !clientTokenForm.MatchString(deref(in.ClientToken)):
		return invalid("clientToken must have at most 64 characters in the range of 33-126.")
	case in.PropagateTags == types.PropagateTagsService:
		return invalid("SERVICE is not a valid value for propagateTags when running a task.")
	}
	if b, err := json.Marshal(in.Overrides); err != nil || in.Overrides != nil && len(b) > maxOverrides {
		return invalid("Overrides must not have more than %d characters.", maxOverrides)
	}
	return checkTags(in.Tags)
}

func setRunDefaults(in *ecs.RunTaskInput) {
	if in.Count == nil {
		in.Count = ptr(int32(1))
	}
	if in.LaunchType == "" && len(in.CapacityProviderStrategy) == 0 {
		in.LaunchType = types.LaunchTypeEc2
	}
}

// checkRunnable refuses a request that does not fit the task definition.
func checkRunnable(def *definition.Definition, in *ecs.RunTaskInput) error {
	if in.Overrides != nil {
		for _, o := range in.Overrides.ContainerOverrides {
			if !hasContainer(def, deref(o.Name)) {
				return invalid("Override for container named %s is not a container in the TaskDefinition.", deref(o.Name))
			}
		}
	}
	return checkPlacement(def, &ecs.CreateServiceInput{
		LaunchType: in.LaunchType, CapacityProviderStrategy: in.CapacityProviderStrategy, NetworkConfiguration: in.NetworkConfiguration,
	})
}

func hasContainer(def *definition.Definition, name string) bool {
	for _, d := range def.Task.ContainerDefinitions {
		if deref(d.Name) == name {
			return true
		}
	}
	return false
}

// shortage is why no container instance can take the task, as failures[] says it;
// empty when one can, and on Fargate.
func shortage(def *definition.Definition, in *ecs.RunTaskInput) string {
	if onFargate(in.LaunchType, in.CapacityProviderStrategy) {
		return ""
	}
	memory, cpu := definition.MemoryMiB(deref(def.Task.Memory)), definition.CPUUnits(deref(def.Task.Cpu))
	var ofContainers, units int
	for _, d := range def.Task.ContainerDefinitions {
		o := overrideOf(in.Overrides, deref(d.Name))
		ofContainers += int(deref(firstOf(o.Memory, d.Memory, o.MemoryReservation, d.MemoryReservation)))
		units += int(deref(firstOf(o.Cpu, &d.Cpu)))
	}
	switch {
	case max(memory, ofContainers) > instanceMemoryMiB:
		return "RESOURCE:MEMORY"
	case max(cpu, units) > instanceCPUUnits:
		return "RESOURCE:CPU"
	}
	return ""
}

func overrideOf(o *types.TaskOverride, container string) types.ContainerOverride {
	if o != nil {
		for _, c := range o.ContainerOverrides {
			if deref(c.Name) == container {
				return c
			}
		}
	}
	return types.ContainerOverride{}
}

func firstOf(list ...*int32) *int32 {
	for _, n := range list {
		if n != nil {
			return n
		}
	}
	return nil
}
