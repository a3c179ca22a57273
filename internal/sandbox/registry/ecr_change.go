package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// batchDeleteImage removes tags, and images by digest. An image whose last tag
// is removed by its tag goes too, and one that an index refers to stays
// (BatchDeleteImage API reference).
func (a *api) batchDeleteImage(_ context.Context, in *ecr.BatchDeleteImageInput) (*ecr.BatchDeleteImageOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if err := checkIDs(in.ImageIds); err != nil {
		return nil, err
	}
	out := &ecr.BatchDeleteImageOutput{Failures: []types.ImageFailure{}, ImageIds: []types.ImageIdentifier{}}
	for _, id := range in.ImageIds {
		d, f := r.pick(id)
		if f == nil && (id.ImageTag == nil || len(r.tagsOf(d)) == 1) {
			f = r.keptByIndex(id, d)
		}
		if f != nil {
			out.Failures = append(out.Failures, *f)
			continue
		}
		out.ImageIds = append(out.ImageIds, a.remove(r, id, d)...)
	}
	return out, a.s.save()
}

// keptByIndex refuses to delete an entry of an index.
func (r *repository) keptByIndex(id types.ImageIdentifier, d string) *types.ImageFailure {
	if indexes := r.indexesOf(d); len(indexes) > 0 {
		return failure(id, types.ImageFailureCodeImageReferencedByManifestList,
			fmt.Sprintf("Requested image referenced by manifest list: [%s]", strings.Join(indexes, ", ")))
	}
	return nil
}

// indexesOf are the indexes that have an image as an entry.
func (r *repository) indexesOf(d string) []string {
	var out []string
	for index, i := range r.Images {
		if slices.Contains(i.Children, d) {
			out = append(out, index)
		}
	}
	slices.Sort(out)
	return out
}

// remove deletes one id and returns what was deleted with it.
func (a *api) remove(r *repository, id types.ImageIdentifier, d string) []types.ImageIdentifier {
	tags := r.tagsOf(d)
	if id.ImageTag != nil && len(tags) > 1 {
		delete(r.Tags, *id.ImageTag)
		return []types.ImageIdentifier{{ImageDigest: &d, ImageTag: id.ImageTag}}
	}
	a.s.removeImage(r, d)
	if len(tags) == 0 {
		return []types.ImageIdentifier{{ImageDigest: &d}}
	}
	var gone []types.ImageIdentifier
	for _, t := range tags {
		gone = append(gone, types.ImageIdentifier{ImageDigest: &d, ImageTag: new(t)})
	}
	return gone
}

// putImage stores a manifest whose layers are there: how an image gets another
// tag without a push.
func (a *api) putImage(_ context.Context, in *ecr.PutImageInput) (*ecr.PutImageOutput, error) {
	if in.ImageManifest == nil {
		return nil, missingParameter("imageManifest")
	}
	data := []byte(*in.ImageManifest)
	d := string(digest.FromBytes(data))
	if in.ImageDigest != nil && *in.ImageDigest != d {
		return nil, &types.ImageDigestDoesNotMatchException{Message: text(
			"The specified image digest '%s' does not match the digest '%s' that Amazon ECR calculated for the image", *in.ImageDigest, d)}
	}
	if err := a.unchanged(in, d); err != nil {
		return nil, err
	}
	_, err := a.s.put(*in.RepositoryName, deref(in.ImageTag), data, mediaTypeOf(in, data))
	if err != nil {
		return nil, a.putError(err, *in.RepositoryName)
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil || r.Images[d] == nil {
		return nil, errors.Join(err, errors.New("the image was deleted while it was put"))
	}
	image := a.image(r, types.ImageIdentifier{ImageDigest: &d, ImageTag: in.ImageTag}, data)
	return &ecr.PutImageOutput{Image: &image}, nil
}

// unchanged refuses what PutImage, unlike docker push, does not take: the same
// image under a tag that it already has.
func (a *api) unchanged(in *ecr.PutImageInput, d string) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return err
	}
	tag := deref(in.ImageTag)
	if r.Images[d] == nil || tag != "" && r.Tags[tag] != d {
		return nil
	}
	return &types.ImageAlreadyExistsException{Message: text(
		"Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'",
		d, orNull(in.ImageTag), r.Name, a.s.account)}
}

// mediaTypeOf is the manifest's own media type, else the request's.
func mediaTypeOf(in *ecr.PutImageInput, data []byte) string {
	if m, err := parseManifest(data); err == nil && m.MediaType != "" {
		return m.MediaType
	}
	if in.ImageManifestMediaType != nil {
		return *in.ImageManifestMediaType
	}
	return ocispec.MediaTypeImageManifest
}

// putError gives a refused manifest ECR's exceptions.
func (a *api) putError(err error, repo string) error {
	var missing *missingError
	switch {
	case errors.Is(err, errImmutable):
		return &types.ImageTagAlreadyExistsException{Message: new(err.Error())}
	case errors.Is(err, errInvalidManifest):
		return invalid("imageManifest", "must be a valid image manifest")
	case errors.As(err, &missing) && missing.layers != nil:
		return &types.LayersNotFoundException{Message: text(
			"Layers with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
			strings.Join(missing.layers, ", "), repo, a.s.account)}
	case errors.As(err, &missing):
		return &types.ReferencedImagesNotFoundException{Message: text(
			"Images with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
			strings.Join(missing.images, ", "), repo, a.s.account)}
	}
	return err
}
