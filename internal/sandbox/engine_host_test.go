package sandbox

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// An engine in a virtual machine reaches this one under a name of its own: images are
// called by it, and nothing else.
func TestEngineHost_IsTheRegistrysName(t *testing.T) {
	planted, err := seed.Parse("seed.yaml", []byte(valuesSeed))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Config{Seed: planted, EngineHost: "host.docker.internal"})
	_, port, _ := strings.Cut(strings.TrimPrefix(w.URL(), "http://"), ":")
	if want := "http://127.0.0.1:" + port; w.URL() != want {
		t.Errorf("URL = %s, want %s", w.URL(), want)
	}
	host := "host.docker.internal:" + port
	out, err := w.ecr.DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{})
	if err != nil || *out.Repositories[0].RepositoryUri != host+"/web" {
		t.Errorf("DescribeRepositories = %v, %v; want %s/web", out, err, host)
	}
	if _, err := w.ecs.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: aws.String("c"), TaskDefinition: aws.String("web:3")}); err != nil {
		t.Fatal(err)
	}
	await(t, "the task", func() bool { return len(w.runtime.Started()) == 1 })
	c := w.runtime.Started()[0].Containers[0]
	if !strings.HasPrefix(c.Image, host+"/web@sha256:") || c.PullAuth == nil || c.PullAuth.Server != host {
		t.Errorf("the task pulls %s with %+v", c.Image, c.PullAuth)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL()+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	answer, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the registry answers the engine %s, want that it asks for a login", answer.Status)
	}
	for at, want := range map[string]string{
		"192.168.1.5:8477": "127.0.0.1:8477", // with Config.UnsafeListen
		host:               "127.0.0.1:" + port, "127.0.0.1:1": "127.0.0.1:1", "nonsense": "nonsense",
	} {
		if got := here(at); got != want {
			t.Errorf("here(%s) = %s, want %s", at, got, want)
		}
	}
}
