package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func TestAPI_UpdateService_deploys_only_what_must_be(t *testing.T) {
	inWorld(t, func(w *world) {
		one := w.register(container("web:1"))
		w.create(one)
		w.pass(2 * time.Minute)
		prod, web := aws.String("prod"), aws.String("web")
		for _, c := range []struct {
			name    string
			in      ecs.UpdateServiceInput
			deploys bool
		}{
			{"the same task definition", ecs.UpdateServiceInput{TaskDefinition: &one}, false},
			{"desired count", ecs.UpdateServiceInput{DesiredCount: aws.Int32(2)}, false},
			{"settings", ecs.UpdateServiceInput{DeploymentConfiguration: &types.DeploymentConfiguration{MaximumPercent: aws.Int32(150)}}, false},
			{"the same network", ecs.UpdateServiceInput{NetworkConfiguration: network}, false},
			{"by force", ecs.UpdateServiceInput{ForceNewDeployment: true}, true},
			{"another network", ecs.UpdateServiceInput{NetworkConfiguration: &types.NetworkConfiguration{
				AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-2"}}}}, true},
		} {
			before := len(w.deployments())
			c.in.Cluster, c.in.Service = prod, web
			must(w.ecs.UpdateService(ctx, &c.in))
			w.pass(5 * time.Minute)
			if got := len(w.deployments()) - before; got != map[bool]int{true: 1}[c.deploys] {
				t.Errorf("%s: %d new service deployments, want one: %v", c.name, got, c.deploys)
			}
		}
		cfg := w.service().DeploymentConfiguration
		if *cfg.MaximumPercent != 150 || *cfg.MinimumHealthyPercent != 100 {
			t.Errorf("deployment configuration is %d/%d, want 100/150", *cfg.MinimumHealthyPercent, *cfg.MaximumPercent)
		}
	})
}

func TestAPI_refuses_an_inactive_task_definition(t *testing.T) {
	inWorld(t, func(w *world) {
		one, two := w.register(container("web:1")), w.register(container("web:2"))
		w.create(one)
		w.pass(2 * time.Minute)
		gone := must(w.ecs.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &two})).TaskDefinition
		if gone.Status != types.TaskDefinitionStatusInactive || gone.DeregisteredAt == nil {
			t.Errorf("deregistered revision is %s at %v", gone.Status, gone.DeregisteredAt)
		}
		_, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), TaskDefinition: &two})
		wantError(t, err, "ClientException", "TaskDefinition is inactive")
		got := must(w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web")}))
		if *got.TaskDefinition.TaskDefinitionArn != one {
			t.Errorf("the family's latest ACTIVE revision is %s, want %s", *got.TaskDefinition.TaskDefinitionArn, one)
		}
		three := w.register(container("web:3"))
		if !strings.HasSuffix(three, ":3") {
			t.Errorf("the next revision is %s: numbers must not be given twice", three)
		}
		// A service that runs a revision goes on when it is deregistered.
		must(w.ecs.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &one}))
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DesiredCount: aws.Int32(2)}))
		w.pass(2 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 2/2")
	})
}

func TestAPI_other_controllers_are_stored(t *testing.T) {
	inWorld(t, func(w *world) {
		one := w.register(container("web:1"))
		w.create(one, func(in *ecs.CreateServiceInput) {
			in.DeploymentController = &types.DeploymentController{Type: types.DeploymentControllerTypeCodeDeploy}
		})
		s := w.service()
		if s.DeploymentController.Type != types.DeploymentControllerTypeCodeDeploy || len(s.Deployments) != 0 || len(s.TaskSets) != 1 {
			t.Errorf("service has controller %s, %d deployments and %d task sets", s.DeploymentController.Type, len(s.Deployments), len(s.TaskSets))
		}
		_, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), TaskDefinition: &one})
		wantError(t, err, "InvalidParameterException",
			"Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.")
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DesiredCount: aws.Int32(3)}))
	})
}

func TestAPI_CreateService_refuses(t *testing.T) {
	inWorld(t, func(w *world) {
		one := w.register(container("web:1"))
		w.create(one)
		for _, c := range []struct {
			name       string
			change     func(*ecs.CreateServiceInput)
			code, text string
		}{
			{"a name that is taken", func(in *ecs.CreateServiceInput) { in.ServiceName = aws.String("web") }, "InvalidParameterException", "Creation of service was not idempotent."},
			{"no task definition", func(in *ecs.CreateServiceInput) { in.TaskDefinition = nil }, "InvalidParameterException", "TaskDefinition"},
			{"no network", func(in *ecs.CreateServiceInput) { in.NetworkConfiguration = nil }, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
			{"no count", func(in *ecs.CreateServiceInput) { in.DesiredCount = nil }, "InvalidParameterException", "Desired count"},
			{"too many tasks", func(in *ecs.CreateServiceInput) { in.DesiredCount = aws.Int32(2_000_000_000) }, "InvalidParameterException", "Desired count"},
			{"a threshold of 0", func(in *ecs.CreateServiceInput) {
				in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{
					ThresholdConfiguration: &types.ThresholdConfiguration{Type: types.ThresholdTypeCount}}}
			}, "InvalidParameterException", "threshold"},
			{"a load balancer for another container", func(in *ecs.CreateServiceInput) {
				in.LoadBalancers = []types.LoadBalancer{{ContainerName: aws.String("x"), ContainerPort: aws.Int32(80)}}
			}, "InvalidParameterException", "The container x does not exist in the task definition."},
		} {
			in := &ecs.CreateServiceInput{Cluster: aws.String("prod"), ServiceName: aws.String("other"), TaskDefinition: &one,
				DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network}
			c.change(in)
			_, err := w.ecs.CreateService(ctx, in)
			t.Log(c.name)
			wantError(t, err, c.code, c.text)
		}
	})
}

func TestAPI_DeleteService(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")))
		w.pass(2 * time.Minute)
		prod, web := aws.String("prod"), aws.String("web")
		_, err := w.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: prod, Service: web})
		wantError(t, err, "InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
		out := must(w.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: prod, Service: web, Force: aws.Bool(true)}))
		if *out.Service.Status != "DRAINING" {
			t.Errorf("status is %s, want DRAINING", *out.Service.Status)
		}
		_, err = w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: prod, Service: web, DesiredCount: aws.Int32(1)})
		wantError(t, err, "ServiceNotActiveException", "")
		w.pass(time.Minute)
		if got := *w.service().Status; got != "INACTIVE" {
			t.Errorf("status is %s, want INACTIVE", got)
		}
		if got := must(w.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: prod})).ServiceArns; len(got) != 0 {
			t.Errorf("ListServices still has %v", got)
		}
		w.create("web:1")
		w.pass(2 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
	})
}
