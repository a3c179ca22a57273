package scripted

import (
	"net/http"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// A Script says what a container does. Times are counted from the start of
// the container, but for PullTakes.
type Script struct {
	PullTakes  time.Duration
	PullError  string // the pull fails; without the words CannotPullContainerError
	StartError string // the container cannot be started; likewise

	// Exits makes the container end by itself after ExitAfter, with ExitCode.
	Exits     bool
	ExitAfter time.Duration
	ExitCode  int
	OOM       bool // it is killed for its memory: 137 and the reason

	// StopCode is its exit code when it is stopped, after StopTakes; with
	// IgnoresTERM it ends only by SIGKILL, when its StopTimeout is over.
	StopCode    int
	StopTakes   time.Duration
	IgnoresTERM bool

	// Health are the changes of a container that has a health check; nil is
	// healthy after one interval.
	Health []Change

	// Serve answers HTTP at the container's ports, which are then bound on
	// loopback, as long as it runs.
	Serve http.Handler

	Lines []Line
}

// A Change is a health status that a container takes on.
type Change struct {
	After  time.Duration
	Status string // task.Healthy or task.Unhealthy
}

// A Line is something that a container writes.
type Line struct {
	After time.Duration
	Text  string
}

// deed is something that a container does by itself, so long after its start.
type deed struct {
	after time.Duration
	event task.Event
}

// step is a deed at its time.
type step struct {
	at    time.Time
	event task.Event
}

// steps are a container's deeds. Lines that are due at the moment of the exit come
// before it.
func (s Script) steps(c task.Container) []deed {
	var steps []deed
	for _, l := range s.Lines {
		steps = append(steps, deed{l.After, task.Event{Kind: task.LogLine, Container: c.Name, Line: l.Text}})
	}
	if c.Health != nil {
		changes := s.Health
		if changes == nil {
			changes = []Change{{c.Health.Interval, task.Healthy}}
		}
		for _, h := range changes {
			steps = append(steps, deed{h.After, task.Event{Kind: task.ContainerHealth, Container: c.Name, Health: h.Status}})
		}
	}
	if s.Exits || s.OOM {
		steps = append(steps, deed{s.ExitAfter, s.exit(c.Name)})
	}
	return steps
}

func (s Script) exit(container string) task.Event {
	e := task.Event{Kind: task.ContainerExited, Container: container, ExitCode: &s.ExitCode}
	if s.OOM {
		code := 137
		e.ExitCode, e.Reason = &code, task.ReasonOutOfMemory
	}
	return e
}

// keys are the names under which a container's script is looked for, the most
// particular one first.
func keys(spec task.Spec, c task.Container) []string {
	image, digest, pinned := strings.Cut(c.Image, "@")
	repo := image
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		repo = image[:i]
	}
	name := repo[strings.LastIndexByte(repo, '/')+1:]
	revision := spec.Family + ":" + itoa(spec.Revision)
	list := []string{revision + "/" + c.Name, revision, c.Image}
	if len(c.Command) > 0 {
		list = append([]string{"$ " + strings.Join(c.Command, " ")}, list...)
	}
	if pinned {
		list = append(list, digest)
	}
	return append(list, repo, name)
}
