package release

import (
	"context"
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// push brings the image to the registry, reads it back by digest and verifies it
// once more. What cannot be pushed (an immutable tag that names another image, a
// tag that a revision lives by) is found before anything is.
func (r *Run) push(ctx context.Context) (string, error) {
	reg, err := r.registry(ctx)
	if err != nil {
		return "", err
	}
	if r.artifact.elsewhere || r.inRepository() && r.TagsGiven {
		return r.tagRemote(ctx, reg)
	}
	if r.artifact.remote != nil {
		r.pin(ctx, reg)
		if r.artifact.reused {
			return "", skip("an earlier run pushed it")
		}
		return "", skip("--image is in the repository")
	}
	tags, digest, err := r.missingTags(ctx, reg)
	if err != nil {
		return "", err
	}
	if !r.MoveTag {
		if err := image.MovingTags(ctx, reg, r.move(tags)); err != nil {
			return "", err
		}
	}
	if len(tags) > 0 {
		if digest, err = r.pushTags(ctx, tags); err != nil {
			return "", err
		}
	}
	d, err := r.readBack(ctx, reg, digest)
	if err != nil {
		return "", err
	}
	if r.artifact.unseen {
		if err := r.scanRemote(ctx, "push", d); err != nil {
			return "", err
		}
	}
	r.artifact.remote = &d
	r.pin(ctx, reg)
	r.forget(ctx)
	return fmt.Sprintf("%s as %s", shortDigest(d.Digest), strings.Join(r.Tags, ", ")), nil
}

func (r *Run) pushTags(ctx context.Context, tags []string) (string, error) {
	auth, err := r.login(ctx)
	if err != nil {
		return "", err
	}
	engine, _, err := r.OpenEngine()
	if err != nil {
		return "", err
	}
	return image.Push(ctx, engine, image.PushRequest{ImageID: r.artifact.localID, Repository: r.pre.repo.URI, Tags: tags, Auth: auth}, r.out.In("push"))
}

// pin gives the digest a tag that never moves, so that a lifecycle rule for
// untagged images cannot delete what serves once its other tags have moved on.
func (r *Run) pin(ctx context.Context, reg Registry) {
	if _, err := reg.Pin(ctx, r.pre.repo.URI, r.artifact.remote.Digest); err != nil {
		r.note("push", event.Warn, fmt.Sprintf("the image could not be given a tag of its own (%v): a lifecycle rule for untagged images may delete it once %s moves on", err, strings.Join(r.Tags, ", ")))
	}
}

// move is what pushing the tags would do to the revisions that must stay what
// they are: the one that serves and the rollback target.
func (r *Run) move(tags []string) image.Move {
	m := image.Move{Repository: r.pre.repo, Tags: tags, ConfigDigest: r.artifact.local.ConfigDigest, Platform: r.platform()}
	protect := func(d *taskdef.Definition, role string) {
		for _, c := range d.Containers() {
			m.Protected = append(m.Protected, image.Protected{Revision: d.Name(), Role: role, Image: c.Image})
		}
	}
	if history.Completed(r.pre.service) {
		protect(r.pre.current, "serves")
	}
	if t := r.pre.targetDefinition; t != nil && (t.ARN() != r.pre.current.ARN() || !history.Completed(r.pre.service)) {
		protect(t, "is the rollback target")
	}
	return m
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
