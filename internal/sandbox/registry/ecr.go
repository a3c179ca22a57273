package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// tokenLife is how long GetAuthorizationToken says that a token lasts.
const tokenLife = 12 * time.Hour

// api answers ECR's operations from the store.
type api struct {
	s        *Store
	hostport func() string // of the registry, 127.0.0.1:PORT
}

// ECR is the ECR API over the store. hostport gives the address under which
// clients reach the registry; it is asked at each call, since the port is known
// only when the server listens.
func (s *Store) ECR(hostport func() string) *awsjson.Service {
	a := &api{s, hostport}
	svc := awsjson.NewService("AmazonEC2ContainerRegistry_V20150921")
	a.handleRepositories(svc)
	a.handleImages(svc)
	return svc
}

func (a *api) handleRepositories(svc *awsjson.Service) {
	awsjson.Handle(svc, "CreateRepository", a.createRepository)
	awsjson.Handle(svc, "DescribeRepositories", a.describeRepositories)
	awsjson.Handle(svc, "DeleteRepository", a.deleteRepository)
	awsjson.Handle(svc, "PutImageTagMutability", a.putMutability)
	awsjson.Handle(svc, "ListTagsForResource", a.listLabels)
	awsjson.Handle(svc, "TagResource", a.tagResource)
	awsjson.Handle(svc, "UntagResource", a.untagResource)
	awsjson.Handle(svc, "GetRepositoryPolicy", a.getRepositoryPolicy)
	awsjson.Handle(svc, "SetRepositoryPolicy", a.setRepositoryPolicy)
	awsjson.Handle(svc, "DeleteRepositoryPolicy", a.deleteRepositoryPolicy)
	awsjson.Handle(svc, "GetLifecyclePolicy", a.getLifecyclePolicy)
	awsjson.Handle(svc, "PutLifecyclePolicy", a.putLifecyclePolicy)
	awsjson.Handle(svc, "DeleteLifecyclePolicy", a.deleteLifecyclePolicy)
	awsjson.Handle(svc, "StartLifecyclePolicyPreview", a.startPreview)
	awsjson.Handle(svc, "GetLifecyclePolicyPreview", a.getPreview)
	awsjson.Handle(svc, "PutImageScanningConfiguration", a.putScanning)
	awsjson.Handle(svc, "BatchGetRepositoryScanningConfiguration", a.batchScanning)
	awsjson.Handle(svc, "GetRegistryScanningConfiguration", a.registryScanning)
	awsjson.Handle(svc, "DescribeRegistry", a.describeRegistry)
	awsjson.Handle(svc, "GetAuthorizationToken", a.authorizationToken)
}

func (a *api) handleImages(svc *awsjson.Service) {
	awsjson.Handle(svc, "DescribeImages", a.describeImages)
	awsjson.Handle(svc, "ListImages", a.listImages)
	awsjson.Handle(svc, "BatchGetImage", a.batchGetImage)
	awsjson.Handle(svc, "BatchDeleteImage", a.batchDeleteImage)
	awsjson.Handle(svc, "PutImage", a.putImage)
	awsjson.Handle(svc, "UpdateImageStorageClass", a.updateStorageClass)
	awsjson.Handle(svc, "ListImageReferrers", a.listReferrers)
	awsjson.Handle(svc, "StartImageScan", a.startImageScan)
	awsjson.Handle(svc, "DescribeImageScanFindings", a.describeFindings)
	awsjson.Handle(svc, "BatchCheckLayerAvailability", a.checkLayers)
	awsjson.Handle(svc, "GetDownloadUrlForLayer", a.downloadURL)
	awsjson.Handle(svc, "InitiateLayerUpload", a.initiateUpload)
	awsjson.Handle(svc, "UploadLayerPart", a.uploadPart)
	awsjson.Handle(svc, "CompleteLayerUpload", a.completeUpload)
}

func (s *Store) arn(repo string) string {
	return fmt.Sprintf("arn:aws:ecr:%s:%s:repository/%s", s.region, s.account, repo)
}

// open finds the repository that a request means. s.mu is held.
func (a *api) open(name, registry *string) (*repository, error) {
	id := a.s.account
	if registry != nil {
		id = *registry
	}
	if name == nil {
		return nil, missingParameter("repositoryName")
	}
	r := a.s.repos[*name]
	if r == nil || id != a.s.account {
		return nil, &types.RepositoryNotFoundException{Message: text(
			"The repository with name '%s' does not exist in the registry with id '%s'", *name, id)}
	}
	return r, nil
}

