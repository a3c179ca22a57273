package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func TestCluster_Look(t *testing.T) {
	inWorld(t, func(w *world) {
		if all := w.c.Look(); len(all) != 0 {
			t.Errorf("without a cluster there is %+v", all)
		}
		one := w.register(container("web:1"))
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("prod")}))
		must(w.ecs.CreateService(ctx, &ecs.CreateServiceInput{Cluster: aws.String("prod"), ServiceName: aws.String("web"), TaskDefinition: &one,
			DesiredCount: aws.Int32(45), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network,
			DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true}}}))
		must(w.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: aws.String("prod"), TaskDefinition: &one, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network}))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		all := w.c.Look()
		if len(all) != 1 || len(all[0].Services) != 1 || all[0].Loose != 1 {
			t.Fatalf("there is %+v", all)
		}
		s := all[0].Services[0]
		if s.Name != "web" || s.Revision != "web:1" || s.Rollout != "COMPLETED" || s.Current != "SUCCESSFUL" || s.Running != 45 || s.Threshold != 23 || len(s.Tasks) != 45 || s.Strategy != "ROLLING" {
			t.Errorf("the service is %+v", s)
		}
		if k := s.Tasks[0]; k.Revision != "web:1" || k.Status != "RUNNING" || k.Checked {
			t.Errorf("a task is %+v", k)
		}
		found := w.c.Inspect("prod", "web", func(i Inspection) {
			if len(i.Tasks) != inspectedTasks || i.More != 45-inspectedTasks || len(i.Deployments) != 1 {
				t.Errorf("%d tasks and %d more, %d deployments", len(i.Tasks), i.More, len(i.Deployments))
			}
			if r := i.Revisions[*i.Deployments[0].TargetServiceRevision.Arn]; *r.TaskDefinition != one {
				t.Errorf("the revision is %+v", r)
			}
		})
		if !found || !w.c.Inspect("prod", "", func(i Inspection) {
			if len(i.Tasks) != 1 {
				t.Errorf("%d tasks run by themselves, want 1", len(i.Tasks))
			}
		}) {
			t.Error("the service or the cluster is not found")
		}
		if w.c.Inspect("prod", "other", func(Inspection) {}) || w.c.Inspect("other", "", func(Inspection) {}) {
			t.Error("what does not exist is found")
		}
	})
}
