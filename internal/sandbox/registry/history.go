package registry

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// Settings are those of a repository, for writing one down without a client.
type Settings struct {
	Immutable  bool
	Except     []string // wildcards of tags for which the opposite holds
	Lifecycle  string   // a policy, as JSON
	ScanOnPush bool
}

// Configure gives a repository its settings.
func (s *Store) Configure(repo string, to Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return err
	}
	mode := types.ImageTagMutabilityMutable
	switch {
	case to.Immutable && len(to.Except) > 0:
		mode = types.ImageTagMutabilityImmutableWithExclusion
	case to.Immutable:
		mode = types.ImageTagMutabilityImmutable
	case len(to.Except) > 0:
		mode = types.ImageTagMutabilityMutableWithExclusion
	}
	m, err := newMutability(mode, mutability{Filters: to.Except}.wire())
	if err != nil {
		return fmt.Errorf("repository %s: %w", repo, err)
	}
	if to.Lifecycle != "" {
		if _, err := parsePolicy(to.Lifecycle); err != nil {
			return fmt.Errorf("repository %s: %w", repo, err)
		}
	}
	r.Mutability, r.Lifecycle, r.ScanOnPush = m, to.Lifecycle, to.ScanOnPush
	return s.save()
}

// Past says when an image was last pulled and when it was put into the archive,
// where it then is; zero times are of what never happened.
func (s *Store) Past(repo, digest string, pulled, archived time.Time) error {
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
	i.life = life{PulledAt: pulled}
	if !archived.IsZero() {
		i.archive(archived)
	}
	return s.save()
}
