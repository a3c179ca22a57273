package believed

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	region  = "eu-west-1"
	account = "111122223333"
	arnOf   = "arn:aws:ecs:" + region + ":" + account + ":" // what ECS's ARNs begin with
)

// world is a sandbox with scripted tasks and the cluster c. Its clients are the
// SDK's, without retries.
type world struct {
	*sandbox.Server
	runtime *scripted.Runtime
	http    *http.Client
	ecs     *ecs.Client
	ecr     *ecr.Client
	logs    *cloudwatchlogs.Client
	sts     *sts.Client
	elb     *elb.Client
	alarms  *cloudwatch.Client
}

// start starts a sandbox in which AWS's waiting times are a thousandth.
func start(t *testing.T) *world {
	t.Helper()
	w := &world{runtime: scripted.New()}
	s, err := sandbox.Start(t.Context(), sandbox.Config{
		Listen: "127.0.0.1:0", Account: account, Region: region, Speed: 1000, Runtime: w.runtime,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	w.http = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.connect(aws.NopRetryer{})
	must(w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: new("c")}))(t)
	return w
}

func (w *world) connect(retryer aws.Retryer) {
	cfg := aws.Config{
		Region: region, BaseEndpoint: new(w.URL()), HTTPClient: w.http,
		Credentials: credentials.NewStaticCredentialsProvider("sandbox", "sandbox", ""),
		Retryer:     func() aws.Retryer { return retryer },
	}
	w.ecs, w.ecr, w.logs, w.sts = ecs.NewFromConfig(cfg), ecr.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg), sts.NewFromConfig(cfg)
	w.elb, w.alarms = elb.NewFromConfig(cfg), cloudwatch.NewFromConfig(cfg)
}

// must passes an answer on and ends the test when there is none.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantError holds an error against a code of the API and a part of its text.
func wantError(t *testing.T, code, text string) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
			t.Errorf("error is %v, want %s: …%s…", err, code, text)
		}
	}
}

// raw is a request as written on the wire, and what came back.
type raw struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// post sends a request of the JSON protocol that no SDK has seen or signed.
func (w *world) post(t *testing.T, target, body string) raw {
	t.Helper()
	return w.send(t, http.MethodPost, "/", body, http.Header{
		"X-Amz-Target": {target}, "Content-Type": {"application/x-amz-json-1.1"},
	})
}

// ecsTarget is the X-Amz-Target of an operation of ECS.
func ecsTarget(operation string) string {
	return "AmazonEC2ContainerServiceV20141113." + operation
}

func (w *world) send(t *testing.T, method, path, body string, header http.Header) raw {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), method, w.URL()+path, strings.NewReader(body)))(t)
	r.Header = header
	answer := must(w.http.Do(r))(t)
	defer answer.Body.Close()
	text := must(io.ReadAll(answer.Body))(t)
	got := raw{status: answer.StatusCode, header: answer.Header, text: string(text)}
	if strings.Contains(answer.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(text, &got.body); err != nil {
			t.Fatalf("%s %s answers %s: %v", method, path, text, err)
		}
	}
	return got
}

// await polls until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// define registers a revision of the family web whose container app runs an image
// on Fargate, and returns its ARN.
func (w *world) define(t *testing.T, image string, change ...func(*ecs.RegisterTaskDefinitionInput)) string {
	t.Helper()
	in := &ecs.RegisterTaskDefinitionInput{
		Family: new("web"), NetworkMode: types.NetworkModeAwsvpc, Cpu: new("256"), Memory: new("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions:    []types.ContainerDefinition{{Name: new("app"), Image: &image}},
	}
	for _, f := range change {
		f(in)
	}
	return *must(w.ecs.RegisterTaskDefinition(t.Context(), in))(t).TaskDefinition.TaskDefinitionArn
}

// create makes the service web of n tasks and does not wait for it.
func (w *world) create(t *testing.T, definition string, n int32, change ...func(*ecs.CreateServiceInput)) types.Service {
	t.Helper()
	in := service(definition, n)
	for _, f := range change {
		f(in)
	}
	return *must(w.ecs.CreateService(t.Context(), in))(t).Service
}

func service(definition string, n int32) *ecs.CreateServiceInput {
	return &ecs.CreateServiceInput{
		Cluster: new("c"), ServiceName: new("web"), TaskDefinition: &definition, DesiredCount: &n,
		LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnet("subnet-1"),
	}
}

func subnet(id string) *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{id}}}
}

