package registry

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Resolved is what a pull of a reference gets.
type Resolved struct {
	Digest   string // of what the reference names, an index or a manifest: what ECS records
	Manifest string // of the manifest that runs
	OS, Arch string // of that image's config
}

// PlatformError says that no image behind the reference is for the platform.
type PlatformError struct {
	Want string
	Have []string
}

func (e *PlatformError) Error() string {
	return fmt.Sprintf("no image for platform %s (there is %s)", e.Want, strings.Join(e.Have, ", "))
}

// Resolve walks from a tag or digest to the image that a host of the platform
// would run, and checks that every blob of it is there. An empty arch takes any
// platform of a single image. Errors are [ErrRepository], [ErrReference],
// [*PlatformError], [ErrLayer] and [ErrDenied].
//
// As in containerd, an index is searched by the platforms that its entries
// claim, an image without an index is judged by its config.
func (s *Store) Resolve(repo, reference, os, arch string) (Resolved, error) {
	s.hold.RLock()
	defer s.hold.RUnlock()
	if err := s.gate(Pull, repo); err != nil {
		return Resolved{}, fmt.Errorf("%s: %w", s.denied(repo, err), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return Resolved{}, err
	}
	resolved, err := s.walk(r, reference, os, arch)
	if err != nil {
		return Resolved{}, fmt.Errorf("resolve %s in %s: %w", reference, repo, err)
	}
	return resolved, nil
}

// Hold makes calls of [Store.Resolve] wait until release is called. A fault uses
// it to take an image away at the very moment of a call that deploys it, before
// the scheduler can have looked it up.
func (s *Store) Hold() (release func()) {
	s.hold.Lock()
	return s.hold.Unlock
}

func (s *Store) walk(r *repository, reference, os, arch string) (Resolved, error) {
	d, m, err := s.load(r, reference)
	if err != nil {
		return Resolved{}, err
	}
	s.pulled(r.Images[d])
	res := Resolved{Digest: d, Manifest: d}
	if m.isIndex() {
		child, err := choose(m.Manifests, os, arch)
		if err != nil {
			return Resolved{}, err
		}
		if res.Manifest, m, err = s.load(r, child); err != nil {
			return Resolved{}, err
		}
	}
	if res.OS, res.Arch, err = s.platform(r, m); err != nil {
		return Resolved{}, err
	}
	if res.Manifest == res.Digest && arch != "" && (res.OS != os || res.Arch != arch) {
		return Resolved{}, &PlatformError{Want: os + "/" + arch, Have: []string{res.OS + "/" + res.Arch}}
	}
	for _, ref := range m.refs() {
		if !r.blobs[ref] || s.blobSize(ref) < 0 {
			return Resolved{}, fmt.Errorf("%s: %w", ref, ErrLayer)
		}
	}
	return res, nil
}

// load reads the manifest of a tag or digest.
func (s *Store) load(r *repository, reference string) (string, *manifest, error) {
	d, known := r.lookup(reference)
	if !s.pullable(known) {
		return "", nil, fmt.Errorf("%s: %w", reference, ErrReference)
	}
	data, err := s.readSmall(d)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", reference, ErrReference)
	}
	m, err := parseManifest(data)
	return d, m, err
}

// choose finds the entry of an index for the platform. Attestations claim
// unknown/unknown and are never chosen.
func choose(entries []ocispec.Descriptor, os, arch string) (string, error) {
	var have []string
	for _, e := range entries {
		if e.Platform == nil || e.Platform.OS == "unknown" {
			continue
		}
		if (arch == "" || e.Platform.Architecture == arch) && (os == "" || e.Platform.OS == os) {
			return string(e.Digest), nil
		}
		have = append(have, e.Platform.OS+"/"+e.Platform.Architecture)
	}
	slices.Sort(have)
	return "", &PlatformError{Want: os + "/" + arch, Have: have}
}

// platform reads what the image's config says it is for.
func (s *Store) platform(r *repository, m *manifest) (os, arch string, err error) {
	if m.Config == nil {
		return "", "", fmt.Errorf("an index within an index: %w", ErrReference)
	}
	d := string(m.Config.Digest)
	if !r.blobs[d] {
		return "", "", fmt.Errorf("config %s: %w", d, ErrLayer)
	}
	data, err := s.readSmall(d)
	if err != nil {
		return "", "", fmt.Errorf("config %s: %w", d, ErrLayer)
	}
	var config struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", "", fmt.Errorf("config %s: %w", d, err)
	}
	return config.OS, config.Architecture, nil
}
