package fault

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// everything matches every operation, and every task.
const everything = "*"

// signals are those that a fault can end a container with, by name (signal(7)).
var signals = map[string]int{
	"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGILL": 4, "SIGTRAP": 5, "SIGABRT": 6, "SIGBUS": 7, "SIGFPE": 8,
	"SIGKILL": 9, "SIGUSR1": 10, "SIGSEGV": 11, "SIGUSR2": 12, "SIGPIPE": 13, "SIGALRM": 14, "SIGTERM": 15,
}

// A TaskFault is what a rule does to a container of one task.
type TaskFault struct {
	Rule      string // its id
	Container string
	Delay     time.Duration   // after the container's start
	Dies      bool            // with ExitCode and Reason; else its health is meant
	ExitCode  int             // 128 and the number of the signal, where there is one
	Reason    string          // of the container
	Failing   bool            // the health check fails from Delay on; else it says nothing until then
	Removed   <-chan struct{} // closed when the rule goes
}

// TaskFaults returns what the rules do to a task, but for those that have acted on
// it, and counts them. running says that its containers have started already.
func (s *Set) TaskFaults(t task.Spec, acted []string, running bool) []TaskFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var faults []TaskFault
	for _, a := range s.rules {
		if a.Task == "" || a.Capacity != nil || running && !a.Running || !meant(a.Task, t) || slices.Contains(acted, a.ID) {
			continue
		}
		f, ok := a.onTask(t)
		if ok && s.counts(a, "task "+t.ID+", container "+f.Container) {
			faults = append(faults, f)
		}
	}
	return faults
}

// Room is for how many of a number of new tasks there is capacity. live lists those
// that are there; it is only called when a rule limits the capacity.
func (s *Set) Room(of task.Spec, want int, live func() []task.Spec) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := want
	for _, a := range s.rules {
		if a.Task == "" || a.Capacity == nil || !meant(a.Task, of) || a.limit() > 0 && a.acted >= a.limit() {
			continue
		}
		left := *a.Capacity
		for _, t := range live() {
			if meant(a.Task, t) {
				left--
			}
		}
		if left = max(left, 0); left < room && s.counts(a, fmt.Sprintf("%d of %d tasks of %s", want-left, want, cmp.Or(of.Service, of.Family))) {
			room = left
		}
	}
	return room
}

// meant says whether a rule's task names this one.
func meant(name string, t task.Spec) bool {
	for _, n := range []string{everything, t.Service, t.ID, t.ARN, t.Family, t.Definition()} {
		if n != "" && n == name {
			return true
		}
	}
	return false
}

// onTask is what the rule does to a task. It reports false when the task has no
// such container, or one without the health check that is meant.
func (a *active) onTask(t task.Spec) (TaskFault, bool) {
	f := TaskFault{Rule: a.ID, Delay: time.Duration(a.Delay), Removed: a.removed, Dies: a.dies(), Failing: a.Health == Failing}
	switch {
	case a.OOM:
		f.ExitCode, f.Reason = 137, task.ReasonOutOfMemory
	case a.Signal != "":
		f.ExitCode = 128 + signals[a.Signal]
	case a.Exit != nil:
		f.ExitCode = *a.Exit
	}
	for _, c := range t.Containers {
		if a.Container == "" && !c.Essential || a.Container != "" && a.Container != c.Name || !f.Dies && c.Health == nil {
			continue
		}
		f.Container = c.Name
		return f, true
	}
	return f, false
}
