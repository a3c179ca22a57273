package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// onPort registers a revision of the family web whose container has a port of the
// instance.
func (w *world) onPort(image string, port int32, mode types.NetworkMode) string {
	w.t.Helper()
	return *must(w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: mode, ContainerDefinitions: []types.ContainerDefinition{container(image, func(c *types.ContainerDefinition) {
			c.PortMappings = []types.PortMapping{{ContainerPort: &port, HostPort: &port}}
		})},
	})).TaskDefinition.TaskDefinitionArn
}

func onInstance(least, most int32) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) {
		in.LaunchType, in.NetworkConfiguration = types.LaunchTypeEc2, nil
		in.DeploymentConfiguration = &types.DeploymentConfiguration{MinimumHealthyPercent: &least, MaximumPercent: &most}
	}
}

func TestHostPort_OfAServiceThatMustNotStopKeepsItsNextTaskOut(t *testing.T) {
	for _, mode := range []types.NetworkMode{types.NetworkModeBridge, types.NetworkModeHost} {
		inWorld(t, func(w *world) {
			w.create(w.onPort("web:1", 8080, mode), onInstance(100, 200))
			w.pass(2 * time.Minute)
			w.update(w.onPort("web:2", 8080, mode))
			w.pass(2 * time.Minute)
			w.wantDeployments("web:2 PRIMARY IN_PROGRESS 0/1", "web:1 ACTIVE COMPLETED 1/1")
			if all := strings.Join(w.events(), "\n"); strings.Count(all, "is already using a port required by your task") != 1 {
				t.Errorf("%s: events:\n%s", mode, all)
			}
		})
	}
}

func TestHostPort_IsHandedOverWhereTheOldTaskMayStopFirst(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.onPort("web:1", 8080, types.NetworkModeBridge), onInstance(0, 100))
		w.pass(2 * time.Minute)
		w.update(w.onPort("web:2", 8080, types.NetworkModeBridge))
		w.pass(5 * time.Minute)
		w.wantDeployments("web:2 PRIMARY COMPLETED 1/1")
		if all := strings.Join(w.events(), "\n"); strings.Contains(all, "port required") || w.service().Deployments[0].FailedTasks != 0 {
			t.Errorf("a port that was being handed over was held against the deployment:\n%s", all)
		}
	})
}

func TestHostPort_RunTaskSaysResourcePorts(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: prod}))
		one := w.onPort("web:1", 8080, types.NetworkModeBridge)
		out := must(w.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: prod, TaskDefinition: &one, Count: aws.Int32(2)}))
		if len(out.Tasks) != 1 || len(out.Failures) != 1 || *out.Failures[0].Reason != "RESOURCE:PORTS" {
			t.Errorf("RunTask of two = %+v", out)
		}
		other := w.onPort("web:1", 9090, types.NetworkModeBridge)
		if out := must(w.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: prod, TaskDefinition: &other})); len(out.Tasks) != 1 {
			t.Errorf("RunTask on another port = %+v", out)
		}
	})
}
