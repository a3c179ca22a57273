package health_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// anything is a registry that has every image, and a log that keeps nothing.
type anything struct{}

func (anything) Resolve(ref, _, _ string) (cluster.Image, error) {
	return cluster.Image{Reference: ref}, nil
}
func (anything) HasGroup(string) bool                      { return true }
func (anything) CreateGroup(string) error                  { return nil }
func (anything) Append(_, _ string, _ time.Time, _ string) {}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// crashing registers a revision whose container is checked and restarted in place.
func crashing(api *ecs.Client) (string, error) {
	out, err := api.RegisterTaskDefinition(context.Background(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String("web"), Memory: aws.Int32(64),
			HealthCheck:   &types.HealthCheck{Command: []string{"CMD-SHELL", "true"}, Interval: aws.Int32(20)},
			RestartPolicy: &types.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(60)},
		}},
	})
	if err != nil {
		return "", err
	}
	return *out.TaskDefinition.TaskDefinitionArn, nil
}

// A container with a restart policy that crashes every 90 s keeps its task RUNNING:
// ECS calls the deployment a success, and so does the watch, but not without a word.
func TestSandbox_aCrashThatARestartPolicyHidesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runtime := scripted.New()
		runtime.Set("web", scripted.Script{Exits: true, ExitAfter: 90 * time.Second, ExitCode: 139})
		control := cluster.New(cluster.Config{Runtime: runtime, Images: anything{}, Logs: anything{}})
		defer control.Close(context.Background())
		var mux awsjson.Mux
		mux.Add("ecs", control.API())
		api := ecs.New(ecs.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://ecs.invalid"), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			HTTPClient: doer(func(r *http.Request) (*http.Response, error) {
				rec := httptest.NewRecorder()
				mux.ServeHTTP(rec, r)
				return rec.Result(), nil
			})})
		if _, err := api.CreateCluster(t.Context(), &ecs.CreateClusterInput{}); err != nil {
			t.Fatal(err)
		}
		revision, err := crashing(api)
		if err != nil {
			t.Fatal(err)
		}
		up, err := api.CreateService(t.Context(), &ecs.CreateServiceInput{ServiceName: aws.String("web"), TaskDefinition: &revision, DesiredCount: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		definition, err := (taskdef.Client{API: api}).Describe(t.Context(), revision)
		if err != nil {
			t.Fatal(err)
		}
		var notes []string
		// By default a watch in bake looks once a minute, and may miss the 20 s in which
		// the container has no health.
		often := health.Rhythm{Stopped: 5 * time.Second, Service: 10 * time.Second, Deployment: 60 * time.Second, Tasks: 10 * time.Second}
		watcher := &health.Watcher{ECS: api, Pace: health.Pace{Bake: often}, Emit: func(e event.Event) {
			if n, ok := e.(event.Note); ok {
				notes = append(notes, n.Text)
			}
		}}
		d := up.Service.Deployments[0]
		v, err := watcher.Watch(t.Context(), health.Subject{Cluster: "default", Service: "web", Deployment: *d.Id, TaskDefinition: revision, CreatedAt: *d.CreatedAt, Definition: definition},
			health.Policy{Bake: 10 * time.Minute, Timeout: time.Hour})
		if err != nil || v.Outcome != health.Serving {
			t.Fatalf("verdict %+v, %v; want Serving", v, err)
		}
		all := strings.Join(notes, "\n")
		for _, want := range []string{"ECS restarts container app in place when it ends (restartPolicy)", "ended and was restarted in place"} {
			if !strings.Contains(all, want) {
				t.Errorf("nobody said %q; notes:\n%s", want, all)
			}
		}
	})
}
