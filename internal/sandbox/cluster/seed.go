package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// RevisionSeed is a revision of a task definition on record.
type RevisionSeed struct {
	Family   string
	Revision int             // above the family's earlier ones; gaps are fine
	Members  json.RawMessage // RegisterTaskDefinition's request without family and tags
	Tags     []types.Tag

	RegisteredAt time.Time
	Inactive     bool
}

// ServiceSeed is a service with its past.
type ServiceSeed struct {
	Create    ecs.CreateServiceInput // TaskDefinition is not looked at
	CreatedAt time.Time

	// Deployments are oldest first. The newest one that was SUCCESSFUL serves:
	// its tasks are started for real. After it, only the last one can be
	// IN_PROGRESS: it is deployed for real, over the one that serves.
	Deployments []DeploymentSeed
}

// DeploymentSeed is one deployment on record.
type DeploymentSeed struct {
	TaskDefinition string // family:revision or ARN, also of an INACTIVE one
	Outcome        string // a ServiceDeploymentStatus: SUCCESSFUL, STOPPED, ROLLBACK_SUCCESSFUL, ROLLBACK_FAILED or IN_PROGRESS
	Reason         string // statusReason
	CreatedAt      time.Time
	FinishedAt     time.Time
	Digests        map[string]string // resolved then, by container
	FailedTasks    int
	Events         []string   // service events of that time, oldest first
	Stopped        []TaskSeed // tasks that ended; forgotten an hour after
}

// TaskSeed is a task that ended.
type TaskSeed struct {
	StoppedAt     time.Time
	StopCode      string
	StoppedReason string
	Container     string // the one that the next members are about; empty: the first
	ExitCode      *int
	Reason        string
	Logs          []string
}

// SeedCluster makes a cluster, if it is not there.
func (c *Cluster) SeedCluster(name string, tags []types.Tag) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clusters[name] == nil {
		c.addCluster(name, tags)
	}
}

// SeedRevision writes down a revision under its own number.
func (c *Cluster) SeedRevision(r RevisionSeed) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := definition.Body(r.Family, r.Members)
	if err != nil {
		return fmt.Errorf("seed task definition %s:%d: %w", r.Family, r.Revision, err)
	}
	d, err := c.definitions.Put(body, r.Revision, r.RegisteredAt)
	if err != nil {
		return fmt.Errorf("seed task definition %s:%d: %w", r.Family, r.Revision, err)
	}
	d.Tags = r.Tags
	if r.Inactive {
		c.definitions.Deregister(d, r.RegisteredAt)
	}
	return nil
}

// SeedService writes down a service and its past, starts what serves, and
// returns when that is steady; then it begins the deployment that is in
// progress, if there is one. It fails when a task that should serve does.
func (c *Cluster) SeedService(ctx context.Context, seed ServiceSeed) error {
	began := c.cfg.Now()
	s, err := c.recordService(&seed)
	if err != nil {
		return fmt.Errorf("seed service %s: %w", deref(seed.Create.ServiceName), err)
	}
	c.notify()
	if err := c.awaitSteady(ctx, s, began); err != nil {
		return fmt.Errorf("seed service %s: %w", s.name, err)
	}
	if n := len(seed.Deployments); n > 0 && seed.Deployments[n-1].Outcome == scheduler.SDInProgress {
		c.deploySeed(s, seed.Deployments[n-1], seed.Create)
	}
	return nil
}

// recordService writes a service and its past deployments down.
func (c *Cluster) recordService(seed *ServiceSeed) (*service, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(deref(seed.Create.Cluster))
	if err != nil {
		return nil, err
	}
	if cl.services[deref(seed.Create.ServiceName)] != nil {
		return nil, errors.New("it is there already")
	}
	if err := c.checkSeed(seed); err != nil {
		return nil, err
	}
	s := c.addService(cl, &seed.Create, seed.CreatedAt)
	if s.sched == nil {
		if n := len(seed.Deployments); n > 0 {
			d := seed.Deployments[n-1]
			r := s.newRevision(c.definitions.Get(d.TaskDefinition), seed.Create, d.CreatedAt)
			s.revisions[r.arn] = r
		}
		return s, nil
	}
	for _, d := range seed.Deployments {
		if d.Outcome != scheduler.SDInProgress {
			c.recordDeployment(s, d, seed.Create)
		}
	}
	return s, nil
}

