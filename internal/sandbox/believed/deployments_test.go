package believed

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// crash is the script of an image that dies of SIGSEGV at once.
var crash = scripted.Script{Exits: true, ExitCode: 139}

// breaking is a circuit breaker with its rollback, as CreateService takes it.
func breaking(in *ecs.CreateServiceInput) {
	in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}}
}

// rolledBack is a service that went back from an image that crashes.
func (w *world) rolledBack(t *testing.T) (before types.Service) {
	t.Helper()
	w.runtime.Set("bad", crash)
	before = w.serving(t, "nginx", 1, breaking)
	w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "bad"))})
	return before
}

// serviceDeployments are those of the service web, newest first.
func (w *world) serviceDeployments(t *testing.T, status ...types.ServiceDeploymentStatus) []types.ServiceDeployment {
	t.Helper()
	list := must(w.ecs.ListServiceDeployments(t.Context(), &ecs.ListServiceDeploymentsInput{Cluster: new("c"), Service: new("web"), Status: status}))(t)
	var arns []string
	for _, b := range list.ServiceDeployments {
		arns = append(arns, *b.ServiceDeploymentArn)
	}
	if len(arns) == 0 {
		return nil
	}
	return must(w.ecs.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: arns}))(t).ServiceDeployments
}

func (w *world) revision(t *testing.T, arn string) types.ServiceRevision {
	t.Helper()
	out := must(w.ecs.DescribeServiceRevisions(t.Context(), &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{arn}}))(t)
	if len(out.ServiceRevisions) != 1 {
		t.Fatalf("revision %s: %+v", arn, out)
	}
	return out.ServiceRevisions[0]
}

var deploymentForm = regexp.MustCompile(`^ecs-svc/[0-9]{19,20}$`)

