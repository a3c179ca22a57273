package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/weelo/weelo-deploy/internal/release"
)

// conceal lets the session learn the environment values of every task definition
// that is read, so that none of them is shown when a container prints it.
func (s *session) conceal(c release.Clients) release.Clients {
	if c.ECS != nil {
		c.ECS = concealing{c.ECS, func(env map[string]string) { s.redact.Add(s.config.SecretsIn(env)...) }}
	}
	return c
}

// concealing is an ECS client that tells of the environments that it has read. It
// reads them off the wire: whoever asks may keep the answer from the SDK's types.
type concealing struct {
	release.ECS
	learn func(env map[string]string)
}

func (c concealing) DescribeTaskDefinition(ctx context.Context, in *ecs.DescribeTaskDefinitionInput, opts ...func(*ecs.Options)) (*ecs.DescribeTaskDefinitionOutput, error) {
	return c.ECS.DescribeTaskDefinition(ctx, in, append(slices.Clone(opts), func(o *ecs.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("LearnEnvironment", c.overhear), middleware.After)
		})
	})...)
}

// overhear reads an answer and passes it on.
func (c concealing) overhear(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, md, err := next.HandleDeserialize(ctx, in)
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || resp.Body == nil {
		return out, md, err
	}
	const most = 4 << 20 // a definition has at most 64 KiB
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return out, md, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var answer struct{ TaskDefinition *heard }
	if json.Unmarshal(body, &answer) == nil && answer.TaskDefinition != nil {
		answer.TaskDefinition.tell(c.learn)
	}
	return out, md, nil
}

// heard is what matters of a task definition.
type heard struct {
	TaskDefinitionArn, Family string
	ContainerDefinitions      []struct {
		Name, Image string
		Environment []struct{ Name, Value string }
	}
}

// tell gives the environments, less values that are part of a name of the
// definition: to mask those would mask what the run is about.
func (d *heard) tell(learn func(map[string]string)) {
	names := []string{d.TaskDefinitionArn, d.Family}
	for _, k := range d.ContainerDefinitions {
		names = append(names, k.Name, k.Image)
	}
	for _, k := range d.ContainerDefinitions {
		env := map[string]string{}
		for _, kv := range k.Environment {
			if !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, kv.Value) }) {
				env[kv.Name] = kv.Value
			}
		}
		learn(env)
	}
}
