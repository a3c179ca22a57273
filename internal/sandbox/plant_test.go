package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

const (
	demoCluster = "weelocluster"
	demoService = "weelobackendtask-service-joxh3c0r"
)

// incident starts a sandbox with one of the examples. The image that it takes
// from the local engine is a random one here, pushed over the network all the
// same.
func incident(t *testing.T, file string) *world {
	t.Helper()
	from, err := seed.Load("../../examples/incident/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, Config{Region: "ap-south-1", Seed: from, PushImage: func(ctx context.Context, p ImagePush) error {
		if !strings.HasSuffix(p.From, ":v1.0.8") {
			return fmt.Errorf("unexpected push of %s", p.From)
		}
		return pushRandom(ctx, p.To, p.Username, p.Password, "amd64")
	}})
}

// pushRandom pushes a random image for linux and the architecture.
func pushRandom(ctx context.Context, to, user, password, arch string) error {
	image, err := random.Image(1024, 1)
	if err != nil {
		return err
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(to, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, image, remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: user, Password: password}),
		remote.WithRetryPredicate(func(error) bool { return false }))
}

// push pushes a random image as a user would and returns its reference.
func (w *world) push(t *testing.T, repositoryTag, arch string) string {
	t.Helper()
	user, password := w.Credentials()
	to := w.Registry() + "/" + repositoryTag
	if err := pushRandom(t.Context(), to, user, password, arch); err != nil {
		t.Fatal(err)
	}
	return to
}

func (w *world) service(t *testing.T, cluster, service string) types.Service {
	t.Helper()
	out, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{service}})
	if err != nil || len(out.Services) != 1 {
		t.Fatalf("DescribeServices = %+v, %v", out, err)
	}
	return out.Services[0]
}

func TestIncident(t *testing.T) {
	w := incident(t, "seed.yaml")
	s := w.service(t, demoCluster, demoService)
	if len(s.Deployments) != 1 || s.RunningCount != 1 || s.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted ||
		*s.TaskDefinition != "arn:aws:ecs:ap-south-1:000000000000:task-definition/weelobackendtask:27" {
		t.Errorf("service is %s with %d running and deployments %+v, want revision 27 to serve", *s.TaskDefinition, s.RunningCount, s.Deployments)
	}
	if started := w.runtime.Started(); len(started) != 1 || started[0].Revision != 27 {
		t.Errorf("started tasks are %+v, want one of revision 27", started)
	}
	wantHistory(t, w, map[string]string{
		"27": "SUCCESSFUL " + imageDigest(t, w, "v1.0.8"), "36": "STOPPED " + untagged(t, w), "37": "ROLLBACK_SUCCESSFUL " + imageDigest(t, w, "latest"),
	})
	for _, platform := range []struct{ reference, arch string }{{"latest", "amd64"}, {untagged(t, w), "arm64"}} {
		if got, err := w.Images().Resolve("weelo-backend", platform.reference, "linux", platform.arch); err != nil {
			t.Errorf("image %s is %+v, %v", platform.reference, got, err)
		}
	}
	oldest := *imageDetail(t, w, "v1.0.8").ImagePushedAt
	if age := time.Since(oldest); age < 263*time.Hour || age > 265*time.Hour {
		t.Errorf("v1.0.8 was pushed %s ago, want 264h", age)
	}
}

// wantHistory compares the service deployments, by revision: status and digest.
func wantHistory(t *testing.T, w *world, want map[string]string) {
	t.Helper()
	ctx := t.Context()
	list, err := w.ecs.ListServiceDeployments(ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String(demoCluster), Service: aws.String(demoService)})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.ServiceDeployments {
		out, err := w.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*d.TargetServiceRevisionArn}})
		if err != nil || len(out.ServiceRevisions) != 1 {
			t.Fatalf("DescribeServiceRevisions = %+v, %v", out, err)
		}
		r := out.ServiceRevisions[0]
		number := (*r.TaskDefinition)[strings.LastIndex(*r.TaskDefinition, ":")+1:]
		got := string(d.Status) + " " + aws.ToString(r.ContainerImages[0].ImageDigest)
		if got != want[number] {
			t.Errorf("deployment of revision %s is %q, want %q", number, got, want[number])
		}
		delete(want, number)
	}
	if len(want) > 0 {
		t.Errorf("there are no deployments of %v", want)
	}
}

func imageDetail(t *testing.T, w *world, tag string) (detail struct {
	ImageDigest   *string
	ImagePushedAt *time.Time
}) {
	t.Helper()
	out, err := w.ecr.DescribeImages(t.Context(), &ecr.DescribeImagesInput{RepositoryName: aws.String("weelo-backend")})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range out.ImageDetails {
		if strings.Join(d.ImageTags, ",") == tag {
			detail.ImageDigest, detail.ImagePushedAt = d.ImageDigest, d.ImagePushedAt
			return detail
		}
	}
	t.Fatalf("there is no image with the tag %q", tag)
	return detail
}

