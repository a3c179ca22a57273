// Package trial starts an image once, on the engine that built it and before
// anything is pushed, to see whether its process can live at all: Run is the
// place to start. A process that dies by SIGSEGV, SIGILL or SIGBUS, that the
// kernel cannot execute, or whose command is not in the image, would do so on
// ECS too, and is a *event.Failure. Every other end is told and not judged: the
// application may want its database.
//
// A trial must never reach a queue or a database. The container has no network,
// no volumes, no devices, no privileges and nothing of the host's, and where the
// task definition has values in its environment it has placeholders.
//
// Detect asks another question of an engine with the same means: whether the
// processor that it runs on is a real one.
package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// DefaultSeconds is how long a trial lasts unless the process ends before.
const DefaultSeconds = 5

const stage = "verify"

// Engine is what a trial needs of a Docker engine; *engine.Engine has it.
type Engine interface {
	Endpoint() string
	Local() bool
	Info(ctx context.Context) (engine.Info, error)
	Image(ctx context.Context, ref string) (engine.Image, error)
	CreateContainer(ctx context.Context, s engine.ContainerSpec) (string, error)
	StartContainer(ctx context.Context, id string) error
	WaitContainer(ctx context.Context, id string) (engine.Exit, error)
	Container(ctx context.Context, id string) (engine.ContainerState, error)
	Containers(ctx context.Context, labels ...string) ([]engine.ContainerSummary, error)
	Logs(ctx context.Context, id string, follow bool, line func(engine.LogLine)) error
	RemoveContainer(ctx context.Context, id string) error
}

// Request is what to try.
type Request struct {
	Image     string // id or reference, in the engine
	Platform  string // that the image is for: "linux/amd64"
	Container Container
	// Env are values that the container gets besides, or instead of a
	// placeholder (verify.trial.env).
	Env     map[string]string
	Seconds int // 0: DefaultSeconds
}

// Container is the container as the task definition has it. What a trial never
// gives, such as mounts, devices or added capabilities, has no field here.
type Container struct {
	Name             string
	EntryPoint       []string // nil: the image's
	Command          []string // nil: the image's, unless EntryPoint is given
	User             string
	WorkingDirectory string
	MemoryBytes      int64 // hard limit, of the container or else of the task; 0: none
	ReadonlyRoot     bool
	Init             bool     // initProcessEnabled
	DropCapabilities []string // linuxParameters.capabilities.drop
	Environment      []string // names only
	Secrets          []string // names only
}

// Skip says why nothing was tried.
type Skip string

// The reasons to try nothing.
const (
	SkipRemote Skip = "remote engine"
	SkipEngine Skip = "engine of another platform"
	SkipImage  Skip = "image of another platform"
)

// Result is how the trial went. It is filled as far as the trial got also when
// Run returns an error.
type Result struct {
	Skip   Skip         // not empty: nothing ran, and Text says why
	Status event.Status // Done, Warned, Failed or Skipped
	Text   string       // one line for people: "exited with 1 after 0.3 s: not judged, …"

	Running   bool // it still ran when the time was over
	ExitCode  int  // when it ended by itself
	OOMKilled bool
	Seconds   float64  // how long the process lived, by the engine's clock
	Logs      []string // last lines of output, safe to print
	// Placeholders are the variables that had a placeholder for their value,
	// Withheld those that had the image's own value or none: see environment.
	Placeholders, Withheld []string
}

// Run tries the image and removes the container again, however it ends: ctx's
// end and a panic of emit included. It hands the output to emit as Log events
// and says the outcome in one Check event, named "trial run".
//
// The error is a *event.Failure with stage verify when the process cannot live
// (EXIT_139_SIGSEGV, EXIT_132_SIGILL, EXIT_135_SIGBUS, EXEC_FORMAT,
// CANNOT_START), NO_ENGINE when the engine is away, context.Cause(ctx) when ctx
// ended, and another error when the engine fails otherwise.
func Run(ctx context.Context, e Engine, r Request, emit event.Emit) (Result, error) {
	r.Seconds = cmp.Or(r.Seconds, DefaultSeconds)
	res, err := run(ctx, e, r, emit)
	if err != nil && ctx.Err() != nil {
		return res, fmt.Errorf("trial run of %s: %w", r.Image, context.Cause(ctx))
	}
	var f *event.Failure
	switch {
	case errors.As(err, &f):
		res.Status, res.Text = event.Failed, f.Message
		c := event.Check{Name: "trial run", Status: event.Failed, Detail: f.Message, Code: f.Code}
		if len(f.Hints) > 0 {
			c.Hint = f.Hints[0]
		}
		emit(c)
	case err == nil:
		emit(event.Check{Name: "trial run", Status: res.Status, Detail: res.Text})
	}
	return res, err
}

func run(ctx context.Context, e Engine, r Request, emit event.Emit) (Result, error) {
	if !e.Local() {
		return skipped(SkipRemote, "the engine at "+e.Endpoint()+" is not on this machine"), nil
	}
	info, err := e.Info(ctx)
	if err != nil {
		return Result{}, away(err)
	}
	img, err := e.Image(ctx, r.Image)
	if err != nil {
		return Result{}, away(err)
	}
	if s, why := foreign(info, img, r.Platform); s != "" {
		return skipped(s, why), nil
	}
	sweep(ctx, e)
	env := environment(r)
	res := Result{Placeholders: env.placeholders, Withheld: env.withheld}
	c := subject{request: r, image: img, info: info, env: env}
	o, err := try(ctx, e, c, emit)
	if err != nil {
		return res, away(err)
	}
	return c.judge(res, o)
}

func skipped(s Skip, why string) Result {
	return Result{Skip: s, Status: event.Skipped, Text: "nothing to try: " + why}
}

// foreign says why the engine cannot run the image by itself. A program that
// dies under emulation says nothing about the image.
func foreign(info engine.Info, img engine.Image, platform string) (Skip, string) {
	own := info.OS + "/" + info.Arch
	if platform != "" && !runs(own, platform) {
		return SkipEngine, fmt.Sprintf("the engine is %s and would emulate %s", own, platform)
	}
	if has := img.OS + "/" + img.Architecture; !runs(own, has) {
		return SkipImage, fmt.Sprintf("the image says %s and the engine is %s", has, own)
	}
	return "", ""
}

// away makes an engine that does not answer a NO_ENGINE failure.
func away(err error) error {
	var u *engine.UnreachableError
	if !errors.As(err, &u) {
		return err
	}
	f := event.Fail(event.CodeNoEngine, u.Error()).Because(err).Hint(u.Hints...)
	f.Stage = stage
	return f
}

// sweep removes containers that a trial left behind when its process was killed
// outright. One that cannot be removed now will be another time.
func sweep(ctx context.Context, e Engine) {
	left, err := e.Containers(ctx, labelUntil)
	if err != nil {
		return
	}
	for _, c := range left {
		if t, err := time.Parse(time.RFC3339, c.Labels[labelUntil]); err == nil && t.Before(time.Now()) {
			_ = e.RemoveContainer(ctx, c.ID)
		}
	}
}
