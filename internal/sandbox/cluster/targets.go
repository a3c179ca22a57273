package cluster

import (
	"net"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// targets are the places in target groups that the tasks of a revision have.
func (r *revision) targets() []scheduler.TargetTemplate {
	var list []scheduler.TargetTemplate
	for i, lb := range r.input.LoadBalancers {
		if i < len(r.groups) && r.groups[i] != "" {
			list = append(list, scheduler.TargetTemplate{
				Group: r.groups[i], Container: deref(lb.ContainerName), Port: int(deref(lb.ContainerPort)),
			})
		}
	}
	return list
}

// place is a task's place in a target group.
type place struct {
	group, id string
	port      int
	reach     map[int]string // host:port by port
}

// placeOf says under which address and port a task is in a target group, and
// where that can be reached: the task's own address and the container's port, or
// the container instance and the port of the host.
func (c *Cluster) placeOf(o *owner, t *scheduler.Task, g scheduler.TargetTemplate) place {
	p := place{group: g.Group, port: g.Port, reach: make(map[int]string)}
	instance := c.cfg.Balancer.TargetType(g.Group) == instanceTargets
	for _, k := range t.Containers {
		if p.id == "" {
			p.id = k.Address // they share one
		}
		for _, port := range k.Ports {
			if port.HostPort == 0 {
				continue
			}
			key := port.ContainerPort
			if instance {
				key = port.HostPort
			}
			if k.Name == g.Container && port.ContainerPort == g.Port {
				p.port = key
			}
			p.reach[key] = net.JoinHostPort(port.HostIP, strconv.Itoa(port.HostPort))
		}
	}
	if instance {
		p.id = c.instanceID(o.cluster)
	}
	return p
}

// instanceTargets is the type of a target group whose targets are container
// instances.
const instanceTargets = "instance"

// enter registers a task in its target groups, or begins to drain it, and tells
// the scheduler what became of that.
func (c *Cluster) enter(j job, in bool) {
	for _, g := range j.Task.Targets {
		c.mu.Lock()
		p := c.placeOf(j.owner, j.Task, g.TargetTemplate)
		c.mu.Unlock()
		text, err := "", error(nil)
		if in {
			err = c.cfg.Balancer.Register(p.group, p.id, p.port, p.reach)
		} else {
			err = c.cfg.Balancer.Deregister(p.group, p.id, p.port)
		}
		if err != nil {
			text = err.Error()
		}
		c.mu.Lock()
		if in {
			j.Task.Registered(g.Group, text)
		} else {
			j.Task.Deregistered(g.Group, text)
		}
		c.readTarget(j.owner, j.Task, g.TargetTemplate)
		j.owner.touch()
		c.mu.Unlock()
	}
	c.notify()
}

// readTarget tells the scheduler what a target group says of a task.
func (c *Cluster) readTarget(o *owner, t *scheduler.Task, g scheduler.TargetTemplate) {
	p := c.placeOf(o, t, g)
	state, why := c.cfg.Balancer.Target(p.group, p.id, p.port)
	t.TargetHealth(g.Group, state, why)
}

// TargetsChanged looks again at what a target group says of the tasks in it.
func (c *Cluster) TargetsChanged(group string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cl := range c.clusters {
		for _, s := range cl.services {
			for _, t := range s.tasks() {
				for _, g := range t.sched.Targets {
					if g.Group == group && g.State != "" && t.sched.Status < scheduler.Deprovisioning {
						c.readTarget(t.owner, t.sched, g.TargetTemplate)
						s.dirty = true
					}
				}
			}
		}
	}
	c.notify()
}

// checkTargets refuses target groups that tasks of the definition cannot be in.
func (c *Cluster) checkTargets(def *definition.Definition, in *ecs.CreateServiceInput) error {
	if c.cfg.Balancer == nil {
		return nil
	}
	for _, lb := range in.LoadBalancers {
		arn := deref(lb.TargetGroupArn)
		if arn == "" {
			continue // a Classic Load Balancer, which is stored and not carried out
		}
		kind := c.cfg.Balancer.TargetType(arn)
		switch mode := def.NetworkMode(); {
		case kind == "":
			return invalid("The target group with targetGroupArn %s does not exist.", arn)
		case !c.cfg.Balancer.Balanced(arn):
			return invalid("The target group with targetGroupArn %s does not have an associated load balancer.", arn)
		case mode == types.NetworkModeAwsvpc && kind == instanceTargets:
			return invalid("The provided target group %s has target type instance, which is incompatible with the awsvpc network mode specified in the task definition.", arn)
		case mode != types.NetworkModeAwsvpc && kind != instanceTargets:
			return invalid("The provided target group %s has target type ip, which is incompatible with the %s network mode specified in the task definition.", arn, mode)
		}
		if a := lb.AdvancedConfiguration; a != nil && c.cfg.Balancer.TargetType(deref(a.AlternateTargetGroupArn)) == "" {
			return invalid("The target group with targetGroupArn %s does not exist.", deref(a.AlternateTargetGroupArn))
		}
	}
	return nil
}
