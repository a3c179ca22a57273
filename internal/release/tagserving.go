package release

import (
	"context"
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
)

// tagServing gives the image that serves the tags of a release that had nothing else
// to do. A tag that cannot be given is warned of: the service is as it was asked for.
func (r *Run) tagServing(ctx context.Context) {
	d := r.artifact.remote
	if d == nil || len(r.Tags) == 0 || r.inRepository() && !r.TagsGiven {
		return // --image of the repository keeps the tags that it has
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	given, err := r.giveTags(ctx, *d)
	if len(given) > 0 {
		r.note("push", event.Info, fmt.Sprintf("the image that serves (%s) is now tagged %s too", shortDigest(d.Digest), strings.Join(given, ", ")))
	}
	if err != nil {
		r.note("push", event.Warn, fmt.Sprintf("the image that serves (%s) did not get all of its tags (%s): %s", shortDigest(d.Digest), strings.Join(r.Tags, ", "), firstLine(err)))
	}
}

// giveTags gives an image of the registry those of the release's tags that name none
// yet. One that names another image keeps it, unless --move-tag was given.
func (r *Run) giveTags(ctx context.Context, d image.Description) (given []string, err error) {
	reg, err := r.registry(ctx)
	if err != nil {
		return nil, err
	}
	for _, tag := range r.Tags {
		at, found, err := image.Tagged(ctx, r.ECR, r.pre.repo, tag)
		if err != nil {
			return given, fromAWS(err, "look for the tag "+tag, "ecr:DescribeImages")
		}
		if found {
			other, err := reg.Describe(ctx, r.pre.repo.URI+"@"+at, r.platform())
			switch {
			case err == nil && other.ConfigDigest == d.ConfigDigest:
				continue
			case r.pre.repo.Immutable(tag):
				return given, event.Fail(event.CodeTagImmutable, fmt.Sprintf("the tag %s names another image, and the repository's tags are immutable", tag))
			case !r.MoveTag:
				return given, event.Fail(event.CodeTagInUse, fmt.Sprintf("the tag %s names another image (--move-tag moves it)", tag))
			}
		}
		if err := reg.Tag(ctx, r.pre.repo.URI, d.Digest, tag); err != nil {
			return given, err
		}
		given = append(given, tag)
	}
	return given, nil
}
