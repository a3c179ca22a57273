package health

import (
	"fmt"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Weight is what one stopped task says about its deployment.
type Weight int

// The weights, lightest first.
const (
	// Ignored stops say nothing about the deployment: scaling in, Spot, host
	// retirement, somebody's StopTask, work that is done.
	Ignored Weight = iota
	// Waits is trouble outside of the revision that may pass: capacity, network.
	Waits
	// Counts ends the deployment when a second task fails alike.
	Counts
	// Fatal ends it at once: no later task can fare better.
	Fatal
)

// String names the weight.
func (w Weight) String() string {
	return [...]string{"ignored", "waits", "counts", "fatal"}[min(max(w, Ignored), Fatal)]
}

// Finding is what Classify makes of a stopped task.
type Finding struct {
	Code      event.Code
	Weight    Weight
	Task      string // id, the last part of the ARN
	Container string // the one that decided; empty when none did
	ExitCode  *int
	Message   string // one line, lower case
	Reason    string // AWS's own words
	Evidence  []string
	Hints     []string
}

// failure is the finding as an error, for n tasks that failed alike.
func (f Finding) failure(n int) *event.Failure {
	out := event.Fail(f.Code, f.Message).See(f.Evidence...).Hint(f.Hints...)
	if n > 1 {
		out.Message = fmt.Sprintf("%d × %s; the first: %s", n, f.Code, f.Message)
	}
	out.Container, out.ExitCode, out.Reason, out.Tasks = f.Container, f.ExitCode, f.Reason, n
	return out
}

// signals are Linux's on amd64 and arm64 (signal(7)).
var signals = [...]string{
	1: "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
	"SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
	"SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
}

// signal is the name of the signal that an exit code stands for: 128 plus its
// number, by the convention of shells and container runtimes.
func signal(exit int) string {
	if n := exit - 128; n > 0 && n < len(signals) {
		return signals[n]
	}
	return ""
}

// ExitCode is the code of a container's exit: EXIT_1, EXIT_139_SIGSEGV.
func ExitCode(exit int) event.Code {
	if s := signal(exit); s != "" {
		return event.Code(fmt.Sprintf("EXIT_%d_%s", exit, s))
	}
	return event.Code(fmt.Sprintf("EXIT_%d", exit))
}

// exitWords is an exit code for people: "139 (SIGSEGV)".
func exitWords(exit int) string {
	if s := signal(exit); s != "" {
		return fmt.Sprintf("%d (%s)", exit, s)
	}
	return fmt.Sprint(exit)
}
