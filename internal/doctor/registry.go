package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
)

// registry signs in to the registry and reads the image that serves from it.
func registry(ctx context.Context, e *exam) []Finding {
	auth, err := image.Login(ctx, e.Clients.ECR, e.Repository.Host)
	if err != nil {
		return failures("registry", err)
	}
	released, err := e.Current.Released(e.Settings.Container)
	if err != nil || !inRepository(released.Image, e.Repository) {
		return one("registry", OK, "signed in; the image that serves is in another repository", "")
	}
	var want image.Platform
	_, err = e.Clients.OpenRegistry(auth).Describe(ctx, released.Image, want)
	switch {
	case errors.Is(err, image.ErrNotFound):
		return one("registry", Warn, "the image that serves is not in the registry any more: "+released.Image+"; a task that ECS starts anew cannot pull it", "weelo-deploy release")
	case err != nil && !platformOnly(err):
		return failures("registry", err)
	}
	return one("registry", OK, "signed in, and the image that serves can be read", "")
}

// platformOnly: the image was read, and is for a platform that nobody asked about.
func platformOnly(err error) bool {
	return slices.ContainsFunc(event.FailuresOf(err), func(f *event.Failure) bool { return f.Code == event.CodePlatformMismatch })
}

func failures(name string, err error) []Finding {
	var out []Finding
	for _, f := range event.FailuresOf(err) {
		out = append(out, failed(name, f))
	}
	return out
}

func inRepository(ref string, r image.Repository) bool {
	parsed, err := image.ParseReference(ref)
	return err == nil && parsed.Repository() == r.URI
}

// tags judges image.tags by the rules of the repository.
func tags(e *exam) []Finding {
	rule := "tags are " + strings.ToLower(strings.ReplaceAll(e.Repository.Mutability, "_", " "))
	var out []Finding
	for _, t := range e.Tags {
		if strings.Contains(t, "{{") {
			continue
		}
		if e.Repository.Immutable(t) {
			out = append(out, Finding{Name: "tags", Status: Warn, Detail: fmt.Sprintf("%s, and image.tags has %q, which is the same in every release: the second one is refused", rule, t),
				Mend: `image: {tags: ["{{.GitSHA}}"]} in weelo-deploy.yaml`, Code: event.CodeTagImmutable})
		}
		if holder := e.holder(t); holder != "" && !e.Repository.Immutable(t) {
			out = append(out, Finding{Name: "tags", Status: Warn, Detail: fmt.Sprintf("%s names its image by the tag %q, which is in image.tags: a push is refused unless --move-tag is given", holder, t),
				Mend: `image: {tags: ["{{.GitSHA}}"]} in weelo-deploy.yaml`, Code: event.CodeTagInUse})
		}
	}
	if len(out) > 0 {
		return out
	}
	return one("tags", OK, rule, "")
}

// holder is the revision that serves when it names its image by a tag.
func (e *exam) holder(tag string) string {
	for _, c := range e.Current.Containers() {
		ref, err := image.ParseReference(c.Image)
		if err == nil && ref.Repository() == e.Repository.URI && ref.Digest == "" && (ref.Tag == tag || ref.Tag == "" && tag == "latest") {
			return e.Current.Name()
		}
	}
	return ""
}

// spacious is an engine that knows how much room it has.
type spacious interface {
	FreeSpace(context.Context) (bytes int64, known bool, err error)
}

// What a build wants to have free: base image, layers and cache of a small service
// fit into the first, and nothing fits into the second.
const (
	roomy    = 5 << 30
	tooSmall = 1 << 30
)

func diskSpace(ctx context.Context, p Patient) []Finding {
	const name = "disk space"
	if p.Clients.Elsewhere != nil {
		return one(name, Skip, "the image is built elsewhere", "")
	}
	e, _, err := p.Clients.OpenEngine()
	if err != nil {
		return one(name, Skip, "needs the engine", "")
	}
	s, ok := e.(spacious)
	if !ok {
		return one(name, Skip, "the engine cannot be asked", "")
	}
	free, known, err := s.FreeSpace(ctx)
	switch {
	case err != nil:
		return one(name, Skip, "needs the engine", "")
	case !known:
		return one(name, Skip, "the engine's disk is not on this machine", "")
	}
	return judgeSpace(free)
}

func judgeSpace(free int64) []Finding {
	detail := fmt.Sprintf("%.1f GiB free where the engine keeps its images", float64(free)/(1<<30))
	const prune = "docker builder prune"
	switch {
	case free < tooSmall:
		return one("disk space", Fail, detail, prune)
	case free < roomy:
		return one("disk space", Warn, detail, prune)
	}
	return one("disk space", OK, detail, "")
}

var _ release.Registry = image.Remote{}
