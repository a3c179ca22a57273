package cluster

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
)

// definitionOutput is the answer about one task definition: as registered, so
// that members that the SDK does not know are told too.
type definitionOutput struct {
	TaskDefinition json.RawMessage
	Tags           []types.Tag
}

func (c *Cluster) registerTaskDefinition(ctx context.Context, in *ecs.RegisterTaskDefinitionInput) (*definitionOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	d, err := c.definitions.Register(awsjson.RawBody(ctx), c.cfg.Now())
	if err != nil {
		return nil, err
	}
	return &definitionOutput{TaskDefinition: d.JSON(), Tags: d.Tags}, nil
}

func (c *Cluster) describeTaskDefinition(_ context.Context, in *ecs.DescribeTaskDefinitionInput) (*definitionOutput, error) {
	d := c.definitions.Get(deref(in.TaskDefinition))
	if d == nil {
		return nil, client("Unable to describe task definition.")
	}
	out := &definitionOutput{TaskDefinition: d.JSON()}
	if slices.Contains(in.Include, types.TaskDefinitionFieldTags) {
		if out.Tags = d.Tags; out.Tags == nil {
			out.Tags = []types.Tag{}
		}
	}
	return out, nil
}

func (c *Cluster) deregisterTaskDefinition(_ context.Context, in *ecs.DeregisterTaskDefinitionInput) (*definitionOutput, error) {
	ref := deref(in.TaskDefinition)
	if !c.definitions.Pinned(ref) {
		return nil, client("Invalid revision number: %s must be a family and a revision, or an ARN.", ref)
	}
	d := c.definitions.Get(ref)
	if d == nil {
		return nil, client("Unable to describe task definition.")
	}
	c.definitions.Deregister(d, c.cfg.Now())
	return &definitionOutput{TaskDefinition: d.JSON()}, nil
}

func (c *Cluster) listTaskDefinitions(_ context.Context, in *ecs.ListTaskDefinitionsInput) (*ecs.ListTaskDefinitionsOutput, error) {
	arns := []string{}
	if in.Status == "" || in.Status == types.TaskDefinitionStatusActive || in.Status == types.TaskDefinitionStatusInactive {
		for _, d := range c.definitions.List(deref(in.FamilyPrefix), in.Status != types.TaskDefinitionStatusInactive) {
			arns = append(arns, d.ARN)
		}
	}
	if in.Sort == types.SortOrderDesc {
		slices.Reverse(arns)
	}
	list, next, err := page(arns, itself, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &ecs.ListTaskDefinitionsOutput{TaskDefinitionArns: list, NextToken: next}, nil
}

func (c *Cluster) listTaskDefinitionFamilies(_ context.Context, in *ecs.ListTaskDefinitionFamiliesInput) (*ecs.ListTaskDefinitionFamiliesOutput, error) {
	names, active := c.definitions.Families(deref(in.FamilyPrefix))
	names = slices.DeleteFunc(names, func(n string) bool {
		return in.Status == types.TaskDefinitionFamilyStatusActive && !active[n] ||
			in.Status == types.TaskDefinitionFamilyStatusInactive && active[n]
	})
	list, next, err := page(names, itself, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []string{}
	}
	return &ecs.ListTaskDefinitionFamiliesOutput{Families: list, NextToken: next}, nil
}

// usable finds the task definition that a service or task is to run.
func (c *Cluster) usable(ref string) (*definition.Definition, error) {
	switch d := c.definitions.Get(ref); {
	case d == nil:
		return nil, client("TaskDefinition not found.")
	case !d.Active:
		return nil, client("TaskDefinition is inactive")
	default:
		return d, nil
	}
}
