package registry

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// maxLabels bounds the tags of a resource, as AWS does.
const maxLabels = 50

// label sets tags of a repository as a resource.
func label(r *repository, tags []types.Tag) error {
	after := maps.Clone(r.Labels)
	if after == nil {
		after = make(map[string]string)
	}
	for _, t := range tags {
		if deref(t.Key) == "" || t.Value == nil || strings.HasPrefix(*t.Key, "aws:") {
			return &types.InvalidTagParameterException{Message: text("Invalid parameter at 'tags' failed to satisfy constraint: 'a key, which does not begin with aws:, and a value'")}
		}
		after[*t.Key] = *t.Value
	}
	if len(after) > maxLabels {
		return &types.TooManyTagsException{Message: text("The repository with name '%s' would have %d tags; %d is the limit", r.Name, len(after), maxLabels)}
	}
	r.Labels = after
	return nil
}

// byARN finds the repository of an ARN.
func (a *api) byARN(arn *string) (*repository, error) {
	if arn == nil {
		return nil, missingParameter("resourceArn")
	}
	name, ok := strings.CutPrefix(*arn, a.s.arn(""))
	if !ok {
		return nil, invalid("resourceArn", "must be the ARN of a repository of this registry")
	}
	return a.open(&name, nil)
}

func (a *api) listLabels(_ context.Context, in *ecr.ListTagsForResourceInput) (*ecr.ListTagsForResourceOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.byARN(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &ecr.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		out.Tags = append(out.Tags, types.Tag{Key: new(key), Value: new(r.Labels[key])})
	}
	return out, nil
}

func (a *api) tagResource(_ context.Context, in *ecr.TagResourceInput) (*ecr.TagResourceOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.byARN(in.ResourceArn)
	if err == nil {
		err = label(r, in.Tags)
	}
	if err != nil {
		return nil, err
	}
	return &ecr.TagResourceOutput{}, a.s.save()
}

func (a *api) untagResource(_ context.Context, in *ecr.UntagResourceInput) (*ecr.UntagResourceOutput, error) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	r, err := a.byARN(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(r.Labels, key)
	}
	return &ecr.UntagResourceOutput{}, a.s.save()
}
