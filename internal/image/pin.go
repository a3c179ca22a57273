package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weelo/weelo-deploy/internal/event"
)

// PinTag is the tag that an image keeps for ever: "weelo-" and the first 12
// hexadecimal digits of its digest. It is not put on anything else.
func PinTag(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return "weelo-" + hex[:min(12, len(hex))]
}

// Pin gives an image of the repository ("host/name") its PinTag, so that a
// lifecycle rule for untagged images leaves it alone when its other tags move on.
// Only the manifest is sent, and nothing when the tag is there. It returns the tag.
//
// It takes the rights of a push. A tag that names another image is a failure with
// CodeTagImmutable; an image that is not there is ErrNotFound.
func (r Remote) Pin(ctx context.Context, repository, digest string) (string, error) {
	tag := PinTag(digest)
	image, err := name.NewDigest(repository + "@" + digest)
	if err != nil {
		return "", fmt.Errorf("pin image %s@%s: %w", repository, digest, err)
	}
	if held, err := r.held(ctx, image.Context().Tag(tag), digest); err != nil || held {
		return tag, err
	}
	if err := r.put(ctx, image, tag); err != nil {
		// Somebody may have been quicker, in a repository that takes a tag once.
		if held, herr := r.held(ctx, image.Context().Tag(tag), digest); herr == nil && held {
			return tag, nil
		}
		return "", err
	}
	return tag, nil
}

// Tag gives an image of the repository ("host/name") a further tag, which is moved
// when it names another image. It takes the rights of a push, and sends only the
// manifest.
func (r Remote) Tag(ctx context.Context, repository, digest, tag string) error {
	image, err := name.NewDigest(repository + "@" + digest)
	if err != nil {
		return fmt.Errorf("tag image %s@%s: %w", repository, digest, err)
	}
	return r.put(ctx, image, tag)
}

func (r Remote) put(ctx context.Context, image name.Digest, tag string) error {
	manifest, err := remote.Get(image, r.options(ctx)...)
	if err != nil {
		return readError(image.Name(), err)
	}
	if err := remote.Tag(image.Context().Tag(tag), manifest, r.options(ctx)...); err != nil {
		repository := image.Context().Name()
		return pushFailure(repository+":"+tag, repository, tag, err)
	}
	return nil
}

// held reports whether the tag names the digest. That it names another is a
// failure.
func (r Remote) held(ctx context.Context, tag name.Tag, digest string) (bool, error) {
	at, err := remote.Head(tag, r.options(ctx)...)
	if err != nil {
		if err = readError(tag.Name(), err); errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return false, err
	}
	if at.Digest.String() == digest {
		return true, nil
	}
	return false, event.Fail(event.CodeTagImmutable, fmt.Sprintf("the tag %s is meant for the image %s, and names another", tag.Name(), digest)).
		See(tag.TagStr() + " is " + at.Digest.String()).
		Hint("weelo-… tags are never moved; somebody else wrote this one: remove it")
}
