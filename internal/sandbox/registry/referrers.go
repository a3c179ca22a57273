package registry

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/opencontainers/go-digest"
)

// referrers are the digests of what is said about an image: manifests that name it
// as their subject. The image itself need not be there (distribution
// specification, "Listing Referrers").
func (r *repository) referrers(subject string) []string {
	var out []string
	for _, d := range slices.Sorted(maps.Keys(r.Images)) {
		if r.Images[d].Subject == subject {
			out = append(out, d)
		}
	}
	return out
}

// Referrers serves /v2/…/referrers/.
func (b backend) Referrers(_ context.Context, repo string, subject ociregistry.Digest, artifactType string) iter.Seq2[ociregistry.Descriptor, error] {
	return func(yield func(ociregistry.Descriptor, error) bool) {
		all, err := b.referrers(repo, string(subject), artifactType)
		if err != nil {
			yield(ociregistry.Descriptor{}, err)
			return
		}
		for _, d := range all {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func (b backend) referrers(repo, subject, artifactType string) ([]ociregistry.Descriptor, error) {
	r, unlock, err := b.repo(repo)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var all []ociregistry.Descriptor
	for _, d := range r.referrers(subject) {
		i := r.Images[d]
		if artifactType != "" && artifactType != i.ArtifactType {
			continue
		}
		all = append(all, ociregistry.Descriptor{
			MediaType: i.MediaType, ArtifactType: i.ArtifactType, Digest: digest.Digest(d), Size: b.s.blobSize(d), Annotations: b.s.annotations(d),
		})
	}
	return all, nil
}

// annotations are those of a manifest.
func (s *Store) annotations(d string) map[string]string {
	data, err := s.readSmall(d)
	if err != nil {
		return nil
	}
	var m struct {
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(data, &m) != nil {
		return nil // it was read when it was put, as far as it must be read
	}
	return m.Annotations
}

func (a *api) listReferrers(_ context.Context, in *ecr.ListImageReferrersInput) (*ecr.ListImageReferrersOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if in.SubjectId == nil || in.SubjectId.ImageDigest == nil {
		return nil, missingParameter("subjectId")
	}
	filter := types.ListImageReferrersFilter{}
	if in.Filter != nil {
		filter = *in.Filter
	}
	wanted := slices.DeleteFunc(r.referrers(*in.SubjectId.ImageDigest), func(d string) bool {
		return !a.shows(r, d, "", types.ImageStatusFilter(filter.ArtifactStatus)) ||
			filter.ArtifactTypes != nil && !slices.Contains(filter.ArtifactTypes, r.Images[d].ArtifactType)
	})
	shown, next, err := page(wanted, func(d string) string { return d }, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ecr.ListImageReferrersOutput{Referrers: []types.ImageReferrer{}, NextToken: next}
	for _, d := range shown {
		i := r.Images[d]
		out.Referrers = append(out.Referrers, types.ImageReferrer{
			Digest: &d, MediaType: &i.MediaType, Size: new(a.s.blobSize(d)), ArtifactType: notEmpty(i.ArtifactType),
			ArtifactStatus: types.ArtifactStatus(i.status(a.s.now())), Annotations: a.s.annotations(d),
		})
	}
	return out, nil
}
