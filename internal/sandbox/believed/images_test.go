package believed

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func ids(of ...string) (list []types.ImageIdentifier) {
	for _, s := range of {
		if strings.HasPrefix(s, "sha256:") {
			list = append(list, types.ImageIdentifier{ImageDigest: &s})
		} else {
			list = append(list, types.ImageIdentifier{ImageTag: &s})
		}
	}
	return list
}

// manifest reads the manifest of an image of app.
func (w *world) manifest(t *testing.T, id string) types.Image {
	t.Helper()
	out := must(w.ecr.BatchGetImage(t.Context(), &ecr.BatchGetImageInput{RepositoryName: new("app"), ImageIds: ids(id)}))(t)
	if len(out.Images) != 1 {
		t.Fatalf("BatchGetImage(%s) = %+v", id, out.Failures)
	}
	return out.Images[0]
}

var images = []behaviour{
	{"repositories are made once, and missed by name", ecrAPI + "CreateRepository, DescribeRepositories", func(t *testing.T, w *world) {
		w.repository(t)
		wantError(t, "RepositoryAlreadyExistsException", "The repository with name 'app' already exists in the registry with id '"+account+"'")(w.ecr.CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: new("app")}))
		wantError(t, "RepositoryNotFoundException", "The repository with name 'absent' does not exist in the registry with id '"+account+"'")(w.ecr.DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"app", "absent"}}))
	}},
	{"a push to a repository that is not there is refused", ecrAPI + "docker push, name unknown", func(t *testing.T, w *world) {
		if _, _, err := w.push(t, "absent:v1"); err == nil || !strings.Contains(err.Error(), "NAME_UNKNOWN") {
			t.Errorf("the push ends with %v", err)
		}
	}},
	{"a tag of an immutable repository cannot be moved", ecrAPI + "PutImage, ImageTagAlreadyExistsException", func(t *testing.T, w *world) {
		w.repository(t, func(in *ecr.CreateRepositoryInput) { in.ImageTagMutability = types.ImageTagMutabilityImmutable })
		_, first := w.pushed(t, "app:v1")
		if _, _, err := w.push(t, "app:v1"); err == nil || !strings.Contains(err.Error(), "cannot be overwritten because the") {
			t.Errorf("the push ends with %v", err)
		}
		if got := *w.manifest(t, "v1").ImageId.ImageDigest; got != first {
			t.Errorf("v1 is %s, want %s", got, first)
		}
	}},
	{"an image gets another tag by PutImage, but the same not twice", ecrAPI + "PutImage", func(t *testing.T, w *world) {
		w.repository(t)
		_, digest := w.pushed(t, "app:v1")
		in := &ecr.PutImageInput{RepositoryName: new("app"), ImageTag: new("stable"), ImageManifest: w.manifest(t, "v1").ImageManifest}
		if out := must(w.ecr.PutImage(t.Context(), in))(t); *out.Image.ImageId.ImageDigest != digest {
			t.Errorf("stable is %s, want %s", *out.Image.ImageId.ImageDigest, digest)
		}
		wantError(t, "ImageAlreadyExistsException", "")(w.ecr.PutImage(t.Context(), in))
	}},
	{"a manifest whose layers are not there is refused", ecrAPI + "PutImage, LayersNotFoundException", func(t *testing.T, w *world) {
		w.repository(t)
		w.pushed(t, "app:v1")
		text := strings.Replace(*w.manifest(t, "v1").ImageManifest, `"digest":"sha256:`, `"digest":"sha256:0000`, 1)
		text = strings.Replace(text, text[strings.Index(text, "sha256:0000"):][:75], "sha256:"+strings.Repeat("0", 64), 1)
		wantError(t, "LayersNotFoundException", "")(w.ecr.PutImage(t.Context(), &ecr.PutImageInput{RepositoryName: new("app"), ImageTag: new("x"), ImageManifest: &text}))
	}},
	{"a tag that moves leaves its image untagged", ecrAPI + "ImageDetail", func(t *testing.T, w *world) {
		w.repository(t)
		_, first := w.pushed(t, "app:live")
		w.pushed(t, "app:live")
		out := must(w.ecr.DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: new("app"), Filter: &types.DescribeImagesFilter{TagStatus: types.TagStatusUntagged}}))(t)
		if len(out.ImageDetails) != 1 || *out.ImageDetails[0].ImageDigest != first || len(out.ImageDetails[0].ImageTags) != 0 {
			t.Errorf("untagged are %+v", out.ImageDetails)
		}
	}},
	{"DescribeImages misses an image with an exception, BatchGetImage in its answer", ecrAPI + "DescribeImages, BatchGetImage", func(t *testing.T, w *world) {
		w.repository(t)
		w.pushed(t, "app:v1")
		wantError(t, "ImageNotFoundException", "")(w.ecr.DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: new("app"), ImageIds: ids("v1", "absent")}))
		out := must(w.ecr.BatchGetImage(t.Context(), &ecr.BatchGetImageInput{RepositoryName: new("app"), ImageIds: ids("v1", "absent")}))(t)
		if len(out.Images) != 1 || len(out.Failures) != 1 || out.Failures[0].FailureCode != types.ImageFailureCodeImageNotFound {
			t.Errorf("answer is %+v", out)
		}
	}},
	{"an image is described with its size, its time and all its tags", ecrAPI + "ImageDetail", func(t *testing.T, w *world) {
		w.repository(t)
		_, digest := w.pushed(t, "app:v1")
		must(w.ecr.PutImage(t.Context(), &ecr.PutImageInput{RepositoryName: new("app"), ImageTag: new("v2"), ImageManifest: w.manifest(t, "v1").ImageManifest}))(t)
		out := must(w.ecr.DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: new("app"), ImageIds: ids(digest)}))(t)
		d := out.ImageDetails[0]
		if fmt.Sprint(d.ImageTags) != "[v1 v2]" || *d.ImageSizeInBytes <= 0 || time.Since(*d.ImagePushedAt) > time.Minute || d.ImageStatus != types.ImageStatusActive || *d.RegistryId != account {
			t.Errorf("image is %+v", d)
		}
	}},
	{"BatchDeleteImage takes a tag off, and the image with its last tag", ecrAPI + "BatchDeleteImage", func(t *testing.T, w *world) {
		w.repository(t)
		_, digest := w.pushed(t, "app:v1")
		must(w.ecr.PutImage(t.Context(), &ecr.PutImageInput{RepositoryName: new("app"), ImageTag: new("v2"), ImageManifest: w.manifest(t, "v1").ImageManifest}))(t)
		remove := func(tag string) int {
			must(w.ecr.BatchDeleteImage(t.Context(), &ecr.BatchDeleteImageInput{RepositoryName: new("app"), ImageIds: ids(tag)}))(t)
			return len(must(w.ecr.BatchGetImage(t.Context(), &ecr.BatchGetImageInput{RepositoryName: new("app"), ImageIds: ids(digest)}))(t).Images)
		}
		if one, none := remove("v1"), remove("v2"); one != 1 || none != 0 {
			t.Errorf("%d images are left, then %d", one, none)
		}
		out := must(w.ecr.BatchDeleteImage(t.Context(), &ecr.BatchDeleteImageInput{RepositoryName: new("app"), ImageIds: ids("absent")}))(t)
		if len(out.Failures) != 1 || out.Failures[0].FailureCode != types.ImageFailureCodeImageNotFound {
			t.Errorf("answer is %+v", out)
		}
	}},
	{"a repository with images is deleted by force only", ecrAPI + "DeleteRepository", func(t *testing.T, w *world) {
		w.repository(t)
		w.pushed(t, "app:v1")
		wantError(t, "RepositoryNotEmptyException", "")(w.ecr.DeleteRepository(t.Context(), &ecr.DeleteRepositoryInput{RepositoryName: new("app")}))
		must(w.ecr.DeleteRepository(t.Context(), &ecr.DeleteRepositoryInput{RepositoryName: new("app"), Force: true}))(t)
		if left := must(w.ecr.DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{}))(t).Repositories; len(left) != 0 {
			t.Errorf("%d repositories are left", len(left))
		}
	}},
	{"lists of images come in pages, each image once", ecrAPI + "DescribeImages, ListImages, maxResults", func(t *testing.T, w *world) {
		w.repository(t)
		for i := range 5 {
			w.pushed(t, fmt.Sprintf("app:v%d", i))
		}
		seen := make(map[string]int)
		for p := ecr.NewDescribeImagesPaginator(w.ecr, &ecr.DescribeImagesInput{RepositoryName: new("app"), MaxResults: new(int32(2))}); p.HasMorePages(); {
			for _, d := range must(p.NextPage(t.Context()))(t).ImageDetails {
				seen[*d.ImageDigest]++
			}
		}
		for p := ecr.NewListImagesPaginator(w.ecr, &ecr.ListImagesInput{RepositoryName: new("app"), MaxResults: new(int32(2))}); p.HasMorePages(); {
			for _, d := range must(p.NextPage(t.Context()))(t).ImageIds {
				seen[*d.ImageDigest]++
			}
		}
		for d, n := range seen {
			if n != 2 || len(seen) != 5 {
				t.Errorf("of %d images %s came %d times", len(seen), d, n)
			}
		}
	}},
	{"the token of the registry is AWS and a password for twelve hours", ecrAPI + "GetAuthorizationToken", func(t *testing.T, w *world) {
		data := must(w.ecr.GetAuthorizationToken(t.Context(), &ecr.GetAuthorizationTokenInput{}))(t).AuthorizationData
		text := string(must(base64.StdEncoding.DecodeString(*data[0].AuthorizationToken))(t))
		if left := time.Until(*data[0].ExpiresAt); !strings.HasPrefix(text, "AWS:") || left < 11*time.Hour || left > 12*time.Hour {
			t.Errorf("token is %s…, for %s", text[:4], left)
		}
	}},
	{"the registry asks for credentials", "OCI distribution specification: docker login", func(t *testing.T, w *world) {
		got := w.send(t, "GET", "/v2/", "", nil)
		if got.status != 401 || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("answer is %d %v", got.status, got.header)
		}
	}},
}
