package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"slices"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/opencontainers/go-digest"
)

// backend is the store as the protocol's server sees it. What is not here
// answers "unsupported".
type backend struct {
	*ociregistry.Funcs
	s *Store
}

// repo returns a repository that exists, with the lock held by unlock's caller.
func (b backend) repo(name string) (r *repository, unlock func(), err error) {
	b.s.mu.Lock()
	r, err = b.s.find(name)
	if err != nil {
		b.s.mu.Unlock()
		return nil, nil, b.s.wire(err, name)
	}
	return r, b.s.mu.Unlock, nil
}

// allow asks the gate.
func (s *Store) allow(a Action, repo string) error {
	return s.wire(s.gate(a, repo), repo)
}

// wire turns the store's errors into the registry protocol's, with ECR's texts.
func (s *Store) wire(err error, repo string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrRepository):
		return ociregistry.NewError(s.noRepository(repo), ociregistry.ErrNameUnknown.Code(), nil)
	case errors.Is(err, ErrReference):
		return ociregistry.NewError("Requested image not found", ociregistry.ErrManifestUnknown.Code(), nil)
	case errors.Is(err, ErrDenied):
		return ociregistry.NewError(s.denied(repo, err), ociregistry.ErrDenied.Code(), nil)
	case errors.Is(err, ErrNoSpace):
		// As the client's fault: a Docker engine repeats what answers 500 for
		// 50 seconds, and then does not tell its text.
		return ociregistry.NewError("The registry cannot store the image: no space left on device", ociregistry.ErrUnsupported.Code(), nil)
	case errors.Is(err, ErrUnavailable):
		return ociregistry.NewHTTPError(ociregistry.NewError("Service Unavailable", "UNAVAILABLE", nil), http.StatusServiceUnavailable, nil, nil)
	}
	return err
}

func (s *Store) noRepository(name string) string {
	return fmt.Sprintf("The repository with name '%s' does not exist in the registry with id '%s'", name, s.account)
}

// denied is IAM's text for a right that no policy gives.
func (s *Store) denied(repo string, err error) string {
	action := "ecr:BatchGetImage"
	if errors.Is(err, errPushDenied) {
		action = "ecr:InitiateLayerUpload"
	}
	return fmt.Sprintf("User: arn:aws:iam::%s:user/sandbox is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action",
		s.account, action, s.arn(repo), action)
}

func (b backend) GetBlob(ctx context.Context, repo string, d ociregistry.Digest) (ociregistry.BlobReader, error) {
	return b.GetBlobRange(ctx, repo, d, 0, -1)
}

func (b backend) GetBlobRange(_ context.Context, repo string, d ociregistry.Digest, from, to int64) (ociregistry.BlobReader, error) {
	if err := b.s.allow(Pull, repo); err != nil {
		return nil, err
	}
	if err := b.hasBlob(repo, string(d)); err != nil {
		return nil, err
	}
	return b.s.openBlob(string(d), from, to)
}

func (b backend) hasBlob(repo, d string) error {
	r, unlock, err := b.repo(repo)
	if err != nil {
		return err
	}
	defer unlock()
	if !r.blobs[d] {
		return ociregistry.ErrBlobUnknown
	}
	return nil
}

// ResolveBlob is not gated: a push asks it for every layer.
func (b backend) ResolveBlob(_ context.Context, repo string, d ociregistry.Digest) (ociregistry.Descriptor, error) {
	if err := b.hasBlob(repo, string(d)); err != nil {
		return ociregistry.Descriptor{}, err
	}
	size := b.s.blobSize(string(d))
	if size < 0 {
		return ociregistry.Descriptor{}, ociregistry.ErrBlobUnknown
	}
	return ociregistry.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: size}, nil
}

func (b backend) GetManifest(_ context.Context, repo string, d ociregistry.Digest) (ociregistry.BlobReader, error) {
	return b.manifest(repo, string(d))
}

func (b backend) GetTag(_ context.Context, repo, tag string) (ociregistry.BlobReader, error) {
	return b.manifest(repo, tag)
}

// manifest reads a manifest into memory: the protocol's server does not close
// what it gets here.
func (b backend) manifest(repo, reference string) (ociregistry.BlobReader, error) {
	if err := b.s.allow(Pull, repo); err != nil {
		return nil, err
	}
	desc, err := b.describe(repo, reference)
	if err != nil {
		return nil, err
	}
	b.notePull(repo, string(desc.Digest))
	data, err := b.s.readSmall(string(desc.Digest))
	if err != nil {
		return nil, b.s.wire(ErrReference, repo) // deleted since
	}
	return blobReader{bytes.NewReader(data), io.NopCloser(nil), desc}, nil
}

// notePull notes when an image was pulled last.
func (b backend) notePull(repo, d string) {
	r, unlock, err := b.repo(repo)
	if err != nil {
		return // deleted since
	}
	defer unlock()
	if i := r.Images[d]; i != nil {
		b.s.pulled(i)
	}
}

