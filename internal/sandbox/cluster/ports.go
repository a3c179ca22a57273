package cluster

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// hostPorts are the ports of the container instance that a task of the definition
// wants for itself alone: those that the modes bridge and host name.
func hostPorts(def *definition.Definition) []task.Port {
	mode := string(def.NetworkMode())
	var all []task.Port
	for _, d := range def.Task.ContainerDefinitions {
		for _, p := range ports(d.PortMappings, mode) {
			if p.HostPort != 0 {
				all = append(all, task.Port{HostPort: p.HostPort, Protocol: p.Protocol})
			}
		}
	}
	return all
}

// portsOf says how it stands with the ports that a task of the definition wants of
// the cluster's one container instance.
func (cl *clusterRecord) portsOf(def *definition.Definition) scheduler.Ports {
	want, state := hostPorts(def), scheduler.PortsFree
	for _, t := range cl.allTasks() {
		if t.sched.Status >= scheduler.Stopped || t.sched.Fargate {
			continue
		}
		shared := slices.ContainsFunc(hostPorts(t.owner.def), func(p task.Port) bool { return slices.Contains(want, p) })
		switch {
		case shared && t.sched.Live():
			return scheduler.PortsTaken
		case shared:
			state = scheduler.PortsLeaving
		}
	}
	return state
}

// portsFor looks at the ports of a service's next task, nil when it has none of its
// own.
func (c *Cluster) portsFor(s *service) func() scheduler.Ports {
	r := s.current()
	if r == nil || onFargate(r.input.LaunchType, r.input.CapacityProviderStrategy) || len(hostPorts(r.def)) == 0 {
		return nil
	}
	return func() scheduler.Ports { return s.cluster.portsOf(r.def) }
}

// portsToRun is for how many of the tasks that RunTask asks for the ports are free:
// one instance has each of them once.
func (c *Cluster) portsToRun(cl *clusterRecord, def *definition.Definition, in *ecs.RunTaskInput, want int) int {
	switch {
	case onFargate(in.LaunchType, in.CapacityProviderStrategy), len(hostPorts(def)) == 0:
		return want
	case cl.portsOf(def) != scheduler.PortsFree:
		return 0
	}
	return min(want, 1)
}

// noPorts are RunTask's failures for tasks whose ports are taken.
func (c *Cluster) noPorts(cl *clusterRecord, tasks int) []types.Failure {
	return slices.Repeat([]types.Failure{{Arn: ptr(c.containerInstance(cl)), Reason: ptr("RESOURCE:PORTS")}}, tasks)
}
