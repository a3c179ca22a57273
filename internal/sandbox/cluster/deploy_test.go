package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestCluster_releases_a_revision(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")))
		w.pass(2 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")

		answer := w.update(w.register(container("web:2")))
		if d := answer.Deployments[0]; *d.Status != "PRIMARY" || d.RolloutState != types.DeploymentRolloutStateInProgress || len(answer.Deployments) != 2 {
			t.Errorf("the answer of UpdateService has deployments %+v, want the new one as PRIMARY", answer.Deployments)
		}
		if got := aws.ToString(answer.TaskDefinition); !strings.HasSuffix(got, "task-definition/web:2") {
			t.Errorf("the answer of UpdateService has task definition %s, want web:2", got)
		}
		w.pass(20 * time.Second)
		w.wantDeployments("web:2 PRIMARY IN_PROGRESS 1/1", "web:1 ACTIVE COMPLETED 1/1")
		w.pass(time.Minute)
		w.wantDeployments("web:2 PRIMARY COMPLETED 1/1")

		s := w.service()
		if !slices.ContainsFunc(w.deployments(), func(d types.ServiceDeployment) bool {
			return *d.ServiceDeploymentArn == aws.ToString(s.CurrentServiceDeployment) && d.Status == types.ServiceDeploymentStatusSuccessful
		}) {
			t.Errorf("currentServiceDeployment %s is not a successful one", aws.ToString(s.CurrentServiceDeployment))
		}
		running := w.tasks(types.DesiredStatusRunning)
		if len(running) != 1 || *running[0].StartedBy != *s.Deployments[0].Id || *running[0].Group != "service:web" {
			t.Errorf("running tasks are %+v, want one of the PRIMARY deployment", running)
		}
	})
}

func TestCluster_is_stable_after_a_rollback_too(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")), withBreaker)
		w.awaitStable(10 * time.Minute)
		w.pass(time.Minute) // stable is not yet COMPLETED, which a rollback needs
		w.rt.Set("web:2", scripted.Script{Exits: true, ExitCode: 139, ExitAfter: time.Second})
		w.update(w.register(container("web:2")))
		w.awaitStable(10 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
	})
}

// awaitStable waits as `aws ecs wait services-stable` does: 15 s between two
// looks, until there is one deployment and it runs what is desired.
func (w *world) awaitStable(limit time.Duration) {
	w.t.Helper()
	for range limit / (15 * time.Second) {
		if s := w.service(); len(s.Deployments) == 1 && s.RunningCount == s.DesiredCount {
			return
		}
		w.pass(15 * time.Second)
	}
	w.t.Fatalf("the service is not stable after %s; events:\n%s", limit, strings.Join(w.events(), "\n"))
}

func TestCluster_breaker_rolls_back(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")), withBreaker)
		w.pass(2 * time.Minute)
		first := w.service()
		w.rt.Set("web:2", scripted.Script{Exits: true, ExitCode: 139, ExitAfter: time.Second})
		second := *w.update(w.register(container("web:2"))).Deployments[0].Id
		w.pass(3 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")

		s := w.service()
		if *s.Deployments[0].Id != *first.Deployments[0].Id {
			t.Errorf("PRIMARY is %s, want the old id %s", *s.Deployments[0].Id, *first.Deployments[0].Id)
		}
		if *s.TaskDefinition != *first.TaskDefinition {
			t.Errorf("the service's task definition is %s, want %s", *s.TaskDefinition, *first.TaskDefinition)
		}
		w.wantRollback(first, second)
		stopped := w.tasks(types.DesiredStatusStopped)
		if len(stopped) != 3 {
			t.Fatalf("%d stopped tasks, want 3", len(stopped))
		}
		for _, k := range stopped {
			if k.StopCode != types.TaskStopCodeEssentialContainerExited || *k.StoppedReason != "Essential container in task exited" ||
				aws.ToInt32(k.Containers[0].ExitCode) != 139 || k.Containers[0].Reason != nil || *k.StartedBy != second || k.StartedAt == nil {
				t.Errorf("stopped task is %+v", k)
			}
		}
		want := []string{
			"(service web) has reached a steady state.",
			"(service web) (deployment " + *s.Deployments[0].Id + ") deployment completed.",
			"(service web) rolling back to deployment " + *s.Deployments[0].Id + ".",
			"(service web) (deployment " + second + ") deployment failed: tasks failed to start.",
		}
		if got := w.events()[:4]; !slices.Equal(got, want) {
			t.Errorf("events are %q, want %q", got, want)
		}
	})
}

