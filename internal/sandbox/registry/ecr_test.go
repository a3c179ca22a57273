package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// client is the SDK's ECR client of the served store.
func (s *served) client() *ecr.Client {
	return ecr.New(ecr.Options{
		Region: region, BaseEndpoint: aws.String("http://" + s.host), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
}

// wantAPIError checks an exception's name and the whole of its text.
func wantAPIError(t *testing.T, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
		t.Errorf("error is %v\nwant %s: %s", err, code, message)
	}
}

func TestECR_repositories(t *testing.T) {
	s := serve(t, "")
	api, ctx := s.client(), t.Context()
	made, err := api.CreateRepository(ctx, &ecr.CreateRepositoryInput{
		RepositoryName: aws.String("team/app"), ImageTagMutability: types.ImageTagMutabilityImmutable,
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if err != nil {
		t.Fatal(err)
	}
	r := made.Repository
	if *r.RepositoryUri != s.host+"/team/app" || *r.RepositoryArn != "arn:aws:ecr:us-east-1:000000000000:repository/team/app" ||
		r.ImageTagMutability != types.ImageTagMutabilityImmutable || *r.RegistryId != account || time.Since(*r.CreatedAt) > time.Minute {
		t.Errorf("repository is %+v", r)
	}
	_, err = api.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("team/app")})
	wantAPIError(t, err, "RepositoryAlreadyExistsException", "The repository with name 'team/app' already exists in the registry with id '000000000000'")
	_, err = api.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("Upper")})
	var invalidName *types.InvalidParameterException
	if !errors.As(err, &invalidName) {
		t.Errorf("CreateRepository of a bad name = %v", err)
	}
	_, err = api.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"nosuch"}})
	wantAPIError(t, err, "RepositoryNotFoundException", "The repository with name 'nosuch' does not exist in the registry with id '000000000000'")
	_, err = api.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"team/app"}, RegistryId: aws.String("111111111111")})
	wantAPIError(t, err, "RepositoryNotFoundException", "The repository with name 'team/app' does not exist in the registry with id '111111111111'")
}

func TestECR_pages(t *testing.T) {
	s := serve(t, "")
	api, ctx := s.client(), t.Context()
	for i := range 7 {
		s.repository(t, fmt.Sprintf("repo-%d", i), false)
	}
	pages := ecr.NewDescribeRepositoriesPaginator(api, &ecr.DescribeRepositoriesInput{MaxResults: aws.Int32(3)})
	var got []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Repositories) > 3 {
			t.Errorf("a page has %d repositories, want 3 at most", len(page.Repositories))
		}
		for _, r := range page.Repositories {
			got = append(got, *r.RepositoryName)
		}
	}
	if strings.Join(got, " ") != "repo-0 repo-1 repo-2 repo-3 repo-4 repo-5 repo-6" {
		t.Errorf("pages give %v", got)
	}
	for _, in := range []*ecr.DescribeRepositoriesInput{
		{NextToken: aws.String("nonsense")}, {MaxResults: aws.Int32(0)}, {MaxResults: aws.Int32(1001)},
		{RepositoryNames: []string{"repo-1"}, MaxResults: aws.Int32(1)},
	} {
		_, err := api.DescribeRepositories(ctx, in)
		var e *types.InvalidParameterException
		if !errors.As(err, &e) {
			t.Errorf("DescribeRepositories(%+v) = %v, want InvalidParameterException", in, err)
		}
	}
}

func TestECR_token(t *testing.T) {
	s := serve(t, "")
	out, err := s.client().GetAuthorizationToken(t.Context(), &ecr.GetAuthorizationTokenInput{})
	if err != nil || len(out.AuthorizationData) != 1 {
		t.Fatalf("GetAuthorizationToken = %+v, %v", out, err)
	}
	data := out.AuthorizationData[0]
	token, err := base64.StdEncoding.DecodeString(*data.AuthorizationToken)
	user, password := s.Credentials()
	if err != nil || string(token) != user+":"+password {
		t.Errorf("token is %q, %v", token, err)
	}
	if life := time.Until(*data.ExpiresAt); life < 11*time.Hour || life > 12*time.Hour {
		t.Errorf("token lasts %s", life)
	}
	if *data.ProxyEndpoint != "http://"+s.host {
		t.Errorf("proxy endpoint is %s", *data.ProxyEndpoint)
	}
}