func (c *Cluster) checkSeed(seed *ServiceSeed) error {
	if !nameForm.MatchString(deref(seed.Create.ServiceName)) {
		return errors.New("its name must consist of letters, numbers, underscores and hyphens")
	}
	setDefaults(&seed.Create)
	if err := checkCount(seed.Create.DesiredCount); err != nil {
		return err
	}
	if err := checkConfiguration(seed.Create.DeploymentConfiguration); err != nil {
		return err
	}
	if err := checkStrategy(&seed.Create); err != nil {
		return err
	}
	for i, d := range seed.Deployments {
		def := c.definitions.Get(d.TaskDefinition)
		if def == nil {
			return fmt.Errorf("deployment %d: there is no task definition %s", i+1, d.TaskDefinition)
		}
		if err := checkPlacement(def, &seed.Create); err != nil {
			return fmt.Errorf("deployment %d: %w", i+1, err)
		}
		outcomes := []string{scheduler.SDSuccessful, scheduler.SDStopped, scheduler.SDRollbackSuccessful, scheduler.SDRollbackFailed}
		if last := i == len(seed.Deployments)-1; !slices.Contains(outcomes, d.Outcome) && !(last && d.Outcome == scheduler.SDInProgress) {
			return fmt.Errorf("deployment %d: outcome %q is not possible here", i+1, d.Outcome)
		}
	}
	return nil
}

// recordDeployment writes one deployment down. A successful one is, until the
// next one is written, the one that serves.
func (c *Cluster) recordDeployment(s *service, seed DeploymentSeed, in ecs.CreateServiceInput) {
	r := s.newRevision(c.definitions.Get(seed.TaskDefinition), in, seed.CreatedAt)
	maps.Copy(r.digests, seed.Digests)
	s.revisions[r.arn] = r
	r.groups = s.groupsBeside(r, nil) // what serves now is in the first of its groups
	d := s.newDeployment(r)
	d.Created, d.Updated, d.FailedTasks = seed.CreatedAt, seed.FinishedAt, seed.FailedTasks
	sd := &scheduler.ServiceDeployment{
		ID: newServiceDeploymentID(), Deployment: d.ID, Target: r.arn, Status: seed.Outcome, StatusReason: seed.Reason,
		Created: seed.CreatedAt, Started: seed.CreatedAt, Finished: seed.FinishedAt, Updated: seed.FinishedAt,
		Failures: seed.FailedTasks, Threshold: s.sched.Breaker.Threshold(s.sched.Desired),
		Final: scheduler.Counts{Desired: s.sched.Desired},
	}
	served := s.sched.Primary()
	if served != nil {
		sd.Sources = []string{served.Revision}
	}
	switch seed.Outcome {
	case scheduler.SDSuccessful:
		d.Restored = true
		d.Rollout, d.Reason = scheduler.Completed, "ECS deployment "+d.ID+" completed."
		s.sched.Deployments, s.sched.LastCompleted = []*scheduler.Deployment{d}, d
		sd.Final.Running = s.sched.Desired
	case scheduler.SDStopped:
		sd.StoppedAt = seed.FinishedAt
	case scheduler.SDRollbackSuccessful:
		if served != nil {
			sd.Rollback = &scheduler.Rollback{Revision: served.Revision, Reason: seed.Reason, Started: seed.FinishedAt}
		}
	}
	s.sched.ServiceDeployments = append(s.sched.ServiceDeployments, sd)
	s.keep(sd)
	c.recordTrail(s, d, r, seed)
}