var deployments = []behaviour{
	{"a deployment that is done stands alone and is COMPLETED", api + "Deployment, rolloutState", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 2)
		second := w.define(t, "nginx:2")
		id := *w.update(t, ecs.UpdateServiceInput{TaskDefinition: &second}).Deployments[0].Id
		if err := w.stable(t, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		await(t, "COMPLETED", func() bool { return w.web(t).Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted })
		d := w.web(t).Deployments
		if len(d) != 1 || *d[0].Id != id || *d[0].TaskDefinition != second || *d[0].RolloutStateReason != "ECS deployment "+id+" completed." || d[0].RunningCount != 2 {
			t.Errorf("deployments are %+v", d)
		}
	}},
	{"deployment ids are ecs-svc/ and digits, and tasks say theirs as startedBy", guide + "ecs_service_deployment_events; API: Task, startedBy", func(t *testing.T, w *world) {
		id := *w.serving(t, "nginx", 2).Deployments[0].Id
		if !deploymentForm.MatchString(id) {
			t.Errorf("id is %s", id)
		}
		for _, task := range w.tasks(t, types.DesiredStatusRunning) {
			if *task.StartedBy != id || *task.Group != "service:web" {
				t.Errorf("task is of %s, started by %s", *task.Group, *task.StartedBy)
			}
		}
	}},
	{"while both deployments have tasks, services-stable waits", waiters + "ServicesStable", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		w.runtime.Set("slow", scripted.Script{PullTakes: time.Minute})
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "slow"))})
		if err := w.stable(t, 60*time.Millisecond); !inVain(err) {
			t.Errorf("the waiter ends with %v", err)
		}
		if d := w.web(t).Deployments; len(d) != 2 || d[1].RunningCount != 1 || d[0].PendingCount != 1 {
			t.Errorf("deployments are %+v", d)
		}
	}},
	{"with 100 and 200 percent no moment has fewer healthy tasks than desired", api + "DeploymentConfiguration, minimumHealthyPercent", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 3)
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "nginx:2"))})
		await(t, "the end", func() bool {
			s := w.web(t)
			if s.RunningCount < 3 || s.RunningCount+s.PendingCount > 6 {
				t.Fatalf("%d run and %d are pending", s.RunningCount, s.PendingCount)
			}
			return len(s.Deployments) == 1 && s.Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted
		})
	}},
	{"without a breaker a deployment that cannot work stays IN_PROGRESS", api + "Deployment, rolloutState", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.serving(t, "nginx", 1)
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "bad"))})
		await(t, "six tasks that crash", func() bool { return len(w.tasks(t, types.DesiredStatusStopped)) >= 6 })
		if s := w.web(t); s.Deployments[0].RolloutState != types.DeploymentRolloutStateInProgress || len(s.Deployments) != 2 || s.Deployments[1].RunningCount != 1 {
			t.Errorf("deployments are %+v", s.Deployments)
		}
	}},
	{"the breaker's threshold is half of the desired count, at least 3, at most 200", guide + "deployment-circuit-breaker", func(t *testing.T, w *world) {
		definition := w.define(t, "nginx")
		w.runtime.Set("nginx", scripted.Script{PullTakes: time.Minute})
		w.create(t, definition, 1, breaking)
		for desired, want := range map[int32]int32{1: 3, 25: 13, 400: 200, 800: 200} {
			w.update(t, ecs.UpdateServiceInput{DesiredCount: &desired})
			if got := w.serviceDeployments(t)[0].DeploymentCircuitBreaker; got.Threshold != want || got.Status != types.ServiceDeploymentRollbackMonitorsStatusMonitoring {
				t.Errorf("of %d tasks the threshold is %d (%s), want %d", desired, got.Threshold, got.Status, want)
			}
		}
	}},
	{"services-stable succeeds after a deployment was rolled back", waiters + "ServicesStable; observed on AWS: pipelines stay green", func(t *testing.T, w *world) {
		before := w.rolledBack(t)
		if err := w.stable(t, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		s := w.web(t)
		if *s.TaskDefinition != *before.TaskDefinition || *s.Deployments[0].Id != *before.Deployments[0].Id || *s.Deployments[0].Status != "PRIMARY" {
			t.Errorf("service runs %s under %s, want %s under %s", *s.TaskDefinition, *s.Deployments[0].Id, *before.TaskDefinition, *before.Deployments[0].Id)
		}
	}},
	{"the breaker says why it fired and where it goes back to", guide + "ecs_service_deployment_events", func(t *testing.T, w *world) {
		old := *w.rolledBack(t).Deployments[0].Id
		var failed, primary types.Deployment
		await(t, "the rollback", func() bool {
			d := w.web(t).Deployments
			primary = d[0]
			if len(d) == 2 && d[1].RolloutState == types.DeploymentRolloutStateFailed {
				failed = d[1]
			}
			return failed.Id != nil || len(d) == 1 && *d[0].Id == old
		})
		if *primary.Id != old || failed.Id != nil && *failed.RolloutStateReason != "ECS deployment circuit breaker: tasks failed to start." {
			t.Errorf("primary is %s, the failed one says %s", *primary.Id, aws.ToString(failed.RolloutStateReason))
		}
		var texts []string
		await(t, "its events", func() bool {
			texts = nil
			for _, e := range w.web(t).Events {
				texts = append(texts, *e.Message)
			}
			return strings.Contains(texts[0], "steady state")
		})
		all := strings.Join(texts, "\n")
		last := -1
		for _, want := range []string{"(deployment " + old + ") deployment completed.", "rolling back to deployment " + old + ".", "deployment failed: tasks failed to start."} {
			at := strings.Index(all, want)
			if at < last || at < 0 {
				t.Errorf("%q is not where it belongs in\n%s", want, all)
			}
			last = at
		}
	}},
	{"a rollback has no service revision of its own", guide + "service-revision", func(t *testing.T, w *world) {
		w.rolledBack(t)
		var sd []types.ServiceDeployment
		await(t, "ROLLBACK_SUCCESSFUL", func() bool {
			sd = w.serviceDeployments(t, types.ServiceDeploymentStatusRollbackSuccessful)
			return len(sd) == 1
		})
		first := w.serviceDeployments(t, types.ServiceDeploymentStatusSuccessful)
		if len(first) != 1 || *sd[0].Rollback.ServiceRevisionArn != *first[0].TargetServiceRevision.Arn || sd[0].DeploymentCircuitBreaker.Status != types.ServiceDeploymentRollbackMonitorsStatusTriggered {
			t.Errorf("service deployments are %+v and %+v", sd, first)
		}
		if n := len(w.serviceDeployments(t)); n != 2 {
			t.Errorf("there are %d service deployments, want 2", n)
		}
	}},
	{"with nothing COMPLETED to go back to, the failed deployment stalls", guide + "deployment-circuit-breaker", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.create(t, w.define(t, "bad"), 1, breaking)
		await(t, "FAILED", func() bool { return w.web(t).Deployments[0].RolloutState == types.DeploymentRolloutStateFailed })
		started := len(w.runtime.Started())
		if s := w.web(t); len(s.Deployments) != 1 || s.RunningCount != 0 {
			t.Errorf("deployments are %+v", s.Deployments)
		}
		if again := len(w.runtime.Started()); again != started || started != 3 {
			t.Errorf("%d and then %d tasks were started, want 3", started, again)
		}
	}},
	{"a breaker with a threshold of one task goes back on the first", api + "DeploymentCircuitBreaker, thresholdConfiguration", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.serving(t, "nginx", 1, breaking, func(in *ecs.CreateServiceInput) {
			in.DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration = &types.ThresholdConfiguration{Type: types.ThresholdTypeCount, Value: 1}
		})
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "bad"))})
		await(t, "the rollback", func() bool {
			return len(w.serviceDeployments(t, types.ServiceDeploymentStatusRollbackSuccessful)) == 1
		})
		if n := len(w.runtime.Started()); n != 2 {
			t.Errorf("%d tasks were started, want the first one and one that crashed", n)
		}
	}},
	{"a tag is resolved once for each deployment", guide + "deployment-type-ecs, container image resolution", func(t *testing.T, w *world) {
		w.repository(t)
		image, first := w.pushed(t, "app:live")
		w.serving(t, image, 1)
		_, second := w.pushed(t, "app:live")
		w.update(t, ecs.UpdateServiceInput{DesiredCount: new(int32(3))})
		await(t, "three tasks", func() bool { return w.web(t).RunningCount == 3 })
		for _, task := range w.tasks(t, types.DesiredStatusRunning) {
			if *task.Containers[0].ImageDigest != first {
				t.Errorf("a task runs %s, want %s", *task.Containers[0].ImageDigest, first)
			}
		}
		w.update(t, ecs.UpdateServiceInput{ForceNewDeployment: true})
		w.completed(t)
		sd := w.serviceDeployments(t)
		for i, want := range []string{second, first} {
			images := w.revision(t, *sd[i].TargetServiceRevision.Arn).ContainerImages
			if len(images) != 1 || *images[0].Image != image || aws.ToString(images[0].ImageDigest) != want {
				t.Errorf("revision %d resolved %+v, want %s", i, images, want)
			}
		}
	}},
}
