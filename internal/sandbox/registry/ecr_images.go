package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// tagsOf lists the tags that point at an image, sorted.
func (r *repository) tagsOf(d string) []string {
	var tags []string
	for tag, at := range r.Tags {
		if at == d {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// find looks an image id up. The digest is "" when the image is not there or
// the tag and the digest name different ones.
func (r *repository) find(id types.ImageIdentifier) string {
	d := deref(id.ImageDigest)
	if id.ImageTag != nil {
		at, ok := r.Tags[*id.ImageTag]
		if !ok || d != "" && d != at {
			return ""
		}
		d = at
	}
	if r.Images[d] == nil {
		return ""
	}
	return d
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (a *api) describeImages(_ context.Context, in *ecr.DescribeImagesInput) (*ecr.DescribeImagesOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	digests := slices.Sorted(maps.Keys(r.Images))
	if in.ImageIds != nil {
		if in.NextToken != nil || in.MaxResults != nil {
			return nil, invalid("imageIds", "cannot be combined with nextToken and maxResults")
		}
		if digests, err = a.named(r, in.ImageIds); err != nil {
			return nil, err
		}
	} else {
		filter := types.DescribeImagesFilter{}
		if in.Filter != nil {
			filter = *in.Filter
		}
		digests = slices.DeleteFunc(digests, func(d string) bool { return !a.shows(r, d, filter.TagStatus, filter.ImageStatus) })
	}
	shown, next, err := page(digests, func(d string) string { return d }, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ecr.DescribeImagesOutput{ImageDetails: []types.ImageDetail{}, NextToken: next}
	for _, d := range shown {
		out.ImageDetails = append(out.ImageDetails, a.detail(r, d))
	}
	return out, nil
}

// named finds the images of a list of ids, each once.
func (a *api) named(r *repository, ids []types.ImageIdentifier) ([]string, error) {
	var digests []string
	for _, id := range ids {
		if id.ImageDigest == nil && id.ImageTag == nil {
			return nil, invalid("imageIds", "both tag and digest cannot be null")
		}
		d := r.find(id)
		if d == "" {
			return nil, &types.ImageNotFoundException{Message: text(
				"The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
				orNull(id.ImageDigest), orNull(id.ImageTag), r.Name, a.s.account)}
		}
		if !slices.Contains(digests, d) {
			digests = append(digests, d)
		}
	}
	return digests, nil
}

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func wanted(status types.TagStatus, tags int) bool {
	switch status {
	case types.TagStatusTagged:
		return tags > 0
	case types.TagStatusUntagged:
		return tags == 0
	}
	return true
}

// shows says whether a filter lets an image through. Without a status it lets
// active ones through only (DescribeImages, ListImages).
func (a *api) shows(r *repository, d string, tags types.TagStatus, status types.ImageStatusFilter) bool {
	if status == "" {
		status = types.ImageStatusFilterActive
	}
	is := r.Images[d].status(a.s.now())
	return wanted(tags, len(r.tagsOf(d))) && (status == types.ImageStatusFilterAny || string(status) == string(is))
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (a *api) detail(r *repository, d string) types.ImageDetail {
	i := r.Images[d]
	detail := types.ImageDetail{
		RegistryId:             &a.s.account,
		RepositoryName:         &r.Name,
		ImageDigest:            &d,
		ImageTags:              r.tagsOf(d),
		ImageSizeInBytes:       &i.Size,
		ImagePushedAt:          &i.PushedAt,
		ImageManifestMediaType: &i.MediaType,
		ImageStatus:            i.status(a.s.now()),
		LastRecordedPullTime:   moment(i.PulledAt),
		LastArchivedAt:         moment(i.ArchivedAt),
	}
	if !i.ActiveAt.After(a.s.now()) {
		detail.LastActivatedAt = moment(i.ActiveAt)
	}
	if i.Subject != "" {
		detail.SubjectManifestDigest = &i.Subject
	}
	if i.ArtifactType != "" {
		detail.ArtifactMediaType = &i.ArtifactType
	}
	return detail
}

func (a *api) listImages(_ context.Context, in *ecr.ListImagesInput) (*ecr.ListImagesOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	filter := types.ListImagesFilter{}
	if in.Filter != nil {
		filter = *in.Filter
	}
	var ids []types.ImageIdentifier
	for _, d := range slices.Sorted(maps.Keys(r.Images)) {
		tags := r.tagsOf(d)
		if !a.shows(r, d, filter.TagStatus, filter.ImageStatus) {
			continue
		}
		for _, tag := range tags {
			ids = append(ids, types.ImageIdentifier{ImageDigest: new(d), ImageTag: new(tag)})
		}
		if len(tags) == 0 {
			ids = append(ids, types.ImageIdentifier{ImageDigest: new(d)})
		}
	}
	shown, next, err := page(ids, imageKey, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &ecr.ListImagesOutput{ImageIds: append([]types.ImageIdentifier{}, shown...), NextToken: next}, nil
}

// checkIDs refuses a batch that is empty or too large.
func checkIDs(ids []types.ImageIdentifier) error { return checkBatch("imageIds", len(ids)) }

func imageKey(id types.ImageIdentifier) string {
	return deref(id.ImageDigest) + "/" + deref(id.ImageTag)
}

func (a *api) batchGetImage(_ context.Context, in *ecr.BatchGetImageInput) (*ecr.BatchGetImageOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if err := checkIDs(in.ImageIds); err != nil {
		return nil, err
	}
	out := &ecr.BatchGetImageOutput{Images: []types.Image{}, Failures: []types.ImageFailure{}}
	for _, id := range in.ImageIds {
		d, failure := r.pick(id)
		if failure != nil {
			out.Failures = append(out.Failures, *failure)
			continue
		}
		data, err := a.s.readSmall(d)
		if err != nil || !a.s.pullable(r.Images[d]) {
			out.Failures = append(out.Failures, notFound(id))
			continue
		}
		a.s.pulled(r.Images[d])
		id.ImageDigest = &d
		out.Images = append(out.Images, a.image(r, id, data))
	}
	return out, nil
}

func (a *api) image(r *repository, id types.ImageIdentifier, data []byte) types.Image {
	return types.Image{
		RegistryId:             &a.s.account,
		RepositoryName:         &r.Name,
		ImageId:                &id,
		ImageManifest:          new(string(data)),
		ImageManifestMediaType: &r.Images[*id.ImageDigest].MediaType,
	}
}

// pick finds an image of a batch; what is wrong with one id does not fail the
// others.
func (r *repository) pick(id types.ImageIdentifier) (string, *types.ImageFailure) {
	if id.ImageDigest == nil && id.ImageTag == nil {
		return "", failure(id, types.ImageFailureCodeMissingDigestAndTag, "Invalid request parameters: both tag and digest cannot be null")
	}
	d := r.find(id)
	if d != "" {
		return d, nil
	}
	if _, tagged := r.Tags[deref(id.ImageTag)]; tagged {
		return "", failure(id, types.ImageFailureCodeImageTagDoesNotMatchDigest,
			fmt.Sprintf("The image tag '%s' does not match the image digest '%s'", *id.ImageTag, deref(id.ImageDigest)))
	}
	f := notFound(id)
	return "", &f
}

func notFound(id types.ImageIdentifier) types.ImageFailure {
	return *failure(id, types.ImageFailureCodeImageNotFound, "Requested image not found")
}

func failure(id types.ImageIdentifier, code types.ImageFailureCode, reason string) *types.ImageFailure {
	return &types.ImageFailure{ImageId: &id, FailureCode: code, FailureReason: &reason}
}
