package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxManifest bounds manifests and configs, in bytes. ECR takes manifests up to
// 4 MiB.
const maxManifest = 4 << 20

// What a manifest can be refused for.
var (
	errImmutable       = errors.New("tag is immutable")
	errInvalidManifest = errors.New("manifest invalid")
)

// missingError names what a manifest refers to and the repository lacks.
type missingError struct {
	layers []string
	images []string // entries of an index
}

func (e *missingError) Error() string {
	return fmt.Sprintf("manifest refers to unknown blobs %v and images %v", e.layers, e.images)
}

// manifest is what this package reads of an image manifest or an index, in
// either of the formats of Docker and OCI.
type manifest struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	Subject       *ocispec.Descriptor  `json:"subject"`
}

func (m *manifest) isIndex() bool { return m.Config == nil && m.Manifests != nil }

func parseManifest(data []byte) (*manifest, error) {
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%w: larger than %d bytes", errInvalidManifest, maxManifest)
	}
	m := new(manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errInvalidManifest, err)
	}
	if m.SchemaVersion != 2 || (m.Config == nil) == (m.Manifests == nil) {
		return nil, fmt.Errorf("%w: neither an image manifest nor an index of schema version 2", errInvalidManifest)
	}
	return m, nil
}

// refs are the blobs that the image consists of. A layer with URLs is foreign
// and need not be here.
func (m *manifest) refs() []string {
	var all []string
	if m.Config != nil {
		all = append(all, string(m.Config.Digest))
	}
	for _, l := range m.Layers {
		if len(l.URLs) == 0 {
			all = append(all, string(l.Digest))
		}
	}
	return all
}

func (m *manifest) size(own int) int64 {
	total := int64(own)
	if m.Config != nil {
		total += m.Config.Size
	}
	for _, l := range m.Layers {
		total += l.Size
	}
	return total
}

// put stores a manifest and points the tag at it, when there is one. It returns
// the manifest's digest.
func (s *Store) put(repo, tag string, data []byte, mediaType string) (string, error) {
	m, err := parseManifest(data)
	if err != nil {
		return "", err
	}
	d := string(digest.FromBytes(data))
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return "", err
	}
	if err := r.admits(tag, d); err != nil {
		return "", err
	}
	if err := s.complete(r, m); err != nil {
		return "", err
	}
	if err := s.writeSmall(d, data); err != nil {
		return "", err
	}
	r.add(d, newImage(m, mediaType, len(data)), s)
	if tag != "" {
		r.Tags[tag] = d
	}
	return d, s.save()
}

// admits says whether the tag may point at the digest.
func (r *repository) admits(tag, d string) error {
	if current, taken := r.Tags[tag]; tag != "" && taken && current != d && r.Mutability.fixed(tag) {
		return &tagError{tag: tag, repo: r.Name}
	}
	return nil
}

// tagError is an immutable tag that is taken by another image.
type tagError struct{ tag, repo string }

func (e *tagError) Error() string {
	return fmt.Sprintf("The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.", e.tag, e.repo)
}

func (e *tagError) Unwrap() error { return errImmutable }

// complete says whether all that the manifest refers to is in the repository.
func (s *Store) complete(r *repository, m *manifest) error {
	var missing missingError
	for _, d := range m.refs() {
		if !r.blobs[d] || s.blobSize(d) < 0 {
			missing.layers = append(missing.layers, d)
		}
	}
	for _, child := range m.Manifests {
		if c := r.Images[string(child.Digest)]; c == nil || c.RecordOnly {
			missing.images = append(missing.images, string(child.Digest))
		}
	}
	if missing.layers != nil || missing.images != nil {
		return &missing
	}
	return nil
}

func newImage(m *manifest, mediaType string, own int) *image {
	i := &image{MediaType: mediaType, ArtifactType: m.ArtifactType, Size: m.size(own), Refs: m.refs()}
	if i.ArtifactType == "" && m.Config != nil {
		i.ArtifactType = m.Config.MediaType // what DescribeImages gives as artifactMediaType
	}
	if m.Subject != nil {
		i.Subject = string(m.Subject.Digest)
	}
	for _, c := range m.Manifests {
		i.Children = append(i.Children, string(c.Digest))
	}
	return i
}

