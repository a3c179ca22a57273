package registry

import (
	"context"
	"errors"
	"fmt"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/opencontainers/go-digest"
)

// partSize is how large InitiateLayerUpload wants the parts to be: the least that
// ECR takes, which base64 keeps under the bound of a request here.
const partSize = 5 << 20

func (a *api) checkLayers(_ context.Context, in *ecr.BatchCheckLayerAvailabilityInput) (*ecr.BatchCheckLayerAvailabilityOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err == nil {
		err = checkBatch("layerDigests", len(in.LayerDigests))
	}
	if err != nil {
		return nil, err
	}
	out := &ecr.BatchCheckLayerAvailabilityOutput{Layers: []types.Layer{}, Failures: []types.LayerFailure{}}
	for _, d := range in.LayerDigests {
		if _, err := digest.Parse(d); err != nil {
			out.Failures = append(out.Failures, types.LayerFailure{
				LayerDigest: &d, FailureCode: types.LayerFailureCodeInvalidLayerDigest, FailureReason: text("Layer digest '%s' is invalid", d)})
			continue
		}
		layer := types.Layer{LayerDigest: &d, LayerAvailability: types.LayerAvailabilityUnavailable}
		if size := a.s.blobSize(d); r.blobs[d] && size >= 0 {
			layer.LayerAvailability, layer.LayerSize = types.LayerAvailabilityAvailable, &size
		}
		out.Layers = append(out.Layers, layer)
	}
	return out, nil
}

// downloadURL hands out an address that needs no login, as ECR does: it has the
// registry's user in it.
func (a *api) downloadURL(_ context.Context, in *ecr.GetDownloadUrlForLayerInput) (*ecr.GetDownloadUrlForLayerOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	d := deref(in.LayerDigest)
	if !r.blobs[d] || a.s.blobSize(d) < 0 {
		return nil, &types.LayersNotFoundException{Message: text(
			"The layer with digest '%s' does not exist in the repository with name '%s' in the registry with id '%s'", d, r.Name, a.s.account)}
	}
	user, password := a.s.Credentials()
	return &ecr.GetDownloadUrlForLayerOutput{
		LayerDigest: &d, DownloadUrl: text("http://%s:%s@%s/v2/%s/blobs/%s", user, password, a.hostport(), r.Name, d),
	}, nil
}

func (a *api) initiateUpload(_ context.Context, in *ecr.InitiateLayerUploadInput) (*ecr.InitiateLayerUploadOutput, error) {
	if err := a.exists(in.RepositoryName, in.RegistryId); err != nil {
		return nil, err
	}
	u, err := a.s.begin(*in.RepositoryName)
	if err != nil {
		return nil, err
	}
	return &ecr.InitiateLayerUploadOutput{UploadId: &u.id, PartSize: new(int64(partSize))}, nil
}

// exists says whether a request's repository is there.
func (a *api) exists(name, registry *string) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	_, err := a.open(name, registry)
	return err
}

// upload finds the upload that a request means.
func (a *api) upload(name, registry, id *string) (*upload, error) {
	if err := a.exists(name, registry); err != nil {
		return nil, err
	}
	u, err := a.s.resume(*name, deref(id), 0)
	if err != nil {
		return nil, &types.UploadNotFoundException{Message: text(
			"The upload with id '%s' in the repository with name '%s' in the registry with id '%s' does not exist", deref(id), *name, a.s.account)}
	}
	return u, nil
}

func (a *api) uploadPart(_ context.Context, in *ecr.UploadLayerPartInput) (*ecr.UploadLayerPartOutput, error) {
	u, err := a.upload(in.RepositoryName, in.RegistryId, in.UploadId)
	if err != nil {
		return nil, err
	}
	if in.PartFirstByte == nil || in.PartLastByte == nil {
		return nil, missingParameter("partFirstByte")
	}
	first, last, have := *in.PartFirstByte, *in.PartLastByte, u.Size()
	if first != have || last-first+1 != int64(len(in.LayerPartBlob)) {
		return nil, &types.InvalidLayerPartException{
			Message:    text("Layer parts must be uploaded one after another: the part from byte %d to %d has %d bytes, and %d bytes are there", first, last, len(in.LayerPartBlob), have),
			RegistryId: &a.s.account, RepositoryName: in.RepositoryName, UploadId: &u.id, LastValidByteReceived: new(have - 1),
		}
	}
	if _, err := u.Write(in.LayerPartBlob); err != nil {
		return nil, fmt.Errorf("store layer part: %w", err)
	}
	return &ecr.UploadLayerPartOutput{
		RegistryId: &a.s.account, RepositoryName: in.RepositoryName, UploadId: &u.id, LastByteReceived: &last,
	}, nil
}

func (a *api) completeUpload(_ context.Context, in *ecr.CompleteLayerUploadInput) (*ecr.CompleteLayerUploadOutput, error) {
	u, err := a.upload(in.RepositoryName, in.RegistryId, in.UploadId)
	if err != nil {
		return nil, err
	}
	if len(in.LayerDigests) != 1 {
		return nil, invalid("layerDigests", "must have one digest, of the sha256 algorithm")
	}
	d := in.LayerDigests[0]
	switch {
	case u.Size() == 0:
		return nil, &types.EmptyUploadException{Message: text("The layer upload with id '%s' has no parts", u.id)}
	case a.has(*in.RepositoryName, d):
		_ = u.Cancel()
		return nil, &types.LayerAlreadyExistsException{Message: text(
			"The layer with digest '%s' already exists in the repository with name '%s' in registry with id '%s'", d, *in.RepositoryName, a.s.account)}
	}
	_, err = u.Commit(digest.Digest(d))
	if errors.Is(err, ociregistry.ErrDigestInvalid) {
		return nil, &types.InvalidLayerException{Message: text("The layer does not have the digest '%s'", d)}
	}
	if err != nil {
		return nil, err
	}
	return &ecr.CompleteLayerUploadOutput{RegistryId: &a.s.account, RepositoryName: in.RepositoryName, UploadId: &u.id, LayerDigest: &d}, nil
}

// has says whether a repository has a layer.
func (a *api) has(repo, d string) bool {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r := a.s.repos[repo]
	return r != nil && r.blobs[d] && a.s.blobSize(d) >= 0
}
