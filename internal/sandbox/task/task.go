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

	// Volumes are what the containers' Mounts name.
	Volumes []Volume

	// Metadata answers a GET that a container makes to the task metadata
	// endpoint, whose address is in its environment: see [MetadataHost]. stats
	// gives the runtime's statistics of a container, as JSON of Docker's API.
	// Nil: there is no endpoint.
	Metadata func(path string, stats func(container string) ([]byte, error)) (status int, body []byte)

	Containers []Container // in the order of the task definition
}

// Definition is the task definition's family and revision: "web:3".
func (s Spec) Definition() string { return fmt.Sprintf("%s:%d", s.Family, s.Revision) }

// MetadataHost is where a container finds the task metadata endpoint, in the
// task's own network namespace. It is not AWS's 169.254.170.2: an address of the
// loopback interface needs no privilege. Clients know it by
// ECS_CONTAINER_METADATA_URI_V4 only.
const MetadataHost = "127.0.170.2:51679"

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

	// StartTimeout is how long those that depend on the container wait for it
	// to be so far, from its start; 0: without end.
	StartTimeout time.Duration

	// Restart is the container's restart policy, nil when it has none.
	Restart *Restart

	Ports       []Port
	DependsOn   []Dependency
	Mounts      []Mount
	VolumesFrom []VolumesFrom
	PullAuth    *PullAuth // nil: pull without credentials

	Linux
}

// Linux is what a container definition says of the kernel's side of a container.
type Linux struct {
	CapAdd, CapDrop []string
	Ulimits         []Ulimit
	Sysctls         map[string]string
	SharedMemoryMiB int // of /dev/shm; 0 is the engine's default
	Tmpfs           []Tmpfs
	SecurityOptions []string
	Labels          map[string]string
	TTY             bool // pseudoTerminal
	OpenStdin       bool // interactive

	// Of the network namespace, which the containers of a task share.
	ExtraHosts []string // NAME:ADDRESS
	DNS        []string
	DNSSearch  []string
}

// Ulimit is a limit of the processes in a container.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Tmpfs is a file system in memory.
type Tmpfs struct {
	Path    string
	SizeMiB int
	Options []string // of mount
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