// wantRollback checks what is told about a deployment that the breaker rolled
// back to what served first.
func (w *world) wantRollback(first types.Service, failed string) {
	w.t.Helper()
	sd := w.deployments()[0]
	if sd.Status != types.ServiceDeploymentStatusRollbackSuccessful || sd.Rollback == nil ||
		*sd.Rollback.ServiceRevisionArn != *first.CurrentServiceRevisions[0].Arn {
		w.t.Errorf("service deployment of %s is %s with rollback %+v", failed, sd.Status, sd.Rollback)
	}
	b := sd.DeploymentCircuitBreaker
	if b.Status != types.ServiceDeploymentRollbackMonitorsStatusTriggered || b.FailureCount != 3 || b.Threshold != 3 {
		w.t.Errorf("circuit breaker is %+v, want TRIGGERED at 3 of 3", b)
	}
}

func TestCluster_StopServiceDeployment(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		w.create(w.register(container("web:1")))
		w.pass(2 * time.Minute)
		old := *w.service().Deployments[0].Id
		w.rt.Set("web:2", scripted.Script{Exits: true, ExitCode: 1, ExitAfter: time.Second})
		w.update(w.register(container("web:2")))
		w.pass(20 * time.Second)
		arn := w.deployments()[0].ServiceDeploymentArn
		must(w.ecs.StopServiceDeployment(ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: arn, StopType: types.StopServiceDeploymentStopTypeRollback}))
		if got := w.deployments()[0].Status; got != types.ServiceDeploymentStatusRollbackRequested {
			t.Errorf("status is %s, want ROLLBACK_REQUESTED", got)
		}
		w.pass(time.Minute)
		if got := w.deployments()[0].Status; got != types.ServiceDeploymentStatusRollbackSuccessful {
			t.Errorf("status is %s, want ROLLBACK_SUCCESSFUL", got)
		}
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		if got := *w.service().Deployments[0].Id; got != old {
			t.Errorf("PRIMARY is %s, want the old id %s", got, old)
		}
		_, err := w.ecs.StopServiceDeployment(ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: arn})
		wantError(t, err, "ConflictException", "ROLLBACK_SUCCESSFUL")
		_, err = w.ecs.StopServiceDeployment(ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: aws.String(*arn + "x")})
		wantError(t, err, "ServiceDeploymentNotFoundException", "")
	})
}

func TestCluster_resolves_a_tag_once_for_each_revision(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		w.images.set("web:latest", "sha256:good")
		w.create(w.register(container("web:latest")), withBreaker)
		w.pass(2 * time.Minute)
		w.images.set("web:latest", "sha256:bad") // somebody pushes
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DesiredCount: aws.Int32(2)}))
		w.pass(2 * time.Minute)
		w.wantDigests("sha256:good", "sha256:good")

		w.rt.Set("sha256:bad", scripted.Script{Exits: true, ExitCode: 139, ExitAfter: time.Second})
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), ForceNewDeployment: true}))
		w.pass(20 * time.Second)
		d := w.deployments()[0]
		rev := must(w.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{
			ServiceRevisionArns: []string{*d.TargetServiceRevision.Arn, *d.SourceServiceRevisions[0].Arn}})).ServiceRevisions
		for i, want := range []string{"sha256:bad", "sha256:good"} {
			if got := rev[i].ContainerImages[0]; aws.ToString(got.ImageDigest) != want || *got.Image != registryHost+"web:latest" {
				t.Errorf("revision %d has image %+v, want %s", i, got, want)
			}
		}
		// The rollback uses the digest of the revision that it goes back to.
		w.pass(10 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 2/2")
		for _, id := range w.rt.Running() {
			w.rt.Exit(id, "app", 0)
		}
		w.pass(5 * time.Minute)
		w.wantDigests("sha256:good", "sha256:good")
		last := w.rt.Started()[len(w.rt.Started())-1]
		if got := last.Containers[0].Image; got != registryHost+"web@sha256:good" {
			t.Errorf("the runtime is told to pull %s", got)
		}
	})
}

func (w *world) wantDigests(want ...string) {
	w.t.Helper()
	var got []string
	for _, k := range w.tasks(types.DesiredStatusRunning) {
		got = append(got, aws.ToString(k.Containers[0].ImageDigest))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the tasks run digests %v, want %v", got, want)
	}
}