func TestECR_describeImages(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	one, two := randomImage(t, "linux", "amd64"), randomImage(t, "linux", "amd64")
	oneDigest := mustPush(t, s, "app:v1", one)
	mustPush(t, s, "app:stable", one)
	mustPush(t, s, "app:latest", one)
	twoDigest := mustPush(t, s, "app:latest", two)
	api, ctx := s.client(), t.Context()

	out, err := api.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: aws.String("app"),
		ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v1")}, {ImageDigest: &twoDigest}}})
	if err != nil || len(out.ImageDetails) != 2 {
		t.Fatalf("DescribeImages = %+v, %v", out, err)
	}
	d := out.ImageDetails[0]
	if *d.ImageDigest != oneDigest || strings.Join(d.ImageTags, " ") != "stable v1" || *d.ImageManifestMediaType != "application/vnd.docker.distribution.manifest.v2+json" ||
		d.ImageStatus != types.ImageStatusActive || time.Since(*d.ImagePushedAt) > time.Minute {
		t.Errorf("detail is %+v", d)
	}
	if want := imageSize(t, one); *d.ImageSizeInBytes != want {
		t.Errorf("size is %d, want %d", *d.ImageSizeInBytes, want)
	}
	if tags := out.ImageDetails[1].ImageTags; strings.Join(tags, " ") != "latest" {
		t.Errorf("tags of the second image are %v", tags)
	}
	_, err = api.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: aws.String("app"), ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v9")}}})
	wantAPIError(t, err, "ImageNotFoundException", "The image with imageId {imageDigest:'null', imageTag:'v9'} does not exist within the repository with name 'app' in the registry with id '000000000000'")
	_, err = api.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: aws.String("nosuch")})
	wantAPIError(t, err, "RepositoryNotFoundException", "The repository with name 'nosuch' does not exist in the registry with id '000000000000'")
}

func imageSize(t *testing.T, image v1.Image) int64 {
	t.Helper()
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	size, err := image.Size() // of the manifest
	if err != nil {
		t.Fatal(err)
	}
	size += m.Config.Size
	for _, l := range m.Layers {
		size += l.Size
	}
	return size
}

func TestECR_listImages(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	one := randomImage(t, "linux", "amd64")
	mustPush(t, s, "app:a", one)
	mustPush(t, s, "app:b", one)
	untagged := mustPush(t, s, "app:b", randomImage(t, "linux", "amd64"))
	mustPush(t, s, "app:b", one)
	api := s.client()
	list := func(status types.TagStatus) (tags, digests int) {
		in := &ecr.ListImagesInput{RepositoryName: aws.String("app"), MaxResults: aws.Int32(1)}
		if status != "" {
			in.Filter = &types.ListImagesFilter{TagStatus: status}
		}
		for pages := ecr.NewListImagesPaginator(api, in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range page.ImageIds {
				if id.ImageTag != nil {
					tags++
				} else if *id.ImageDigest == untagged {
					digests++
				}
			}
		}
		return tags, digests
	}
	for status, want := range map[types.TagStatus][2]int{"": {2, 1}, types.TagStatusTagged: {2, 0}, types.TagStatusUntagged: {0, 1}, types.TagStatusAny: {2, 1}} {
		if tags, digests := list(status); tags != want[0] || digests != want[1] {
			t.Errorf("ListImages of %q gives %d tags and %d untagged images, want %v", status, tags, digests, want)
		}
	}
}

func TestECR_batches(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	image := randomImage(t, "linux", "amd64")
	d := mustPush(t, s, "app:v1", image)
	mustPush(t, s, "app:v2", image)
	api, ctx := s.client(), t.Context()
	other := "sha256:" + strings.Repeat("0", 64)
	ids := []types.ImageIdentifier{{ImageTag: aws.String("v1")}, {ImageTag: aws.String("v9")}, {}, {ImageTag: aws.String("v1"), ImageDigest: &other}}

	got, err := api.BatchGetImage(ctx, &ecr.BatchGetImageInput{RepositoryName: aws.String("app"), ImageIds: ids})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Images) != 1 || *got.Images[0].ImageManifest != string(raw) || *got.Images[0].ImageId.ImageDigest != d || *got.Images[0].ImageId.ImageTag != "v1" {
		t.Errorf("images are %+v", got.Images)
	}
	wantFailures(t, got.Failures, "ImageNotFound", "MissingDigestAndTag", "ImageTagDoesNotMatchDigest")

	gone, err := api.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: aws.String("app"), ImageIds: ids})
	if err != nil {
		t.Fatal(err)
	}
	if len(gone.ImageIds) != 1 || *gone.ImageIds[0].ImageTag != "v1" {
		t.Errorf("deleted ids are %+v", gone.ImageIds)
	}
	wantFailures(t, gone.Failures, "ImageNotFound", "MissingDigestAndTag", "ImageNotFound")
	if _, err := s.Resolve("app", "v2", "linux", "amd64"); err != nil {
		t.Errorf("deleting one tag of two deleted the image: %v", err)
	}
	if _, err := api.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: aws.String("app"), ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve("app", d, "linux", "amd64"); !errors.Is(err, ErrReference) {
		t.Errorf("deleting the last tag left the image: %v", err)
	}
}

