// Package image says what an image is, and brings it into a registry. Judge is
// the heart of it: it compares every place in which an image names its platform
// with what is wanted, and names each one that disagrees. VerifyLocal reads an
// image in an engine, Remote.Describe one in a registry, DescribeLayout one in a
// directory and DescribeTar one in an archive; Push sends one from the engine to
// a registry, Remote.Pin gives it a tag that stays, and MovingTags refuses to take
// a tag from a revision that needs it; FindRepository, Login, Tagged and Presence
// ask ECR.
//
// An image's config carries the platform that the builder was asked for,
// whatever its files are, and an index entry what somebody wrote there: neither
// proves the other, so all of them must agree.
package image

import (
	"fmt"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Platform is where an image runs. The zero Platform is none.
type Platform struct{ OS, Architecture, Variant string }

// ParsePlatform reads "linux/amd64" or "linux/arm/v7".
func ParsePlatform(s string) (Platform, error) {
	p, err := platforms.Parse(s)
	if err != nil {
		return Platform{}, fmt.Errorf("parse platform %q: %w", s, err)
	}
	return Platform{p.OS, p.Architecture, p.Variant}.normal(), nil
}

// String is the platform as people write it.
func (p Platform) String() string {
	switch {
	case p == Platform{}:
		return "no platform"
	case p.Architecture == "":
		return p.OS + " without an architecture"
	case p.OS == "":
		return p.Architecture + " without an operating system"
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// known reports whether the platform names a machine; attestations are for
// unknown/unknown.
func (p Platform) known() bool {
	return p.OS != "" && p.Architecture != "" && p.OS != "unknown" && p.Architecture != "unknown"
}

// normal spells the platform in one way: x86_64 is amd64, arm64/v8 is arm64.
func (p Platform) normal() Platform {
	if p.OS == "" || p.Architecture == "" {
		return p
	}
	n := platforms.Normalize(ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
	return Platform{n.OS, n.Architecture, n.Variant}
}

// is reports whether both are one platform. A variant counts: an amd64/v3 image
// does not run on every amd64 machine.
func (p Platform) is(q Platform) bool {
	return p.OS != "" && p.Architecture != "" && p.normal() == q.normal()
}

func platformOf(p *v1.Platform) *Platform {
	if p == nil || p.OS == "" && p.Architecture == "" {
		return nil
	}
	return &Platform{p.OS, p.Architecture, p.Variant}
}

// Requirement is a platform that an image must have, and who says so.
type Requirement struct {
	Platform Platform
	From     string // "build.platform", "runtimePlatform of weelobackendtask:27"
}

// Description is what an image says of itself, wherever it was read.
type Description struct {
	Reference    string
	Form         string // what it was read from: "registry", "OCI layout", "docker archive"
	Digest       string // of the runnable manifest; empty for a local image and in an archive without manifests
	Index        string // of the index that it was found in; empty without one
	MediaType    string // of the manifest
	ConfigDigest string
	Descriptor   *Platform // what the index says of it; nil when it says nothing
	Declared     *Platform // what the manifest says of its config; nil when it says nothing, as is usual
	Config       Platform
	RawConfig    []byte // the config as it was read
	Labels       map[string]string
	Size         int64 // bytes: compressed in a registry, uncompressed in an engine
	Layers       []Layer
	DiffIDs      []string // digests of the uncompressed layers, as the config lists them

	// The versions of an operating system that index and config ask for. They are
	// Windows's: an image for Linux has none.
	DescriptorOSVersion, ConfigOSVersion string
}

// Layer is one layer of an image, as its manifest describes it.
type Layer struct {
	Digest    string // of the bytes as they are stored; empty in an archive without manifests
	MediaType string // empty in an archive without manifests
	Size      int64  // bytes, as they are stored
	Foreign   bool   // its bytes are elsewhere: it is not pushed with the image
}