func (a *api) createRepository(_ context.Context, in *ecr.CreateRepositoryInput) (*ecr.CreateRepositoryOutput, error) {
	if in.RepositoryName == nil {
		return nil, missingParameter("repositoryName")
	}
	r := &repository{Name: *in.RepositoryName, Labels: make(map[string]string)}
	var err error
	if r.Mutability, err = newMutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters); err != nil {
		return nil, err
	}
	if err := label(r, in.Tags); err != nil {
		return nil, err
	}
	if c := in.ImageScanningConfiguration; c != nil {
		r.ScanOnPush = c.ScanOnPush
	}
	if c := in.EncryptionConfiguration; c != nil {
		r.Encryption, r.KmsKey = c.EncryptionType, deref(c.KmsKey)
	}
	err = a.s.create(r)
	switch {
	case errors.Is(err, ErrName):
		return nil, invalid("repositoryName", "must satisfy regular expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*'")
	case errors.Is(err, ErrExists):
		return nil, &types.RepositoryAlreadyExistsException{Message: text(
			"The repository with name '%s' already exists in the registry with id '%s'", r.Name, a.s.account)}
	case err != nil:
		return nil, err
	}
	return &ecr.CreateRepositoryOutput{Repository: a.describe(r)}, nil
}

func (a *api) describe(r *repository) *types.Repository {
	encryption := &types.EncryptionConfiguration{EncryptionType: cmp.Or(r.Encryption, types.EncryptionTypeAes256)}
	if r.KmsKey != "" {
		encryption.KmsKey = &r.KmsKey
	}
	return &types.Repository{
		RegistryId:                 &a.s.account,
		RepositoryName:             &r.Name,
		RepositoryArn:              new(a.s.arn(r.Name)),
		RepositoryUri:              new(a.hostport() + "/" + r.Name),
		CreatedAt:                  &r.CreatedAt,
		ImageTagMutability:         r.Mutability.Mode,
		ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: r.ScanOnPush},
		EncryptionConfiguration:    encryption,

		ImageTagMutabilityExclusionFilters: r.Mutability.wire(),
	}
}

func (a *api) describeRepositories(_ context.Context, in *ecr.DescribeRepositoriesInput) (*ecr.DescribeRepositoriesOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	names := in.RepositoryNames
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(a.s.repos))
	} else if in.NextToken != nil || in.MaxResults != nil {
		return nil, invalid("repositoryNames", "cannot be combined with nextToken and maxResults")
	}
	shown, next, err := page(names, func(n string) string { return n }, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ecr.DescribeRepositoriesOutput{Repositories: []types.Repository{}, NextToken: next}
	for _, n := range shown {
		r, err := a.open(&n, in.RegistryId)
		if err != nil {
			return nil, err
		}
		out.Repositories = append(out.Repositories, *a.describe(r))
	}
	return out, nil
}

func (a *api) deleteRepository(_ context.Context, in *ecr.DeleteRepositoryInput) (*ecr.DeleteRepositoryOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if len(r.Images) > 0 && !in.Force {
		return nil, &types.RepositoryNotEmptyException{Message: text(
			"The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", r.Name, a.s.account)}
	}
	for d := range r.Images {
		a.s.removeImage(r, d)
	}
	delete(a.s.repos, r.Name)
	a.s.removeUnused(slices.Collect(maps.Keys(r.blobs)))
	return &ecr.DeleteRepositoryOutput{Repository: a.describe(r)}, a.s.save()
}

func (a *api) authorizationToken(context.Context, *ecr.GetAuthorizationTokenInput) (*ecr.GetAuthorizationTokenOutput, error) {
	user, password := a.s.Credentials()
	return &ecr.GetAuthorizationTokenOutput{AuthorizationData: []types.AuthorizationData{{
		AuthorizationToken: new(base64.StdEncoding.EncodeToString([]byte(user + ":" + password))),
		ExpiresAt:          new(a.s.now().Add(tokenLife).UTC()),
		ProxyEndpoint:      new("http://" + a.hostport()),
	}}}, nil
}
