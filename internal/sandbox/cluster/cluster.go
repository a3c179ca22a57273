package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Cluster is the control plane of one account in one region: all its clusters.
type Cluster struct {
	cfg  Config
	arns arns
	api  *awsjson.Service
	pace scheduler.Pace

	mu          sync.Mutex // guards all that follows
	clusters    map[string]*clusterRecord
	definitions *definition.Store
	specs       map[string]task.Spec // of tasks that are prepared and not yet run
	changed     chan struct{}        // closed and made anew after every step

	wake   chan struct{} // capacity 1: something happened
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}  // the loop has ended
	work   sync.WaitGroup // preparations under way
}

// New returns a control plane that runs until Close. It performs no I/O.
func New(cfg Config) *Cluster {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cluster{
		cfg:         cfg,
		arns:        arns{region: cfg.Region, account: cfg.Account},
		pace:        scheduler.PaceFor(cfg.Speed),
		clusters:    make(map[string]*clusterRecord),
		definitions: definition.NewStore(cfg.Account, cfg.Region),
		specs:       make(map[string]task.Spec),
		changed:     make(chan struct{}),
		wake:        make(chan struct{}, 1),
		ctx:         ctx,
		cancel:      cancel,
		done:        make(chan struct{}),
	}
	c.api = c.operations()
	go c.run()
	return c
}

// API is the ECS API of this control plane.
func (c *Cluster) API() *awsjson.Service { return c.api }

// Close stops scheduling and closes the runtime, which ends all tasks. It
// returns when nothing is left or ctx is done.
func (c *Cluster) Close(ctx context.Context) error {
	c.Stop()
	return c.cfg.Runtime.Close(ctx)
}

// Stop stops scheduling, for good. The runtime goes on.
func (c *Cluster) Stop() {
	c.cancel()
	<-c.done
	c.work.Wait()
}

// env is what a step at this moment may know.
func (c *Cluster) env() scheduler.Env {
	env := scheduler.Env{
		Now:          c.cfg.Now(),
		Pace:         c.pace,
		NewTaskID:    newTaskID,
		NewEventID:   awsjson.NewUUID,
		NewHookID:    newHookID,
		CrashesCount: !c.cfg.BreakerIgnoresCrashes,
	}
	if c.cfg.Alarms != nil {
		env.Alarm = c.cfg.Alarms.State
	}
	return env
}

// notify wakes the loop up. It may be called with and without the lock.
func (c *Cluster) notify() {
	select {
	case c.wake <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// run is the loop that carries out what the scheduler decides.
func (c *Cluster) run() {
	defer close(c.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		jobs, wait := c.step()
		c.cfg.Changed()
		for _, j := range jobs {
			c.perform(j)
		}
		timer.Stop()
		if wait >= 0 {
			timer.Reset(wait)
		}
		select {
		case <-c.wake:
		case <-timer.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// A job is an action of the scheduler with what is needed to take it, or
// something else that is to be done without the lock.
type job struct {
	scheduler.Action
	owner *owner
	do    func()
}

// step steps everything that is due. wait is the time until something is due
// by itself, negative when nothing is.
func (c *Cluster) step() (jobs []job, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	env := c.env()
	var next time.Time
	for _, cl := range c.clusters {
		for _, s := range cl.services {
			jobs = append(jobs, c.stepService(s, env)...)
			next = earlier(next, s.next)
		}
		jobs = append(jobs, cl.stepLoose(env)...)
		next = earlier(next, cl.nextLoose)
	}
	close(c.changed)
	c.changed = make(chan struct{})
	if next.IsZero() {
		return jobs, -1
	}
	return jobs, max(next.Sub(env.Now), 0)
}

func (c *Cluster) stepService(s *service, env scheduler.Env) []job {
	due := s.dirty || !s.next.IsZero() && !env.Now.Before(s.next)
	if !due || s.sched == nil {
		return nil
	}
	env.Room, env.Instance = c.roomFor(s), c.instanceID(s.cluster)
	env.Ports = c.portsFor(s)
	acts, next := s.sched.Step(env)
	s.dirty, s.next = false, next
	s.settle()
	var jobs []job
	for _, a := range acts {
		jobs = append(jobs, job{Action: a, owner: s.ownerOf(a.Task)})
	}
	return append(append(jobs, c.shifts(s)...), c.invocations(s, env)...)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// perform takes one action. Nothing in it waits for a container.
func (c *Cluster) perform(j job) {
	if j.do != nil {
		j.do()
		return
	}
	switch j.Kind {
	case scheduler.Prepare:
		c.work.Go(func() { c.prepare(j) })
	case scheduler.Run:
		c.mu.Lock()
		spec := c.specs[j.Task.ID]
		delete(c.specs, j.Task.ID)
		c.mu.Unlock()
		c.cfg.Runtime.Start(spec, c.listener(j))
	case scheduler.Register:
		c.enter(j, true)
	case scheduler.Deregister:
		c.enter(j, false)
	case scheduler.Stop:
		c.mu.Lock()
		delete(c.specs, j.Task.ID)
		c.mu.Unlock()
		c.cfg.Runtime.Stop(j.Task.ID)
	}
}

// listener returns what takes a task's events. Log lines go to the sink before
// anything that follows them is told.
func (c *Cluster) listener(j job) func(task.Event) {
	logs := logTargets(j.owner.def, j.Task.ID)
	return func(e task.Event) {
		if e.Kind == task.ContainerStarted {
			logs.started(e.Container, e.RuntimeID)
		}
		if e.Kind == task.LogLine {
			if t, ok := logs[e.Container]; ok {
				at := e.At
				if at.IsZero() {
					at = c.cfg.Now()
				}
				c.cfg.Logs.Append(t.group, t.stream, at, e.Line)
			}
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		j.Task.Apply(e, c.cfg.Now())
		j.owner.touch()
		c.notify()
	}
}
