package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// How long a scan takes and how often an image may be scanned; both are divided by
// speed. The first is a guess, the second ECR's quota.
const (
	scanTime  = 30 * time.Second
	scanPause = 24 * time.Hour
)

// Finding is something that a scan finds in an image. Nothing is looked for here:
// what there is to find is written down with [Store.SetFindings].
type Finding struct {
	Name        string `json:"name" yaml:"name"`
	Severity    string `json:"severity" yaml:"severity"` // CRITICAL, HIGH, …
	Description string `json:"description,omitempty" yaml:"description"`
	URI         string `json:"uri,omitempty" yaml:"uri"`
}

// scan is what is known of an image's scans.
type scan struct {
	Findings []Finding `json:"findings,omitempty"`      // that a scan will find
	Began    time.Time `json:"scanBegan,omitzero"`      // of the latest scan
	Ends     time.Time `json:"scanEnds,omitzero"`       // of it
	Counts   bool      `json:"scanRequested,omitempty"` // whether it counts for the quota
}

// SetFindings says what scans of an image find from now on.
func (s *Store) SetFindings(repo, reference string, findings []Finding) error {
	for _, f := range findings {
		if f.Name == "" || !slices.Contains(types.FindingSeverity("").Values(), types.FindingSeverity(f.Severity)) {
			return fmt.Errorf("a finding needs a name and a severity of %v, not %q", types.FindingSeverity("").Values(), f.Severity)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.find(repo)
	if err != nil {
		return err
	}
	_, i := r.lookup(reference)
	if i == nil {
		return fmt.Errorf("%s in %s: %w", reference, repo, ErrReference)
	}
	i.scan.Findings = findings
	return s.save()
}

// startScan begins a scan of an image. s.mu is held.
func (s *Store) startScan(i *image, requested bool) {
	now := s.now().UTC()
	i.Began, i.Ends, i.Counts = now, now.Add(s.divided(scanTime)), requested
}

// divided is a waiting time of AWS's as it is here.
func (s *Store) divided(d time.Duration) time.Duration { return time.Duration(float64(d) / s.speed) }

// imageOf finds the one image that a request means.
func (a *api) imageOf(name, registry *string, id *types.ImageIdentifier) (*repository, string, error) {
	r, err := a.open(name, registry)
	if err != nil {
		return nil, "", err
	}
	if id == nil {
		return nil, "", missingParameter("imageId")
	}
	named, err := a.named(r, []types.ImageIdentifier{*id})
	if err != nil {
		return nil, "", err
	}
	return r, named[0], nil
}

func (a *api) startImageScan(_ context.Context, in *ecr.StartImageScanInput) (*ecr.StartImageScanOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, d, err := a.imageOf(in.RepositoryName, in.RegistryId, in.ImageId)
	if err != nil {
		return nil, err
	}
	i, now := r.Images[d], a.s.now()
	switch {
	case i.status(now) != types.ImageStatusActive:
		return nil, &types.ImageArchivedException{Message: text("The image with digest '%s' is archived and cannot be scanned", d)}
	case i.Children != nil:
		return nil, &types.UnsupportedImageTypeException{Message: text("The media type '%s' is not supported for scanning", i.MediaType)}
	case i.Counts && now.Sub(i.Began) < a.s.divided(scanPause):
		return nil, &types.LimitExceededException{Message: text("The scan quota per image has been exceeded. Wait and try again.")}
	}
	a.s.startScan(i, true)
	return &ecr.StartImageScanOutput{
		ImageId: withDigest(in.ImageId, d), RegistryId: &a.s.account, RepositoryName: &r.Name,
		ImageScanStatus: &types.ImageScanStatus{Status: types.ScanStatusInProgress},
	}, a.s.save()
}

func withDigest(asked *types.ImageIdentifier, d string) *types.ImageIdentifier {
	return &types.ImageIdentifier{ImageDigest: &d, ImageTag: asked.ImageTag}
}

func (a *api) describeFindings(_ context.Context, in *ecr.DescribeImageScanFindingsInput) (*ecr.DescribeImageScanFindingsOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, d, err := a.imageOf(in.RepositoryName, in.RegistryId, in.ImageId)
	if err != nil {
		return nil, err
	}
	i := r.Images[d]
	if i.Began.IsZero() {
		return nil, &types.ScanNotFoundException{Message: text(
			"Image scan does not exist for the image with '{imageDigest:'%s', imageTag:'%s'}' in the repository with name '%s' in the registry with id '%s'",
			d, orNull(in.ImageId.ImageTag), r.Name, a.s.account)}
	}
	out := &ecr.DescribeImageScanFindingsOutput{
		ImageId: withDigest(in.ImageId, d), RegistryId: &a.s.account, RepositoryName: &r.Name,
		ImageScanStatus: &types.ImageScanStatus{Status: types.ScanStatusInProgress},
	}
	if i.Ends.After(a.s.now()) {
		return out, nil
	}
	out.ImageScanStatus = &types.ImageScanStatus{Status: types.ScanStatusComplete, Description: text("The scan was completed successfully.")}
	out.ImageScanFindings, out.NextToken, err = found(i, in.NextToken, in.MaxResults)
	return out, err
}

// found is one page of what the scan of an image found.
func found(i *image, token *string, size *int32) (*types.ImageScanFindings, *string, error) {
	out := &types.ImageScanFindings{
		Findings: []types.ImageScanFinding{}, FindingSeverityCounts: map[string]int32{},
		ImageScanCompletedAt: &i.Ends, VulnerabilitySourceUpdatedAt: &i.Ends,
	}
	byKey := make(map[string]Finding)
	for n, f := range i.Findings {
		byKey[fmt.Sprintf("%06d", n)] = f
		out.FindingSeverityCounts[f.Severity]++
	}
	keys, next, err := page(slices.Sorted(maps.Keys(byKey)), func(k string) string { return k }, token, size)
	for _, k := range keys {
		f := byKey[k]
		out.Findings = append(out.Findings, types.ImageScanFinding{
			Name: &f.Name, Severity: types.FindingSeverity(f.Severity), Description: notEmpty(f.Description), Uri: notEmpty(f.URI),
		})
	}
	return out, next, err
}

func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (a *api) putScanning(_ context.Context, in *ecr.PutImageScanningConfigurationInput) (*ecr.PutImageScanningConfigurationOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if in.ImageScanningConfiguration == nil {
		return nil, missingParameter("imageScanningConfiguration")
	}
	r.ScanOnPush = in.ImageScanningConfiguration.ScanOnPush
	return &ecr.PutImageScanningConfigurationOutput{
		ImageScanningConfiguration: in.ImageScanningConfiguration, RegistryId: &a.s.account, RepositoryName: &r.Name,
	}, a.s.save()
}

func (a *api) batchScanning(_ context.Context, in *ecr.BatchGetRepositoryScanningConfigurationInput) (*ecr.BatchGetRepositoryScanningConfigurationOutput, error) {
	const most = 25
	if n := len(in.RepositoryNames); n == 0 || n > most {
		return nil, invalid("repositoryNames", "Member must have length from 1 to "+strconv.Itoa(most))
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	out := &ecr.BatchGetRepositoryScanningConfigurationOutput{
		ScanningConfigurations: []types.RepositoryScanningConfiguration{}, Failures: []types.RepositoryScanningConfigurationFailure{},
	}
	for _, name := range in.RepositoryNames {
		r := a.s.repos[name]
		if r == nil {
			out.Failures = append(out.Failures, types.RepositoryScanningConfigurationFailure{
				RepositoryName: &name, FailureCode: types.ScanningConfigurationFailureCodeRepositoryNotFound,
				FailureReason: text("The repository with name '%s' does not exist in the registry with id '%s'", name, a.s.account),
			})
			continue
		}
		frequency := types.ScanFrequencyManual
		if r.ScanOnPush {
			frequency = types.ScanFrequencyScanOnPush
		}
		out.ScanningConfigurations = append(out.ScanningConfigurations, types.RepositoryScanningConfiguration{
			RepositoryArn: new(a.s.arn(name)), RepositoryName: &name, ScanOnPush: r.ScanOnPush, ScanFrequency: frequency,
			AppliedScanFilters: []types.ScanningRepositoryFilter{},
		})
	}
	return out, nil
}
