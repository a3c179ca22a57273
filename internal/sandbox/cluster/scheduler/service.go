package scheduler

import (
	"slices"
	"time"
)

// Env is what a step may know of the world outside its state.
type Env struct {
	Now  time.Time
	Pace Pace

	// NewTaskID makes the id of a task, NewEventID that of a service event.
	NewTaskID  func() string
	NewEventID func() string

	// NewHookID makes the id of a hook of that type.
	NewHookID func(hookType string) string

	// Alarm reads the state of a CloudWatch alarm; ok is false when there is
	// none of that name. nil: there are no alarms.
	Alarm func(name string) (state string, ok bool)

	// Room is for how many of that many new tasks of the service there is
	// capacity; nil: for all.
	Room func(tasks int) int
	// Ports says whether the host ports that a task of the service wants are free;
	// nil: it wants none of its own.
	Ports func() Ports
	// Instance is the id of the cluster's container instance.
	Instance string

	// CrashesCount says that a task which crashes after it reached RUNNING
	// counts as failed. AWS documents that it does not; services have been
	// seen to do so.
	CrashesCount bool
}

// A Service is the state of one service under the ECS deployment controller.
type Service struct {
	Name     string
	Desired  int
	Limits   Limits
	Grace    time.Duration // healthCheckGracePeriodSeconds
	Breaker  Breaker
	Plan     Plan
	Exec     bool // new tasks have ECS Exec
	Draining bool // deleted: everything is stopped and nothing started

	// Deployments begins with the PRIMARY one; the others are ACTIVE.
	Deployments []*Deployment

	// LastCompleted is what a failed deployment is rolled back to: the most
	// recent deployment in the state COMPLETED, whether it still has tasks or
	// not. While a rollback to it goes on there is none.
	LastCompleted *Deployment

	// Served is the deployment that was completed last, also while it is
	// being rolled back to; see [Service.Serving].
	Served *Deployment

	// ServiceDeployments are told about for 90 days; oldest first.
	ServiceDeployments []*ServiceDeployment

	Tasks  []*Task // those that stopped within [Retention] included; oldest first
	Events []Event // oldest first, at most 100

	steady   bool      // the steady state has been announced
	steadyAt time.Time // when; it is told again from time to time
}

// RolloutState is the state of a deployment (DeploymentRolloutState).
type RolloutState string

// The rollout states.
const (
	InProgress RolloutState = "IN_PROGRESS"
	Completed  RolloutState = "COMPLETED"
	Failed     RolloutState = "FAILED"
)

// A Deployment is one of a service's deployments: a service revision that it
// runs, or did.
type Deployment struct {
	ID       string // ecs-svc/…
	Revision string // ARN of the service revision
	Template Template

	Rollout          RolloutState
	Reason           string
	Created, Updated time.Time
	FailedTasks      int

	// Restored says that the deployment is a record of the past whose tasks
	// have to be there now: until it is steady for the first time, they are
	// neither provisioned nor waited for.
	Restored bool

	holds    []time.Time // places of crashed tasks, and when each may be taken again
	throttle throttle
	blocked  bool // that the limits allow no progress has been announced

	short   bool      // that there is no capacity has been announced
	nextTry time.Time // when a task that finds none counts as failed again
}

// throttle slows down a deployment whose tasks do not reach RUNNING.
type throttle struct {
	round int       // rounds of failures in a row
	since time.Time // tasks created before belong to the last round
	until time.Time // no task is started before
}

// An Event is a service event.
type Event struct {
	ID      string
	At      time.Time
	Message string
}

// keptEvents is how many service events DescribeServices returns.
const keptEvents = 100

// Primary is the deployment that the service is to run, or nil.
func (s *Service) Primary() *Deployment {
	if len(s.Deployments) == 0 {
		return nil
	}
	return s.Deployments[0]
}

// Status is a deployment's status: PRIMARY or ACTIVE, and INACTIVE when the
// service does not list it any more.
func (s *Service) Status(d *Deployment) string {
	switch i := slices.Index(s.Deployments, d); {
	case i == 0:
		return "PRIMARY"
	case i > 0:
		return "ACTIVE"
	}
	return "INACTIVE"
}

// Counts are the numbers that DescribeServices shows of a deployment or, with
// an empty id, of the service.
type Counts struct{ Desired, Pending, Running int }

// Count counts the tasks of a deployment, or of all.
func (s *Service) Count(deployment string) Counts {
	var c Counts
	live := 0
	for _, t := range s.Tasks {
		if deployment != "" && t.Deployment != deployment || !t.Live() {
			continue
		}
		live++
		if t.Status == Running {
			c.Running++
		} else {
			c.Pending++
		}
	}
	c.Desired = s.Desired
	if p := s.Primary(); deployment != "" && (p == nil || p.ID != deployment) {
		c.Desired = live
	}
	if p := s.Primary(); p != nil && p.ID == deployment && p.Rollout == Failed {
		c.Desired = live // a FAILED deployment does not start tasks any more
	}
	return c
}

// Steady reports whether the service runs what it should and nothing else.
func (s *Service) Steady() bool {
	p := s.Primary()
	return p != nil && len(s.Deployments) == 1 && p.Rollout == Completed &&
		s.live(p) == s.Desired && s.healthy(p) == s.Desired
}

// Task returns the task with that id, or nil.
func (s *Service) Task(id string) *Task {
	for _, t := range s.Tasks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

func (s *Service) deployment(id string) *Deployment {
	for _, d := range s.Deployments {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// live counts the tasks of a deployment (nil: of all) that are meant to run.
func (s *Service) live(d *Deployment) int {
	return s.count(d, (*Task).Live)
}

func (s *Service) healthy(d *Deployment) int {
	return s.count(d, (*Task).Healthy)
}

func (s *Service) count(d *Deployment, what func(*Task) bool) int {
	n := 0
	for _, t := range s.Tasks {
		if (d == nil || t.Deployment == d.ID) && what(t) {
			n++
		}
	}
	return n
}

// say adds a service event.
func (s *Service) say(env Env, message string) {
	s.announce(env, "(service "+s.Name+") "+message)
}

// announce adds a service event that names the service in its own way.
func (s *Service) announce(env Env, message string) {
	s.Events = append(s.Events, Event{ID: env.NewEventID(), At: env.Now, Message: message})
	if n := len(s.Events) - keptEvents; n > 0 {
		s.Events = slices.Delete(s.Events, 0, n)
	}
}
