// Package task is the seam between the sandbox's ECS control plane and
// whatever runs its tasks: [Spec] says what to run, [Runtime] runs it, and
// [Event] says what became of it.
//
// The control plane (package cluster) decides; a runtime only obeys and
// reports. It does not know services, deployments or restarts, and it does
// not end a task because an essential container left: the control plane
// does that by calling Stop. Package scripted holds an in-memory runtime for
// tests; package dockerruntime runs real containers.
package task

import (
	"context"
	"fmt"
	"time"
)

// Runtime runs tasks. Its methods may be called from several goroutines at
// once and must not block on a container.
type Runtime interface {
	// Start begins to run spec and returns at once. Everything that happens
	// is told by calling events, in order and from one goroutine for each
	// task. The last event of every started task is Ended, also when the
	// task never ran or the runtime is being closed.
	//
	// Start of a task id that is running already is a mistake of the caller;
	// a runtime may answer it with StartFailed and Ended.
	Start(spec Spec, events func(Event))

	// Stop ends a task: every container that runs gets its stop signal and,
	// StopTimeout later, SIGKILL; a pull in progress is given up and a
	// container that has not started yet will not start. It returns at once;
	// the exits arrive as events. A task that is unknown or already stopping
	// is left as it is.
	Stop(taskID string)

	// Kill ends one container of a task by SIGKILL, as if it had died by
	// itself: its exit arrives as an event, and nobody else is stopped. It
	// may wait until the container has been told. A container that does not
	// run is left as it is.
	Kill(taskID, container string)

	// Close ends all tasks, waits until they have ended or ctx is done, and
	// leaves nothing behind. No event is sent after it returned nil.
	Close(ctx context.Context) error
}

// A Spec is one task to run: a task definition with everything resolved that
// the control plane resolves (image digests, secrets, log settings).
type Spec struct {
	ARN      string // full task ARN
	ID       string // last part of ARN; unique in the sandbox
	Family   string
	Revision int
	Cluster  string // the cluster's name
	Service  string // the service's name, empty for a task that was run by itself
	Group    string // "service:NAME" or "family:NAME"

	NetworkMode string // awsvpc, bridge, host or none; never empty
	CPUUnits    int    // 1024 are one CPU; 0 is no limit
	MemoryMiB   int    // for all containers together; 0 is no limit

	// Isolated says that nothing in the task may reach a network outside the
	// task: it is a rehearsal of somebody's real configuration.
	Isolated bool

	Containers []Container // in the order of the task definition
}

// Definition is the task definition's family and revision: "web:3".
func (s Spec) Definition() string { return fmt.Sprintf("%s:%d", s.Family, s.Revision) }

// A Container is one container of a task.
type Container struct {
	Name  string
	Image string // what to pull, pinned by digest where one was resolved

	// Essential is for the record; see [Runtime] on who acts on it.
	Essential bool

	EntryPoint []string // nil: the image's own
	Command    []string // nil: the image's own, unless EntryPoint is set
	Env        []string // NAME=value
	User       string
	WorkingDir string
	Hostname   string

	CPUUnits             int // relative weight; 0 is the engine's default
	MemoryMiB            int // hard limit; 0 is none but the task's
	MemoryReservationMiB int

	ReadonlyRoot bool
	Init         bool
	StopSignal   string        // empty: the image's own
	StopTimeout  time.Duration // from stop signal to SIGKILL; never 0

	// Health is the container health check. With nil there is none: ECS
	// ignores the HEALTHCHECK of an image.
	Health *Health

	Ports     []Port
	DependsOn []Dependency
	PullAuth  *PullAuth // nil: pull without credentials
}

// Health is a container health check. The control plane has divided Interval
// by the sandbox's speed; the other times are real.
type Health struct {
	Test        []string // CMD or CMD-SHELL and its arguments
	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration
	Retries     int
}

// A Port is a port of a container and, in an event, where it can be reached.
type Port struct {
	ContainerPort int
	HostPort      int    // 0 in a Spec: any free one
	HostIP        string // only in events
	Protocol      string // tcp or udp
}

// Dependency conditions of a task definition.
const (
	DependStart    = "START"
	DependComplete = "COMPLETE"
	DependSuccess  = "SUCCESS"
	DependHealthy  = "HEALTHY"
)

// A Dependency holds a container back until another one is so far. A
// dependency that can no longer be met fails the start of the task.
type Dependency struct {
	Container string
	Condition string // one of the Depend constants
}

// PullAuth is what the registry wants to see before it hands an image out.
type PullAuth struct {
	Username, Password string
	Server             string // host:port
}
