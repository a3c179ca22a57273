package cluster

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/snapshot"
)

// notKept are the fields of a Cluster that do not live through a restart, and why.
var notKept = map[string]string{
	"cfg": "given anew", "arns": "follow from it", "api": "is code", "pace": "follows from cfg",
	"mu": "is no state", "specs": "are prepared anew", "changed": "is of this process",
	"wake": "is of this process", "ctx": "is of this process", "cancel": "is of this process",
	"done": "is of this process", "work": "is of this process",
}

func TestCluster_everyFieldIsKeptOrNamed(t *testing.T) {
	k := reflect.TypeFor[kept]()
	for f := range reflect.TypeFor[Cluster]().Fields() {
		_, saved := k.FieldByName(f.Name)
		if _, named := notKept[f.Name]; saved == named {
			t.Errorf("Cluster.%s has to be in kept (save.go), or in notKept with the reason", f.Name)
		}
	}
	if err := snapshot.Check(k); err != nil {
		t.Error(err)
	}
}

// restart is another control plane with the state of the first, whose tasks are gone.
func (w *world) restart(options ...func(*Config)) *world {
	w.t.Helper()
	raw := must(w.c.Save())
	w.close()
	return w.from(raw, options...)
}

func (w *world) from(raw json.RawMessage, options ...func(*Config)) *world {
	w.t.Helper()
	next := newWorld(w.t, options...)
	next.images = w.images
	next.c.cfg.Images = w.images
	if err := next.c.Load(raw); err != nil {
		next.close()
		w.t.Fatal(err)
	}
	if err := next.c.Resume(ctx); err != nil {
		w.t.Error(err)
	}
	return next
}

func TestCluster_Save_keepsServicesAndTheirPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		one := w.register(container("web:1"))
		w.create(one, withBreaker, desired(2))
		w.pass(10 * time.Minute)
		must(w.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &one, Tags: []types.Tag{{Key: aws.String("proven"), Value: aws.String("yes")}}}))
		two := w.register(container("web:2"))
		w.update(two)
		w.pass(10 * time.Minute)
		before, deployments, definition := w.service(), w.deployments(), w.definition(one)

		w = w.restart()
		defer w.close()
		w.pass(0)
		after := w.service()
		if len(after.Events) <= len(before.Events) || *after.Events[len(after.Events)-1].Message != *before.Events[len(before.Events)-1].Message {
			t.Errorf("the events are %q", w.events())
		}
		if diff := cmp.Diff(before, after, cmpopts.IgnoreFields(types.Service{}, "Events"), ignoreDocuments); diff != "" {
			t.Errorf("the service after a restart (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(deployments, w.deployments(), ignoreDocuments); diff != "" {
			t.Errorf("the service deployments after a restart (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(definition, w.definition(one), ignoreDocuments); diff != "" {
			t.Errorf("the task definition after a restart (-before +after):\n%s", diff)
		}
		lost := 0
		for _, task := range w.tasks(types.DesiredStatusStopped) {
			if task.StopCode == scheduler.StopInfrastructure {
				lost++
			}
		}
		if lost != 2 {
			t.Errorf("%d tasks were stopped by the restart, want 2", lost)
		}
		w.update(one) // and it goes on
		w.pass(10 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 2/2")
		if three := w.register(container("web:3")); !strings.HasSuffix(three, "web:3") {
			t.Errorf("the next revision is %s, want web:3", three)
		}
	})
}

func TestCluster_Save_aReleaseInProgressIsRolledBackAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(w.register(container("web:1")), withBreaker)
		w.pass(10 * time.Minute)
		w.images.fail(registryHost+"web:2", errors.New("no such thing"))
		w.update(w.register(container("web:2")))
		w.pass(time.Minute)
		w = w.restart()
		defer w.close()
		w.pass(0)
		w.wantDeployments("web:2 PRIMARY IN_PROGRESS 0/1", "web:1 ACTIVE COMPLETED 1/1")
		w.pass(time.Hour)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		if got := w.deployments()[0]; got.Status != types.ServiceDeploymentStatusRollbackSuccessful {
			t.Errorf("the service deployment is %s", got.Status)
		}
	})
}

