package release

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
)

// Elsewhere builds an image on another machine, verifies it there and pushes it
// from there.
type Elsewhere interface {
	// Check says where it would build, or why it would not.
	Check(context.Context, build.Request) (where string, err error)
	// Build pushes the image under a tag, and gives its digest.
	Build(ctx context.Context, r build.Request, repository, tag string, emit event.Emit) (digest string, err error)
}

// checkElsewhere is preflight's look at the other machine.
func (r *Run) checkElsewhere(ctx context.Context) (string, error) {
	where, err := r.Elsewhere.Check(ctx, r.Build)
	return where, fromAWS(err, "look at the CodeBuild project", "codebuild:BatchGetProjects")
}

// buildElsewhere makes the image on the other machine. It is pushed under a tag
// that nothing lives by: the tags of the release are given in the push stage,
// after the image was judged.
func (r *Run) buildElsewhere(ctx context.Context, req build.Request) (string, error) {
	digest, err := r.Elsewhere.Build(ctx, req, r.pre.repo.URI, "weelo-build-"+r.RunID, r.out.In("build"))
	if err != nil {
		return "", fromAWS(err, "build with CodeBuild", "codebuild:StartBuild, codebuild:BatchGetBuilds, and s3:PutObject on the project's source bucket")
	}
	reg, err := r.registry(ctx)
	if err != nil {
		return "", err
	}
	d, err := reg.Describe(ctx, r.pre.repo.URI+"@"+digest, r.platform())
	if err != nil {
		return "", event.Fail(event.CodePushFailed, "the image that was built elsewhere cannot be read from the registry").Because(err)
	}
	r.artifact.remote, r.artifact.elsewhere = &d, true
	r.artifact.local.ConfigDigest = d.ConfigDigest
	return shortDigest(digest), nil
}

// tagRemote gives an image that is in the registry already the tags of the release,
// by the rules of a push.
func (r *Run) tagRemote(ctx context.Context, reg Registry) (string, error) {
	tags, _, err := r.missingTags(ctx, reg)
	if err != nil {
		return "", err
	}
	if !r.MoveTag {
		if err := image.MovingTags(ctx, reg, r.move(tags)); err != nil {
			return "", err
		}
	}
	for _, tag := range tags {
		if err := reg.Tag(ctx, r.pre.repo.URI, r.artifact.remote.Digest, tag); err != nil {
			return "", err
		}
	}
	r.pin(ctx, reg)
	return fmt.Sprintf("%s as %s", shortDigest(r.artifact.remote.Digest), strings.Join(r.Tags, ", ")), nil
}

// labelled is the build request with the label by which a later run recognises
// its own image.
func (r *Run) labelled() build.Request {
	req := r.Build
	req.Labels = maps.Clone(req.Labels)
	if req.Labels == nil {
		req.Labels = map[string]string{}
	}
	req.Labels[LabelInputs] = r.inputs()
	return req
}
