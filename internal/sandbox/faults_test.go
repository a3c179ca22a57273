package sandbox

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestFault_whatATaskCannotPull(t *testing.T) {
	w := deployed(t)
	image := w.push(t, "app:v2", "amd64")
	for kind, want := range map[string]string{
		"not-found":   "failed to resolve ref",
		"platform":    "does not contain descriptor matching platform 'linux/amd64'",
		"rate-limit":  "toomanyrequests: Too Many Requests or You have reached your pull rate limit.",
		"timeout":     "i/o timeout",
		"connection":  "There is a connection issue between the task and Amazon ECR.",
		"no-space":    "no space left on device",
		"unavailable": "503 Service Unavailable",
	} {
		t.Run(kind, func(t *testing.T) {
			defer w.control(t, "DELETE", "/_sandbox/faults", "", nil)
			w.fault(t, `{"pull":"`+kind+`","repository":"app"}`)
			if err := w.update(t, image); err != nil {
				t.Fatal(err)
			}
			await(t, "the failed pull", func() bool {
				return slices.ContainsFunc(stoppedTasks(t, w, "c"), func(task types.Task) bool {
					r := aws.ToString(task.StoppedReason)
					return strings.HasPrefix(r, "CannotPullContainerError: ") && strings.Contains(r, want)
				})
			})
		})
	}
}

// TestFault_tasksDieAndTheServiceRollsBack is what a button of the page does.
func TestFault_tasksDieAndTheServiceRollsBack(t *testing.T) {
	w := deployed(t)
	if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{
		Cluster: aws.String("c"), Service: aws.String("web"),
		DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}},
	}); err != nil {
		t.Fatal(err)
	}
	w.fault(t, `{"task":"web","exit":139}`)
	if err := w.update(t, w.push(t, "app:v2", "amd64")); err != nil {
		t.Fatal(err)
	}
	await(t, "the rollback", func() bool {
		list, err := w.ecs.ListServiceDeployments(t.Context(), &ecs.ListServiceDeploymentsInput{
			Cluster: aws.String("c"), Service: aws.String("web"), Status: []types.ServiceDeploymentStatus{types.ServiceDeploymentStatusRollbackSuccessful},
		})
		return err == nil && len(list.ServiceDeployments) == 1
	})
	for _, task := range stoppedTasks(t, w, "c") {
		if task.StopCode == types.TaskStopCodeEssentialContainerExited && aws.ToInt32(task.Containers[0].ExitCode) != 139 {
			t.Errorf("a task ended with %d", aws.ToInt32(task.Containers[0].ExitCode))
		}
	}
	var listed struct{ Faults []fault.Report }
	w.control(t, "GET", "/_sandbox/faults", "", &listed)
	if f := listed.Faults[0]; f.Acted < 3 || len(f.Did) < 3 || !strings.HasSuffix(f.Did[0].On, ", container app") {
		t.Errorf("the fault says %+v", f)
	}
}

func TestFault_aConnectionIsCut(t *testing.T) {
	w := start(t, Config{})
	w.fault(t, `[{"when":"CreateCluster","cut":"before","times":1},{"when":"CreateCluster","cut":"middle"}]`)
	create := func() error {
		_, err := w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("c")})
		return err
	}
	clusters := func() int {
		out, err := w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.ClusterArns)
	}
	if err := create(); !errors.Is(err, io.EOF) || clusters() != 0 {
		t.Errorf("before: %v, %d clusters", err, clusters())
	}
	if err := create(); !errors.Is(err, io.ErrUnexpectedEOF) || clusters() != 1 {
		t.Errorf("in the middle: %v, %d clusters", err, clusters())
	}
	w.fault(t, `{"when":"*","service":"ecs","garbage":true,"times":1}`)
	if err := create(); err == nil {
		t.Error("garbage is taken for an answer")
	}
}

func TestFault_capacityRunsOutAndComesBack(t *testing.T) {
	w := deployed(t)
	w.fault(t, `{"task":"*","capacity":0}`)
	run := func() *ecs.RunTaskOutput {
		out, err := w.ecs.RunTask(t.Context(), &ecs.RunTaskInput{
			Cluster: aws.String("c"), TaskDefinition: aws.String("web"), Count: aws.Int32(2), LaunchType: types.LaunchTypeFargate,
			NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := run(); len(out.Tasks) != 0 || len(out.Failures) != 2 || !strings.HasPrefix(*out.Failures[0].Reason, "Capacity is unavailable at this time.") {
		t.Errorf("RunTask answers %+v", out)
	}
	if err := w.update(t, w.push(t, "app:v2", "amd64")); err != nil {
		t.Fatal(err)
	}
	web := func() types.Service {
		out, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Services[0]
	}
	await(t, "the event", func() bool {
		return strings.Contains(*web().Events[0].Message, "was unable to place a task. Reason: Capacity is unavailable at this time.")
	})
	w.control(t, "DELETE", "/_sandbox/faults", "", nil)
	await(t, "the new deployment", func() bool {
		s := web()
		return len(s.Deployments) == 1 && s.Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted
	})
	if out := run(); len(out.Tasks) != 2 || len(out.Failures) != 0 {
		t.Errorf("RunTask answers %+v", out)
	}
}

func TestFault_aHostDies(t *testing.T) {
	w := deployed(t)
	w.fault(t, `{"host":"ec2"}`) // nothing of the service runs on one
	w.fault(t, `{"host":"fargate","share":50}`)
	await(t, "the lost task", func() bool {
		return slices.ContainsFunc(stoppedTasks(t, w, "c"), func(task types.Task) bool {
			return task.StopCode == types.TaskStopCodeInfrastructureHealth && task.Containers[0].ExitCode == nil
		})
	})
	await(t, "its successor", func() bool { return len(w.runtime.Running()) > 0 && len(w.runtime.Started()) > 1 })
	var listed struct{ Faults []fault.Report }
	w.control(t, "GET", "/_sandbox/faults", "", &listed)
	if listed.Faults[0].Acted != 0 || listed.Faults[1].Acted != 1 {
		t.Errorf("the faults say %+v", listed.Faults)
	}
}

func TestStart_beginsWithFaults(t *testing.T) {
	rule := func(s string) seed.JSON { return seed.JSON{Raw: []byte(s), Line: 7} }
	w := start(t, Config{
		Seed:   &seed.Seed{Faults: []seed.JSON{rule(`{"when":"ListClusters","error":"ClientException","times":1}`)}},
		Faults: []seed.JSON{rule(`{"pull":"denied"}`)},
	})
	_, err := w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{})
	wantCode(t, err, "ClientException")
	if n := len(w.faults.List()); n != 2 {
		t.Errorf("%d faults, want 2", n)
	}
	_, err = Start(t.Context(), Config{Listen: "127.0.0.1:0", Runtime: scripted.New(), Faults: []seed.JSON{rule(`{"pul":"denied"}`), rule(`{"push":"x"}`)}})
	if err == nil || !strings.Contains(err.Error(), "fault of line 7: there is no member \"pul\"\nfault of line 7: push is ") {
		t.Errorf("a fault that is none: %v", err)
	}
}