func TestCluster_tells_why_a_task_did_not_start(t *testing.T) {
	image := registryHost + "web:2"
	awslogs := func(options map[string]string) func(*types.ContainerDefinition) {
		return func(c *types.ContainerDefinition) {
			c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: options}
		}
	}
	for _, c := range []struct {
		name   string
		err    error
		script scripted.Script
		change []func(*types.ContainerDefinition)
		want   string
	}{
		{name: "missing image", err: fmt.Errorf("web:2: %w", ErrImageNotFound),
			want: "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref " + image + ": " + image + ": not found"},
		{name: "wrong platform", err: fmt.Errorf("web:2: %w", &PlatformError{Want: "linux/amd64", Have: []string{"linux/arm64"}}),
			want: "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'"},
		{name: "denied", err: ErrImageDenied, want: "CannotPullContainerError: The task can’t pull the image. Check that the role has the permissions"},
		{name: "layer gone", err: ErrLayer, want: "CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy"},
		{name: "engine cannot pull", script: scripted.Script{PullError: "no space left on device"},
			want: "CannotPullContainerError: no space left on device"},
		{name: "no entrypoint", script: scripted.Script{StartError: `exec: "/nope": stat /nope: no such file or directory`},
			want: `CannotStartContainerError: exec: "/nope"`},
		{name: "no log group", change: []func(*types.ContainerDefinition){awslogs(map[string]string{"awslogs-group": "/ecs/web"})},
			want: "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist."},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, launch := range []types.LaunchType{types.LaunchTypeFargate, types.LaunchTypeEc2} {
				inWorld(t, func(w *world) {
					w.images.fail(image, c.err)
					w.rt.Set("web:1", c.script)
					w.create(w.register(container("web:2", c.change...)), func(in *ecs.CreateServiceInput) { in.LaunchType = launch })
					w.pass(116 * time.Second)
					stopped := w.tasks(types.DesiredStatusStopped)
					if len(stopped) == 0 {
						t.Fatalf("no task has stopped; events: %q", w.events())
					}
					wantStartFailure(t, stopped[0], launch, c.want)
				})
			}
		})
	}
}

// wantStartFailure checks that the reason is where the launch type has it.
func wantStartFailure(t *testing.T, k types.Task, launch types.LaunchType, want string) {
	t.Helper()
	if k.StopCode != types.TaskStopCodeTaskFailedToStart || k.StartedAt != nil || k.Containers[0].ExitCode != nil {
		t.Errorf("%s: stop code %s, started %v, exit code %v", launch, k.StopCode, k.StartedAt, k.Containers[0].ExitCode)
	}
	if launch == types.LaunchTypeFargate {
		if got := *k.StoppedReason; !strings.HasPrefix(got, want) {
			t.Errorf("%s: stopped reason is %q, want %q", launch, got, want)
		}
		return
	}
	if *k.StoppedReason != "Task failed to start" {
		t.Errorf("%s: stopped reason is %q", launch, *k.StoppedReason)
	}
	prefix, _, _ := strings.Cut(want, ":")
	if got := aws.ToString(k.Containers[0].Reason); !strings.HasPrefix(got, prefix+": ") {
		t.Errorf("%s: container reason is %q, want a %s", launch, got, prefix)
	}
}

func TestCluster_shows_how_containers_ended(t *testing.T) {
	for _, c := range []struct {
		name   string
		script scripted.Script
		code   int32
		reason string
	}{
		{"out of memory", scripted.Script{OOM: true, ExitAfter: time.Second}, 137, task.ReasonOutOfMemory},
		{"segmentation fault", scripted.Script{Exits: true, ExitCode: 139}, 139, ""},
		{"end without an error", scripted.Script{Exits: true}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.rt.Set("web:1", c.script)
				w.create(w.register(container("web:1")))
				w.pass(20 * time.Second)
				k := w.tasks(types.DesiredStatusStopped)[0].Containers[0]
				if k.ExitCode == nil || *k.ExitCode != c.code || aws.ToString(k.Reason) != c.reason {
					t.Errorf("exit code %v, reason %q, want %d, %q", k.ExitCode, aws.ToString(k.Reason), c.code, c.reason)
				}
			})
		})
	}
}

