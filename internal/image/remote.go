package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

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

// aroundDocker is this machine, as an engine in Docker Desktop's virtual machine
// calls it. Out here the name may mean nothing, or an address that nobody listens on.
const aroundDocker = "host.docker.internal"

func (l loopbackOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == aroundDocker {
		r = r.Clone(r.Context())
		r.Host = r.URL.Host
		r.URL.Scheme, r.URL.Host = "http", net.JoinHostPort("127.0.0.1", cmp.Or(r.URL.Port(), "80"))
	}
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
	in := reader{store: remoteStore{r, parsed.Context()}, ref: ref, form: "registry", want: want}
	return in.describe(ctx, top.Descriptor, top.Manifest)
}

func (r Remote) options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuth(r.auth), remote.WithTransport(r.rt), remote.WithUserAgent("weelo-deploy")}
}

// remoteStore reads a registry's content.
type remoteStore struct {
	Remote
	name name.Repository
}

func (r remoteStore) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	ref := r.name.Digest(d.Digest.String())
	got, err := remote.Get(ref, r.options(ctx)...)
	if err != nil {
		return nil, readError(ref.Name(), err)
	}
	return got.Manifest, nil
}

func (r remoteStore) blob(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	body, err := r.Blob(ctx, r.name.Name(), d.Digest.String())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := readSmall(body)
	if err != nil {
		return nil, readError(r.name.Digest(d.Digest.String()).Name(), err)
	}
	return raw, nil
}

// Blob opens a blob of a repository: a config, or a layer as it is packed. What
// it reads is held against the digest.
func (r Remote) Blob(ctx context.Context, repository, digest string) (io.ReadCloser, error) {
	ref, err := name.NewDigest(repository + "@" + digest)
	if err != nil {
		return nil, fmt.Errorf("parse %s@%s: %w", repository, digest, err)
	}
	layer, err := remote.Layer(ref, r.options(ctx)...)
	if err != nil {
		return nil, readError(ref.Name(), err)
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, readError(ref.Name(), err)
	}
	return body, nil
}

// layer believes that a registry has what it accepted a manifest for.
func (remoteStore) layer(v1.Descriptor) error { return nil }

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
