package main

import (
	"context"
	"errors"
	"io"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/scan"
)

// inEngine is an image of the engine.
func inEngine(e *engine.Engine, l image.Local) scan.Source {
	return scan.FromSaved(l.Settings, func(ctx context.Context) (io.ReadCloser, error) { return e.Save(ctx, l.ID) })
}

// inRepository is the image that was described in a registry.
func inRepository(r image.Remote, ref string, d image.Description) scan.Source {
	var layers []string
	for _, l := range d.Layers {
		layers = append(layers, l.Digest)
	}
	return scan.FromBlobs(func(ctx context.Context, digest string) (io.ReadCloser, error) {
		at, err := image.ParseReference(ref)
		if err != nil {
			return nil, err
		}
		return r.Blob(ctx, at.Repository(), digest)
	}, d.ConfigDigest, layers)
}

// lookInside judges the binaries of the image with that config, of a source that
// may hold several. Whoever asks for a verdict gets one: an image that cannot be
// read is refused.
func (s *session) lookInside(ctx context.Context, src scan.Source, config string, want image.Platform) (*event.Binaries, error) {
	emit := s.out.In("verify")
	cache, _ := scan.UserCache() // without one every layer is read
	rep, err := scan.Image(ctx, src, scan.Target{OS: want.OS, Arch: want.Architecture}, scan.Options{
		Allow: allowed(s.config.Verify.Allow), Cache: cache, Config: config, Steps: true,
	})
	switch {
	case errors.Is(err, scan.ErrNotUnpackable):
		return nil, event.Fail(event.CodePlatformMismatch, "the image's layers are not those that its config promises").Because(err).
			Hint("build and push it anew")
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, new(*event.Failure)):
		return nil, err
	case err != nil:
		return nil, event.Fail(event.CodeBinaryMismatch, "the image cannot be looked into").Because(err)
	}
	for _, n := range append(rep.Notes(), rep.Remarks()...) {
		emit(n)
	}
	check := event.Check{Name: "binaries", Status: event.Done, Detail: rep.Summary()}
	f := rep.Failure()
	if f == nil {
		emit(check)
		return rep.Event(), nil
	}
	check.Status, check.Code = event.Failed, f.Code
	emit(check)
	return rep.Event(), f
}