// update updates the service web.
func (w *world) update(t *testing.T, in ecs.UpdateServiceInput) types.Service {
	t.Helper()
	in.Cluster, in.Service = new("c"), new("web")
	return *must(w.ecs.UpdateService(t.Context(), &in))(t).Service
}

func (w *world) web(t *testing.T) types.Service {
	t.Helper()
	out := must(w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: new("c"), Services: []string{"web"}}))(t)
	if len(out.Services) != 1 {
		t.Fatalf("DescribeServices = %+v", out)
	}
	return out.Services[0]
}

// stable waits with the SDK's own waiter, and returns what it says.
func (w *world) stable(t *testing.T, atMost time.Duration) error {
	t.Helper()
	waiter := ecs.NewServicesStableWaiter(w.ecs, func(o *ecs.ServicesStableWaiterOptions) {
		o.MinDelay, o.MaxDelay = 2*time.Millisecond, 10*time.Millisecond
	})
	return waiter.Wait(t.Context(), &ecs.DescribeServicesInput{Cluster: new("c"), Services: []string{"web"}}, atMost)
}

// inVain says that a waiter's time was over, which it words in two ways.
func inVain(err error) bool {
	return err != nil && (errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "exceeded max wait time"))
}

// serving is the service web of n tasks of an image, stable.
func (w *world) serving(t *testing.T, image string, n int32, change ...func(*ecs.CreateServiceInput)) types.Service {
	t.Helper()
	w.create(t, w.define(t, image), n, change...)
	w.completed(t)
	return w.web(t)
}

// completed waits until the service's only deployment is COMPLETED.
func (w *world) completed(t *testing.T) {
	t.Helper()
	await(t, "the deployment's completion", func() bool {
		d := w.web(t).Deployments
		return len(d) == 1 && d[0].RolloutState == types.DeploymentRolloutStateCompleted
	})
}

// tasks are those of the cluster with a desired status.
func (w *world) tasks(t *testing.T, desired types.DesiredStatus) []types.Task {
	t.Helper()
	list := must(w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: new("c"), DesiredStatus: desired}))(t)
	if len(list.TaskArns) == 0 {
		return nil
	}
	return must(w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: new("c"), Tasks: list.TaskArns}))(t).Tasks
}

// stopped waits for a task that has stopped.
func (w *world) stopped(t *testing.T) types.Task {
	t.Helper()
	var found types.Task
	await(t, "a task that stops", func() bool {
		for _, task := range w.tasks(t, types.DesiredStatusStopped) {
			if *task.LastStatus == "STOPPED" {
				found = task
				return true
			}
		}
		return false
	})
	return found
}

// repository makes the repository app.
func (w *world) repository(t *testing.T, change ...func(*ecr.CreateRepositoryInput)) {
	t.Helper()
	in := &ecr.CreateRepositoryInput{RepositoryName: new("app")}
	for _, f := range change {
		f(in)
	}
	must(w.ecr.CreateRepository(t.Context(), in))(t)
}

// push pushes a random image as docker push would; it returns the reference and
// the digest.
func (w *world) push(t *testing.T, to string) (string, string, error) {
	t.Helper()
	to = w.Registry() + "/" + to
	image := must(random.Image(64, 1))(t)
	config := must(image.ConfigFile())(t).DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	image = must(mutate.ConfigFile(image, config))(t)
	return to, must(image.Digest())(t).String(), w.write(t, to, image)
}

func (w *world) write(t *testing.T, to string, image v1.Image) error {
	user, password := w.Credentials()
	return remote.Write(must(name.ParseReference(to, name.Insecure))(t), image, remote.WithContext(t.Context()),
		remote.WithAuth(&authn.Basic{Username: user, Password: password}), remote.WithTransport(w.http.Transport))
}

// pushed is push where it must succeed.
func (w *world) pushed(t *testing.T, to string) (reference, digest string) {
	t.Helper()
	reference, digest, err := w.push(t, to)
	if err != nil {
		t.Fatal(err)
	}
	return reference, digest
}
