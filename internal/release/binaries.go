package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/scan"
)

// scanLocal looks inside an image of the engine. The engine is asked for its
// contents only when a layer is not known from another time. From a remote engine
// they would all pass through this machine: such an image is looked into when it is
// in the registry, which gives the layers that are not known, and packed.
func (r *Run) scanLocal(ctx context.Context, e Engine) error {
	if !e.Local() {
		r.artifact.unseen = true
		r.out.In("verify")(event.Check{Name: "binaries", Status: event.Skipped, Detail: "the engine at " + e.Endpoint() + " is not on this machine: the image is looked into when it has pushed it"})
		return nil
	}
	l := r.artifact.local
	return r.scanBinaries(ctx, "verify", l.ConfigDigest, scan.FromSaved(l.Settings, func(ctx context.Context) (io.ReadCloser, error) {
		return e.Save(ctx, l.ID)
	}))
}

// scanRemote looks inside an image that is in the registry already, whoever
// pushed it.
func (r *Run) scanRemote(ctx context.Context, stage string, d image.Description) error {
	reg, err := r.registry(ctx)
	if err != nil {
		return err
	}
	var layers []string
	for _, l := range d.Layers {
		layers = append(layers, l.Digest)
	}
	open := func(ctx context.Context, digest string) (io.ReadCloser, error) {
		return reg.Blob(ctx, r.pre.repo.URI, digest)
	}
	return r.scanBinaries(ctx, stage, d.ConfigDigest, scan.FromBlobs(open, d.ConfigDigest, layers))
}

// scanBinaries looks inside the image: whether the program that starts, what it
// links, and the add-ons that it loads later are for the machine and the C library
// that they will meet. An image that cannot be read that way is told and not
// refused, unless it was built under emulation.
func (r *Run) scanBinaries(ctx context.Context, stage, config string, src scan.Source) error {
	emit := r.out.In(stage)
	rep, err := r.scanImage(ctx, config, src)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, scan.ErrNotUnpackable):
		return event.Fail(event.CodePlatformMismatch, "the image's layers are not those that its config promises").Because(err).
			Hint("build and push it anew")
	case err != nil && r.artifact.emulated != "":
		return event.Fail(event.CodeBinaryMismatch, "an image that was built under emulation has to be looked into, and this one cannot be read").Because(err)
	case err != nil:
		emit(event.Check{Name: "binaries", Status: event.Warned, Detail: fmt.Sprintf("the image could not be looked into: %v", err)})
		return nil
	}
	r.result.Binaries = rep.Event()
	for _, n := range rep.Notes() {
		emit(n)
	}
	if f := rep.Failure(); f != nil {
		emit(event.Check{Name: "binaries", Status: event.Failed, Detail: rep.Summary(), Code: f.Code})
		return f
	}
	emit(event.Check{Name: "binaries", Status: event.Done, Detail: rep.Summary()})
	return nil
}

func (r *Run) scanImage(ctx context.Context, config string, src scan.Source) (scan.Report, error) {
	_, c, err := r.asReleased()
	if err != nil {
		return scan.Report{}, err
	}
	// Without a folder for it the cache is only missing: the next release reads the
	// layers again.
	cache, _ := scan.UserCache()
	os, arch, _ := strings.Cut(r.Build.Platform, "/")
	arch, _, _ = strings.Cut(arch, "/") // of linux/arm64/v8
	o := scan.Options{Allow: r.Allow, Cache: cache, Config: config, Entrypoint: c.EntryPoint, Command: c.Command}
	if program, ok := c.InVolume(); ok {
		r.note("verify", event.Info, program+" lies in a volume: of the image, what it starts by itself is looked into instead")
		o.Entrypoint, o.Command = nil, nil
	}
	return scan.Image(ctx, src, scan.Target{OS: os, Arch: arch}, o)
}

// noteEmulation recalls what the image's labels say of its build: one that was built under
// emulation has to be looked into, and tried where it can run.
func (r *Run) noteEmulation(labels map[string]string) {
	r.artifact.emulated = labels[build.LabelEmulated]
	switch {
	case r.artifact.emulated == "":
		return
	case len(r.result.Emulated) == 0: // another run built it
		r.result.Emulated = []string{r.artifact.emulated}
	}
	r.note("verify", event.Warn, "the image was built under emulation ("+r.artifact.emulated+"): programs that ran then may have left files that crash on ECS")
}