func imageDigest(t *testing.T, w *world, tag string) string {
	return *imageDetail(t, w, tag).ImageDigest
}

// untagged is the digest of the image without a tag.
func untagged(t *testing.T, w *world) string { return imageDigest(t, w, "") }

func TestIncident_stuck(t *testing.T) {
	w := incident(t, "stuck.yaml")
	w.runtime.Set("weelobackendtask:37", scripted.Script{Exits: true, ExitCode: 139})
	s := w.service(t, demoCluster, demoService)
	if len(s.Deployments) != 2 || !strings.HasSuffix(*s.Deployments[0].TaskDefinition, ":37") || !strings.HasSuffix(*s.Deployments[1].TaskDefinition, ":27") {
		t.Fatalf("deployments are %+v, want 37 over 27", s.Deployments)
	}
	if d := s.Deployments[1]; d.RunningCount != 1 {
		t.Errorf("revision 27 has %d running tasks, want 1", d.RunningCount)
	}
	await(t, "a task that dies with 139", func() bool { return stoppedWith(t, w, demoCluster, 139) })
	if s := w.service(t, demoCluster, demoService); s.Deployments[0].RolloutState != types.DeploymentRolloutStateInProgress {
		t.Errorf("revision 37 is %s, want it stuck in progress", s.Deployments[0].RolloutState)
	}
}

// stoppedWith says whether a stopped task of the cluster has the exit code.
func stoppedWith(t *testing.T, w *world, cluster string, code int32) bool {
	t.Helper()
	for _, task := range stoppedTasks(t, w, cluster) {
		for _, c := range task.Containers {
			if c.ExitCode != nil && *c.ExitCode == code {
				return true
			}
		}
	}
	return false
}

func stoppedTasks(t *testing.T, w *world, cluster string) []types.Task {
	t.Helper()
	list, err := w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: types.DesiredStatusStopped})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.TaskArns) == 0 {
		return nil
	}
	out, err := w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: list.TaskArns})
	if err != nil {
		t.Fatal(err)
	}
	return out.Tasks
}

// deployed is a sandbox with the service web of one task of app:good.
func deployed(t *testing.T) *world {
	t.Helper()
	w := start(t, Config{})
	ctx := t.Context()
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("app")}); err != nil {
		t.Fatal(err)
	}
	serviceOf(t, w, w.push(t, "app:good", "amd64"), 1)
	await(t, "the service", func() bool {
		d := w.service(t, "c", "web").Deployments
		return len(d) == 1 && d[0].RolloutState == types.DeploymentRolloutStateCompleted
	})
	return w
}

func (w *world) update(t *testing.T, image string) error {
	t.Helper()
	revision := register(t, w, image)
	_, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), TaskDefinition: &revision})
	return err
}

// TestFault_deleteImage loses an image at the moment of UpdateService, as often
// as it takes to see that no task is ever quick enough to get it.
func TestFault_deleteImage(t *testing.T) {
	w := deployed(t)
	for i := range 20 {
		image := w.push(t, fmt.Sprintf("app:v%d", i), "amd64")
		w.fault(t, fmt.Sprintf(`{"when":"UpdateService","deleteImage":"app:v%d"}`, i))
		before := len(w.runtime.Started())
		if err := w.update(t, image); err != nil {
			t.Fatal(err)
		}
		await(t, "the failed pull", func() bool { return failedPull(t, w, image) })
		if started := w.runtime.Started()[before:]; len(started) != 0 {
			t.Fatalf("after %d rounds a task was started: %+v", i+1, started)
		}
	}
	if _, err := w.Images().Resolve("app", "good", "linux", "amd64"); err != nil {
		t.Errorf("the image that serves is gone as well: %v", err)
	}
}

func failedPull(t *testing.T, w *world, image string) bool {
	t.Helper()
	for _, task := range stoppedTasks(t, w, "c") {
		if r := aws.ToString(task.StoppedReason); strings.HasPrefix(r, "CannotPullContainerError: ") && strings.Contains(r, image) && strings.Contains(r, "not found") {
			return true
		}
	}
	return false
}

func TestDeploy_wrongPlatform(t *testing.T) {
	w := deployed(t)
	if err := w.update(t, w.push(t, "app:arm", "arm64")); err != nil {
		t.Fatal(err)
	}
	await(t, "the refused image", func() bool {
		for _, task := range stoppedTasks(t, w, "c") {
			if strings.Contains(aws.ToString(task.StoppedReason), "does not contain descriptor matching platform 'linux/amd64'") {
				return true
			}
		}
		return false
	})
}

