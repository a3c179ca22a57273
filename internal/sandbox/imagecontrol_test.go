package sandbox

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

const imagesPast = `
repositories:
- name: app
  immutable: true
  except: [latest]
  scanOnPush: true
  lifecycle: {rules: [{rulePriority: 1, selection: {tagStatus: tagged, tagPrefixList: [v], countType: imageCountMoreThan, countNumber: 1}, action: {type: expire}}]}
  images:
  - {tags: [v1], builtin: {program: serve, body: one}, pushedAt: -72h, pulledAt: -48h}
  - {tags: [v2], builtin: {program: serve, body: two}, pushedAt: -24h, findings: [{name: CVE-2026-1, severity: HIGH}]}
  - {tags: [v0], builtin: {program: serve, body: zero}, pushedAt: -96h, archivedAt: -90h}
`

// TestServer_imagesOfTheSeed looks at what a seed says of repositories, and has
// their policies carried out.
func TestServer_imagesOfTheSeed(t *testing.T) {
	from, err := seed.Parse("s", []byte(imagesPast))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Config{Seed: from})
	ctx, app := t.Context(), aws.String("app")
	repositories, err := w.ecr.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if r := repositories.Repositories[0]; r.ImageTagMutability != types.ImageTagMutabilityImmutableWithExclusion || !r.ImageScanningConfiguration.ScanOnPush {
		t.Errorf("repository is %+v", r)
	}
	statuses := func() map[string]types.ImageStatus {
		out, err := w.ecr.DescribeImages(ctx, &ecr.DescribeImagesInput{RepositoryName: app, Filter: &types.DescribeImagesFilter{ImageStatus: types.ImageStatusFilterAny}})
		if err != nil {
			t.Fatal(err)
		}
		is := map[string]types.ImageStatus{}
		for _, d := range out.ImageDetails {
			is[d.ImageTags[0]] = d.ImageStatus
			if d.ImageTags[0] == "v1" && d.LastRecordedPullTime == nil {
				t.Error("v1 was never pulled")
			}
		}
		return is
	}
	if is := statuses(); len(is) != 3 || is["v0"] != types.ImageStatusArchived || is["v1"] != types.ImageStatusActive {
		t.Errorf("images are %v", is)
	}
	var deeds struct{ Images []struct{ Action string } }
	if status := w.control(t, http.MethodPost, "/_sandbox/lifecycle", `{"repository":"app"}`, &deeds); status != http.StatusOK || len(deeds.Images) != 1 {
		t.Errorf("lifecycle: %d %+v", status, deeds)
	}
	if is := statuses(); len(is) != 2 || is["v1"] != "" {
		t.Errorf("after the policy the images are %v", is)
	}
	var answer map[string]any
	if status := w.control(t, http.MethodPost, "/_sandbox/lifecycle", `{"repository":"none"}`, &answer); status != http.StatusBadRequest || answer["error"] == nil {
		t.Errorf("lifecycle of nothing: %d %v", status, answer)
	}
}

func TestServer_findingsByTheControlEndpoint(t *testing.T) {
	from, err := seed.Parse("s", []byte(imagesPast))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Config{Seed: from})
	var answer map[string]any
	body := `{"repository":"app","reference":"v1","findings":[{"name":"CVE-1","severity":"CRITICAL"},{"name":"CVE-2","severity":"LOW"}]}`
	if status := w.control(t, http.MethodPost, "/_sandbox/findings", body, &answer); status != http.StatusOK {
		t.Errorf("findings: %d %v", status, answer)
	}
	if status := w.control(t, http.MethodPost, "/_sandbox/findings", `{"finding":[]}`, &answer); status != http.StatusBadRequest {
		t.Errorf("a misspelt member: %d %v", status, answer)
	}
	for tag, want := range map[string]int{"v1": 2, "v2": 1} {
		in := &ecr.DescribeImageScanFindingsInput{RepositoryName: aws.String("app"), ImageId: &types.ImageIdentifier{ImageTag: &tag}}
		await(t, "the scan of "+tag, func() bool {
			out, err := w.ecr.DescribeImageScanFindings(t.Context(), in)
			return err == nil && out.ImageScanStatus.Status == types.ScanStatusComplete && len(out.ImageScanFindings.Findings) == want
		})
	}
}
