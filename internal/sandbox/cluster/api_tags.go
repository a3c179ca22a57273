package cluster

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// maxTags is how many tags a resource can have.
const maxTags = 50

// checkTags refuses tags that AWS refuses.
func checkTags(tags []types.Tag) error {
	seen := make(map[string]bool)
	for _, t := range tags {
		key := deref(t.Key)
		switch {
		case key == "" || len(key) > 128 || len(deref(t.Value)) > 256:
			return invalid("A tag key must have 1 to 128 characters and a tag value at most 256.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return invalid("Tag keys that begin with aws: are reserved for use by AWS.")
		case seen[key]:
			return invalid("Duplicate tag keys found: %s", key)
		}
		seen[key] = true
	}
	if len(tags) > maxTags {
		return invalid("A resource can have at most %d tags.", maxTags)
	}
	return nil
}

func (c *Cluster) tagResource(_ context.Context, in *ecs.TagResourceInput) (*ecs.TagResourceOutput, error) {
	tags, err := c.tagsOf(deref(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	merged := slices.Clone(*tags)
	for _, t := range in.Tags {
		i := slices.IndexFunc(merged, func(o types.Tag) bool { return deref(o.Key) == deref(t.Key) })
		if i >= 0 {
			merged[i] = t
		} else {
			merged = append(merged, t)
		}
	}
	if err := checkTags(merged); err != nil {
		return nil, err
	}
	*tags = merged
	return &ecs.TagResourceOutput{}, nil
}

func (c *Cluster) untagResource(_ context.Context, in *ecs.UntagResourceInput) (*ecs.UntagResourceOutput, error) {
	tags, err := c.tagsOf(deref(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	*tags = slices.DeleteFunc(slices.Clone(*tags), func(t types.Tag) bool { return slices.Contains(in.TagKeys, deref(t.Key)) })
	return &ecs.UntagResourceOutput{}, nil
}

func (c *Cluster) listTagsForResource(_ context.Context, in *ecs.ListTagsForResourceInput) (*ecs.ListTagsForResourceOutput, error) {
	tags, err := c.tagsOf(deref(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	return &ecs.ListTagsForResourceOutput{Tags: orEmpty(*tags)}, nil
}

// tagsOf finds the tags of a resource by its ARN.
func (c *Cluster) tagsOf(arn string) (*[]types.Tag, error) {
	if d := c.definitions.Get(arn); d != nil && strings.HasPrefix(arn, "arn:") {
		return &d.Tags, nil
	}
	kind, parts, ok := c.arns.split(arn)
	if !ok {
		return nil, invalid("Invalid ARN: %s", arn)
	}
	cl := c.clusters[parts[0]]
	switch {
	case cl == nil:
		return nil, clusterNotFound()
	case kind == "cluster" && len(parts) == 1:
		return &cl.tags, nil
	case kind == "service" && len(parts) == 2 && cl.services[parts[1]] != nil:
		return &cl.services[parts[1]].tags, nil
	case kind == "task" && len(parts) == 2 && cl.loose[parts[1]] != nil:
		return &cl.loose[parts[1]].tags, nil
	case kind == "service":
		return nil, serviceNotFound()
	}
	return nil, &types.ResourceNotFoundException{Message: ptr("The specified resource was not found.")}
}
