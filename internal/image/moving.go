package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Protected is a reference that has to keep its meaning.
type Protected struct {
	Revision string // "weelobackendtask:27"
	Role     string // what the revision is, for people: "serves", "is the rollback target"
	Image    string // as the revision's definition names it
}

// Move is an image about to be pushed under tags.
type Move struct {
	Repository   Repository
	Tags         []string
	ConfigDigest string // of the image that the tags will name
	Platform     Platform
	Protected    []Protected
}

// Describer reads images in a registry; Remote is one.
type Describer interface {
	Describe(ctx context.Context, ref string, want Platform) (Description, error)
}

// MovingTags refuses to take a tag from a revision that names its image by it:
// tasks that ECS starts for that revision, in a scaling or a rollback, would run the
// new image. It finds nothing, or a failure with CodeTagInUse for each such tag,
// joined.
//
// A revision that names its image by digest holds no tag. A tag that names this very
// image already does not move, and one of an immutable repository cannot.
func MovingTags(ctx context.Context, d Describer, m Move) error {
	var errs []error
	for _, tag := range m.Tags {
		holders := m.holders(tag)
		if len(holders) == 0 || m.Repository.Immutable(tag) {
			continue
		}
		now, err := d.Describe(ctx, m.Repository.URI+":"+tag, m.Platform)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !isOther(err):
			return err
		case err != nil || now.ConfigDigest != m.ConfigDigest:
			errs = append(errs, m.inUse(tag, holders, now))
		}
	}
	return errors.Join(errs...)
}

// isOther recognises that a tag names nothing, or no image for the platform: what
// will be pushed is another image then.
func isOther(err error) bool {
	var f *event.Failure
	return errors.Is(err, ErrNotFound) || errors.As(err, &f) && f.Code == event.CodePlatformMismatch
}

// holders are those whose reference is the tag, without a digest.
func (m Move) holders(tag string) []Protected {
	var all []Protected
	for _, p := range m.Protected {
		ref, err := ParseReference(p.Image)
		if err != nil || ref.Digest != "" || ref.Repository() != m.Repository.URI {
			continue
		}
		if ref.Tag == tag || ref.Tag == "" && tag == "latest" {
			all = append(all, p)
		}
	}
	return all
}

func (m Move) inUse(tag string, holders []Protected, now Description) error {
	var who []string
	for _, h := range holders {
		who = append(who, fmt.Sprintf("%s (%s)", h.Revision, h.Role))
	}
	names := "names its image"
	if len(who) > 1 {
		names = "name their image"
	}
	f := event.Fail(event.CodeTagInUse, fmt.Sprintf("tag %s of repository %s may not move: %s %s by it", tag, m.Repository.Name, strings.Join(who, " and "), names))
	if now.Digest != "" {
		f.See(tag + " is " + now.Digest)
	}
	return f.Hint("give this image another tag with --tag; {{.GitSHA}} is always a new one",
		"--move-tag moves it all the same: tasks that start for that revision from then on run the new image")
}