func TestDeploy_pullDenied(t *testing.T) {
	w := deployed(t)
	image := w.push(t, "app:v2", "amd64")
	w.fault(t, `{"pull":"denied","repository":"app"}`)
	if err := w.update(t, image); err != nil {
		t.Fatal(err)
	}
	await(t, "the denied pull", func() bool {
		for _, task := range stoppedTasks(t, w, "c") {
			if r := aws.ToString(task.StoppedReason); strings.HasPrefix(r, "CannotPullContainerError: ") && strings.Contains(r, "is not authorized to perform: ecr:BatchGetImage") {
				return true
			}
		}
		return false
	})
}

func TestPush_faults(t *testing.T) {
	w := start(t, Config{})
	if err := w.Images().CreateRepository("app", false); err != nil {
		t.Fatal(err)
	}
	user, password := w.Credentials()
	for fault, want := range map[string]string{"denied": "DENIED", "enospc": "no space left on device", "unavailable": "Service Unavailable"} {
		w.fault(t, `{"push":"`+fault+`","repository":"app"}`)
		err := pushRandom(t.Context(), w.Registry()+"/app:v1", user, password, "amd64")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("push = %v, want %s", err, want)
		}
		w.control(t, "DELETE", "/_sandbox/faults", "", nil)
	}
	w.push(t, "app:v1", "amd64")
	var log struct{ Totals map[string]int }
	w.control(t, "GET", "/_sandbox/calls", "", &log)
	if log.Totals["registry.PUT manifests"] != 1 {
		t.Errorf("calls are %v, want one manifest put", log.Totals)
	}
}

func TestStart_badSeeds(t *testing.T) {
	service := func(image string) *seed.Seed {
		s, err := seed.Parse("seed.yaml", []byte(`
clusters: [{name: c}]
repositories: [{name: app, images: [{name: one, tags: [v1], builtin: {program: idle}}]}]
taskDefinitions: [{family: f, revision: 1, definition: {cpu: "256", memory: "512", networkMode: awsvpc, requiresCompatibilities: [FARGATE], containerDefinitions: [{name: a, image: "`+image+`"}]}}]
services:
  - cluster: c
    name: web
    family: f
    desiredCount: 1
    settings: {launchType: FARGATE, networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1]}}}
    deployments: [{revision: 1, outcome: SUCCESSFUL, createdAt: -1h}]
`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	local, err := seed.Parse("seed.yaml", []byte("repositories: [{name: app, images: [{tags: [v1], from: app:v1}]}]"))
	if err != nil {
		t.Fatal(err)
	}
	broken := func(context.Context, ImagePush) error { return errors.New("no engine") }
	for what, test := range map[string]struct {
		cfg  Config
		want string
	}{
		"a service of an image that is not there": {Config{Seed: service("${REGISTRY}/app:v9")}, "CannotPullContainerError"},
		"an image of no engine":                   {Config{Seed: local}, "seed image 1 of app: push app:v1: there is no engine to push from"},
		"an image that cannot be pushed":          {Config{Seed: local, PushImage: broken}, "seed image 1 of app: push app:v1: no engine"},
	} {
		t.Run(what, func(t *testing.T) {
			runtime := &closable{Runtime: scripted.New()}
			test.cfg.Runtime, test.cfg.Listen, test.cfg.Speed = runtime, "127.0.0.1:0", fast
			s, err := Start(t.Context(), test.cfg)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Start = %v, want %s", err, test.want)
			}
			if !runtime.closed {
				t.Error("the runtime was not closed")
			}
		})
	}
}

// TestStart_keepsTheRegistry starts twice in one folder with one seed.
func TestStart_keepsTheRegistry(t *testing.T) {
	dir := t.TempDir()
	from, err := seed.Parse("seed.yaml", []byte("repositories: [{name: app}]\nlogGroups: [{name: /g}]"))
	if err != nil {
		t.Fatal(err)
	}
	first := start(t, Config{Dir: dir, Seed: from})
	first.push(t, "app:v1", "amd64")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, Config{Dir: dir, Seed: from})
	if _, err := second.Images().Resolve("app", "v1", "linux", "amd64"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestDeploy_logs reads what a container says through the API.
func TestDeploy_logs(t *testing.T) {
	w := incident(t, "stuck.yaml")
	w.runtime.Set("weelobackendtask:37", scripted.Script{Exits: true, ExitCode: 139, Lines: []scripted.Line{{Text: "about to crash"}}})
	group := aws.String("/ecs/weelobackendtask")
	await(t, "the log line", func() bool {
		out, err := w.logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, FilterPattern: aws.String(`"about to crash"`)})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Events) > 0 && strings.HasPrefix(*out.Events[0].LogStreamName, "ecs/weelo-backend/")
	})
}
