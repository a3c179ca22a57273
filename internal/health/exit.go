package health

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// fatalExit says whether an exit code alone condemns the image: the process died
// by SIGSEGV, SIGILL or SIGBUS, the marks of machine code that does not fit.
func fatalExit(exit int) bool { return exit == 139 || exit == 132 || exit == 135 }

var (
	execFormat = text(`exec format error`)
	// A wrapper (a shell, npm, a supervisor) hides its child's signal behind an
	// exit code of its own, and says so.
	segfault     = regexp.MustCompile(`(?i)segmentation fault|uncaught target signal 11|\bSIGSEGV\b|errno 139\b`)
	illegal      = regexp.MustCompile(`(?i)illegal instruction|uncaught target signal 4\b|\bSIGILL\b`)
	busError     = regexp.MustCompile(`(?i)\bbus error\b|uncaught target signal 7\b|\bSIGBUS\b`)
	goNilPointer = regexp.MustCompile(`(?i)segmentation violation|nil pointer dereference`)
)

// exit judges the container whose exit ended the task.
func (f Facts) exit(c types.Container) Finding {
	n := int(*c.ExitCode)
	out := Finding{
		Code: ExitCode(n), Weight: Counts, Container: str(c.Name), ExitCode: &n, Reason: str(c.Reason),
		Message: fmt.Sprintf("container %s exited with %s", str(c.Name), exitWords(n)),
	}
	switch {
	case n == 0 && f.HealthySeen:
		return Finding{Code: event.CodeWorkDone, Container: out.Container, ExitCode: &n, Message: out.Message + ": its work was done"}
	case fatalExit(n):
		out.Weight = Fatal
	case n != 0:
		f.readTail(&out)
	}
	out.Hints = exitHints(out)
	return out
}

// readTail looks in the last log lines for what an exit code hides.
func (f Facts) readTail(out *Finding) {
	for _, line := range f.LogTail {
		hidden := 0
		switch {
		case execFormat.MatchString(line):
			out.Code, out.Weight = event.CodeExecFormat, Fatal
			out.Message = fmt.Sprintf("container %s cannot run: exec format error (exit code %d)", out.Container, *out.ExitCode)
		case goNilPointer.MatchString(line):
			continue // Go reports a nil pointer as SIGSEGV: a fault of the program, not of the image
		case segfault.MatchString(line):
			hidden = 139
		case illegal.MatchString(line):
			hidden = 132
		case busError.MatchString(line):
			hidden = 135
		default:
			continue
		}
		if hidden != 0 {
			out.Code, out.Weight = ExitCode(hidden), Fatal
			out.Message = fmt.Sprintf("container %s exited with %d after a process in it died by %s", out.Container, *out.ExitCode, signal(hidden))
		}
		out.Evidence = append(out.Evidence, "its log says: "+strings.TrimSpace(line))
		return
	}
}

const (
	hintNative = "build the image on a machine of the platform that it runs on: building for linux/amd64 under emulation " +
		"(Apple Silicon) often yields native modules (Prisma, bcrypt, sharp) that crash"
	hintLibc = "native modules built for glibc crash under musl (Alpine), and the reverse: install them inside the image's own base, " +
		"and keep node_modules out of the build context (.dockerignore)"
	hintArch = "the program in the image is for another processor than the tasks run on: compare the image's platform with the " +
		"task definition's runtimePlatform"
)

// exitHints are mends for an exit: likely causes, not certain ones.
func exitHints(f Finding) []string {
	if f.Code == event.CodeExecFormat {
		return []string{hintArch, "a script as entrypoint needs a first line such as #!/bin/sh"}
	}
	switch f.Code {
	case ExitCode(139):
		return []string{hintNative, hintLibc}
	case ExitCode(132):
		return []string{"the program uses instructions that this processor lacks: build for a plainer CPU level", hintNative}
	case ExitCode(135):
		return []string{hintNative}
	case ExitCode(137):
		return []string{"SIGKILL without an out-of-memory note: a memory limit of the task, or a stop that outlasted stopTimeout"}
	case ExitCode(126):
		return []string{"the command was found but may not be run: check its mode bits and the container's user"}
	case ExitCode(127):
		return []string{"the command was not found: check entryPoint, command and PATH of the container"}
	case ExitCode(134):
		return []string{"the program aborted itself: a failed assertion, or no memory left within its own limit (node: JavaScript heap out of memory)"}
	case ExitCode(143):
		return []string{"something in the task sent SIGTERM and ECS did not: look at the entrypoint's script or supervisor"}
	case ExitCode(255):
		return []string{"the program ended with -1, or the container's runtime failed: see its last log lines and the host"}
	case ExitCode(0):
		return []string{"a service's container is expected to keep running: run what ends as a task or a job"}
	}
	return []string{"the program ended by itself: its last log lines say why, or a start of the image with the same environment (docker run)"}
}