func TestCluster_essential_container_ends_the_others(t *testing.T) {
	inWorld(t, func(w *world) {
		sidecar := container("proxy:1", func(c *types.ContainerDefinition) {
			c.Name, c.StopTimeout = aws.String("proxy"), aws.Int32(7)
		})
		helper := container("init:1", func(c *types.ContainerDefinition) {
			c.Name, c.Essential = aws.String("init"), aws.Bool(false)
		})
		w.rt.Set("web:1/init", scripted.Script{Exits: true, ExitCode: 3})
		w.rt.Set("web:1/proxy", scripted.Script{IgnoresTERM: true})
		w.create(w.register(container("web:1"), sidecar, helper))
		w.pass(2 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1") // the init container is not essential

		id := w.rt.Running()[0]
		began := time.Now()
		w.rt.Exit(id, "app", 139)
		w.pass(time.Minute)
		k := w.tasks(types.DesiredStatusStopped)[0]
		var codes []int32
		for _, c := range k.Containers {
			codes = append(codes, aws.ToInt32(c.ExitCode))
		}
		if want := []int32{139, 137, 3}; !slices.Equal(codes, want) {
			t.Errorf("exit codes are %v, want %v: the proxy ignores SIGTERM", codes, want)
		}
		if got := k.ExecutionStoppedAt.Sub(began); got < 7*time.Second || got > 8*time.Second {
			t.Errorf("execution stopped %s after the exit, want the proxy's stopTimeout of 7 s", got)
		}
	})
}

func TestCluster_logs_are_there_before_the_stop(t *testing.T) {
	inWorld(t, func(w *world) {
		w.logs.groups["/ecs/web"] = true
		w.rt.Set("web:1", scripted.Script{Exits: true, ExitCode: 1, ExitAfter: time.Second, Lines: []scripted.Line{{Text: "hello"}, {After: time.Second, Text: "fatal"}}})
		w.create(w.register(container("web:1", func(c *types.ContainerDefinition) {
			c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": "/ecs/web", "awslogs-stream-prefix": "ecs", "awslogs-region": "us-east-1",
			}}
		})))
		for len(w.tasks(types.DesiredStatusStopped)) == 0 {
			w.pass(100 * time.Millisecond)
		}
		k := w.tasks(types.DesiredStatusStopped)[0]
		id := (*k.TaskArn)[strings.LastIndexByte(*k.TaskArn, '/')+1:]
		want := []string{"/ecs/web ecs/app/" + id + " hello", "/ecs/web ecs/app/" + id + " fatal"}
		if got := w.logs.all(); !slices.Equal(got, want) {
			t.Errorf("log lines are %q, want %q", got, want)
		}
	})
}

func TestCluster_divides_waiting_times_only(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1", func(c *types.ContainerDefinition) {
			c.HealthCheck = &types.HealthCheck{Command: []string{"CMD-SHELL", "true"}, Interval: aws.Int32(30), Timeout: aws.Int32(6), StartPeriod: aws.Int32(9)}
			c.StopTimeout = aws.Int32(11)
		})))
		w.pass(5 * time.Second)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		k := w.rt.Started()[0].Containers[0]
		if k.StopTimeout != 11*time.Second || k.Health.Interval != 1500*time.Millisecond || k.Health.Timeout != 6*time.Second || k.Health.StartPeriod != 9*time.Second {
			t.Errorf("container is %+v with health check %+v", k, k.Health)
		}
	}, func(c *Config) { c.Speed = 20 })
}

func TestCluster_a_task_stopped_while_it_is_prepared_never_runs(t *testing.T) {
	inWorld(t, func(w *world) {
		held := &heldImages{images: w.images, enter: make(chan struct{}), leave: make(chan struct{})}
		w.c.cfg.Images = held
		w.create(w.register(container("web:1")))
		<-held.enter
		must(w.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DesiredCount: aws.Int32(0)}))
		w.pass(time.Second)
		close(held.leave)
		w.pass(time.Minute)
		if got := w.rt.Started(); len(got) != 0 {
			t.Errorf("%d tasks were started, want none", len(got))
		}
		if got := w.tasks(types.DesiredStatusStopped); len(got) != 1 || *got[0].LastStatus != "STOPPED" {
			t.Errorf("stopped tasks are %+v", got)
		}
	})
}

// heldImages resolves when it is let.
type heldImages struct {
	*images
	enter, leave chan struct{}
}

func (h *heldImages) Resolve(ref, os, arch string) (Image, error) {
	h.enter <- struct{}{}
	<-h.leave
	return h.images.Resolve(ref, os, arch)
}
