package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// inRepository says whether --image names an image of the target repository.
func (r *Run) inRepository() bool {
	ref, err := image.ParseReference(r.Image)
	return r.Image != "" && err == nil && ref.Repository() == r.pre.repo.URI
}

// platform is build.platform; a wrong one was refused by the configuration.
func (r *Run) platform() image.Platform {
	p, _ := image.ParsePlatform(r.Build.Platform)
	return p
}

// requirements are the places that say for which platform the image has to be.
func (r *Run) requirements() ([]image.Requirement, error) {
	p, err := image.ParsePlatform(r.Build.Platform)
	if err != nil {
		return nil, event.Fail(event.CodeConfig, "build.platform").Because(err)
	}
	want := []image.Requirement{{Platform: p, From: "build.platform"}}
	if os, arch, set := r.pre.base.Platform(); set {
		want = append(want, image.Requirement{Platform: image.Platform{OS: os, Architecture: arch}, From: "runtimePlatform of " + r.pre.base.Name()})
	}
	return want, nil
}

// verify judges the image before it is pushed, or in the registry when it is
// there already.
func (r *Run) verify(ctx context.Context) (string, error) {
	want, err := r.requirements()
	if err != nil {
		return "", err
	}
	if r.inRepository() {
		reg, err := r.registry(ctx)
		if err != nil {
			return "", err
		}
		d, err := reg.Describe(ctx, r.Image, r.platform())
		if err != nil {
			return "", r.noImage(err, "in the registry")
		}
		r.artifact.remote, r.artifact.local.ConfigDigest = &d, d.ConfigDigest
	}
	judge := r.verifyLocal
	if r.artifact.remote != nil {
		judge = r.verifyRemote
	}
	detail, err := judge(ctx, want)
	if err == nil && !r.unchanged {
		r.warnFailedBefore(ctx)
	}
	return detail, err
}

// verifyRemote judges an image that is in the registry already, and looks inside.
func (r *Run) verifyRemote(ctx context.Context, want []image.Requirement) (string, error) {
	d := r.artifact.remote
	if err := image.Judge(*d, want); err != nil {
		return "", err
	}
	if err := r.compare(ctx, d.Digest, d.ConfigDigest); err != nil {
		return "", err
	}
	if !r.unchanged {
		r.noteEmulation(d.Labels)
		if err := r.scanRemote(ctx, "verify", *d); err != nil {
			return "", err
		}
	}
	if !r.unchanged && !r.artifact.elsewhere {
		r.out.In("verify")(event.Check{Name: "trial run", Status: event.Skipped, Detail: "the image is in the registry and was not built here"})
	}
	return describePlatform(d.Config, shortDigest(d.Digest)), nil
}

// verifyLocal judges an image of the engine, looks inside, and starts it once.
func (r *Run) verifyLocal(ctx context.Context, want []image.Requirement) (string, error) {
	engine, _, err := r.OpenEngine()
	if err != nil {
		return "", err
	}
	local, err := image.VerifyLocal(ctx, engine, cmp.Or(r.artifact.localID, r.Image), want)
	if err != nil {
		return "", r.noImage(err, "in the local engine; it is not a reference in "+r.pre.repo.URI+" either")
	}
	r.artifact.local, r.artifact.localID = local, local.ID
	if err := r.compare(ctx, "", local.ConfigDigest); err != nil {
		return "", err
	}
	if !r.unchanged {
		r.noteEmulation(local.Labels)
		if err := r.scanLocal(ctx, engine); err != nil {
			return "", err
		}
		if err := r.tryOut(ctx, engine); err != nil {
			return "", err
		}
	}
	return describePlatform(local.Platform, shortDigest(local.ID)), nil
}

func (r *Run) noImage(err error, where string) error {
	if r.Image == "" || !errors.Is(err, image.ErrNotFound) {
		return err
	}
	return event.Fail(event.CodeNotFound, fmt.Sprintf("there is no image %s %s", r.Image, where)).Because(err)
}

// compare finds out whether the release would change anything: the image is the
// one that serves, and the definition stays as it is.
func (r *Run) compare(ctx context.Context, digest, config string) error {
	base := r.pre.base
	if r.Redeploy || base.ARN() != r.pre.current.ARN() || !completedAlone(r.pre.service) {
		return nil
	}
	next, err := base.Next(r.change(""))
	if err != nil {
		return err
	}
	c, err := base.Released(r.Container)
	if err != nil {
		return err
	}
	ref, err := image.ParseReference(c.Image)
	if err != nil || ref.Repository() != r.pre.repo.URI || ref.Digest == "" || !taskdef.Equal(base, next) {
		return nil // not an image of ours, so there is nothing to compare with
	}
	if digest == ref.Digest {
		r.unchanged, err = r.stillServes(ctx)
		return err
	}
	reg, err := r.registry(ctx)
	if err != nil {
		return err
	}
	serving, err := reg.Describe(ctx, c.Image, r.platform())
	if err != nil || serving.ConfigDigest != config {
		return nil // what cannot be read cannot be called the same
	}
	if r.unchanged, err = r.stillServes(ctx); r.unchanged {
		r.artifact.remote = &serving
	}
	return err
}

// stillServes looks again before a release says that nothing has to change: a
// build takes its time, and somebody may have deployed since preflight.
func (r *Run) stillServes(ctx context.Context) (bool, error) {
	now, err := r.site().Read(ctx)
	if err == nil {
		err = r.sameAsPreflight(now)
	}
	if err != nil {
		return false, err
	}
	r.pre.service = now
	return completedAlone(now), nil
}
