package trial

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// judge says what the outcome means: a Result, and a failure for what would
// fare no better on ECS.
func (s subject) judge(res Result, o outcome) (Result, error) {
	res.Logs, res.Seconds, res.Status = slices.Clone(o.output.last), o.lived.Round(time.Millisecond).Seconds(), event.Done
	switch {
	case o.refused != nil:
		return s.judgeStart(res, o.refused)
	case o.running:
		res.Running, res.Text = true, fmt.Sprintf("still ran after %s", lived(o.lived))
		if exit := o.output.sign.exit; exit != 0 {
			res.Status = event.Warned
			res.Text += fmt.Sprintf(", but a process in it may have died by %s: %s", signalName(exit), o.output.line)
		}
		return res, nil
	}
	if o.output.sign.exit == 0 { // otherwise the output tells what else it was
		o.exit.OOMKilled = o.exit.OutOfMemory(s.request.Container.MemoryBytes)
	}
	res.ExitCode, res.OOMKilled = o.exit.Code, o.exit.OOMKilled
	if f := s.condemn(o); f != nil {
		f.Stage, f.ExitCode, f.Logs = stage, &res.ExitCode, res.Logs
		return res, s.explain(f)
	}
	res.Status, res.Text = s.report(o)
	return res, nil
}

// condemn is the failure of an exit that no environment mends; nil for others.
func (s subject) condemn(o outcome) *event.Failure {
	n, out, name := o.exit.Code, o.output, s.name()
	after := lived(o.lived) + " after its start"
	switch {
	case signalName(n) != "":
		return event.Fail(exitCode(n), fmt.Sprintf("trial run: %s died by %s (exit code %d) %s", name, signalName(n), n, after)).Hint(exitHints(n)...)
	case n == 0 || o.exit.OOMKilled:
		return nil
	case out.sign.format:
		return event.Fail(event.CodeExecFormat, fmt.Sprintf("trial run: %s cannot run: exec format error (exit code %d)", name, n)).
			See("it says: " + out.line).Hint(formatHints...)
	case out.sign.start:
		return s.cannotExecute(out.line)
	case out.sign.exit != 0:
		hidden := out.sign.exit
		return event.Fail(exitCode(hidden), fmt.Sprintf("trial run: %s exited with %d %s, after a process in it died by %s", name, n, after, signalName(hidden))).
			See("it says: " + out.line).Hint(exitHints(hidden)...)
	}
	return nil
}

// cannotExecute is the failure of a command that is there, or execve(2) would
// not have been tried, and that the kernel refuses.
func (s subject) cannotExecute(line string) *event.Failure {
	f := event.Fail(event.CodeCannotStart, fmt.Sprintf("trial run: the command of %s cannot be executed", s.name())).See("the container's runtime says: " + line)
	if strings.Contains(strings.ToLower(line), "permission denied") {
		return f.Hint(hintMode)
	}
	return f.Hint(hintInterpreter, hintCommand, formatHints[0])
}

// atOnce is so short a life that a database was hardly asked.
const atOnce = time.Second

// report tells an exit that is not judged.
func (s subject) report(o outcome) (event.Status, string) {
	n, after := o.exit.Code, lived(o.lived)
	switch {
	case o.exit.OOMKilled:
		limit := ""
		if m := s.request.Container.MemoryBytes; m > 0 {
			limit = fmt.Sprintf(" of %d MiB", m>>20)
		}
		return event.Warned, fmt.Sprintf("was killed at its memory limit%s after %s (exit code %d): not judged, but on ECS the limit is the same", limit, after, n)
	case n == 0:
		return event.Warned, fmt.Sprintf("exited with 0 after %s: not judged, but a service's container is expected to keep running", after)
	case o.output.sign.loader:
		return event.Warned, fmt.Sprintf("exited with %d after %s: not judged, but its loader says: %s", n, after, o.output.line)
	case n == 126 || n == 127:
		return event.Warned, fmt.Sprintf("exited with %d after %s: not judged, but that mostly means a command that is missing or may not be run", n, after)
	}
	text := fmt.Sprintf("exited with %d after %s: not judged, it may want its database", n, after)
	if o.lived >= atOnce {
		return event.Done, text
	}
	if l := len(o.output.last); l > 0 {
		return event.Warned, text + "; its last words: " + o.output.last[l-1]
	}
	return event.Warned, text + "; it said nothing"
}

func (s subject) name() string {
	if n := s.request.Container.Name; n != "" {
		return "container " + n
	}
	return "the container"
}

// lived is a duration for people: "0.3 s".
func lived(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// signalName is the signal that an exit code means, of those that machine code
// that does not fit dies by: 128 plus its number (signal(7)).
func signalName(exit int) string {
	return map[int]string{132: "SIGILL", 135: "SIGBUS", 139: "SIGSEGV"}[exit]
}

// exitCode is such an exit's code, spelled as it is for a task on ECS.
func exitCode(exit int) event.Code {
	return event.Code(fmt.Sprintf("EXIT_%d_%s", exit, signalName(exit)))
}

const (
	hintNative = "build the image on a machine of the platform that it runs on: building for linux/amd64 under emulation " +
		"(Apple Silicon) often yields native modules (Prisma, bcrypt, sharp) that crash"
	hintLibc = "native modules built for glibc crash under musl (Alpine), and the reverse: install them inside the image's own base, " +
		"and keep node_modules out of the build context (.dockerignore)"
	hintCommand     = "see ENTRYPOINT and CMD of the Dockerfile, and entryPoint and command of the container in the task definition"
	hintInterpreter = "the file is there, but what it needs to run is not: the loader of its C library (a glibc program in a musl image, " +
		"or the reverse), or the program in its #! line"
	hintMode = "it lacks the right to be executed: COPY --chmod=755, or git update-index --chmod=+x FILE before the build; see also the container's user"
)

var formatHints = []string{
	"the program in the image is for another processor than the image says: it came from another base image, another machine's files, or a download",
	"a script as entrypoint needs a first line such as #!/bin/sh",
}

// exitHints are mends for a signal: likely causes, not certain ones.
func exitHints(exit int) []string {
	switch exit {
	case 139:
		return []string{hintNative, hintLibc}
	case 132:
		return []string{"the program uses instructions that this processor lacks: build for a plainer CPU level", hintNative}
	}
	return []string{hintNative}
}