func (b backend) ResolveManifest(_ context.Context, repo string, d ociregistry.Digest) (ociregistry.Descriptor, error) {
	return b.describe(repo, string(d))
}

func (b backend) ResolveTag(_ context.Context, repo, tag string) (ociregistry.Descriptor, error) {
	return b.describe(repo, tag)
}

// describe finds the manifest of a tag or digest.
func (b backend) describe(repo, reference string) (ociregistry.Descriptor, error) {
	r, unlock, err := b.repo(repo)
	if err != nil {
		return ociregistry.Descriptor{}, err
	}
	defer unlock()
	d, m := r.lookup(reference)
	if !b.s.pullable(m) {
		return ociregistry.Descriptor{}, b.s.wire(ErrReference, repo)
	}
	size := b.s.blobSize(d)
	if size < 0 {
		return ociregistry.Descriptor{}, b.s.wire(ErrReference, repo)
	}
	return ociregistry.Descriptor{MediaType: m.MediaType, Digest: digest.Digest(d), Size: size}, nil
}

// lookup finds an image by tag or digest; it is nil when there is none.
func (r *repository) lookup(reference string) (string, *image) {
	if d, ok := r.Tags[reference]; ok {
		return d, r.Images[d]
	}
	return reference, r.Images[reference]
}

func (b backend) PushBlobChunked(_ context.Context, repo string, _ int) (ociregistry.BlobWriter, error) {
	if err := b.s.allow(Push, repo); err != nil {
		return nil, err
	}
	u, err := b.s.begin(repo)
	if err != nil {
		return nil, b.s.wire(err, repo)
	}
	return u, nil
}

func (b backend) PushBlobChunkedResume(_ context.Context, repo, id string, offset int64, _ int) (ociregistry.BlobWriter, error) {
	u, err := b.s.resume(repo, id, offset)
	if err != nil {
		return nil, err
	}
	return u, nil
}

func (b backend) PushBlob(ctx context.Context, repo string, desc ociregistry.Descriptor, r io.Reader) (ociregistry.Descriptor, error) {
	w, err := b.PushBlobChunked(ctx, repo, 0)
	if err != nil {
		return ociregistry.Descriptor{}, err
	}
	defer w.Cancel()
	if _, err := io.Copy(w, r); err != nil {
		return ociregistry.Descriptor{}, fmt.Errorf("receive blob: %w", err)
	}
	if desc.Size >= 0 && w.Size() != desc.Size {
		return ociregistry.Descriptor{}, ociregistry.ErrSizeInvalid
	}
	return w.Commit(desc.Digest)
}

// MountBlob gives a blob of one repository to another.
func (b backend) MountBlob(ctx context.Context, from, to string, d ociregistry.Digest) (ociregistry.Descriptor, error) {
	if err := b.s.allow(Push, to); err != nil {
		return ociregistry.Descriptor{}, err
	}
	desc, err := b.ResolveBlob(ctx, from, d)
	if err != nil {
		return ociregistry.Descriptor{}, ociregistry.ErrBlobUnknown
	}
	r, unlock, err := b.repo(to)
	if err != nil {
		return ociregistry.Descriptor{}, err
	}
	defer unlock()
	r.blobs[string(d)] = true
	return desc, nil
}

func (b backend) PushManifest(_ context.Context, repo, tag string, data []byte, mediaType string) (ociregistry.Descriptor, error) {
	if err := b.s.allow(Push, repo); err != nil {
		return ociregistry.Descriptor{}, err
	}
	d, err := b.s.put(repo, tag, data, mediaType)
	if err != nil {
		return ociregistry.Descriptor{}, b.s.wirePut(err, repo)
	}
	return ociregistry.Descriptor{MediaType: mediaType, Digest: digest.Digest(d), Size: int64(len(data))}, nil
}

func (b backend) DeleteManifest(_ context.Context, repo string, d ociregistry.Digest) error {
	return b.delete(repo, string(d))
}

func (b backend) DeleteTag(_ context.Context, repo, tag string) error {
	return b.delete(repo, tag)
}

func (b backend) delete(repo, reference string) error {
	if err := b.s.allow(Push, repo); err != nil {
		return err
	}
	r, unlock, err := b.repo(repo)
	if err != nil {
		return err
	}
	defer unlock()
	if _, ok := r.Tags[reference]; ok {
		delete(r.Tags, reference)
		return b.s.save()
	}
	if r.Images[reference] == nil {
		return b.s.wire(ErrReference, repo)
	}
	b.s.removeImage(r, reference)
	return b.s.save()
}

func (b backend) Repositories(_ context.Context, after string) iter.Seq2[string, error] {
	return following(b.s.Repositories(), after)
}

func (b backend) Tags(_ context.Context, repo, after string) iter.Seq2[string, error] {
	r, unlock, err := b.repo(repo)
	if err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	defer unlock()
	return following(slices.Sorted(maps.Keys(r.Tags)), after)
}

// following yields the names after a given one.
func following(names []string, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, n := range names {
			if n > after && !yield(n, nil) {
				return
			}
		}
	}
}
