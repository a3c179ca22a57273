package release

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// failedImage is an image of this commit that is not released again as it is.
type failedImage struct {
	as     string // the revision that failed with it, and how
	config string // digest of its config
}

// reject says whether the image that could be reused has failed here, so that it is
// built anew: what a build takes in besides the commit may have been mended since.
func (r *Run) reject(ctx context.Context, d image.Description) bool {
	as := r.failedAs(ctx, d.Digest)
	if as == "" {
		return false
	}
	r.artifact.failed = &failedImage{as: as, config: d.ConfigDigest}
	r.note("build", event.Warn, "the image of this commit failed as "+as+": built anew")
	r.Tags = slices.Clone(r.Tags)
	for i, tag := range r.Tags {
		if r.pre.repo.Immutable(tag) && !r.TagsGiven { // the failed image keeps it
			r.Tags[i] = tag + "-" + r.RunID[:min(6, len(r.RunID))]
		}
	}
	return true
}

// warnFailedBefore says that what is about to be released has failed here already. It
// goes on: what failed may have been the image's surroundings.
func (r *Run) warnFailedBefore(ctx context.Context) {
	a, as := r.artifact, ""
	switch {
	case a.failed != nil && a.failed.config == a.local.ConfigDigest:
		as = a.failed.as
	case a.failed == nil && a.remote != nil && !a.reused:
		as = r.failedAs(ctx, a.remote.Digest)
	}
	if as != "" {
		r.note("verify", event.Warn, "this very image failed before, as "+as+": it fails again unless the cause was outside of it")
	}
}

// failedAs names the newest revision that our tags record as failed here with an
// image, and its failure code. It is empty when there is none, when a revision with
// the image was proven here as well, and when the history cannot tell.
func (r *Run) failedAs(ctx context.Context, digest string) string {
	l := r.pre.ledger
	arns := slices.SortedFunc(maps.Keys(l.Tags), func(a, b string) int { return cmp.Compare(revisionNumber(b), revisionNumber(a)) })
	failed := func(arn string) bool { return l.Tags[arn].Outcome.Kind == history.Failed }
	i := slices.IndexFunc(arns, func(arn string) bool { return failed(arn) && r.runsImage(ctx, arn, digest) })
	if i < 0 || slices.ContainsFunc(arns, func(arn string) bool {
		return !failed(arn) && l.EverProven(arn) && r.runsImage(ctx, arn, digest)
	}) {
		return ""
	}
	return fmt.Sprintf("%s (%s)", history.Name(arns[i]), cmp.Or(l.Tags[arns[i]].Code, "no code"))
}

// runsImage says whether a revision, deregistered or not, names an image of the
// repository by its digest.
func (r *Run) runsImage(ctx context.Context, arn, digest string) bool {
	def, err := taskdef.Client{API: r.ECS}.Describe(ctx, arn)
	return err == nil && slices.ContainsFunc(def.Containers(), func(c taskdef.Container) bool {
		ref, err := image.ParseReference(c.Image)
		return err == nil && ref.Digest == digest && ref.Repository() == r.pre.repo.URI
	})
}
