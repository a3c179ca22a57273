package cluster

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Kinds of hosts that [Cluster.LoseHost] knows.
const (
	HostEC2     = "ec2"
	HostFargate = "fargate"
	HostSpot    = "spot"
)

// fargateSpot is the capacity provider whose tasks can be interrupted.
const fargateSpot = "FARGATE_SPOT"

// roomFor is what limits the number of a service's new tasks, or nil.
func (c *Cluster) roomFor(s *service) func(int) int {
	if c.cfg.Capacity == nil {
		return nil
	}
	return func(want int) int {
		of := task.Spec{Service: s.name}
		if r := s.current(); r != nil {
			of.Family, of.Revision = r.def.Family, r.def.Revision
		}
		return c.cfg.Capacity.Room(of, want, c.liveTasks)
	}
}

// liveTasks names the tasks that take up capacity.
func (c *Cluster) liveTasks() []task.Spec {
	var live []task.Spec
	for _, cl := range c.clusters {
		for _, t := range cl.allTasks() {
			if t.sched.Live() {
				live = append(live, t.named())
			}
		}
	}
	return live
}

// named is the task as far as names go.
func (t taskRef) named() task.Spec {
	s := task.Spec{ID: t.sched.ID, Family: t.owner.def.Family, Revision: t.owner.def.Revision}
	if t.owner.service != nil {
		s.Service = t.owner.service.name
	}
	return s
}

// Retry looks again at everything that may be waiting for capacity.
func (c *Cluster) Retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cl := range c.clusters {
		for _, s := range cl.services {
			if s.sched != nil {
				s.sched.Retry()
				s.dirty = true
			}
		}
	}
	c.notify()
}

// noRoom are the failures of RunTask for tasks that find no place (API failure
// reasons, Developer Guide).
func (c *Cluster) noRoom(cl *clusterRecord, in *ecs.RunTaskInput, tasks int) []types.Failure {
	f := types.Failure{Arn: ptr(c.containerInstance(cl)), Reason: ptr("RESOURCE:MEMORY")}
	if onFargate(in.LaunchType, in.CapacityProviderStrategy) {
		f = types.Failure{Reason: ptr("Capacity is unavailable at this time. Please try again later or in a different availability zone")}
	}
	return slices.Repeat([]types.Failure{f}, tasks)
}

// roomToRun is how many of the tasks that RunTask asks for find a place.
func (c *Cluster) roomToRun(def *definition.Definition, want int) int {
	if c.cfg.Capacity == nil {
		return want
	}
	return c.cfg.Capacity.Room(task.Spec{Family: def.Family, Revision: def.Revision}, want, c.liveTasks)
}

// LoseHost ends a share, in percent, of the tasks that run on hosts of a kind, as
// if a host had gone, and returns their ids. The tasks of Fargate Spot get their
// stop signal first.
func (c *Cluster) LoseHost(kind string, share int) []string {
	ids, kill := c.loseHost(kind, share)
	for _, k := range kill {
		c.cfg.Runtime.Kill(k.task, k.container)
	}
	return ids
}

// victim is a container that ends with its host.
type victim struct{ task, container string }

func (c *Cluster) loseHost(kind string, share int) (ids []string, kill []victim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var on []taskRef
	for _, cl := range c.clusters {
		for _, t := range cl.allTasks() {
			if t.sched.Live() && t.host() == kind {
				on = append(on, t)
			}
		}
	}
	now := c.cfg.Now()
	for _, t := range on[:(len(on)*share+99)/100] {
		ids = append(ids, t.sched.ID)
		t.owner.touch()
		switch kind {
		case HostSpot:
			t.sched.Interrupted(now)
			continue
		case HostEC2:
			t.sched.LoseHost(scheduler.StopTermination, fmt.Sprintf("Host EC2 (instance i-%s) terminated.", c.instanceID(t.owner.cluster)[:17]), now)
		default:
			t.sched.LoseHost(scheduler.StopInfrastructure, scheduler.ReasonInfrastructure, now)
		}
		for _, k := range t.sched.Containers {
			kill = append(kill, victim{t.sched.ID, k.Name})
		}
	}
	c.notify()
	return ids, kill
}

// host is the kind of what a task runs on.
func (t taskRef) host() string {
	switch {
	case t.sched.Provider == fargateSpot:
		return HostSpot
	case fargate(t.owner):
		return HostFargate
	}
	return HostEC2
}
