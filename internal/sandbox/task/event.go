package task

import "time"

// Kind says what an [Event] tells.
type Kind int

const (
	// PullStarted and PullStopped enclose the pull of all images of a task;
	// each comes at most once. PullStopped is not sent for a pull that failed.
	PullStarted Kind = iota + 1
	PullStopped

	// ContainerStarted: the container's process runs. Ports, Address and
	// RuntimeID are set where the runtime has them.
	ContainerStarted

	// ContainerHealth: the container's health became Health.
	ContainerHealth

	// ContainerRestarted: a container that had ended, with ExitCode, runs again
	// by its restart policy. It has no ContainerExited for that end.
	ContainerRestarted

	// LogLine: the container wrote Line. All lines of a container come
	// before its ContainerExited.
	LogLine

	// ContainerExited: a container that had started has ended. ExitCode is
	// set unless the runtime lost it; Reason is set only for what the exit
	// code does not say, such as [ReasonOutOfMemory].
	ContainerExited

	// StartFailed: the task cannot be started, because of Reason, which
	// begins with an ECS error name ("CannotPullContainerError: …").
	// Container names the one at fault where one is. The runtime ends what
	// had started by itself (with ContainerExited events), then sends Ended.
	StartFailed

	// Ended: nothing of the task is left in the runtime. Always the last.
	Ended
)

var kindNames = [...]string{
	PullStarted: "pull started", PullStopped: "pull stopped",
	ContainerStarted: "container started", ContainerHealth: "container health",
	ContainerRestarted: "container restarted", LogLine: "log line", ContainerExited: "container exited",
	StartFailed: "start failed", Ended: "ended",
}

func (k Kind) String() string {
	if k < 1 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Health states of a container, as in [Event.Health] and in DescribeTasks.
const (
	Healthy   = "HEALTHY"
	Unhealthy = "UNHEALTHY"
	Unknown   = "UNKNOWN"
)

// ReasonOutOfMemory is the container reason that ECS gives for a container
// that the kernel killed at its memory limit.
const ReasonOutOfMemory = "OutOfMemoryError: Container killed due to memory usage"

// An Event is one thing that happened to a task.
type Event struct {
	Kind      Kind
	At        time.Time // when it happened, by the host's clock
	Container string    // name in the task definition; empty where it is about the task
	ExitCode  *int      // ContainerExited, ContainerRestarted
	Reason    string    // ContainerExited, StartFailed
	Health    string    // ContainerHealth: Healthy or Unhealthy
	Line      string    // LogLine, without its line end
	Ports     []Port    // ContainerStarted
	Address   string    // ContainerStarted: the task's private IPv4 address
	RuntimeID string    // ContainerStarted: the engine's id of the container
}
