package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
)

// LabelInputs is the image label that names what a build was made from besides
// the commit, so that a later run can tell whether an image is its own.
const LabelInputs = "dev.weelo.deploy.inputs"

// artifact is the image of this release on its way to the registry.
type artifact struct {
	localName string             // the reference that keeps a built image until it is pushed
	localID   string             // in the engine; empty when it is in the registry only
	local     image.Local        // what was verified in the engine
	remote    *image.Description // what was verified in the registry
	reused    bool               // an earlier run of the same commit made it
}

// reference is the digest-pinned reference, once it is known.
func (r *Run) reference() string {
	if r.artifact.remote == nil {
		return ""
	}
	return r.pre.repo.URI + "@" + r.artifact.remote.Digest
}

// build makes the image, or takes the one that an earlier run of the same
// commit with the same inputs has pushed.
func (r *Run) build(ctx context.Context) (string, error) {
	if r.Image != "" {
		return "", skip("--image names one")
	}
	if d, err := r.reusable(ctx); err != nil {
		return "", err
	} else if d != nil {
		r.artifact.remote, r.artifact.reused = d, true
		return "", skip(fmt.Sprintf("an image of this commit is in the registry (%s)", shortDigest(d.Digest)))
	}
	emit := r.out.In("build")
	if err := build.RunBefore(ctx, r.Dir, r.Before, emit); err != nil {
		return "", err
	}
	_, builder, err := r.OpenEngine()
	if err != nil {
		return "", err
	}
	req := r.Build
	req.Labels = maps.Clone(req.Labels)
	if req.Labels == nil {
		req.Labels = map[string]string{}
	}
	req.Labels[LabelInputs] = r.inputs()
	req.Name = "weelo-deploy-build:" + r.RunID
	res, err := builder.Build(ctx, req, emit)
	if err != nil {
		return "", err
	}
	r.artifact.localID, r.artifact.localName = res.ImageID, req.Name
	return fmt.Sprintf("%s, %d of %d steps cached", shortDigest(res.ImageID), res.Cached, res.Steps), nil
}

