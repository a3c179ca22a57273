package registry

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// describeRegistry shows a registry that is replicated nowhere.
func (a *api) describeRegistry(context.Context, *ecr.DescribeRegistryInput) (*ecr.DescribeRegistryOutput, error) {
	return &ecr.DescribeRegistryOutput{
		RegistryId: &a.s.account, ReplicationConfiguration: &types.ReplicationConfiguration{Rules: []types.ReplicationRule{}},
	}, nil
}

// registryScanning shows that scans are basic ones, on request or by repository.
func (a *api) registryScanning(context.Context, *ecr.GetRegistryScanningConfigurationInput) (*ecr.GetRegistryScanningConfigurationOutput, error) {
	return &ecr.GetRegistryScanningConfigurationOutput{
		RegistryId:            &a.s.account,
		ScanningConfiguration: &types.RegistryScanningConfiguration{ScanType: types.ScanTypeBasic, Rules: []types.RegistryScanningRule{}},
	}, nil
}

func (a *api) noRepositoryPolicy(r *repository) error {
	return &types.RepositoryPolicyNotFoundException{Message: text(
		"Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, a.s.account)}
}

func (a *api) getRepositoryPolicy(_ context.Context, in *ecr.GetRepositoryPolicyInput) (*ecr.GetRepositoryPolicyOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	switch {
	case err != nil:
		return nil, err
	case r.Policy == "":
		return nil, a.noRepositoryPolicy(r)
	}
	return &ecr.GetRepositoryPolicyOutput{PolicyText: new(r.Policy), RegistryId: &a.s.account, RepositoryName: &r.Name}, nil
}

// setRepositoryPolicy keeps a policy and shows it; permissions are the faults' to
// take away.
func (a *api) setRepositoryPolicy(_ context.Context, in *ecr.SetRepositoryPolicyInput) (*ecr.SetRepositoryPolicyOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(deref(in.PolicyText))) {
		return nil, invalid("PolicyText", "Invalid repository policy provided")
	}
	r.Policy = *in.PolicyText
	return &ecr.SetRepositoryPolicyOutput{PolicyText: in.PolicyText, RegistryId: &a.s.account, RepositoryName: &r.Name}, a.s.save()
}

func (a *api) deleteRepositoryPolicy(_ context.Context, in *ecr.DeleteRepositoryPolicyInput) (*ecr.DeleteRepositoryPolicyOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.open(in.RepositoryName, in.RegistryId)
	switch {
	case err != nil:
		return nil, err
	case r.Policy == "":
		return nil, a.noRepositoryPolicy(r)
	}
	was := r.Policy
	r.Policy = ""
	return &ecr.DeleteRepositoryPolicyOutput{PolicyText: &was, RegistryId: &a.s.account, RepositoryName: &r.Name}, a.s.save()
}
