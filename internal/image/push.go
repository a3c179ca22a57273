package image

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// PushEngine is what Push needs of an engine; *engine.Engine has it.
type PushEngine interface {
	Image(ctx context.Context, ref string) (engine.Image, error)
	Tag(ctx context.Context, image, ref string) error
	Untag(ctx context.Context, ref string) error
	Push(ctx context.Context, ref string, a engine.Auth, progress func(engine.PushProgress)) (digest string, err error)
}

// PushRequest is what to push, and where.
type PushRequest struct {
	ImageID    string // or a local reference
	Repository string // "host/name"
	Tags       []string
	Auth       engine.Auth

	// Holds is asked about a tag that the registry will not move: it returns
	// the digest behind the tag when that is the image to be pushed. It may be
	// nil.
	Holds func(ctx context.Context, tag string) (digest string, same bool, err error)
}

// Push sends an image to its repository under every tag, and returns the digest
// that the engine reported, which is the same for all. The local references
// that it makes for this are gone when it returns.
//
// A throttled push is repeated, with a growing pause. The failures are
// CodeTagImmutable, when a tag cannot be moved, and CodePushFailed; tags that
// were pushed before stay.
func Push(ctx context.Context, e PushEngine, p PushRequest, emit event.Emit) (string, error) {
	if len(p.Tags) == 0 {
		return "", event.Fail(event.CodeUsage, "push "+p.ImageID+": no tag is given").Hint("--tag NAME")
	}
	var digest string
	for _, tag := range p.Tags {
		d, err := pushTag(ctx, e, p, tag, emit)
		if err != nil {
			return "", err
		}
		if digest == "" {
			digest = d
		}
		if d != digest {
			return "", event.Fail(event.CodePushFailed, fmt.Sprintf("the tags of %s became different images: %s and %s", p.Repository, digest, d)).
				Hint("somebody else pushes the same tags; release again")
		}
	}
	return digest, nil
}

func pushTag(ctx context.Context, e PushEngine, p PushRequest, tag string, emit event.Emit) (string, error) {
	ref := p.Repository + ":" + tag
	restore, err := borrow(ctx, e, p.ImageID, ref)
	if err != nil {
		return "", err
	}
	defer restore()
	prog := newProgress("push "+ref, emit)
	digest, err := persist(ctx, func() (string, error) { return e.Push(ctx, ref, p.Auth, prog.tell) }, prog.again)
	if err == nil {
		prog.done(digest)
		return digest, nil
	}
	if ctx.Err() != nil {
		prog.end(event.Interrupted, "")
		return "", fmt.Errorf("push %s: %w", ref, context.Cause(ctx))
	}
	if isImmutable(err.Error()) && p.Holds != nil {
		d, same, herr := p.Holds(ctx, tag)
		if herr == nil && same {
			prog.end(event.Cached, "the tag holds this image already")
			return d, nil
		}
	}
	f := pushFailure(ref, p.Repository, tag, err)
	prog.end(event.Failed, strings.TrimPrefix(f.Message, "push "+ref+": ")) // the step is called so already
	return "", f
}

// borrow gives the image the reference for as long as the push lasts. What the
// reference named before, it names again afterwards. An image without another name
// keeps the reference: an engine removes an image with its last one.
func borrow(ctx context.Context, e PushEngine, id, ref string) (restore func(), err error) {
	image, err := e.Image(ctx, id)
	if err != nil {
		return nil, engineError(id, err)
	}
	before, err := e.Image(ctx, ref)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return nil, engineError(ref, err)
	}
	if before.ID == image.ID {
		return func() {}, nil
	}
	last := !hasOther(image, ref)
	if err := e.Tag(ctx, image.ID, ref); err != nil {
		return nil, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if before.ID != "" {
			_ = e.Tag(ctx, before.ID, ref) // a stale local name is all that can remain
			return
		}
		if !last {
			_ = e.Untag(ctx, ref)
		}
	}, nil
}

// hasOther reports whether the image has a name that stays when ref is removed: a
// tag, or a digest in another repository. The digests of ref's own repository go
// with its last tag (moby/moby, daemon/images/image_delete.go).
func hasOther(i engine.Image, ref string) bool {
	repository := ref[:strings.LastIndex(ref, ":")]
	return len(i.RepoTags) > 0 || slices.ContainsFunc(i.RepoDigests, func(d string) bool {
		return !strings.HasPrefix(d, repository+"@")
	})
}

