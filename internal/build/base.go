package build

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// basesTimeout bounds the reading of all base images' platforms, which a build
// can do without.
const basesTimeout = 20 * time.Second

// lintsSince is the first engine whose own frontend looks at the platform of
// base images (Docker build checks, in BuildKit 0.14 and Dockerfile 1.8).
const lintsSince = 27

// baseImage is an image that a stage begins from.
type baseImage struct {
	ref, stage string
	line       int              // of FROM
	platform   ocispec.Platform // that the stage is for
}

// store is an engine that can be asked for its images; *engine.Engine is one.
type store interface {
	Image(ctx context.Context, ref string) (engine.Image, error)
}

// bases remembers what was read, so that a Check before a Build costs nothing
// more.
type bases struct {
	mu   sync.Mutex
	read map[string]base
}

// base is a base image's platform, or why it is not known.
type base struct {
	os, arch string
	err      error
}

// checkBases finds base images that are for another platform than the stage that
// begins from them: BuildKit takes a single image whatever it is for, and writes
// the platform that it was asked for into the result. Newer engines find that
// themselves; for others the platform is read here, from the engine or the
// registry. The strings tell which images could not be looked at.
func (b *Builder) checkBases(ctx context.Context, r Request, in inputs, info engine.Info, images []baseImage) (unknown []string, err error) {
	if len(images) == 0 || in.dockerfile.lints(info) {
		return nil, nil
	}
	asked, cancel := context.WithTimeout(ctx, basesTimeout)
	defer cancel()
	found := make([]base, len(images))
	var group sync.WaitGroup
	for i, img := range images {
		group.Go(func() { found[i] = b.base(asked, r, img) })
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("read the platforms of base images: %w", context.Cause(ctx))
	}
	var lies []error
	for i, img := range images {
		switch f := found[i]; {
		case f.err != nil:
			unknown = append(unknown, fmt.Sprintf("cannot tell the platform of base image %s (line %d), and engine %s does not look at it: %v", img.ref, img.line, info.Version, f.err))
		case f.os != img.platform.OS || f.arch != img.platform.Architecture:
			lies = append(lies, lyingBase(fmt.Sprintf("base image %s is for %s/%s, and stage %s that begins from it is for %s (line %d)",
				img.ref, f.os, f.arch, img.stage, platforms.Format(img.platform), img.line)))
		}
	}
	return unknown, errors.Join(lies...)
}

// lyingBase is the refusal of a base image for another platform.
func lyingBase(what string) error {
	return event.Fail(event.CodePlatformMismatch, what).Hint(
		"BuildKit would label the image with the platform that was asked for, and its programs would not run",
		"name an image that has the platform (docker manifest inspect IMAGE lists them); a digest in FROM may pin one platform's image, where the tag has several",
		"a stage that is meant to run on the builder begins with FROM --platform=$BUILDPLATFORM")
}

// lints reports whether the frontend that reads the file looks at the platforms
// of base images and can tell: its own on a new engine, unless the file switches
// checks off.
func (d dockerfile) lints(info engine.Info) bool {
	n, ok := major(info.Version)
	if !ok || n < lintsSince || d.checks {
		return false
	}
	switch d.syntax {
	case "", "docker/dockerfile", "docker/dockerfile:1", "docker/dockerfile:latest":
		return true
	}
	return false
}

// base reads an image's platform, once.
func (b *Builder) base(ctx context.Context, r Request, i baseImage) base {
	key := fmt.Sprint(i.ref, " ", platforms.Format(i.platform), " ", r.Pull)
	b.known.mu.Lock()
	known, ok := b.known.read[key]
	b.known.mu.Unlock()
	if ok {
		return known
	}
	found := b.readBase(ctx, r, i)
	if ctx.Err() == nil {
		b.known.mu.Lock()
		if b.known.read == nil {
			b.known.read = map[string]base{}
		}
		b.known.read[key] = found
		b.known.mu.Unlock()
	}
	return found
}

// readBase looks where BuildKit would: in the engine, which must have the image
// for the platform, then in the registry.
func (b *Builder) readBase(ctx context.Context, r Request, i baseImage) base {
	if s, ok := b.engine.(store); ok && !r.Pull {
		if img, err := s.Image(ctx, i.ref); err == nil && img.OS == i.platform.OS && img.Architecture == i.platform.Architecture {
			return base{os: img.OS, arch: img.Architecture}
		}
	}
	f, err := b.fetchConfig(ctx, i)
	switch {
	case err != nil:
		return base{err: err}
	case f == nil: // an index without the platform: BuildKit refuses that itself
		return base{os: i.platform.OS, arch: i.platform.Architecture}
	case f.OS == "" || f.Architecture == "":
		return base{err: errors.New("its configuration names none")}
	}
	return base{os: f.OS, arch: f.Architecture}
}

// fetchConfig reads the configuration of the image that BuildKit would take; nil
// when the reference has none for the platform.
func (b *Builder) fetchConfig(ctx context.Context, i baseImage) (*v1.ConfigFile, error) {
	ref, err := name.ParseReference(i.ref)
	if err != nil {
		return nil, err
	}
	auth, err := b.authenticator(ctx, ref.Context().RegistryStr())
	if err != nil {
		return nil, err
	}
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	opts := []remote.Option{remote.WithContext(ctx), remote.WithAuth(auth), remote.WithTransport(transport)}
	d, err := remote.Get(ref, opts...)
	if err != nil {
		return nil, plainRegistry(err)
	}
	img, err := forPlatform(d, i.platform)
	if err != nil || img == nil {
		return nil, err
	}
	f, err := img.ConfigFile()
	return f, plainRegistry(err)
}

// forPlatform chooses as BuildKit does: the first entry of an index for the
// platform, and a single image in any case.
func forPlatform(d *remote.Descriptor, want ocispec.Platform) (v1.Image, error) {
	if !d.MediaType.IsIndex() {
		return d.Image()
	}
	index, err := d.ImageIndex()
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, e := range m.Manifests {
		if e.Platform != nil && e.Platform.OS == want.OS && e.Platform.Architecture == want.Architecture {
			return index.Image(e.Digest)
		}
	}
	return nil, nil
}

// authenticator is the user's login to a registry.
func (b *Builder) authenticator(ctx context.Context, host string) (authn.Authenticator, error) {
	creds, err := readCredentials(b.environment)
	if err != nil {
		return nil, err
	}
	user, secret, err := creds.find(ctx, host)
	switch {
	case err != nil:
		return nil, err
	case secret == "":
		return authn.Anonymous, nil
	case user == "":
		return authn.FromConfig(authn.AuthConfig{IdentityToken: secret}), nil
	}
	return authn.FromConfig(authn.AuthConfig{Username: user, Password: secret}), nil
}

// plainRegistry keeps a registry's error to one line.
func plainRegistry(err error) error {
	if err == nil {
		return nil
	}
	if s := err.Error(); strings.Contains(s, "\n") {
		return fmt.Errorf("%s", firstLine(s))
	}
	return err
}
