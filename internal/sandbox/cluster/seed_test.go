package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// incident is the past of a service that serves revision 27, with 36 and 37
// failed.
func (w *world) incident(last DeploymentSeed) error {
	w.t.Helper()
	now := time.Now()
	w.c.SeedCluster("prod", nil)
	for _, n := range []int{27, 36, 37} {
		members := fmt.Sprintf(`{"networkMode":"awsvpc","cpu":"256","memory":"512","quantum":1,
			"containerDefinitions":[{"name":"app","image":"%sweb:v%d","logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/ecs/web","awslogs-stream-prefix":"ecs"}}}]}`, registryHost, n)
		if err := w.c.SeedRevision(RevisionSeed{Family: "web", Revision: n, Members: json.RawMessage(members), RegisteredAt: now.Add(-time.Duration(40-n) * time.Hour)}); err != nil {
			return err
		}
	}
	w.logs.groups["/ecs/web"] = true
	return w.c.SeedService(ctx, ServiceSeed{
		Create: ecs.CreateServiceInput{Cluster: aws.String("prod"), ServiceName: aws.String("web"), DesiredCount: aws.Int32(1),
			LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network},
		CreatedAt: now.Add(-1000 * time.Hour),
		Deployments: []DeploymentSeed{
			{TaskDefinition: "web:27", Outcome: "SUCCESSFUL", CreatedAt: now.Add(-13 * time.Hour), FinishedAt: now.Add(-12 * time.Hour),
				Digests: map[string]string{"app": "sha256:v27"}},
			{TaskDefinition: "web:36", Outcome: "STOPPED", Reason: "replaced", CreatedAt: now.Add(-4 * time.Hour), FinishedAt: now.Add(-3 * time.Hour), FailedTasks: 2,
				Events: []string{"was unable to place a task. Reason: CannotPullContainerError: no."},
				Stopped: []TaskSeed{{StoppedAt: now.Add(-10 * time.Minute), StopCode: "TaskFailedToStart", StoppedReason: "CannotPullContainerError: no"},
					{StoppedAt: now.Add(-5 * time.Minute), StopCode: "EssentialContainerExited", StoppedReason: "Essential container in task exited", ExitCode: aws.Int(139), Logs: []string{"bye"}}}},
			last,
		},
	})
}

func TestSeed_writes_history_down(t *testing.T) {
	inWorld(t, func(w *world) {
		began := time.Now()
		err := w.incident(DeploymentSeed{TaskDefinition: "web:37", Outcome: "ROLLBACK_SUCCESSFUL", Reason: "it crashed",
			CreatedAt: time.Now().Add(-2 * time.Hour), FinishedAt: time.Now().Add(-time.Hour)})
		if err != nil {
			t.Fatalf("seed: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the seed took %s, although its tasks have been running for hours", took)
		}
		w.wantDeployments("web:27 PRIMARY COMPLETED 1/1")
		if got := w.rt.Started()[0].Containers[0].Image; got != registryHost+"web@sha256:v27" {
			t.Errorf("the task that serves was pulled as %s", got)
		}
		var past []string
		for _, d := range w.deployments() {
			past = append(past, string(d.Status)+" "+aws.ToString(d.StatusReason))
		}
		if got := strings.Join(past, ", "); got != "ROLLBACK_SUCCESSFUL it crashed, STOPPED replaced, SUCCESSFUL " {
			t.Errorf("service deployments are %q", got)
		}
		if r := w.deployments()[0].Rollback; r == nil || *r.ServiceRevisionArn != *w.service().CurrentServiceRevisions[0].Arn {
			t.Errorf("rollback of the last one is %+v", r)
		}
		if got := w.tasks(types.DesiredStatusStopped); len(got) != 2 || aws.ToInt32(got[1].Containers[0].ExitCode) != 139 || got[0].StartedAt != nil {
			t.Errorf("stopped tasks are %+v", got)
		}
		if got := w.logs.all(); len(got) != 1 || !strings.HasSuffix(got[0], " bye") {
			t.Errorf("log lines are %q", got)
		}
		if next := w.register(container("web:1")); !strings.HasSuffix(next, "web:38") {
			t.Errorf("the next revision is %s, want web:38", next)
		}
		if got := w.service().CreatedAt; time.Since(*got) < 1000*time.Hour {
			t.Errorf("the service was created at %s", got)
		}
		_, err = w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), TaskDefinition: aws.String("web:36")})
		if err != nil {
			t.Errorf("a seeded revision cannot be deployed: %v", err)
		}
	})
}