// How often a push is tried, and how long the first pause is; each further one
// is twice as long, give or take a quarter. A throttled registry is worth more
// patience than a broken connection.
const (
	throttledTries = 7
	brokenTries    = 3
	firstPause     = time.Second
)

// engineRetried is how long a push takes, at the least, in which the engine
// itself tried a layer again: it does so five times, after 5, 10, 15 and 20 s.
const engineRetried = 20 * time.Second

// persist tries a push until it succeeds, fails for good or ctx ends.
func persist(ctx context.Context, push func() (string, error), again func(time.Duration, error)) (string, error) {
	pause := firstPause
	for try := 1; ; try++ {
		began := time.Now()
		digest, err := push()
		most := tries(err)
		if most == brokenTries && time.Since(began) > engineRetried {
			most = 1
		}
		if err == nil || ctx.Err() != nil || try >= most {
			return digest, err
		}
		wait := pause*3/4 + rand.N(pause/2)
		again(wait, err)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return "", err
		}
		pause *= 2
	}
}

// tries is how often it is worth trying against an error. The engine tries
// layers again, but never a throttled one, and never the manifest (moby/moby,
// distribution/errors.go).
func tries(err error) int {
	if err == nil {
		return 1
	}
	s := strings.ToLower(err.Error())
	switch {
	case containsAny(s, "toomanyrequests", "too many requests", "rate exceeded", "throttl", "http 429 response"):
		return throttledTries // the last is what the engine says of an answer without a body
	case containsAny(s, "unexpected http status: 5", "parsing http 5", "connection reset", "tls handshake timeout",
		"i/o timeout", "unexpected eof", "broken pipe"):
		return brokenTries
	}
	return 1
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// isImmutable recognises ECR's refusal to move a tag: ImageTagAlreadyExists as
// its registry words it, "tag invalid: The image tag 'v1' already exists in the
// 'name' repository and cannot be overwritten because the repository is
// immutable".
func isImmutable(s string) bool {
	s = strings.ToLower(s)
	return strings.Contains(s, "immutable") || strings.Contains(s, "imagetagalreadyexists") ||
		strings.Contains(s, "tag invalid") && strings.Contains(s, "already exists")
}

// pushFailure is why a push failed, as one can act on it.
func pushFailure(ref, repository, tag string, err error) *event.Failure {
	text := err.Error()
	var stream *engine.StreamError
	if errors.As(err, &stream) {
		text = stream.Message
	}
	lower := strings.ToLower(text)
	fail := func(why string) *event.Failure {
		f := event.Fail(event.CodePushFailed, "push "+ref+": "+why)
		if why != text {
			f.See(text)
		}
		return f
	}
	var away *engine.UnreachableError
	switch {
	case errors.As(err, &away):
		return fail(away.Error()).Hint(away.Hints...)
	case isImmutable(text):
		return event.Fail(event.CodeTagImmutable, fmt.Sprintf("push %s: the repository does not move tags, and %q is another image", ref, tag)).
			Because(err).See(text).Hint("release under another tag: --tag NAME")
	case strings.Contains(lower, "no space left"):
		return fail("there is no space left where the registry or the engine stores it").Hint("free some of the engine's disk: docker system prune")
	case containsAny(lower, "name unknown", "repository does not exist", "does not exist in the registry"):
		return fail("the repository does not exist").Hint("create it, or correct image.repository").Try("aws ecr create-repository --repository-name " + nameOf(repository))
	case containsAny(lower, "authorization token has expired", "token has expired"):
		return fail("the registry's login has expired").Hint("release again: a new login is made each time")
	case containsAny(lower, "denied", "unauthorized", "no basic auth credentials", "not authorized", "403 forbidden"):
		return fail("the registry denies it").Hint("allow ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, " +
			"ecr:CompleteLayerUpload and ecr:PutImage on the repository, and ecr:GetAuthorizationToken")
	case strings.Contains(lower, "unexpected http status: 5"): // the engine drops what the registry says with it
		return fail("the registry failed to store it (" + text[strings.LastIndex(text, ": ")+2:] + ")").
			Hint("its disk may be full (no space left), or it is in trouble; try again, and look at the registry's log")
	case tries(err) == throttledTries:
		return fail("the registry throttles us, after several tries").Hint("release again in a few minutes")
	}
	return fail(text)
}

// nameOf is a repository's name without the host.
func nameOf(repository string) string {
	_, name, _ := strings.Cut(repository, "/")
	return name
}
