package main

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// A before-task without a name is called by its command, cut where it is long: a secret
// that was cut is one that nothing recognises any more. The name is a tag, too.
func TestSecretInABeforeTasksCommandIsNoPartOfItsName(t *testing.T) {
	t.Parallel()
	const secret = "canary-9f8e7d6c5b4a39281706f5e4d3c2b1a0-9f8e7d6c5b4a39281706f5e4d3c2b1a0"
	r := newRunner(t)
	r.write(t, "weelo-deploy.yaml", strings.Replace(actionConfig, "release: {bake: 0s}", `task: {environment: {KEY: "`+secret+`"}}
release: {bake: 0s, before: [{command: ["call", "--with", "`+secret+`"], timeout: 1s}]}`, 1))
	stdout, stderr, code := r.tool(t, "release", "--keep-failed", "--no-trial", "--output", "plain", "--image", r.server.Registry()+"/weelo-backend:good")
	if all := stdout + stderr; code != 7 || strings.Contains(all, "canary") || !strings.Contains(all, "before-task call --with ***") {
		t.Errorf("exit %d:\n%s", code, all)
	}
	api := ecs.NewFromConfig(aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(r.server.URL()), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	out, err := api.DescribeTaskDefinition(context.Background(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:28"), Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range out.Tags {
		if strings.Contains(aws.ToString(tag.Value), "canary") {
			t.Errorf("tag %s = %s", aws.ToString(tag.Key), aws.ToString(tag.Value))
		}
	}
}
