package registry

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// preview is the latest preview of a lifecycle policy.
type preview struct {
	text string
	// asked is whether somebody has asked for it: the first answer is IN_PROGRESS.
	asked bool
}

func (a *api) noPolicy(r *repository) error {
	return &types.LifecyclePolicyNotFoundException{Message: text(
		"Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, a.s.account)}
}

func (a *api) getLifecyclePolicy(_ context.Context, in *ecr.GetLifecyclePolicyInput) (*ecr.GetLifecyclePolicyOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	switch {
	case err != nil:
		return nil, err
	case r.Lifecycle == "":
		return nil, a.noPolicy(r)
	}
	return &ecr.GetLifecyclePolicyOutput{
		LifecyclePolicyText: new(r.Lifecycle), RegistryId: &a.s.account, RepositoryName: &r.Name, LastEvaluatedAt: evaluated(r),
	}, nil
}

func (a *api) deleteLifecyclePolicy(_ context.Context, in *ecr.DeleteLifecyclePolicyInput) (*ecr.DeleteLifecyclePolicyOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	switch {
	case err != nil:
		return nil, err
	case r.Lifecycle == "":
		return nil, a.noPolicy(r)
	}
	was := r.Lifecycle
	out := &ecr.DeleteLifecyclePolicyOutput{LifecyclePolicyText: &was, RegistryId: &a.s.account, RepositoryName: &r.Name, LastEvaluatedAt: evaluated(r)}
	r.Lifecycle, r.Evaluated = "", time.Time{}
	return out, a.s.save()
}

// evaluated is when a policy was last carried out; nil when it never was.
func evaluated(r *repository) *time.Time {
	if r.Evaluated.IsZero() {
		return nil
	}
	return new(r.Evaluated)
}

// putLifecyclePolicy keeps a policy, which is carried out when [Store.ApplyLifecycle]
// says so.
func (a *api) putLifecyclePolicy(_ context.Context, in *ecr.PutLifecyclePolicyInput) (*ecr.PutLifecyclePolicyOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if _, err := parsePolicy(deref(in.LifecyclePolicyText)); err != nil {
		return nil, invalid("LifecyclePolicyText", err.Error())
	}
	r.Evaluated = time.Time{}
	r.Lifecycle = *in.LifecyclePolicyText
	return &ecr.PutLifecyclePolicyOutput{LifecyclePolicyText: in.LifecyclePolicyText, RegistryId: &a.s.account, RepositoryName: &r.Name}, a.s.save()
}

func (a *api) startPreview(_ context.Context, in *ecr.StartLifecyclePolicyPreviewInput) (*ecr.StartLifecyclePolicyPreviewOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	policyText := r.Lifecycle
	if in.LifecyclePolicyText != nil {
		policyText = *in.LifecyclePolicyText
	}
	switch _, err := parsePolicy(policyText); {
	case policyText == "":
		return nil, a.noPolicy(r)
	case err != nil:
		return nil, invalid("LifecyclePolicyText", err.Error())
	case r.preview != nil && !r.preview.asked:
		return nil, &types.LifecyclePolicyPreviewInProgressException{Message: text("The previous lifecycle policy preview request has not completed.")}
	}
	r.preview = &preview{text: policyText}
	return &ecr.StartLifecyclePolicyPreviewOutput{
		LifecyclePolicyText: &policyText, RegistryId: &a.s.account, RepositoryName: &r.Name, Status: types.LifecyclePolicyPreviewStatusInProgress,
	}, nil
}

func (a *api) getPreview(_ context.Context, in *ecr.GetLifecyclePolicyPreviewInput) (*ecr.GetLifecyclePolicyPreviewOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	switch {
	case err != nil:
		return nil, err
	case r.preview == nil:
		return nil, &types.LifecyclePolicyPreviewNotFoundException{Message: text("There is no lifecycle policy preview for the repository with name '%s'", r.Name)}
	}
	out := &ecr.GetLifecyclePolicyPreviewOutput{
		LifecyclePolicyText: &r.preview.text, RegistryId: &a.s.account, RepositoryName: &r.Name, Status: types.LifecyclePolicyPreviewStatusInProgress,
		PreviewResults: []types.LifecyclePolicyPreviewResult{},
	}
	if !r.preview.asked {
		r.preview.asked = true
		return out, nil
	}
	p, err := parsePolicy(r.preview.text)
	if err != nil {
		return nil, err
	}
	due := p.due(r, a.s.now())
	digests := slices.Sorted(maps.Keys(due))
	if in.Filter != nil {
		digests = slices.DeleteFunc(digests, func(d string) bool { return !wanted(in.Filter.TagStatus, len(r.tagsOf(d))) })
	}
	if in.ImageIds != nil {
		digests = slices.DeleteFunc(digests, func(d string) bool {
			return !slices.ContainsFunc(in.ImageIds, func(id types.ImageIdentifier) bool { return r.find(id) == d })
		})
	}
	shown, next, err := page(digests, func(d string) string { return d }, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	for _, d := range shown {
		out.PreviewResults = append(out.PreviewResults, previewed(r, d, due[d]))
	}
	out.Status, out.NextToken = types.LifecyclePolicyPreviewStatusComplete, next
	out.Summary = summary(due)
	return out, nil
}

func previewed(r *repository, d string, rule lifecycleRule) types.LifecyclePolicyPreviewResult {
	result := types.LifecyclePolicyPreviewResult{
		ImageDigest: &d, ImageTags: r.tagsOf(d), ImagePushedAt: &r.Images[d].PushedAt, AppliedRulePriority: new(int32(rule.Priority)),
		Action: &types.LifecyclePolicyRuleAction{Type: types.ImageActionTypeExpire}, StorageClass: types.LifecyclePolicyStorageClassStandard,
	}
	if rule.Action.Type == transition {
		result.Action = &types.LifecyclePolicyRuleAction{Type: types.ImageActionTypeTransition, TargetStorageClass: types.LifecyclePolicyTargetStorageClassArchive}
	}
	if rule.Selection.CountType == sinceTransitioned {
		result.StorageClass = types.LifecyclePolicyStorageClassArchive
	}
	return result
}

func summary(due map[string]lifecycleRule) *types.LifecyclePolicyPreviewSummary {
	var expiring, moving int32
	for _, rule := range due {
		if rule.Action.Type == transition {
			moving++
		} else {
			expiring++
		}
	}
	s := &types.LifecyclePolicyPreviewSummary{ExpiringImageTotalCount: &expiring}
	if moving > 0 {
		s.TransitioningImageTotalCounts = []types.TransitioningImageTotalCount{{
			ImageTotalCount: &moving, TargetStorageClass: types.LifecyclePolicyTargetStorageClassArchive,
		}}
	}
	return s
}
