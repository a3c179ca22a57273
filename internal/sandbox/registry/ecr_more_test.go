package registry

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

var app = aws.String("app")

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// at serves a store whose clock the test moves, with waiting times divided by 20.
func at(t *testing.T) (*served, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	s := serve(t, "", WithClock(c.now), WithSpeed(20))
	s.repository(t, "app", false)
	return s, c
}

func filters(values ...string) []types.ImageTagMutabilityExclusionFilter {
	return mutability{Filters: values}.wire()
}

func TestMutability_ofTags(t *testing.T) {
	for mode, want := range map[types.ImageTagMutability]string{
		types.ImageTagMutabilityMutable:                "",
		types.ImageTagMutabilityImmutable:              "v1 latest dev-7-x",
		types.ImageTagMutabilityImmutableWithExclusion: "v1",
		types.ImageTagMutabilityMutableWithExclusion:   "latest dev-7-x",
	} {
		m := mutability{Mode: mode, Filters: []string{"latest", "dev-*-x"}}
		var fixed []string
		for _, tag := range []string{"v1", "latest", "dev-7-x"} {
			if m.fixed(tag) {
				fixed = append(fixed, tag)
			}
		}
		if got := strings.Join(fixed, " "); got != want {
			t.Errorf("%s fixes %q, want %q", mode, got, want)
		}
	}
}

