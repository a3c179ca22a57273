package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/redact"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// What a definition holds is not shown, whoever reads it; its plain words and its
// own names are.
func TestConceal(t *testing.T) {
	for value, want := range map[string]string{
		"Zx9-canary-Qw7":         redact.Mask,
		"db.internal.example":    redact.Mask,
		"production":             "production",
		"3000":                   "3000",
		"weelobackendtask":       "weelobackendtask",
		"weelo-backend":          "weelo-backend",
		"redis://u:hunter2x@c/0": redact.Mask,
	} {
		t.Run(value, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				fmt.Fprintf(w, `{"taskDefinition":{"taskDefinitionArn":"arn:aws:ecs:x:1:task-definition/weelobackendtask:27","family":"weelobackendtask","revision":27,
					"containerDefinitions":[{"name":"weelo-backend","image":"1.dkr.ecr.x/weelo-backend:v1","environment":[{"name":"NAME","value":%q}]}]}}`, value)
			}))
			defer server.Close()
			client := ecs.NewFromConfig(aws.Config{Region: "ap-south-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
			for reader, read := range map[string]func(release.ECS) error{
				"by the SDK": func(api release.ECS) error {
					out, err := api.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("weelobackendtask:27")})
					if err == nil && aws.ToString(out.TaskDefinition.Family) != "weelobackendtask" {
						return fmt.Errorf("the answer is lost: %+v", out)
					}
					return err
				},
				"as raw JSON": func(api release.ECS) error {
					_, err := taskdef.Client{API: api}.Describe(t.Context(), "weelobackendtask:27")
					return err
				},
			} {
				s := &session{redact: redact.New(), config: &config.Config{}}
				if err := read(s.conceal(release.Clients{ECS: client}).ECS); err != nil {
					t.Fatal(err)
				}
				if got := s.redact.String(value); got != want {
					t.Errorf("read %s, %q is shown as %q, want %q", reader, value, got, want)
				}
			}
		})
	}
}
