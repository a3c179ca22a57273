package image

import (
	"fmt"

	"github.com/distribution/reference"
)

// Reference is an image's name taken apart.
type Reference struct {
	Host   string // "123456789012.dkr.ecr.ap-south-1.amazonaws.com"
	Name   string // path in the registry
	Tag    string
	Digest string
}

// ParseReference reads a reference as Docker does: a name without a host is
// Docker Hub's. A missing tag stays missing.
func ParseReference(s string) (Reference, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return Reference{}, fmt.Errorf("parse image reference %q: %w", s, err)
	}
	r := Reference{Host: reference.Domain(named), Name: reference.Path(named)}
	if t, ok := named.(reference.Tagged); ok {
		r.Tag = t.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		r.Digest = d.Digest().String()
	}
	return r, nil
}

// Repository is the reference without tag and digest.
func (r Reference) Repository() string { return r.Host + "/" + r.Name }
