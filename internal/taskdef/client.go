package taskdef

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

// API are the calls of the ECS client that this package makes. It must be the
// SDK's client, or wrap one and hand the option functions on: the raw JSON is
// reached through them.
type API interface {
	DescribeTaskDefinition(context.Context, *ecs.DescribeTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error)
	RegisterTaskDefinition(context.Context, *ecs.RegisterTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.RegisterTaskDefinitionOutput, error)
	DeregisterTaskDefinition(context.Context, *ecs.DeregisterTaskDefinitionInput, ...func(*ecs.Options)) (*ecs.DeregisterTaskDefinitionOutput, error)
	TagResource(context.Context, *ecs.TagResourceInput, ...func(*ecs.Options)) (*ecs.TagResourceOutput, error)
	UntagResource(context.Context, *ecs.UntagResourceInput, ...func(*ecs.Options)) (*ecs.UntagResourceOutput, error)
}

var _ API = (*ecs.Client)(nil)

// ErrNotFound says that there is no such task definition.
var ErrNotFound = errors.New("there is no such task definition")

// Client reads and registers task definitions.
type Client struct{ API API }

// Describe reads a definition with its tags. ref is an ARN, family:revision, or
// a family, which stands for its newest ACTIVE revision. One that does not
// exist gives a *event.Failure with NOT_FOUND that wraps ErrNotFound.
func (c Client) Describe(ctx context.Context, ref string) (*Definition, error) {
	var answer []byte
	_, err := c.API.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: &ref, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags},
	}, captureBody(&answer))
	// ECS has no own error for a definition that is not there: it answers with
	// ClientException, "Unable to describe task definition.".
	if code(err) == "ClientException" {
		f := event.Fail(event.CodeNotFound, fmt.Sprintf("describe task definition %s: there is no such task definition", ref))
		return nil, f.Because(errors.Join(ErrNotFound, err))
	}
	if err != nil {
		return nil, refused(err, "describe task definition "+ref, "ecs:DescribeTaskDefinition")
	}
	d, err := definitionIn(answer)
	if err != nil {
		return nil, fmt.Errorf("describe task definition %s: %w", ref, err)
	}
	return d, nil
}

// Register makes a revision of d: its carried tags, with tags put over them.
// What AWS does not accept gives a *event.Failure with INVALID_DEFINITION and
// AWS's words. The call is not idempotent: each one that AWS accepts makes a
// revision.
func (c Client) Register(ctx context.Context, d *Definition, tags []Tag) (*Definition, error) {
	body, err := d.registration(tags)
	if err != nil {
		return nil, fmt.Errorf("register a revision of %s: %w", d.Family(), err)
	}
	var answer []byte
	family := d.Family()
	// The SDK validates the members that it requires before it looks at the
	// body; the body on the wire is ours.
	_, err = c.API.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: &family, ContainerDefinitions: []types.ContainerDefinition{},
	}, replaceBody(body), captureBody(&answer))
	switch code(err) {
	case "ClientException", "InvalidParameterException", "LimitExceededException":
		f := event.Fail(event.CodeInvalidDefinition, "register a revision of "+family+": AWS does not accept it")
		f.Reason = reason(err)
		return nil, f.Because(err)
	}
	if err != nil {
		return nil, refused(err, "register a revision of "+family, "ecs:RegisterTaskDefinition")
	}
	made, err := definitionIn(answer)
	if err != nil {
		return nil, fmt.Errorf("register a revision of %s: %w", family, err)
	}
	return made, nil
}

// Tag sets and removes tags of a revision. Removing comes last, so that a
// revision is never without its record in between.
func (c Client) Tag(ctx context.Context, arn string, set map[string]string, remove []string) error {
	if len(set) > 0 {
		in := &ecs.TagResourceInput{ResourceArn: &arn}
		for _, k := range slices.Sorted(maps.Keys(set)) {
			in.Tags = append(in.Tags, types.Tag{Key: ptr(k), Value: ptr(set[k])})
		}
		if _, err := c.API.TagResource(ctx, in); err != nil {
			return refused(err, "tag "+arn, "ecs:TagResource")
		}
	}
	if len(remove) == 0 {
		return nil
	}
	if _, err := c.API.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: remove}); err != nil {
		return refused(err, "remove tags of "+arn, "ecs:UntagResource")
	}
	return nil
}

// Deregister makes a revision INACTIVE. No service can be updated to it any
// more, so the caller must know that it never served.
func (c Client) Deregister(ctx context.Context, arn string) error {
	if _, err := c.API.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &arn}); err != nil {
		return refused(err, "deregister "+arn, "ecs:DeregisterTaskDefinition")
	}
	return nil
}

// refused wraps an error of a call; a denied one names the missing permission.
func refused(err error, doing, permission string) error {
	if c := code(err); c == "AccessDeniedException" || c == "AccessDenied" || c == "UnauthorizedOperation" {
		return event.Fail(event.CodeAccessDenied, doing+": denied").Because(err).
			Hint("give the caller the permission " + permission)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func reason(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return ""
}

func ptr(s string) *string { return &s }
