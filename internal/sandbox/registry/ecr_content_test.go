package registry

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestECR_scans(t *testing.T) {
	s, c := at(t)
	d := mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	api, ctx := s.client(), t.Context()
	id := &types.ImageIdentifier{ImageTag: aws.String("v1")}
	_, err := api.DescribeImageScanFindings(ctx, &ecr.DescribeImageScanFindingsInput{RepositoryName: app, ImageId: id})
	wantAPIError(t, err, "ScanNotFoundException", "Image scan does not exist for the image with '{imageDigest:'"+d+"', imageTag:'v1'}' in the repository with name 'app' in the registry with id '000000000000'")
	if err := s.SetFindings("app", "v1", []Finding{{Name: "CVE-1", Severity: "CRITICAL"}, {Name: "CVE-2", Severity: "LOW"}, {Name: "CVE-3", Severity: "LOW", URI: "https://x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.StartImageScan(ctx, &ecr.StartImageScanInput{RepositoryName: app, ImageId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = api.StartImageScan(ctx, &ecr.StartImageScanInput{RepositoryName: app, ImageId: id})
	wantAPIError(t, err, "LimitExceededException", "The scan quota per image has been exceeded. Wait and try again.")
	waiter := ecr.NewImageScanCompleteWaiter(api, func(o *ecr.ImageScanCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 2*time.Millisecond
	})
	out, err := api.DescribeImageScanFindings(ctx, &ecr.DescribeImageScanFindingsInput{RepositoryName: app, ImageId: id})
	if err != nil || out.ImageScanStatus.Status != types.ScanStatusInProgress {
		t.Errorf("at once: %+v, %v", out, err)
	}
	c.at = c.at.Add(2 * time.Second)
	if err := waiter.Wait(ctx, &ecr.DescribeImageScanFindingsInput{RepositoryName: app, ImageId: id}, time.Second); err != nil {
		t.Error(err)
	}
	var names []string
	for p := ecr.NewDescribeImageScanFindingsPaginator(api, &ecr.DescribeImageScanFindingsInput{RepositoryName: app, ImageId: id, MaxResults: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n := page.ImageScanFindings.FindingSeverityCounts["LOW"]; n != 2 {
			t.Errorf("counts are %v", page.ImageScanFindings.FindingSeverityCounts)
		}
		for _, f := range page.ImageScanFindings.Findings {
			names = append(names, *f.Name)
		}
	}
	if strings.Join(names, " ") != "CVE-1 CVE-2 CVE-3" {
		t.Errorf("findings are %v", names)
	}
	if err := s.SetFindings("app", "v1", []Finding{{Name: "x", Severity: "BAD"}}); err == nil {
		t.Error("SetFindings takes any severity")
	}
}

func TestECR_scanOnPush(t *testing.T) {
	s, c := at(t)
	api, ctx := s.client(), t.Context()
	if _, err := api.PutImageScanningConfiguration(ctx, &ecr.PutImageScanningConfigurationInput{RepositoryName: app, ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: true}}); err != nil {
		t.Fatal(err)
	}
	configured, err := api.BatchGetRepositoryScanningConfiguration(ctx, &ecr.BatchGetRepositoryScanningConfigurationInput{RepositoryNames: []string{"app", "none"}})
	if err != nil || configured.ScanningConfigurations[0].ScanFrequency != types.ScanFrequencyScanOnPush || configured.Failures[0].FailureCode != types.ScanningConfigurationFailureCodeRepositoryNotFound {
		t.Errorf("configurations are %+v, %v", configured, err)
	}
	mustPush(t, s, "app:v1", randomImage(t, "linux", "amd64"))
	c.at = c.at.Add(time.Minute)
	out, err := api.DescribeImageScanFindings(ctx, &ecr.DescribeImageScanFindingsInput{RepositoryName: app, ImageId: &types.ImageIdentifier{ImageTag: aws.String("v1")}})
	if err != nil || out.ImageScanStatus.Status != types.ScanStatusComplete || len(out.ImageScanFindings.Findings) != 0 {
		t.Errorf("findings are %+v, %v", out, err)
	}
}

func TestECR_layersByTheAPI(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	api, ctx := s.client(), t.Context()
	content := bytes.Repeat([]byte("layer"), 100)
	d := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	upload := func(parts ...[]byte) (*string, error) {
		begun, err := api.InitiateLayerUpload(ctx, &ecr.InitiateLayerUploadInput{RepositoryName: app})
		if err != nil {
			t.Fatal(err)
		}
		first := int64(0)
		for _, p := range parts {
			last := first + int64(len(p)) - 1
			if _, err := api.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{RepositoryName: app, UploadId: begun.UploadId, PartFirstByte: &first, PartLastByte: aws.Int64(last), LayerPartBlob: p}); err != nil {
				return begun.UploadId, err
			}
			first = last + 1
		}
		_, err = api.CompleteLayerUpload(ctx, &ecr.CompleteLayerUploadInput{RepositoryName: app, UploadId: begun.UploadId, LayerDigests: []string{d}})
		return begun.UploadId, err
	}
	if _, err := upload(content[:200], content[200:]); err != nil {
		t.Fatal(err)
	}
	checked, err := api.BatchCheckLayerAvailability(ctx, &ecr.BatchCheckLayerAvailabilityInput{RepositoryName: app, LayerDigests: []string{d, "sha256:" + strings.Repeat("0", 64), "x"}})
	if err != nil || len(checked.Layers) != 2 || *checked.Layers[0].LayerSize != 500 || checked.Layers[1].LayerAvailability != types.LayerAvailabilityUnavailable ||
		checked.Failures[0].FailureCode != types.LayerFailureCodeInvalidLayerDigest {
		t.Errorf("layers are %+v, %v", checked, err)
	}
	address, err := api.GetDownloadUrlForLayer(ctx, &ecr.GetDownloadUrlForLayerInput{RepositoryName: app, LayerDigest: &d})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(*address.DownloadUrl)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(got, content) {
		t.Errorf("downloaded %d bytes, %v", len(got), err)
	}

	_, err = upload(content)
	wantAPIError(t, err, "LayerAlreadyExistsException", "The layer with digest '"+d+"' already exists in the repository with name 'app' in registry with id '000000000000'")
	d = "sha256:" + strings.Repeat("1", 64)
	id, err := upload(content)
	wantAPIError(t, err, "InvalidLayerException", "The layer does not have the digest '"+d+"'")
	_, err = api.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{RepositoryName: app, UploadId: id, PartFirstByte: aws.Int64(0), PartLastByte: aws.Int64(0), LayerPartBlob: []byte("x")})
	wantAPIError(t, err, "UploadNotFoundException", "The upload with id '"+*id+"' in the repository with name 'app' in the registry with id '000000000000' does not exist")
	id, err = upload()
	wantAPIError(t, err, "EmptyUploadException", "The layer upload with id '"+*id+"' has no parts")
	_, err = api.UploadLayerPart(ctx, &ecr.UploadLayerPartInput{RepositoryName: app, UploadId: id, PartFirstByte: aws.Int64(5), PartLastByte: aws.Int64(5), LayerPartBlob: []byte("x")})
	var part *types.InvalidLayerPartException
	if !errors.As(err, &part) || *part.LastValidByteReceived != -1 {
		t.Errorf("a part out of order = %v", err)
	}
	_, err = api.GetDownloadUrlForLayer(ctx, &ecr.GetDownloadUrlForLayerInput{RepositoryName: app, LayerDigest: &d})
	wantAPIError(t, err, "LayersNotFoundException", "The layer with digest '"+d+"' does not exist in the repository with name 'app' in the registry with id '000000000000'")
}

func TestECR_referrers(t *testing.T) {
	s := serve(t, "")
	s.repository(t, "app", false)
	image := randomImage(t, "linux", "amd64")
	d := mustPush(t, s, "app:v1", image)
	hash, err := v1.NewHash(d)
	if err != nil {
		t.Fatal(err)
	}
	size, err := image.Size()
	if err != nil {
		t.Fatal(err)
	}
	about := mutate.Subject(randomImage(t, "linux", "amd64"), v1.Descriptor{MediaType: "application/vnd.docker.distribution.manifest.v2+json", Digest: hash, Size: size}).(v1.Image)
	signature := mustPush(t, s, "app:sig", about)
	api, ctx := s.client(), t.Context()
	out, err := api.ListImageReferrers(ctx, &ecr.ListImageReferrersInput{RepositoryName: app, SubjectId: &types.SubjectIdentifier{ImageDigest: &d}})
	if err != nil || len(out.Referrers) != 1 || *out.Referrers[0].Digest != signature || out.Referrers[0].ArtifactStatus != types.ArtifactStatusActive {
		t.Errorf("referrers are %+v, %v", out, err)
	}
	index, err := remote.Referrers(s.ref(t, "app:v1").Context().Digest(d), remote.WithAuth(s.auth))
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil || len(m.Manifests) != 1 || m.Manifests[0].Digest.String() != signature {
		t.Errorf("the protocol's referrers are %+v, %v", m, err)
	}
	detail, err := api.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: app, ImageIds: []types.ImageIdentifier{{ImageDigest: &signature}}})
	if err != nil || *detail.ImageDetails[0].SubjectManifestDigest != d {
		t.Errorf("detail is %+v, %v", detail, err)
	}
}