// add puts an image into the repository; pushing it again keeps its time. An
// index's size is its largest manifest's (DescribeImages, imageSizeInBytes).
func (r *repository) add(d string, i *image, s *Store) {
	i.PushedAt = s.now().UTC()
	if known := r.Images[d]; known != nil && !known.RecordOnly {
		i.PushedAt, i.life, i.scan = known.PushedAt, known.life, known.scan
		if i.status(s.now()) != types.ImageStatusActive {
			i.restored(s.now().UTC())
		}
	} else if r.ScanOnPush && i.Children == nil {
		s.startScan(i, false)
	}
	for _, c := range i.Children {
		if child := r.Images[c]; child != nil {
			i.Size = max(i.Size, child.Size)
		}
	}
	r.Images[d] = i
}

// removeImage deletes an image with its tags, and the blobs that no other image
// needs. s.mu is held.
func (s *Store) removeImage(r *repository, d string) {
	gone := r.Images[d]
	delete(r.Images, d)
	for tag, at := range r.Tags {
		if at == d {
			delete(r.Tags, tag)
		}
	}
	needed := r.referenced()
	for _, ref := range gone.Refs {
		if !needed[ref] {
			delete(r.blobs, ref)
		}
	}
	s.removeUnused(append(slices.Clone(gone.Refs), d))
}

// DeleteImage makes images vanish, as a lifecycle rule or a hand would: all of a
// repository for its bare name, or the one that "repository:tag" or
// "repository@digest" names, with all its tags. It returns how many there were.
func (s *Store) DeleteImage(ref string) int {
	repo, reference := splitReference(ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repo]
	if r == nil {
		return 0
	}
	gone := slices.Collect(maps.Keys(r.Images))
	if reference != "" {
		d, i := r.lookup(reference)
		if i == nil {
			return 0
		}
		gone = []string{d}
	}
	for _, d := range gone {
		s.removeImage(r, d)
	}
	_ = s.save() // gone from memory all the same; the next save tells the disk
	return len(gone)
}

// splitReference splits repository:tag and repository@digest.
func splitReference(ref string) (repo, reference string) {
	if repo, d, ok := strings.Cut(ref, "@"); ok {
		repo, _, _ = strings.Cut(repo, ":")
		return repo, d
	}
	repo, reference, _ = strings.Cut(ref, ":")
	return repo, reference
}

// Record notes an image whose content is gone: it is described but cannot be
// pulled.
func (s *Store) Record(repo, digest string, tags []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return err
	}
	if r.Images[digest] == nil {
		r.Images[digest] = &image{MediaType: ocispec.MediaTypeImageManifest, PushedAt: s.now().UTC(), RecordOnly: true}
	}
	for _, t := range tags {
		r.Tags[t] = digest
	}
	return s.save()
}

// Retag points tags at an image that is there and, unless the time is zero, says
// when it was pushed. It is for writing history: immutability does not matter.
func (s *Store) Retag(repo, digest string, tags []string, pushedAt time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return err
	}
	i := r.Images[digest]
	if i == nil {
		return fmt.Errorf("%s in %s: %w", digest, repo, ErrReference)
	}
	if !pushedAt.IsZero() {
		i.PushedAt = pushedAt.UTC()
	}
	for _, t := range tags {
		r.Tags[t] = digest
	}
	return s.save()
}

// Untag removes a tag from whatever it points at; one that is not there is fine.
func (s *Store) Untag(repo, tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return err
	}
	delete(r.Tags, tag)
	return s.save()
}

// wirePut gives a refused manifest the protocol's form. A code that the
// library does not know needs its status, or it answers 500.
func (s *Store) wirePut(err error, repo string) error {
	var missing *missingError
	switch {
	case errors.Is(err, errImmutable):
		return ociregistry.NewHTTPError(ociregistry.NewError(err.Error(), "TAG_INVALID", nil), 400, nil, nil)
	case errors.Is(err, errInvalidManifest):
		return ociregistry.NewError(err.Error(), ociregistry.ErrManifestInvalid.Code(), nil)
	case errors.As(err, &missing):
		return ociregistry.NewError(missing.Error(), ociregistry.ErrManifestBlobUnknown.Code(), nil)
	}
	return s.wire(err, repo)
}