func wantFailures(t *testing.T, got []types.ImageFailure, want ...types.ImageFailureCode) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("failures are %+v, want %v", got, want)
	}
	for i := range want {
		if got[i].FailureCode != want[i] || got[i].FailureReason == nil {
			t.Errorf("failure %d is %+v, want %s", i, got[i], want[i])
		}
	}
}

func TestECR_indexEntriesStay(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	entry := randomImage(t, "linux", "amd64")
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: entry, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	if err := remote.WriteIndex(s.ref(t, "app:v1"), index, remote.WithAuth(s.auth)); err != nil {
		t.Fatal(err)
	}
	out, err := s.client().BatchDeleteImage(t.Context(), &ecr.BatchDeleteImageInput{RepositoryName: aws.String("app"),
		ImageIds: []types.ImageIdentifier{{ImageDigest: aws.String(digestOf(t, entry))}}})
	if err != nil {
		t.Fatal(err)
	}
	wantFailures(t, out.Failures, types.ImageFailureCodeImageReferencedByManifestList)
}

func TestECR_putImage(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", true)
	s.repository(t, "other", false)
	image := randomImage(t, "linux", "amd64")
	d := mustPush(t, s, "app:v1", image)
	mustPush(t, s, "app:taken", randomImage(t, "linux", "amd64"))
	raw, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	put := func(repo, tag string, digest *string) error {
		out, err := s.client().PutImage(context.Background(), &ecr.PutImageInput{RepositoryName: &repo, ImageManifest: aws.String(string(raw)), ImageTag: &tag, ImageDigest: digest})
		if err == nil && *out.Image.ImageId.ImageDigest != d {
			t.Errorf("PutImage gave the digest %s, want %s", *out.Image.ImageId.ImageDigest, d)
		}
		return err
	}
	if err := put("app", "stable", nil); err != nil {
		t.Errorf("PutImage with a new tag: %v", err)
	}
	if got, err := s.Resolve("app", "stable", "linux", "amd64"); err != nil || got.Digest != d {
		t.Errorf("stable is %+v, %v", got, err)
	}
	wantAPIError(t, put("app", "v1", nil), "ImageAlreadyExistsException", "Image with digest '"+d+"' and tag 'v1' already exists in the repository with name 'app' in registry with id '000000000000'")
	wantAPIError(t, put("app", "taken", nil), "ImageTagAlreadyExistsException", "The image tag 'taken' already exists in the 'app' repository and cannot be overwritten because the repository is immutable.")
	var layers *types.LayersNotFoundException
	if err := put("other", "v1", nil); !errors.As(err, &layers) {
		t.Errorf("PutImage without layers = %v", err)
	}
	var mismatch *types.ImageDigestDoesNotMatchException
	if err := put("app", "v3", aws.String("sha256:0")); !errors.As(err, &mismatch) {
		t.Errorf("PutImage with another digest = %v", err)
	}
}

func TestECR_deleteRepository(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	api, ctx := s.client(), t.Context()
	_, err := api.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: aws.String("app")})
	wantAPIError(t, err, "RepositoryNotEmptyException", "The repository with name 'app' in registry with id '000000000000' cannot be deleted because it still contains images")
	if _, err := api.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: aws.String("app"), Force: true}); err != nil {
		t.Fatal(err)
	}
	if names := s.Repositories(); len(names) != 0 {
		t.Errorf("repositories are %v", names)
	}
	wantFiles(t, s.blobDir(), 0)
}
