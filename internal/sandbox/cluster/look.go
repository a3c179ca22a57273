package cluster

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// Summary is a cluster at a glance.
type Summary struct {
	Name     string
	Services []ServiceSummary // by name
	Loose    int              // tasks that RunTask started
}

// ServiceSummary is a service at a glance.
type ServiceSummary struct {
	Name, Status              string
	Revision, Rollout         string // of the PRIMARY deployment: family:revision and state
	Current                   string // status of the latest service deployment
	Desired, Running, Pending int
	Failed, Threshold         int // a threshold of 0: the circuit breaker is off
	Strategy                  string
	Tasks                     []TaskSummary // those that are meant to run, oldest first
}

// TaskSummary is a task at a glance.
type TaskSummary struct {
	Revision, Status, Health string
	Checked                  bool // a container has a health check
}

// Look tells of all clusters at a glance. It holds the lock for one cluster's
// services in turn, never for all.
func (c *Cluster) Look() []Summary {
	var all []Summary
	for _, name := range c.names() {
		if s, ok := c.summarize(name); ok {
			all = append(all, s)
		}
	}
	return all
}

func (c *Cluster) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.clusters))
}

func (c *Cluster) summarize(name string) (Summary, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.clusters[name]
	if cl == nil {
		return Summary{}, false
	}
	s := Summary{Name: name, Loose: len(cl.loose)}
	for _, svc := range cl.sortedServices() {
		if svc.status != "INACTIVE" {
			s.Services = append(s.Services, svc.glance())
		}
	}
	return s, true
}

func (s *service) glance() ServiceSummary {
	g := ServiceSummary{Name: s.name, Status: s.status, Desired: int(deref(s.settings.DesiredCount)), Strategy: string(strategyOf(s.settings.DeploymentConfiguration))}
	if r := s.current(); r != nil {
		g.Revision = r.def.Name()
	}
	if s.sched == nil {
		return g
	}
	n := s.sched.Count("")
	g.Running, g.Pending = n.Running, n.Pending
	if p := s.sched.Primary(); p != nil {
		g.Rollout, g.Failed = string(p.Rollout), p.FailedTasks
	}
	if s.sched.Breaker.Enable {
		g.Threshold = s.sched.Breaker.Threshold(s.sched.Desired)
	}
	if sd := s.sched.Current(); sd != nil {
		g.Current = sd.Status
	}
	for _, t := range s.sched.Tasks {
		if !t.Live() {
			continue
		}
		task := TaskSummary{Status: t.Status.String(), Health: t.Health(), Checked: slices.ContainsFunc(t.Containers, func(k scheduler.Container) bool { return k.Checked })}
		if r := s.byDeploy[t.Deployment]; r != nil {
			task.Revision = r.def.Name()
		}
		g.Tasks = append(g.Tasks, task)
	}
	return g
}

func strategyOf(c *types.DeploymentConfiguration) types.DeploymentStrategy {
	if c == nil {
		return types.DeploymentStrategyRolling
	}
	return cmp.Or(c.Strategy, types.DeploymentStrategyRolling)
}

// Inspection is a service, or the loose tasks of a cluster, as the API tells it and
// with what it does not. It points into the cluster's state.
type Inspection struct {
	Service     types.Service
	Deployments []types.ServiceDeployment        // the latest, oldest first
	Revisions   map[string]types.ServiceRevision // those that the others name, by ARN
	Tasks       []TaskInspection                 // the latest, newest first
	More        int                              // tasks that are not among them
}

// TaskInspection is a task with what the API does not tell.
type TaskInspection struct {
	types.Task
	Failed     bool
	Containers []ContainerInspection // as in Task.Containers
}

// ContainerInspection is where a container is reached, and where its lines go.
type ContainerInspection struct {
	scheduler.Container
	LogGroup, LogStream string // empty with another log driver than awslogs
}

// Bounds of an inspection.
const (
	inspectedDeployments = 10
	inspectedTasks       = 30 // that are meant to run, and as many that have stopped
)

// Inspect hands a service to f, under the cluster's lock: f takes what it wants and
// returns soon. An empty service stands for the loose tasks of the cluster. It
// reports whether there is such a service.
func (c *Cluster) Inspect(cluster, name string, f func(Inspection)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.clusters[cluster]
	if cl == nil {
		return false
	}
	if name == "" {
		i := Inspection{}
		var loose []taskRef
		for _, t := range cl.loose {
			loose = append(loose, taskRef{t.sched, &owner{cluster: cl, def: t.def, loose: t}})
		}
		slices.SortFunc(loose, func(a, b taskRef) int {
			return cmp.Or(a.sched.Created.Compare(b.sched.Created), cmp.Compare(a.sched.ID, b.sched.ID))
		})
		i.Tasks, i.More = c.inspectTasks(loose)
		f(i)
		return true
	}
	s := cl.services[name]
	if s == nil {
		return false
	}
	f(c.inspect(s))
	return true
}

func (c *Cluster) inspect(s *service) Inspection {
	i := Inspection{Service: c.view(s, false), Revisions: make(map[string]types.ServiceRevision)}
	all := s.serviceDeployments()
	for _, sd := range all[max(len(all)-inspectedDeployments, 0):] {
		v := c.viewServiceDeployment(&deploymentRef{s, sd})
		i.Deployments = append(i.Deployments, v)
		c.collect(i.Revisions, s, sd.Target)
		for _, source := range sd.Sources {
			c.collect(i.Revisions, s, source)
		}
		if sd.Rollback != nil {
			c.collect(i.Revisions, s, sd.Rollback.Revision)
		}
	}
	for _, r := range i.Service.CurrentServiceRevisions {
		c.collect(i.Revisions, s, deref(r.Arn))
	}
	i.Tasks, i.More = c.inspectTasks(s.tasks())
	return i
}

func (c *Cluster) collect(into map[string]types.ServiceRevision, s *service, arn string) {
	if r := s.revisions[arn]; r != nil {
		into[arn] = s.viewRevision(r)
	}
}

// inspectTasks takes the newest tasks of a list that begins with the oldest.
func (c *Cluster) inspectTasks(list []taskRef) (inspected []TaskInspection, more int) {
	var live, stopped int
	for _, t := range slices.Backward(list) {
		n := &live
		if !t.sched.Live() {
			n = &stopped
		}
		if *n == inspectedTasks {
			more++
			continue
		}
		*n++
		v := TaskInspection{Task: c.viewTask(t, false), Failed: t.sched.Failed()}
		logs := logTargets(t.owner.def, t.sched.ID)
		for _, k := range t.sched.Containers {
			v.Containers = append(v.Containers, ContainerInspection{k, logs[k.Name].group, logs[k.Name].stream})
		}
		inspected = append(inspected, v)
	}
	return inspected, more
}

// Target names a task's place in a target group.
type Target struct {
	Group string // ARN
	ID    string
	Port  int
}

// Targets tells which revision, family:number, runs at a place in a target group,
// or was the last to. Nothing is told without target groups.
func (c *Cluster) Targets() map[Target]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	places := make(map[Target]string)
	for _, cl := range c.clusters {
		for _, s := range cl.services {
			for _, t := range s.tasks() { // oldest first
				for _, g := range t.sched.Targets {
					p := c.placeOf(t.owner, t.sched, g.TargetTemplate)
					places[Target{p.group, p.id, p.port}] = t.owner.def.Name()
				}
			}
		}
	}
	return places
}