func TestECR_mutabilityWithExclusion(t *testing.T) {
	s := serve(t, "")
	api, ctx := s.client(), t.Context()
	made, err := api.CreateRepository(ctx, &ecr.CreateRepositoryInput{
		RepositoryName: app, ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion, ImageTagMutabilityExclusionFilters: filters("latest*"),
		ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: true},
		EncryptionConfiguration:    &types.EncryptionConfiguration{EncryptionType: types.EncryptionTypeKms, KmsKey: aws.String("arn:key")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := made.Repository; r.ImageTagMutability != types.ImageTagMutabilityImmutableWithExclusion || *r.ImageTagMutabilityExclusionFilters[0].Filter != "latest*" ||
		!r.ImageScanningConfiguration.ScanOnPush || *r.EncryptionConfiguration.KmsKey != "arn:key" {
		t.Errorf("repository is %+v", r)
	}
	for range 2 {
		mustPush(t, s, "app:latest-1", randomImage(t, "linux", "amd64"))
	}
	mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	var refused *transport.Error
	if err := s.push(t, "app:v1", randomImage(t, "linux", "amd64")); !errors.As(err, &refused) || !strings.Contains(refused.Error(), "cannot be overwritten because the repository is immutable") {
		t.Errorf("a fixed tag was pushed again: %v", err)
	}
	out, err := api.PutImageTagMutability(ctx, &ecr.PutImageTagMutabilityInput{RepositoryName: app, ImageTagMutability: types.ImageTagMutabilityMutable})
	if err != nil || out.ImageTagMutability != types.ImageTagMutabilityMutable || out.ImageTagMutabilityExclusionFilters != nil {
		t.Fatalf("PutImageTagMutability = %+v, %v", out, err)
	}
	mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	for name, in := range map[string]ecr.PutImageTagMutabilityInput{
		"no filter":       {ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion},
		"a filter":        {ImageTagMutability: types.ImageTagMutabilityImmutable, ImageTagMutabilityExclusionFilters: filters("a")},
		"too many":        {ImageTagMutability: types.ImageTagMutabilityMutableWithExclusion, ImageTagMutabilityExclusionFilters: filters("a", "b", "c", "d", "e", "f")},
		"no tag's form":   {ImageTagMutability: types.ImageTagMutabilityMutableWithExclusion, ImageTagMutabilityExclusionFilters: filters("a/b")},
		"an unknown mode": {ImageTagMutability: "FIXED"},
	} {
		in.RepositoryName = app
		_, err := api.PutImageTagMutability(ctx, &in)
		var invalid *types.InvalidParameterException
		if !errors.As(err, &invalid) {
			t.Errorf("%s: error is %v, want InvalidParameterException", name, err)
		}
	}
}

// statuses lists the images that a filter lets through, by status.
func statuses(t *testing.T, s *served, filter *types.DescribeImagesFilter) string {
	t.Helper()
	out, err := s.client().DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: app, Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range out.ImageDetails {
		all = append(all, string(d.ImageStatus))
	}
	return strings.Join(all, " ")
}

func TestECR_archivedImages(t *testing.T) {
	s, c := at(t)
	image := randomImage(t, "linux", "amd64")
	d := mustPush(t, s, "app:v1", image)
	api, ctx := s.client(), t.Context()
	move := func(to types.TargetStorageClass) (types.ImageStatus, error) {
		out, err := api.UpdateImageStorageClass(ctx, &ecr.UpdateImageStorageClassInput{RepositoryName: app, ImageId: &types.ImageIdentifier{ImageTag: aws.String("v1")}, TargetStorageClass: to})
		if err != nil {
			return "", err
		}
		return out.ImageStatus, nil
	}
	if status, err := move(types.TargetStorageClassArchive); err != nil || status != types.ImageStatusArchived {
		t.Fatalf("archiving gives %s, %v", status, err)
	}
	if got := statuses(t, s, nil) + "|" + statuses(t, s, &types.DescribeImagesFilter{ImageStatus: types.ImageStatusFilterAny}) + "|" +
		statuses(t, s, &types.DescribeImagesFilter{ImageStatus: types.ImageStatusFilterArchived}); got != "|ARCHIVED|ARCHIVED" {
		t.Errorf("images by default, of any status, archived: %s", got)
	}
	_, err := remote.Image(s.ref(t, "app:v1"), remote.WithAuth(s.auth))
	wantRegistryError(t, err, http.StatusNotFound, "MANIFEST_UNKNOWN", "Requested image not found")
	if _, err := s.Resolve("app", d, "linux", "amd64"); !errors.Is(err, ErrReference) {
		t.Errorf("a task's pull gives %v", err)
	}
	got, err := api.BatchGetImage(ctx, &ecr.BatchGetImageInput{RepositoryName: app, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v1")}}})
	if err != nil {
		t.Fatal(err)
	}
	wantFailures(t, got.Failures, types.ImageFailureCodeImageNotFound)
	_, err = api.StartImageScan(ctx, &ecr.StartImageScanInput{RepositoryName: app, ImageId: &types.ImageIdentifier{ImageTag: aws.String("v1")}})
	wantAPIError(t, err, "ImageArchivedException", "The image with digest '"+d+"' is archived and cannot be scanned")

	if status, err := move(types.TargetStorageClassStandard); err != nil || status != types.ImageStatusActivating {
		t.Fatalf("restoring gives %s, %v", status, err)
	}
	var unsupported *types.ImageStorageClassUpdateNotSupportedException
	if _, err := move(types.TargetStorageClassArchive); !errors.As(err, &unsupported) {
		t.Errorf("archiving while it is restored = %v", err)
	}
	c.at = c.at.Add(time.Minute) // 20 minutes, divided by 20
	out, err := api.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: app})
	if err != nil || len(out.ImageDetails) != 1 {
		t.Fatalf("DescribeImages = %+v, %v", out, err)
	}
	if detail := out.ImageDetails[0]; detail.ImageStatus != types.ImageStatusActive || !detail.LastActivatedAt.Equal(c.at) || !detail.LastArchivedAt.Equal(c.at.Add(-time.Minute)) {
		t.Errorf("restored: %s, activated %s, archived %s", detail.ImageStatus, detail.LastActivatedAt, detail.LastArchivedAt)
	}
}

func TestECR_pushRestoresAnArchivedImage(t *testing.T) {
	s, _ := at(t)
	image := randomImage(t, "linux", "amd64")
	d := mustPush(t, s, "app:v1", image)
	if err := s.Past("app", d, time.Time{}, s.now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	mustPush(t, s, "app:v1", image)
	if got := statuses(t, s, nil); got != "ACTIVE" {
		t.Errorf("after the push the image is %q", got)
	}
}

func TestECR_recordsPulls(t *testing.T) {
	s, c := at(t)
	mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	pulled := func() *time.Time {
		out, err := s.client().DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: app})
		if err != nil {
			t.Fatal(err)
		}
		return out.ImageDetails[0].LastRecordedPullTime
	}
	if at := pulled(); at != nil {
		t.Errorf("an image that nobody pulled was pulled at %s", at)
	}
	c.at = c.at.Add(time.Hour)
	if _, err := remote.Image(s.ref(t, "app:v1"), remote.WithAuth(s.auth)); err != nil {
		t.Fatal(err)
	}
	if at := pulled(); at == nil || !at.Equal(c.at) {
		t.Errorf("after a pull: %v, want %s", at, c.at)
	}
}

func TestECR_lifecyclePolicyIsCarriedOut(t *testing.T) {
	s, c := at(t)
	old := mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	c.at = c.at.Add(31 * 24 * time.Hour)
	mustPush(t, s, "app:v2", randomImage(t, "linux", "amd64"))
	api, ctx := s.client(), t.Context()
	policy := `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":30},"action":{"type":"transition","targetStorageClass":"archive"}},
		{"rulePriority":2,"selection":{"tagStatus":"any","storageClass":"archive","countType":"sinceImageTransitioned","countUnit":"days","countNumber":90},"action":{"type":"expire"}}]}`
	if _, err := api.PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{RepositoryName: app, LifecyclePolicyText: &policy}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.StartLifecyclePolicyPreview(ctx, &ecr.StartLifecyclePolicyPreviewInput{RepositoryName: app}); err != nil {
		t.Fatal(err)
	}
	var preview *ecr.GetLifecyclePolicyPreviewOutput
	for range 2 { // the first answer is that it is under way
		var err error
		if preview, err = api.GetLifecyclePolicyPreview(ctx, &ecr.GetLifecyclePolicyPreviewInput{RepositoryName: app}); err != nil {
			t.Fatal(err)
		}
	}
	if len(preview.PreviewResults) != 1 || preview.PreviewResults[0].Action.Type != types.ImageActionTypeTransition || *preview.Summary.TransitioningImageTotalCounts[0].ImageTotalCount != 1 {
		t.Errorf("preview is %+v", preview)
	}
	deeds, err := s.ApplyLifecycle("")
	if err != nil || len(deeds) != 1 || deeds[0].Digest != old || deeds[0].Action != transition {
		t.Errorf("deeds are %+v, %v", deeds, err)
	}
	if got := statuses(t, s, &types.DescribeImagesFilter{ImageStatus: types.ImageStatusFilterAny}); !strings.Contains(got, "ARCHIVED") || !strings.Contains(got, "ACTIVE") {
		t.Errorf("images are %s", got)
	}
	c.at = c.at.Add(91 * 24 * time.Hour)
	if deeds, err = s.ApplyLifecycle("app"); err != nil || len(deeds) != 2 { // and v2 is archived
		t.Errorf("deeds are %+v, %v", deeds, err)
	}
	gone, err := api.DeleteLifecyclePolicy(ctx, &ecr.DeleteLifecyclePolicyInput{RepositoryName: app})
	if err != nil || !gone.LastEvaluatedAt.Equal(c.at) {
		t.Errorf("DeleteLifecyclePolicy = %+v, %v", gone, err)
	}
	_, err = api.GetLifecyclePolicy(ctx, &ecr.GetLifecyclePolicyInput{RepositoryName: app})
	wantAPIError(t, err, "LifecyclePolicyNotFoundException", "Lifecycle policy does not exist for the repository with name 'app' in the registry with id '000000000000'")
	if _, err := s.ApplyLifecycle("none"); !errors.Is(err, ErrRepository) {
		t.Errorf("ApplyLifecycle of nothing = %v", err)
	}
}

func TestECR_settingsOfRepositories(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	api, ctx := s.client(), t.Context()
	arn := aws.String("arn:aws:ecr:us-east-1:000000000000:repository/app")
	if _, err := api.TagResource(ctx, &ecr.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.UntagResource(ctx, &ecr.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := api.ListTagsForResource(ctx, &ecr.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "b" {
		t.Errorf("tags are %+v, %v", tags, err)
	}
	_, err = api.TagResource(ctx, &ecr.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("1")}}})
	var bad *types.InvalidTagParameterException
	if !errors.As(err, &bad) {
		t.Errorf("a tag of AWS's = %v", err)
	}
	_, err = api.GetRepositoryPolicy(ctx, &ecr.GetRepositoryPolicyInput{RepositoryName: app})
	wantAPIError(t, err, "RepositoryPolicyNotFoundException", "Repository policy does not exist for the repository with name 'app' in the registry with id '000000000000'")
	if _, err := api.SetRepositoryPolicy(ctx, &ecr.SetRepositoryPolicyInput{RepositoryName: app, PolicyText: aws.String(`{"Version":"2012-10-17"}`)}); err != nil {
		t.Fatal(err)
	}
	if got, err := api.GetRepositoryPolicy(ctx, &ecr.GetRepositoryPolicyInput{RepositoryName: app}); err != nil || *got.PolicyText != `{"Version":"2012-10-17"}` {
		t.Errorf("policy is %+v, %v", got, err)
	}
	if _, err := api.DeleteRepositoryPolicy(ctx, &ecr.DeleteRepositoryPolicyInput{RepositoryName: app}); err != nil {
		t.Error(err)
	}
	if r, err := api.DescribeRegistry(ctx, &ecr.DescribeRegistryInput{}); err != nil || *r.RegistryId != account {
		t.Errorf("registry is %+v, %v", r, err)
	}
	if c, err := api.GetRegistryScanningConfiguration(ctx, &ecr.GetRegistryScanningConfigurationInput{}); err != nil || c.ScanningConfiguration.ScanType != types.ScanTypeBasic {
		t.Errorf("scanning is %+v, %v", c, err)
	}
	_, err = api.BatchGetImage(ctx, &ecr.BatchGetImageInput{RepositoryName: app, ImageIds: []types.ImageIdentifier{}})
	wantAPIError(t, err, "InvalidParameterException", "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length greater than or equal to 1'")
	_, err = api.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: app, ImageIds: make([]types.ImageIdentifier, 101)})
	wantAPIError(t, err, "InvalidParameterException", "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length less than or equal to 100'")
}
