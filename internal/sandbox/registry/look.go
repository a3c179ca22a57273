package registry

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Summary is a repository at a glance.
type Summary struct {
	Name      string
	Immutable bool           // tags are, some or all
	Images    []ImageSummary // the latest push first
}

// ImageSummary is an image at a glance.
type ImageSummary struct {
	Digest string
	Tags   []string // sorted
	Size   int64
	Pushed time.Time
}

// Look tells of all repositories at a glance, by name.
func (s *Store) Look() []Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Summary, 0, len(s.repos))
	for _, name := range slices.Sorted(maps.Keys(s.repos)) {
		all = append(all, s.repos[name].glance())
	}
	return all
}

func (r *repository) glance() Summary {
	tags := make(map[string][]string)
	for _, tag := range slices.Sorted(maps.Keys(r.Tags)) {
		tags[r.Tags[tag]] = append(tags[r.Tags[tag]], tag)
	}
	g := Summary{Name: r.Name, Immutable: strings.HasPrefix(string(r.Mutability.Mode), "IMMUTABLE")}
	for d, i := range r.Images {
		g.Images = append(g.Images, ImageSummary{Digest: d, Tags: tags[d], Size: i.Size, Pushed: i.PushedAt})
	}
	slices.SortFunc(g.Images, func(a, b ImageSummary) int {
		return cmp.Or(b.Pushed.Compare(a.Pushed), cmp.Compare(a.Digest, b.Digest))
	})
	return g
}
