package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// registryHost is where the images of these tests are said to be.
const registryHost = "127.0.0.1:5000/"

// world is a control plane with scripted tasks, seen through the SDK's client.
type world struct {
	t      *testing.T
	c      *Cluster
	rt     *scripted.Runtime
	images *images
	logs   *logs
	ecs    *ecs.Client
}

// inWorld runs a test in a bubble of fake time.
func inWorld(t *testing.T, f func(w *world), options ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, options...)
		defer w.close()
		f(w)
	})
}

func newWorld(t *testing.T, options ...func(*Config)) *world {
	w := &world{t: t, rt: scripted.New(), images: newImages(), logs: &logs{groups: map[string]bool{}}}
	cfg := Config{Runtime: w.rt, Images: w.images, Logs: w.logs}
	for _, o := range options {
		o(&cfg)
	}
	w.c = New(cfg)
	var mux awsjson.Mux
	mux.Add("ecs", w.c.API())
	w.ecs = newClient("http://ecs.invalid", doer(func(r *http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		return rec.Result(), nil
	}))
	return w
}

func (w *world) close() {
	w.t.Helper()
	if err := w.c.Close(context.Background()); err != nil {
		w.t.Errorf("Close: %v", err)
	}
	if left := w.rt.Running(); len(left) > 0 {
		w.t.Errorf("tasks %v still run after Close", left)
	}
}

// doer answers the SDK's requests without a socket, which a bubble needs.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func newClient(url string, h ecs.HTTPClient) *ecs.Client {
	return ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &url, HTTPClient: h,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     aws.NopRetryer{},
	})
}

// images is a registry that resolves what it was told about.
type images struct {
	mu   sync.Mutex
	refs map[string]string // reference with a tag → digest
	errs map[string]error  // by reference or digest
	seen []string
}

func newImages() *images {
	return &images{refs: map[string]string{}, errs: map[string]error{}}
}

func (r *images) set(name, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refs[registryHost+name] = digest
}

func (r *images) fail(ref string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs[ref] = err
}

func (r *images) Resolve(ref, os, arch string) (Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, ref+" "+os+"/"+arch)
	_, digest, hasDigest := strings.Cut(ref, "@")
	if !hasDigest {
		if digest = r.refs[ref]; digest == "" {
			digest = "sha256:" + strings.ReplaceAll(ref[strings.LastIndexByte(ref, '/')+1:], ":", "-")
		}
	}
	for _, key := range []string{ref, digest} {
		if err := r.errs[key]; err != nil {
			return Image{}, err
		}
	}
	return Image{Reference: pinned(ref, digest), Digest: digest}, nil
}

// logs is a log sink in memory.
type logs struct {
	mu     sync.Mutex
	groups map[string]bool
	lines  []string // group stream message
}

func (l *logs) HasGroup(g string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups[g]
}

func (l *logs) CreateGroup(g string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups[g] = true
	return nil
}

func (l *logs) Append(group, stream string, _ time.Time, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, group+" "+stream+" "+message)
}

func (l *logs) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// wantError checks an API error's code and text.
func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Errorf("error is %v, want %s", err, code)
		return
	}
	if e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("error is %s: %s, want %s: …%s…", e.ErrorCode(), e.ErrorMessage(), code, text)
	}
}

// container is a container definition of an image in the registry.
func container(image string, change ...func(*types.ContainerDefinition)) types.ContainerDefinition {
	c := types.ContainerDefinition{Name: aws.String("app"), Image: aws.String(registryHost + image), Memory: aws.Int32(128)}
	for _, f := range change {
		f(&c)
	}
	return c
}

// register registers a revision of the family web for Fargate.
func (w *world) register(containers ...types.ContainerDefinition) string {
	w.t.Helper()
	out := must(w.ecs.RegisterTaskDefinition(context.Background(), &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate}, ContainerDefinitions: containers,
	}))
	return *out.TaskDefinition.TaskDefinitionArn
}

// must lets a call with two results be an argument; the error ends the test.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("unexpected error: %v", err))
	}
	return v
}

var network = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}}

// create makes the cluster prod and the service web in it, and waits until it
// is steady.
func (w *world) create(definition string, change ...func(*ecs.CreateServiceInput)) {
	w.t.Helper()
	must(w.ecs.CreateCluster(context.Background(), &ecs.CreateClusterInput{ClusterName: aws.String("prod")}))
	in := &ecs.CreateServiceInput{
		Cluster: aws.String("prod"), ServiceName: aws.String("web"), TaskDefinition: &definition,
		DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network,
	}
	for _, f := range change {
		f(in)
	}
	must(w.ecs.CreateService(context.Background(), in))
}

func desired(n int32) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) { in.DesiredCount = &n }
}

func withBreaker(in *ecs.CreateServiceInput) {
	in.DeploymentConfiguration = &types.DeploymentConfiguration{
		DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
	}
}

// update deploys a task definition to web and returns the answer.
func (w *world) update(definition string) types.Service {
	w.t.Helper()
	out := must(w.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{
		Cluster: aws.String("prod"), Service: aws.String("web"), TaskDefinition: &definition,
	}))
	return *out.Service
}

func (w *world) service() types.Service {
	w.t.Helper()
	out := must(w.ecs.DescribeServices(context.Background(), &ecs.DescribeServicesInput{
		Cluster: aws.String("prod"), Services: []string{"web"},
	}))
	if len(out.Services) != 1 {
		w.t.Fatalf("DescribeServices: %v, failures %v", out.Services, out.Failures)
	}
	return out.Services[0]
}

// tasks describes web's tasks with a desired status.
func (w *world) tasks(status types.DesiredStatus) []types.Task {
	w.t.Helper()
	list := must(w.ecs.ListTasks(context.Background(), &ecs.ListTasksInput{
		Cluster: aws.String("prod"), ServiceName: aws.String("web"), DesiredStatus: status,
	}))
	if len(list.TaskArns) == 0 {
		return nil
	}
	return must(w.ecs.DescribeTasks(context.Background(), &ecs.DescribeTasksInput{Cluster: aws.String("prod"), Tasks: list.TaskArns})).Tasks
}

// deployments describes web's service deployments, newest first.
func (w *world) deployments() []types.ServiceDeployment {
	w.t.Helper()
	list := must(w.ecs.ListServiceDeployments(context.Background(), &ecs.ListServiceDeploymentsInput{
		Cluster: aws.String("prod"), Service: aws.String("web"),
	}))
	var arns []string
	for _, d := range list.ServiceDeployments {
		arns = append(arns, *d.ServiceDeploymentArn)
	}
	return must(w.ecs.DescribeServiceDeployments(context.Background(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: arns})).ServiceDeployments
}

// pass lets time pass and everything that it sets off happen.
func (w *world) pass(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

// wantDeployments compares the service's deployments, PRIMARY first, as
// "revision status rollout running/desired".
func (w *world) wantDeployments(want ...string) {
	w.t.Helper()
	var got []string
	for _, d := range w.service().Deployments {
		name := (*d.TaskDefinition)[strings.LastIndexByte(*d.TaskDefinition, '/')+1:]
		got = append(got, fmt.Sprintf("%s %s %s %d/%d", name, *d.Status, d.RolloutState, d.RunningCount, d.DesiredCount))
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("deployments are %q, want %q; events:\n%s", got, want, strings.Join(w.events(), "\n"))
	}
}

func (w *world) events() []string {
	var list []string
	for _, e := range w.service().Events {
		list = append(list, *e.Message)
	}
	return list
}
