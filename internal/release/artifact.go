package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/engine"
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
	auth      *engine.Auth       // for the registry; nil before the first login
	reused    bool               // an earlier run of the same commit made it
	unseen    bool               // it has not been looked into yet
	emulated  string             // what ran under emulation when it was built, by its label
	elsewhere bool               // another machine built, verified and pushed it in this run
	failed    *failedImage       // the image of this commit that was not reused
}

// reference is the digest-pinned reference, once it is known.
func (r *Run) reference() string {
	if r.artifact.remote == nil {
		return ""
	}
	return r.pre.repo.URI + "@" + r.artifact.remote.Digest
}

// build makes the image, or takes the one that an earlier run of the same
// commit with the same inputs has pushed, unless that has failed here.
func (r *Run) build(ctx context.Context) (string, error) {
	if r.Image != "" {
		return "", skip("--image names one")
	}
	if d, err := r.reusable(ctx); err != nil {
		return "", err
	} else if d != nil && !r.reject(ctx, *d) {
		r.artifact.remote, r.artifact.reused = d, true
		return "", skip(fmt.Sprintf("an image of this commit is in the registry (%s)", shortDigest(d.Digest)))
	}
	emit := r.out.In("build")
	if err := build.RunBefore(ctx, r.Dir, r.Before, emit); err != nil {
		return "", err
	}
	req := r.labelled()
	if r.Elsewhere != nil {
		return r.buildElsewhere(ctx, req)
	}
	e, builder, err := r.OpenEngine()
	if err != nil {
		return "", err
	}
	r.detectEmulation(ctx, e)
	req.Name = "weelo-deploy-build:" + r.RunID
	res, err := builder.Build(ctx, req, emit)
	if err != nil {
		return "", err
	}
	r.artifact.localID, r.artifact.localName = res.ImageID, req.Name
	r.result.Emulated = res.Emulated
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

// registry opens the repository's registry.
func (r *Run) registry(ctx context.Context) (Registry, error) {
	auth, err := r.login(ctx)
	if err != nil {
		return nil, err
	}
	return r.OpenRegistry(auth), nil
}

// login signs in to the registry once a run: a token is good for 12 hours
// (GetAuthorizationToken, ECR API reference).
func (r *Run) login(ctx context.Context) (engine.Auth, error) {
	if r.artifact.auth == nil {
		auth, err := image.Login(ctx, r.ECR, r.pre.repo.Host)
		if err != nil {
			return auth, fromAWS(err, "sign in to the registry "+r.pre.repo.Host, "ecr:GetAuthorizationToken")
		}
		r.artifact.auth = &auth
	}
	return *r.artifact.auth, nil
}