// recordTrail writes a deployment's events and stopped tasks down.
func (c *Cluster) recordTrail(s *service, d *scheduler.Deployment, r *revision, seed DeploymentSeed) {
	for _, text := range seed.Events {
		if !strings.HasPrefix(text, "(service ") {
			text = "(service " + s.name + ") " + text
		}
		s.sched.Events = append(s.sched.Events, scheduler.Event{ID: awsjson.NewUUID(), At: seed.CreatedAt, Message: text})
	}
	env := c.env()
	for _, ended := range seed.Stopped {
		env.Now = ended.StoppedAt
		t := scheduler.NewTask(newTaskID(), d.ID, d.Template, env)
		container := ended.record(t)
		logs := logTargets(r.def, t.ID)
		if to, ok := logs[container]; ok {
			for _, line := range ended.Logs {
				c.cfg.Logs.Append(to.group, to.stream, ended.StoppedAt, line)
			}
		}
		s.sched.Tasks = append(s.sched.Tasks, t)
	}
}

// record makes t a task that ended so, and returns the container's name.
func (seed TaskSeed) record(t *scheduler.Task) string {
	at := seed.StoppedAt
	t.Status, t.StopCode, t.StopReason = scheduler.Stopped, seed.StopCode, seed.StoppedReason
	t.Stopping, t.ExecutionStopped, t.StoppedAt = at, at, at
	if seed.StopCode != scheduler.StopFailedToStart {
		t.PullStarted, t.PullStopped, t.Started = at, at, at
	}
	for i := range t.Containers {
		k := &t.Containers[i]
		k.Exited = true
		if k.Name == seed.Container || seed.Container == "" && i == 0 {
			k.Started, k.ExitCode, k.Reason = seed.ExitCode != nil, seed.ExitCode, seed.Reason
			seed.Container = k.Name
		}
	}
	return seed.Container
}

// deploySeed begins a deployment that the seed calls in progress.
func (c *Cluster) deploySeed(s *service, seed DeploymentSeed, in ecs.CreateServiceInput) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := s.newRevision(c.definitions.Get(seed.TaskDefinition), in, seed.CreatedAt)
	maps.Copy(r.digests, seed.Digests)
	d := s.deploy(r, c.env())
	d.Created, d.FailedTasks = seed.CreatedAt, seed.FailedTasks
	s.sched.Current().Created = seed.CreatedAt
	c.recordTrail(s, d, r, seed)
	c.notify()
}

// awaitSteady waits until a seeded service serves. A service of which nothing
// was successful has nothing to wait for.
func (c *Cluster) awaitSteady(ctx context.Context, s *service, began time.Time) error {
	return c.await(ctx, func() (bool, error) {
		if s.sched == nil || s.sched.Primary() == nil {
			return true, nil
		}
		return s.sched.Steady(), s.firstFailure(began)
	})
}

// await waits until done, which is asked under the lock after every step, says so
// or fails.
func (c *Cluster) await(ctx context.Context, done func() (bool, error)) error {
	for {
		c.mu.Lock()
		changed := c.changed
		yes, err := done()
		c.mu.Unlock()
		if yes || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for its tasks: %w", context.Cause(ctx))
		case <-c.ctx.Done():
			return errors.New("wait for its tasks: the sandbox is closing")
		}
	}
}

// firstFailure says why a task of the PRIMARY deployment that was started since
// then has failed, if one has.
func (s *service) firstFailure(since time.Time) error {
	p := s.sched.Primary()
	for _, t := range s.sched.Tasks {
		if t.Deployment != p.ID || t.Created.Before(since) || t.Live() || t.StopCode == scheduler.StopScheduler || t.StopCode == scheduler.StopUser {
			continue
		}
		reason := t.StopReason
		for _, k := range t.Containers {
			if k.ExitCode != nil {
				reason += fmt.Sprintf(" (container %s, exit code %d)", k.Name, *k.ExitCode)
			}
			if k.Reason != "" {
				reason += fmt.Sprintf(" (container %s: %s)", k.Name, k.Reason)
			}
		}
		return fmt.Errorf("task %s failed: %s", t.ID, reason)
	}
	return nil
}