func TestSeed_deploys_what_is_in_progress(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rt.Set("web:37", scripted.Script{Exits: true, ExitCode: 139, ExitAfter: time.Second})
		created := time.Now().Add(-30 * time.Minute)
		if err := w.incident(DeploymentSeed{TaskDefinition: "web:37", Outcome: "IN_PROGRESS", CreatedAt: created, FailedTasks: 30}); err != nil {
			t.Fatalf("seed: %v", err)
		}
		w.pass(20 * time.Second)
		w.wantDeployments("web:37 PRIMARY IN_PROGRESS 0/1", "web:27 ACTIVE COMPLETED 1/1")
		d := w.service().Deployments[0]
		if !d.CreatedAt.Equal(created.Truncate(time.Millisecond)) || d.FailedTasks != 31 {
			t.Errorf("the deployment in progress is of %s with %d failed tasks, want %s and 31", d.CreatedAt, d.FailedTasks, created)
		}
		sd := w.deployments()[0]
		must(w.ecs.StopServiceDeployment(ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: sd.ServiceDeploymentArn}))
		w.pass(time.Minute)
		w.wantDeployments("web:27 PRIMARY COMPLETED 1/1")
	})
}

func TestSeed_fails_when_what_serves_does_not_run(t *testing.T) {
	inWorld(t, func(w *world) {
		w.images.fail("sha256:v27", ErrImageNotFound)
		err := w.incident(DeploymentSeed{TaskDefinition: "web:37", Outcome: "STOPPED"})
		if err == nil || !strings.Contains(err.Error(), "CannotPullContainerError") {
			t.Errorf("seed: %v, want the reason why its task does not start", err)
		}
	})
}

func TestSeed_refuses_nonsense(t *testing.T) {
	inWorld(t, func(w *world) {
		if err := w.incident(DeploymentSeed{TaskDefinition: "web:99", Outcome: "STOPPED"}); err == nil || !strings.Contains(err.Error(), "web:99") {
			t.Errorf("seed with a missing revision: %v", err)
		}
	})
	inWorld(t, func(w *world) {
		if err := w.incident(DeploymentSeed{TaskDefinition: "web:37", Outcome: "FINE"}); err == nil || !strings.Contains(err.Error(), "FINE") {
			t.Errorf("seed with an unknown outcome: %v", err)
		}
	})
}

func TestSeed_what_serves_has_the_traffic_again_before_its_first_rollback_has_ended(t *testing.T) {
	for _, strategy := range []types.DeploymentConfiguration{
		{Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(5)},
		{Strategy: types.DeploymentStrategyCanary, CanaryConfiguration: &types.CanaryConfiguration{CanaryPercent: aws.Float64(50)}},
		{Strategy: types.DeploymentStrategyLinear, LinearConfiguration: &types.LinearConfiguration{StepPercent: aws.Float64(50)}},
	} {
		t.Run(string(strategy.Strategy), func(t *testing.T) {
			r := &rules{}
			inWorld(t, func(w *world) {
				w.register(listening("web:1"))
				w.c.SeedCluster("prod", nil)
				in := ecs.CreateServiceInput{Cluster: aws.String("prod"), ServiceName: aws.String("web"), DesiredCount: aws.Int32(1),
					LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network, DeploymentConfiguration: &strategy}
				balanced(&in)
				if err := w.c.SeedService(ctx, ServiceSeed{Create: in, Deployments: []DeploymentSeed{{TaskDefinition: "web:1", Outcome: "SUCCESSFUL"}}}); err != nil {
					t.Fatal(err)
				}
				w.update(w.register(listening("web:2")))
				w.pass(3 * time.Minute)
				if got := strings.Join(r.take(), ", "); !strings.Contains(got, "production blue") {
					t.Fatalf("no production traffic was shifted: %q", got)
				}
				d := w.deployments()[0]
				must(w.ecs.StopServiceDeployment(ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn}))
				w.pass(5*time.Second + time.Millisecond)
				if got := strings.Join(r.take(), ", "); !strings.Contains(got, "production blue 100 green 0") {
					t.Errorf("as the rollback begins the weights are %q", got)
				}
				if d = w.deployments()[0]; d.Status != types.ServiceDeploymentStatusRollbackInProgress || traffic(d) != "0/0 100/100" {
					t.Errorf("while it is %s the traffic of target and source is %s", d.Status, traffic(d))
				}
			}, func(c *Config) { c.Traffic = r })
		})
	}
}