// inputs is a short hash of the build settings that shape the image. Secrets
// take part by name only.
func (r *Run) inputs() string {
	var ids []string
	for _, s := range r.Build.Secrets {
		ids = append(ids, s.ID)
	}
	b, err := json.Marshal([]any{r.Before, r.Build.Platform, r.Build.Target, r.Build.Args, relativeTo(r.Dir, r.Build.Dockerfile), relativeTo(r.Dir, r.Build.Context), ids, r.Build.Labels})
	if err != nil {
		return "" // maps and slices of strings always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func relativeTo(dir, path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
}

// reusable finds the image that an earlier run of this very release pushed: the
// tree is clean, the tag exists, and its labels name this commit and the same
// inputs.
func (r *Run) reusable(ctx context.Context) (*image.Description, error) {
	if r.Rebuild || r.Build.NoCache || r.Build.Pull || r.Source.Commit == "" || r.Source.Dirty || len(r.Tags) == 0 {
		return nil, nil
	}
	digest := ""
	for _, tag := range r.Tags { // one that is missing, or names another image, has to be pushed
		at, found, err := image.Tagged(ctx, r.ECR, r.pre.repo, tag)
		if err != nil || !found || digest != "" && at != digest {
			return nil, fromAWS(err, "look for the tag "+tag, "ecr:DescribeImages")
		}
		digest = at
	}
	reg, err := r.registry(ctx)
	if err != nil {
		return nil, err
	}
	d, err := reg.Describe(ctx, r.pre.repo.URI+"@"+digest, r.platform())
	if err != nil {
		return nil, nil // not an image that can be reused; the push will judge the tag
	}
	if d.Labels["org.opencontainers.image.revision"] != r.Source.Commit || d.Labels[LabelInputs] != r.inputs() {
		return nil, nil
	}
	return &d, nil
}

// registry opens the repository's registry with a fresh token.
func (r *Run) registry(ctx context.Context) (Registry, error) {
	auth, err := image.Login(ctx, r.ECR, r.pre.repo.Host)
	if err != nil {
		return nil, fromAWS(err, "sign in to the registry "+r.pre.repo.Host, "ecr:GetAuthorizationToken")
	}
	return r.OpenRegistry(auth), nil
}

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
	if r.Image != "" && r.inRepository() {
		reg, err := r.registry(ctx)
		if err != nil {
			return "", err
		}
		d, err := reg.Describe(ctx, r.Image, r.platform())
		if err != nil {
			return "", r.noImage(err, "in the registry")
		}
		r.artifact.remote = &d
	}
	if d := r.artifact.remote; d != nil {
		if err := image.Judge(*d, want); err != nil {
			return "", err
		}
		return describePlatform(d.Config, shortDigest(d.Digest)), r.compare(ctx, d.Digest, d.ConfigDigest)
	}
	engine, _, err := r.OpenEngine()
	if err != nil {
		return "", err
	}
	ref := r.artifact.localID
	if ref == "" {
		ref = r.Image
	}
	local, err := image.VerifyLocal(ctx, engine, ref, want)
	if err != nil {
		return "", r.noImage(err, "in the local engine; it is not a reference in "+r.pre.repo.URI+" either")
	}
	r.artifact.local, r.artifact.localID = local, local.ID
	return describePlatform(local.Platform, shortDigest(local.ID)), r.compare(ctx, "", local.ConfigDigest)
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
	if err != nil || ref.Repository() != r.pre.repo.URI || ref.Digest == "" || !sameBesides(base, next) {
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

// push brings the image to the registry, reads it back by digest and verifies it
// once more. What cannot be pushed (an immutable tag that names another image)
// is found before anything is.
func (r *Run) push(ctx context.Context) (string, error) {
	if r.artifact.remote != nil {
		if r.artifact.reused {
			return "", skip("an earlier run pushed it")
		}
		return "", skip("--image is in the repository")
	}
	reg, err := r.registry(ctx)
	if err != nil {
		return "", err
	}
	tags, digest, err := r.missingTags(ctx, reg)
	if err != nil {
		return "", err
	}
	if len(tags) > 0 {
		auth, err := image.Login(ctx, r.ECR, r.pre.repo.Host)
		if err != nil {
			return "", fromAWS(err, "sign in to the registry "+r.pre.repo.Host, "ecr:GetAuthorizationToken")
		}
		engine, _, err := r.OpenEngine()
		if err != nil {
			return "", err
		}
		digest, err = image.Push(ctx, engine, image.PushRequest{ImageID: r.artifact.localID, Repository: r.pre.repo.URI, Tags: tags, Auth: auth}, r.out.In("push"))
		if err != nil {
			return "", err
		}
	}
	d, err := r.readBack(ctx, reg, digest)
	if err != nil {
		return "", err
	}
	r.artifact.remote = &d
	r.forget(ctx)
	return fmt.Sprintf("%s as %s", shortDigest(d.Digest), strings.Join(r.Tags, ", ")), nil
}

// missingTags are the tags that have to be pushed. A tag of an immutable
// repository that names the same image already is fine; one that names another
// is refused before the push.
func (r *Run) missingTags(ctx context.Context, reg Registry) (missing []string, digest string, err error) {
	for _, tag := range r.Tags {
		if !r.pre.repo.Immutable(tag) {
			missing = append(missing, tag)
			continue
		}
		at, found, err := image.Tagged(ctx, r.ECR, r.pre.repo, tag)
		if err != nil {
			return nil, "", fromAWS(err, "look for the tag "+tag, "ecr:DescribeImages")
		}
		if !found {
			missing = append(missing, tag)
			continue
		}
		d, err := reg.Describe(ctx, r.pre.repo.URI+"@"+at, r.platform())
		if err != nil || d.ConfigDigest != r.artifact.local.ConfigDigest {
			return nil, "", event.Fail(event.CodeTagImmutable, fmt.Sprintf("the tag %s of repository %s names another image, and the repository's tags are immutable", tag, r.pre.repo.Name)).
				See(tag + " is " + at).
				Hint("give this image another tag with --tag, or commit your changes so that the tag is new").
				Try(r.command("release --image " + r.pre.repo.URI + "@" + at))
		}
		digest = at
	}
	return missing, digest, nil
}

// readBack reads what the registry serves under the digest and holds it against
// what was verified in the engine.
func (r *Run) readBack(ctx context.Context, reg Registry, digest string) (image.Description, error) {
	d, err := reg.Describe(ctx, r.pre.repo.URI+"@"+digest, r.platform())
	if err != nil {
		return d, event.Fail(event.CodePushFailed, "the pushed image cannot be read back from the registry").Because(err)
	}
	want, err := r.requirements()
	if err != nil {
		return d, err
	}
	if err := image.Judge(d, want); err != nil {
		return d, err
	}
	if d.ConfigDigest != r.artifact.local.ConfigDigest {
		return d, event.Fail(event.CodePushFailed, fmt.Sprintf("the registry has another image than the one that was verified: config %s, verified %s", d.ConfigDigest, r.artifact.local.ConfigDigest))
	}
	return d, nil
}

// forget gives up the reference under which a built image was kept, so that
// releases do not fill the engine. The build cache stays, and so does an image
// that has another name.
func (r *Run) forget(ctx context.Context) {
	if r.artifact.localName == "" {
		return
	}
	e, _, err := r.OpenEngine()
	if err == nil {
		ctx, cancel := afterwards(ctx)
		defer cancel()
		err = e.Untag(ctx, r.artifact.localName)
	}
	if err != nil {
		r.note("push", event.Info, fmt.Sprintf("the local image %s stays in the engine: %v", r.artifact.localName, err))
	}
	r.artifact.localName = ""
}

func shortDigest(d string) string {
	d = d[strings.Index(d, ":")+1:]
	return d[:min(12, len(d))]
}

func describePlatform(p image.Platform, what string) string {
	return fmt.Sprintf("%s is %s", what, p)
}
