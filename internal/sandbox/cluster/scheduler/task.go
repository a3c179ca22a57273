package scheduler

import (
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Status is the last known status of a task. The order is the order of a
// task's life (task lifecycle, Developer Guide).
type Status int

// The statuses of a task.
const (
	Provisioning Status = iota
	Pending
	Activating
	Running
	Deactivating
	Stopping
	Deprovisioning
	Stopped
)

var statusNames = [...]string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING",
	"DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"}

func (s Status) String() string { return statusNames[s] }

// Stop codes (TaskStopCode).
const (
	StopFailedToStart   = "TaskFailedToStart"
	StopEssentialExited = "EssentialContainerExited"
	StopUser            = "UserInitiated"
	StopScheduler       = "ServiceSchedulerInitiated"
	StopSpot            = "SpotInterruption"
	StopInfrastructure  = "InfrastructureHealth"
)

// Failure says in which way a task has failed its deployment.
type Failure int

// The ways to fail. Being stopped by the scheduler or a user is none.
const (
	NoFailure Failure = iota
	FailedToStart
	Crashed
	FailedHealth
)

// launch is how far a task is in the hands of whoever runs it.
type launch int

const (
	waiting   launch = iota // nobody was asked to start it
	preparing               // its images and settings are being resolved
	prepared                // it can be handed to the runtime
	launched                // the runtime has it
	gone                    // the runtime has nothing of it left
)

// A Template is what the tasks of one service revision have in common, as far
// as scheduling goes.
type Template struct {
	Fargate    bool // decides where error texts are put
	ENI        bool // network mode awsvpc: the task is provisioned first
	Providers  []Provider
	Containers []ContainerTemplate
	Targets    []TargetTemplate
}

// A ContainerTemplate is one container of a [Template].
type ContainerTemplate struct {
	Name      string
	Image     string // as in the task definition
	Essential bool
	Checked   bool // it has a health check
}

// A Container is a container of a [Task] with what is known of it.
type Container struct {
	ContainerTemplate
	Digest    string // of the image that was resolved
	Started   bool
	Exited    bool
	ExitCode  *int
	Reason    string
	Health    string // task.Healthy, Unhealthy or Unknown
	Address   string
	Ports     []task.Port
	RuntimeID string
	Restarts  int       // by its restart policy
	StartedAt time.Time // or restarted
	EndedAt   time.Time
}

// A Task is one task of a service, or by itself.
type Task struct {
	ID         string
	Deployment string // id of the deployment that started it; empty for a task by itself
	Fargate    bool
	ENI        bool
	Exec       bool   // started with ECS Exec
	Provider   string // capacity provider that placed it, if one did

	Status     Status
	StopCode   string
	StopReason string
	Containers []Container
	Targets    []Target

	Created, PullStarted, PullStopped, Started time.Time
	Stopping, ExecutionStopped, StoppedAt      time.Time
	HealthySince                               time.Time

	Version int64 // grows with every change

	launch                   launch
	stopSent                 bool
	restored                 bool      // see Deployment.Restored
	due                      time.Time // end of the status, where time ends it
	failure                  Failure   // set once, judged once
	judged                   bool
	sawRunning               bool // its reaching RUNNING has been judged
	sawHealthy               bool // its becoming healthy has been judged
	replaced                 bool // its successor has been announced
	lost                     bool // with its host: nobody knows how its containers ended
	registered, deregistered bool // the target groups were asked to

	startFailed string // reason, while the pull is still being repeated
	failedAt    string // container of startFailed
}

// NewTask returns a task that begins its life now.
func NewTask(id, deployment string, tpl Template, env Env) *Task {
	t := &Task{ID: id, Deployment: deployment, Fargate: tpl.Fargate, ENI: tpl.ENI, Created: env.Now, Version: 1}
	if t.due = env.Now; tpl.ENI {
		t.due = env.Now.Add(env.Pace.Provision)
	}
	for _, c := range tpl.Containers {
		t.Containers = append(t.Containers, Container{ContainerTemplate: c, Health: task.Unknown})
	}
	for _, g := range tpl.Targets {
		t.Targets = append(t.Targets, Target{TargetTemplate: g})
	}
	return t
}

// Live reports whether the task is meant to run.
func (t *Task) Live() bool { return t.Stopping.IsZero() }

// Desired is the task's desiredStatus.
func (t *Task) Desired() string {
	if t.Live() {
		return "RUNNING"
	}
	return "STOPPED"
}

// Failed reports whether the task has failed, its deployment or by itself.
func (t *Task) Failed() bool { return t.failure != NoFailure }

// Healthy reports whether the task counts towards the healthy percentage.
func (t *Task) Healthy() bool { return t.Live() && !t.HealthySince.IsZero() }

// Health is the task's healthStatus: that of its essential containers that
// have a health check.
func (t *Task) Health() string {
	status, checked := task.Healthy, false
	for _, c := range t.Containers {
		if !c.Essential || !c.Checked {
			continue
		}
		checked = true
		switch c.Health {
		case task.Unhealthy:
			return task.Unhealthy
		case task.Unknown:
			status = task.Unknown
		}
	}
	if !checked {
		return task.Unknown
	}
	return status
}

func (t *Task) hasChecks() bool {
	for _, c := range t.Containers {
		if c.Essential && c.Checked {
			return true
		}
	}
	return false
}

func (t *Task) container(name string) *Container {
	for i := range t.Containers {
		if t.Containers[i].Name == name {
			return &t.Containers[i]
		}
	}
	return nil
}

// stop begins the end of the task. A task is stopped for one reason only:
// the first.
func (t *Task) stop(code, reason string, now time.Time) {
	if !t.Live() {
		return
	}
	t.StopCode, t.StopReason = code, reason
	t.Stopping = now
	t.Version++
	t.startFailed = ""
	if t.Status == Running && code != StopEssentialExited {
		t.Status = Deactivating
		return
	}
	t.Status = Stopping
}