func TestCluster_Save_aPausedDeploymentIsContinuedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rules{}
		hooks := []types.DeploymentLifecycleHook{pause("POST_TEST_TRAFFIC_SHIFT"), function("POST_TEST_TRAFFIC_SHIFT")}
		with := func(c *Config) { c.Traffic = r }
		w := newWorld(t, with)
		w.create(w.register(listening("web:1")), balanced)
		w.pass(10 * time.Minute)
		cfg := blueGreen(hooks...)
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DeploymentConfiguration: &cfg}))
		w.update(w.register(listening("web:2")))
		w.pass(5 * time.Minute)
		before := w.deployments()[0]
		w = w.restart(with)
		defer w.close()
		w.pass(time.Minute)
		d := w.deployments()[0]
		if diff := cmp.Diff(before.LifecycleHookDetails, d.LifecycleHookDetails, ignoreDocuments); diff != "" || d.LifecycleStage != before.LifecycleStage || traffic(d) != traffic(before) {
			t.Errorf("at %s with traffic %s; hooks after a restart (-before +after):\n%s", d.LifecycleStage, traffic(d), diff)
		}
		w.wantDeployments("web:2 PRIMARY IN_PROGRESS 1/1", "web:1 ACTIVE COMPLETED 1/1")
		must(w.ecs.ContinueServiceDeployment(ctx, &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, HookId: d.LifecycleHookDetails[0].HookId}))
		w.pass(10 * time.Minute)
		w.wantDeployments("web:2 PRIMARY COMPLETED 1/1")
		if got := r.take(); got[len(got)-1] != "production blue 0 green 100" {
			t.Errorf("weights are %q", got)
		}
	})
}

func TestCluster_Save_aTaskByItselfIsStoppedByARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		one := w.register(container("web:1"))
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("prod")}))
		in := &ecs.RunTaskInput{Cluster: aws.String("prod"), TaskDefinition: &one, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network, ClientToken: aws.String("t")}
		ran := must(w.ecs.RunTask(ctx, in)).Tasks[0]
		w.pass(time.Minute)
		w = w.restart()
		defer w.close()
		got := must(w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("prod"), Tasks: []string{*ran.TaskArn}})).Tasks[0]
		if *got.LastStatus != "STOPPED" || got.StopCode != scheduler.StopInfrastructure || *got.StoppedReason != scheduler.ReasonInfrastructure {
			t.Errorf("the task is %s %s %q", *got.LastStatus, got.StopCode, *got.StoppedReason)
		}
		if again := must(w.ecs.RunTask(ctx, in)).Tasks[0]; *again.TaskArn != *ran.TaskArn {
			t.Error("the client token runs another task after a restart")
		}
		w.pass(2 * time.Hour)
		if left := must(w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("prod"), Tasks: []string{*ran.TaskArn}})); len(left.Tasks) != 0 {
			t.Error("the stopped task is told about for more than an hour")
		}
	})
}

func TestCluster_Load_refusesWhatItDoesNotUnderstand(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	if err := w.c.Load(json.RawMessage(`{"clusters":{},"definitions":null,"novelty":1}`)); err == nil || !strings.Contains(err.Error(), "novelty") {
		t.Errorf("Load = %v, want the member that is not known", err)
	}
}

func (w *world) definition(arn string) *ecs.DescribeTaskDefinitionOutput {
	return must(w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}}))
}

// ignoreDocuments passes over what the SDK's shapes do not export.
var ignoreDocuments = cmp.FilterPath(func(p cmp.Path) bool {
	f, ok := p.Last().(cmp.StructField)
	return ok && (strings.HasPrefix(f.Name(), "noSmithy") || f.Name() == "ResultMetadata")
}, cmp.Ignore())
