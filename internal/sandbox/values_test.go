package sandbox

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

const valuesSeed = `
clusters: [{name: c}]
repositories: [{name: web, images: [{tags: [v1], builtin: {program: serve}}]}]
parameters: [{name: /web/token, value: open sesame, type: SecureString}]
secrets: [{name: web/db, value: '{"user":"ada"}'}]
objects: [{bucket: conf, key: web.env, body: "COLOR=red\n"}]
taskDefinitions:
  - family: web
    revision: 3
    definition:
      cpu: "256"
      memory: "512"
      containerDefinitions:
        - name: app
          image: ${REGISTRY}/web:v1
          environmentFiles: [{type: s3, value: "arn:aws:s3:::conf/web.env"}]
          secrets:
            - {name: TOKEN, valueFrom: /web/token}
            - {name: USER, valueFrom: "arn:aws:secretsmanager:us-east-1:000000000000:secret:web/db:user::"}
`

func TestSeed_ValuesReachTheTask(t *testing.T) {
	planted, err := seed.Parse("seed.yaml", []byte(valuesSeed))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Config{Seed: planted})
	if _, err := w.ecs.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: aws.String("web:3")}); err != nil {
		t.Fatal(err)
	}
	await(t, "the task", func() bool { return len(w.runtime.Started()) == 1 })
	env := w.runtime.Started()[0].Containers[0].Env
	for _, want := range []string{"COLOR=red", "TOKEN=open sesame", "USER=ada"} {
		if !slices.Contains(env, want) {
			t.Errorf("environment %q lacks %s", env, want)
		}
	}
}

func TestSeed_RefusesValuesThatNobodyCouldName(t *testing.T) {
	_, err := seed.Parse("seed.yaml", []byte("parameters: [{name: a b, value: x}, {name: c}]\nsecrets: [{name: s}, {name: s}]\nobjects: [{bucket: B, key: k}, {bucket: conf}]\n"))
	for _, want := range []string{`"a b" is no name for a parameter`, "parameter c has no value", `secret "s" is there twice`, `"B" is no name for a bucket`, "object conf/ wants a key"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse = %v, want %q", err, want)
		}
	}
}

// The address without a path is the page's and S3's list of buckets, told apart by
// the signature.
func TestServer_listsBucketsToClientsOfS3(t *testing.T) {
	w := start(t, Config{})
	w.objects.CreateBucket("conf")
	for authorization, want := range map[string]string{
		"": "weelo-deploy sandbox of AWS",
		"AWS4-HMAC-SHA256 Credential=a/20261101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00": "<Name>conf</Name>",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL()+"/?x-id=ListBuckets", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", authorization)
		answer, err := w.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("signed %q it answers %s %s, %v", authorization, answer.Status, body, err)
		}
	}
}
