package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// ErrNotFound: the registry has no such image.
var ErrNotFound = errors.New("image not found")

// Remote reads images in registries. Plain HTTP is spoken with registries on
// this machine only.
type Remote struct {
	auth authn.Authenticator
	rt   http.RoundTripper
}

// NewRemote makes a Remote that presents auth; the zero Auth is anonymous. A
// nil transport is the usual one.
func NewRemote(a engine.Auth, rt http.RoundTripper) Remote {
	if rt == nil {
		rt = remote.DefaultTransport
	}
	r := Remote{auth: authn.Anonymous, rt: loopbackOnly{rt}}
	if a != (engine.Auth{}) {
		r.auth = authn.FromConfig(authn.AuthConfig{Username: a.Username, Password: a.Password})
	}
	return r
}

// loopbackOnly refuses plain HTTP to other machines: the registry library
// would speak it with any private address.
type loopbackOnly struct{ http.RoundTripper }

func (l loopbackOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !isLoopback(r.URL.Hostname()) {
		return nil, fmt.Errorf("registry %s does not speak https", r.URL.Host)
	}
	return l.RoundTripper.RoundTrip(r)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Describe reads the image of a tag or digest. Of an index it is the one
// manifest that runs on want; entries of attestations are no images. A zero
// want takes an index with one image only. The error is ErrNotFound when there
// is no such image, and a failure with CodePlatformMismatch when the index has
// none for want or several, or when it is no image that ECS can run.
func (r Remote) Describe(ctx context.Context, ref string, want Platform) (Description, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return Description{}, fmt.Errorf("parse image reference %q: %w", ref, err)
	}
	top, err := remote.Get(parsed, r.options(ctx)...)
	if err != nil {
		return Description{}, readError(ref, err)
	}
	d := Description{Reference: ref}
	switch {
	case top.MediaType.IsIndex():
		entry, err := pick(ref, top, want)
		if err != nil {
			return d, err
		}
		d.Index, d.Descriptor = top.Digest.String(), platformOf(entry.Platform)
		if top, err = remote.Get(parsed.Context().Digest(entry.Digest.String()), r.options(ctx)...); err != nil {
			return d, readError(ref, err)
		}
	case !top.MediaType.IsImage():
		return d, notRunnable(ref, top.Digest, "its media type is "+string(top.MediaType))
	}
	err = describe(&d, ref, top)
	return d, err
}

func (r Remote) options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuth(r.auth), remote.WithTransport(r.rt), remote.WithUserAgent("weelo-deploy")}
}

// describe reads one image's manifest and config into d. Both are checked
// against their digests by the library.
func describe(d *Description, ref string, desc *remote.Descriptor) error {
	d.Digest, d.MediaType = desc.Digest.String(), string(desc.MediaType)
	img, err := desc.Image()
	if err != nil {
		return readError(ref, err)
	}
	m, err := img.Manifest()
	if err != nil {
		return readError(ref, err)
	}
	if t := m.Config.MediaType; t != types.DockerConfigJSON && t != types.OCIConfigJSON {
		return notRunnable(ref, desc.Digest, "its config is of media type "+string(t))
	}
	c, err := img.ConfigFile()
	if err != nil {
		return readError(ref, err)
	}
	d.ConfigDigest, d.Labels = m.Config.Digest.String(), c.Config.Labels
	d.Config = Platform{c.OS, c.Architecture, c.Variant}
	d.Size = m.Config.Size
	for _, l := range m.Layers {
		d.Size += l.Size
		d.Layers = append(d.Layers, l.Digest.String())
	}
	return nil
}

// pick chooses the index's entry for want.
func pick(ref string, index *remote.Descriptor, want Platform) (v1.Descriptor, error) {
	ii, err := index.ImageIndex()
	if err != nil {
		return v1.Descriptor{}, readError(ref, err)
	}
	m, err := ii.IndexManifest()
	if err != nil {
		return v1.Descriptor{}, readError(ref, err)
	}
	var found []v1.Descriptor
	var has []string
	for _, e := range m.Manifests {
		p := platformOf(e.Platform)
		switch {
		case isAttestation(e):
			continue
		case e.MediaType.IsIndex():
			has = append(has, "another index")
		case p == nil:
			has = append(has, "an image that names no platform")
		default:
			has = append(has, p.String())
			if want == (Platform{}) || p.is(want) {
				found = append(found, e)
			}
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(has) == 0 {
		has = []string{"no image at all"}
	}
	what := "no image for " + want.String()
	if len(found) > 1 {
		what = fmt.Sprintf("%d images for %s", len(found), want)
		if want == (Platform{}) {
			what = fmt.Sprintf("%d images, and nothing says which is meant", len(found))
		}
	}
	return v1.Descriptor{}, event.Fail(event.CodePlatformMismatch, fmt.Sprintf("the index of %s has %s", ref, what)).
		See("index "+index.Digest.String(), "it has: "+strings.Join(has, ", ")).
		Hint("push an image for " + want.String() + " alone, or name its manifest: repository@sha256:…")
}

// isAttestation recognises entries that describe another one: BuildKit gives
// them the platform unknown/unknown and an annotation.
func isAttestation(e v1.Descriptor) bool {
	return e.Annotations["vnd.docker.reference.type"] != "" ||
		e.Platform != nil && e.Platform.OS == "unknown" && e.Platform.Architecture == "unknown"
}

func notRunnable(ref string, d v1.Hash, why string) error {
	return event.Fail(event.CodePlatformMismatch, ref+" is no image that ECS can run: "+why).See("manifest " + d.String()).
		Hint("push an image in Docker's schema 2 or in the OCI format; docker build makes such")
}

// readError turns a registry's refusal into a failure that can be acted on.
func readError(ref string, err error) error {
	var t *transport.Error
	if !errors.As(err, &t) {
		return fmt.Errorf("read image %s: %w", ref, err)
	}
	missing := func(d transport.Diagnostic) bool {
		return slices.Contains([]transport.ErrorCode{transport.ManifestUnknownErrorCode, transport.NameUnknownErrorCode, transport.BlobUnknownErrorCode}, d.Code)
	}
	switch {
	case t.StatusCode == http.StatusNotFound || slices.ContainsFunc(t.Errors, missing):
		return fmt.Errorf("read image %s: %w: %w", ref, ErrNotFound, err)
	case t.StatusCode == http.StatusUnauthorized || t.StatusCode == http.StatusForbidden:
		return event.Fail(event.CodeAccessDenied, "the registry does not let us read "+ref).Because(err).
			Hint("allow ecr:BatchGetImage and ecr:GetDownloadUrlForLayer on the repository, and ecr:GetAuthorizationToken")
	}
	return fmt.Errorf("read image %s: %w", ref, err)
}
