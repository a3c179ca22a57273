package registry

import (
	"context"
	"path"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// maxFilters bounds a repository's exclusion filters, as ECR does.
const maxFilters = 5

// filterForm is the pattern of ImageTagMutabilityExclusionFilterValue.
var filterForm = form.New(`^[0-9a-zA-Z._*-]{1,128}$`)

// mutability says which tags of a repository may be moved.
type mutability struct {
	Mode    types.ImageTagMutability `json:"mode"`
	Filters []string                 `json:"filters,omitempty"` // wildcards that are excluded from the mode
}

// fixed says whether a tag may not be moved.
func (m mutability) fixed(tag string) bool {
	excluded := slices.ContainsFunc(m.Filters, func(filter string) bool { return wildcard(filter, tag) })
	switch m.Mode {
	case types.ImageTagMutabilityImmutable:
		return true
	case types.ImageTagMutabilityImmutableWithExclusion:
		return !excluded
	case types.ImageTagMutabilityMutableWithExclusion:
		return excluded
	}
	return false
}

// wildcard says whether a tag has the form of a pattern, in which * is anything.
// Neither tags nor ECR's patterns have the other signs of path.Match, nor slashes.
func wildcard(pattern, tag string) bool {
	ok, err := path.Match(pattern, tag)
	return ok && err == nil
}

// newMutability reads the settings of a request.
func newMutability(mode types.ImageTagMutability, filters []types.ImageTagMutabilityExclusionFilter) (mutability, error) {
	m := mutability{Mode: mode}
	if mode == "" {
		m.Mode = types.ImageTagMutabilityMutable
	}
	if !slices.Contains(m.Mode.Values(), m.Mode) {
		return m, invalid("imageTagMutability", "Member must satisfy enum value set: [MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]")
	}
	excludes := m.Mode == types.ImageTagMutabilityImmutableWithExclusion || m.Mode == types.ImageTagMutabilityMutableWithExclusion
	switch {
	case excludes && len(filters) == 0:
		return m, invalid("imageTagMutabilityExclusionFilters", "must have at least one filter with "+string(m.Mode))
	case !excludes && len(filters) > 0:
		return m, invalid("imageTagMutabilityExclusionFilters", "must not be given with "+string(m.Mode))
	case len(filters) > maxFilters:
		return m, invalid("imageTagMutabilityExclusionFilters", "Member must have length less than or equal to 5")
	}
	for _, f := range filters {
		if f.FilterType != types.ImageTagMutabilityExclusionFilterTypeWildcard {
			return m, invalid("imageTagMutabilityExclusionFilters.filterType", "Member must satisfy enum value set: [WILDCARD]")
		}
		if !filterForm.MatchString(deref(f.Filter)) {
			return m, invalid("imageTagMutabilityExclusionFilters.filter", "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$")
		}
		m.Filters = append(m.Filters, *f.Filter)
	}
	return m, nil
}

// wire is how the filters are shown; nil when there are none.
func (m mutability) wire() []types.ImageTagMutabilityExclusionFilter {
	var out []types.ImageTagMutabilityExclusionFilter
	for _, f := range m.Filters {
		out = append(out, types.ImageTagMutabilityExclusionFilter{Filter: &f, FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard})
	}
	return out
}

func (a *api) putMutability(_ context.Context, in *ecr.PutImageTagMutabilityInput) (*ecr.PutImageTagMutabilityOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if in.ImageTagMutability == "" {
		return nil, missingParameter("imageTagMutability")
	}
	m, err := newMutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters)
	if err != nil {
		return nil, err
	}
	r.Mutability = m
	return &ecr.PutImageTagMutabilityOutput{
		RegistryId: &a.s.account, RepositoryName: &r.Name, ImageTagMutability: r.Mutability.Mode,
		ImageTagMutabilityExclusionFilters: r.Mutability.wire(),
	}, a.s.save()
}
