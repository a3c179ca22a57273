package believed

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// quiet are updates after which AWS begins no deployment.
var quiet = map[string]ecs.UpdateServiceInput{
	"nothing at all":     {},
	"the desired count":  {DesiredCount: new(int32(2))},
	"the percentages":    {DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: new(int32(50))}},
	"the breaker":        {DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}}},
	"the grace period":   {HealthCheckGracePeriodSeconds: new(int32(30))},
	"execute command":    {EnableExecuteCommand: new(true)},
	"managed tags":       {EnableECSManagedTags: new(true)},
	"propagated tags":    {PropagateTags: types.PropagateTagsService},
	"zone rebalancing":   {AvailabilityZoneRebalancing: types.AvailabilityZoneRebalancingDisabled},
	"the same network":   {NetworkConfiguration: subnet("subnet-1")},
	"the same platform":  {PlatformVersion: new("LATEST")},
	"no load balancers":  {LoadBalancers: []types.LoadBalancer{}},
	"no registries":      {ServiceRegistries: []types.ServiceRegistry{}},
	"no volumes":         {VolumeConfigurations: []types.ServiceVolumeConfiguration{}},
	"the same by family": {TaskDefinition: new("web")},
	"the same by number": {TaskDefinition: new("web:1")},
	"the same by ARN":    {TaskDefinition: new(arnOf + "task-definition/web:1")},
	"the same strategy":  {DeploymentConfiguration: &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyRolling}},
}

func deploymentIDs(s types.Service) (ids []string) {
	for _, d := range s.Deployments {
		ids = append(ids, *d.Id)
	}
	return ids
}

var updates = []behaviour{
	{"what a revision does not hold begins no deployment", api + "UpdateService, each parameter", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx"), 1)
		before := deploymentIDs(w.web(t))
		for what, in := range quiet {
			if after := deploymentIDs(w.update(t, in)); !slices.Equal(before, after) {
				t.Errorf("%s: deployments are %v, want %v", what, after, before)
			}
		}
	}},
	{"another network begins a deployment", api + "UpdateService, networkConfiguration", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		s := w.update(t, ecs.UpdateServiceInput{NetworkConfiguration: subnet("subnet-2")})
		if len(s.Deployments) != 2 || s.Deployments[0].NetworkConfiguration.AwsvpcConfiguration.Subnets[0] != "subnet-2" || *s.Deployments[0].TaskDefinition != *s.Deployments[1].TaskDefinition {
			t.Errorf("deployments are %+v", s.Deployments)
		}
	}},
	{"UpdateService without a task definition keeps the service's, not the newest", api + "UpdateService, taskDefinition", func(t *testing.T, w *world) {
		was := w.serving(t, "nginx", 1)
		w.define(t, "nginx:2")
		if got := w.update(t, ecs.UpdateServiceInput{ForceNewDeployment: true}); *got.TaskDefinition != *was.TaskDefinition {
			t.Errorf("taskDefinition is %s, want %s", *got.TaskDefinition, *was.TaskDefinition)
		}
	}},
	{"UpdateService with a family takes its latest ACTIVE revision", api + "UpdateService, taskDefinition", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		second := w.define(t, "nginx:2")
		if got := w.update(t, ecs.UpdateServiceInput{TaskDefinition: new("web")}); *got.TaskDefinition != second {
			t.Errorf("taskDefinition is %s, want %s", *got.TaskDefinition, second)
		}
	}},
	{"the answer of UpdateService has the new deployment as PRIMARY, the old as ACTIVE", observed + "deploy actions take its id from there", func(t *testing.T, w *world) {
		old := w.serving(t, "nginx", 1).Deployments[0]
		d := w.update(t, ecs.UpdateServiceInput{ForceNewDeployment: true}).Deployments
		if len(d) != 2 || *d[0].Status != "PRIMARY" || *d[1].Status != "ACTIVE" || *d[1].Id != *old.Id || d[0].RolloutState != types.DeploymentRolloutStateInProgress || d[1].RolloutState != types.DeploymentRolloutStateCompleted {
			t.Errorf("deployments are %+v", d)
		}
		if want := "ECS deployment " + *d[0].Id + " in progress."; *d[0].RolloutStateReason != want {
			t.Errorf("reason is %q, want %q", *d[0].RolloutStateReason, want)
		}
	}},
	{"a service can ask only for an ACTIVE task definition", api + "DeregisterTaskDefinition", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		second := w.define(t, "nginx:2")
		must(w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &second}))(t)
		wantError(t, "ClientException", "inactive")(w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("web"), TaskDefinition: &second}))
	}},
	{"a service whose task definition was deregistered runs and scales on", api + "DeregisterTaskDefinition", func(t *testing.T, w *world) {
		s := w.serving(t, "nginx", 1)
		must(w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: s.TaskDefinition}))(t)
		w.update(t, ecs.UpdateServiceInput{DesiredCount: new(int32(3))})
		if err := w.stable(t, 20*time.Second); err != nil || w.web(t).RunningCount != 3 {
			t.Errorf("%d run, %v", w.web(t).RunningCount, err)
		}
	}},
	{"an update keeps what it does not name", api + "UpdateService", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx"), 1, func(in *ecs.CreateServiceInput) {
			in.HealthCheckGracePeriodSeconds, in.EnableExecuteCommand = new(int32(7)), true
			in.DeploymentConfiguration = &types.DeploymentConfiguration{MaximumPercent: new(int32(150))}
		})
		s := w.update(t, ecs.UpdateServiceInput{DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: new(int32(0))}})
		if c := s.DeploymentConfiguration; *s.HealthCheckGracePeriodSeconds != 7 || !s.EnableExecuteCommand || *c.MaximumPercent != 150 || *c.MinimumHealthyPercent != 0 || s.DesiredCount != 1 {
			t.Errorf("service is %+v", s)
		}
	}},
	{"UpdateService of a service that is not there", api + "UpdateService, errors", func(t *testing.T, w *world) {
		wantError(t, "ServiceNotFoundException", "Service not found.")(w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("absent")}))
		wantError(t, "ClusterNotFoundException", "Cluster not found.")(w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: new("absent"), Service: new("web")}))
	}},
	{"a service of CodeDeploy's refuses task definitions in AWS's words", guide + "update-service-parameters", func(t *testing.T, w *world) {
		definition := w.define(t, "nginx")
		w.create(t, definition, 1, func(in *ecs.CreateServiceInput) {
			in.DeploymentController = &types.DeploymentController{Type: types.DeploymentControllerTypeCodeDeploy}
		})
		wantError(t, "InvalidParameterException", "Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.")(
			w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("web"), TaskDefinition: &definition}))
	}},
	{"a service scales out and in, the newest or oldest stopped by the scheduler", guide + "stopped-task-error-codes, Scaling activity initiated by", func(t *testing.T, w *world) {
		id := *w.serving(t, "nginx", 3).Deployments[0].Id
		w.update(t, ecs.UpdateServiceInput{DesiredCount: new(int32(1))})
		task := w.stopped(t)
		if task.StopCode != types.TaskStopCodeServiceSchedulerInitiated || *task.StoppedReason != "Scaling activity initiated by (deployment "+id+")" {
			t.Errorf("task stopped as %s: %s", task.StopCode, *task.StoppedReason)
		}
	}},
	{"what a client reads of a service and writes back changes nothing", observed + "plans of Terraform are empty after an apply", readModifyWrite},
}
