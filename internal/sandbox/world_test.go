package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// world is a sandbox with scripted tasks, seen through the SDK's clients, which
// find it by its environment as those of users do.
type world struct {
	*Server
	runtime *scripted.Runtime
	ecs     *ecs.Client
	ecr     *ecr.Client
	logs    *cloudwatchlogs.Client
	sts     *sts.Client
	iam     *iam.Client
	http    *http.Client
	config  aws.Config // of any further client
}

// fast is a speed at which AWS's waiting times do not matter.
const fast = 1000

func start(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{runtime: scripted.New()}
	if given, ok := cfg.Runtime.(*scripted.Runtime); ok {
		w.runtime = given
	}
	cfg.Runtime = w.runtime
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Speed == 0 {
		cfg.Speed = fast
	}
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.connect(t)
	return w
}

// connect makes the clients from nothing but the sandbox's environment.
func (w *world) connect(t *testing.T) {
	t.Helper()
	for _, variable := range w.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_CA_BUNDLE", "") // needs another kind of HTTP client, and nothing here is encrypted
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.http = &http.Client{Transport: plainBody{transport}}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithHTTPClient(w.http),
		config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))
	if err != nil {
		t.Fatal(err)
	}
	w.ecs, w.ecr, w.logs, w.sts = ecs.NewFromConfig(cfg), ecr.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg), sts.NewFromConfig(cfg)
	w.iam, w.config = iam.NewFromConfig(cfg), cfg
}

// plainBody hides what else a request's body can do but being read. The SDK
// closes bodies when the answer's head is there; its WriteTo fails from then on,
// which makes net/http close the connection in the middle of the answer to a
// request of more than 4 KiB, when the answer is as quick as here.
type plainBody struct{ http.RoundTripper }

func (p plainBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.RoundTripper.RoundTrip(r)
}

// control does a request to the control endpoints and decodes its answer.
func (w *world) control(t *testing.T, method, path, body string, into any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s %s answers %s: %v", method, path, data, err)
		}
	}
	return answer.StatusCode
}

func (w *world) fault(t *testing.T, rule string) {
	t.Helper()
	var answer map[string]any
	if status := w.control(t, http.MethodPost, "/_sandbox/faults", rule, &answer); status != http.StatusCreated {
		t.Fatalf("fault %s: %d %v", rule, status, answer)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}

// awaitCall waits until a call has reached the sandbox.
func awaitCall(t *testing.T, w *world, name string) {
	t.Helper()
	await(t, "the call "+name, func() bool {
		_, totals := w.calls.Calls()
		return totals[name] > 0
	})
}

// await polls a condition until it holds. What it waits for crosses a socket, so
// there is no channel to wait on.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// serviceOf makes the service web of n tasks of an image in the cluster c.
func serviceOf(t *testing.T, w *world, image string, n int32) {
	t.Helper()
	revision := register(t, w, image)
	_, err := w.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("c"), ServiceName: aws.String("web"), TaskDefinition: &revision, DesiredCount: &n,
		LaunchType:           types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// register registers a revision of the family web and returns its ARN.
func register(t *testing.T, w *world, image string) string {
	t.Helper()
	out, err := w.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions:    []types.ContainerDefinition{{Name: aws.String("app"), Image: &image, Essential: aws.Bool(true)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.TaskDefinition.TaskDefinitionArn
}
