package release

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/trial"
)

// tryOut starts the image once before it is pushed, as the next revision would
// start it. An image that is in the registry only is not tried, and that is told.
func (r *Run) tryOut(ctx context.Context, e Engine) error {
	emit := r.out.In("verify")
	switch {
	case r.NoTrial && r.artifact.emulated != "":
		r.note("verify", event.Warn, "--no-trial does not count for an image that was built under emulation")
	case r.NoTrial:
		emit(event.Check{Name: "trial run", Status: event.Skipped, Detail: "--no-trial"})
		return nil
	}
	next, c, err := r.asReleased()
	if err != nil {
		return err
	}
	if program, ok := c.InVolume(); ok && r.artifact.emulated == "" {
		emit(event.Check{Name: "trial run", Status: event.Skipped, Detail: program + " lies in a volume, and a trial run has none"})
		return nil
	}
	_, err = trial.Run(ctx, e, trial.Request{
		Image: r.artifact.localID, Platform: r.Build.Platform, Env: r.Trial.Env, Seconds: r.Trial.Seconds,
		Container: trial.Container{
			Name: c.Name, EntryPoint: c.EntryPoint, Command: c.Command, User: c.User, WorkingDirectory: c.WorkingDirectory,
			MemoryBytes: int64(cmp.Or(c.MemoryMiB, next.MemoryMiB())) << 20, ReadonlyRoot: c.ReadonlyRootFilesystem,
			Init: c.Init, DropCapabilities: c.DropCapabilities,
			Environment: slices.Sorted(maps.Keys(c.Environment)), Secrets: slices.Sorted(maps.Keys(c.Secrets)),
		},
	}, emit)
	return err
}

// detectEmulation warns of an engine whose processor is an emulated one, which no
// API tells. Not being able to ask is no reason to stop.
func (r *Run) detectEmulation(ctx context.Context, e Engine) {
	cache, err := os.UserCacheDir()
	if err == nil {
		cache = filepath.Join(cache, "weelo-deploy")
	}
	evidence, emulated, err := trial.Detect(ctx, e, cache)
	if err == nil && emulated {
		r.note("build", event.Warn, "the engine's processor is emulated ("+evidence+"): what is built here may crash on ECS with exit code 139")
	}
}
