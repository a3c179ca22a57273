package secrets

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"
)

// Stages that Secrets Manager moves by itself.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// secret is a secret with its versions.
type secret struct {
	Name        string                    `json:"name"`
	ARN         string                    `json:"arn"`
	Description string                    `json:"description,omitempty"`
	KmsKeyID    string                    `json:"kmsKeyId,omitempty"`
	Tags        []tag                     `json:"tags,omitempty"`
	Created     time.Time                 `json:"created"`
	Changed     time.Time                 `json:"changed"`
	Deleted     *time.Time                `json:"deleted,omitempty"` // when it will be gone
	Versions    map[string]*secretVersion `json:"versions"`
}

// secretVersion is a value: a text, or bytes.
type secretVersion struct {
	Text    *string   `json:"text,omitempty"`
	Bytes   []byte    `json:"bytes,omitempty"`
	Stages  []string  `json:"stages"`
	Created time.Time `json:"created"`
}

// value is what ECS puts into the environment.
func (v *secretVersion) value() string {
	if v.Text != nil {
		return *v.Text
	}
	return base64.StdEncoding.EncodeToString(v.Bytes)
}

func (v *secretVersion) same(other *secretVersion) bool {
	return v.value() == other.value() && (v.Text == nil) == (other.Text == nil)
}

var errNoSecret = refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")

// open finds a secret by its name, its ARN, or its ARN without the six letters
// at the end. s.mu is held.
func (s *Store) open(ref string) (*secret, error) {
	now := s.now()
	maps.DeleteFunc(s.secrets, func(_ string, x *secret) bool { return x.Deleted != nil && now.After(*x.Deleted) })
	if x := s.secrets[ref]; x != nil {
		return x, nil
	}
	for _, x := range s.secrets {
		if ref == x.ARN || ref == strings.TrimSuffix(x.ARN, x.ARN[len(x.ARN)-7:]) {
			return x, nil
		}
	}
	return nil, errNoSecret
}

// live is open for what may be read and written. s.mu is held.
func (s *Store) live(ref string) (*secret, error) {
	x, err := s.open(ref)
	if err == nil && x.Deleted != nil {
		return nil, refusal("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return x, err
}

// read finds a version of a secret by its id, its stage, or both; AWSCURRENT when
// neither is given. s.mu is held.
func (s *Store) read(ref, stage, id string) (*secretVersion, string, error) {
	x, err := s.live(ref)
	if err != nil {
		return nil, "", err
	}
	if id == "" && stage == "" {
		stage = current
	}
	for _, version := range slices.Sorted(maps.Keys(x.Versions)) {
		v := x.Versions[version]
		if (id == "" || id == version) && (stage == "" || slices.Contains(v.Stages, stage)) {
			return v, version, nil
		}
	}
	if id != "" {
		return nil, "", refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", id)
	}
	return nil, "", refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", stage)
}

// add gives a secret a version. A version that is there with the same value is
// left as it is, so that a client may repeat its call. The stages move to the new
// version; AWSPREVIOUS goes to the one that was AWSCURRENT, and to no other.
func (x *secret) add(id string, v *secretVersion, stages []string) error {
	if old := x.Versions[id]; old != nil {
		if !old.same(v) {
			return refusal("ResourceExistsException", "A resource with the ID you requested already exists.")
		}
		return nil
	}
	if slices.Contains(stages, current) {
		for _, old := range x.Versions {
			old.Stages = without(old.Stages, previous)
			if slices.Contains(old.Stages, current) {
				old.Stages = append(old.Stages, previous)
			}
		}
	}
	for _, old := range x.Versions {
		old.Stages = without(old.Stages, stages...)
	}
	v.Stages = slices.Clone(stages)
	x.Versions[id] = v
	x.Changed = v.Created
	return nil
}

func without(list []string, names ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(names, s) })
}

// stages are all versions that have one.
func (x *secret) stages() map[string][]string {
	all := map[string][]string{}
	for id, v := range x.Versions {
		if len(v.Stages) > 0 {
			all[id] = v.Stages
		}
	}
	return all
}
