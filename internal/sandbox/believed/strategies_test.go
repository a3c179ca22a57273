package believed

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// blueGreen is a strategy with hooks, as CreateService takes it.
func blueGreen(hooks ...types.DeploymentLifecycleHook) *types.DeploymentConfiguration {
	return &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: new(int32(5)), LifecycleHooks: hooks}
}

func pauseAt(stage types.DeploymentLifecycleHookStage) types.DeploymentLifecycleHook {
	return types.DeploymentLifecycleHook{
		TargetType: types.DeploymentLifecycleHookTargetTypePause, LifecycleStages: []types.DeploymentLifecycleHookStage{stage},
	}
}

// paused is a service whose deployment of a second revision waits at a pause hook.
func (w *world) paused(t *testing.T, stage types.DeploymentLifecycleHookStage) (types.ServiceDeployment, types.DeploymentLifecycleHookDetail) {
	t.Helper()
	w.serving(t, "nginx", 1)
	w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "nginx:2")), DeploymentConfiguration: blueGreen(pauseAt(stage))})
	var d types.ServiceDeployment
	await(t, "AWAITING_ACTION", func() bool {
		d = w.serviceDeployments(t)[0]
		return len(d.LifecycleHookDetails) == 1 && d.LifecycleHookDetails[0].Status == types.DeploymentLifecycleHookStatusAwaitingAction
	})
	return d, d.LifecycleHookDetails[0]
}

func (w *world) goOn(t *testing.T, d types.ServiceDeployment, hook *string, action types.DeploymentLifecycleHookAction) (any, error) {
	return w.ecs.ContinueServiceDeployment(t.Context(), &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, HookId: hook, Action: action})
}

func (w *world) ended(t *testing.T, status types.ServiceDeploymentStatus) types.ServiceDeployment {
	t.Helper()
	await(t, string(status), func() bool { return w.serviceDeployments(t)[0].Status == status })
	return w.serviceDeployments(t)[0]
}

var strategies = []behaviour{
	{"both revisions run in full until the bake time is over", guide + "blue-green-deployment-how-it-works, BAKE_TIME", func(t *testing.T, w *world) {
		w.paused(t, types.DeploymentLifecycleHookStagePostProductionTrafficShift)
		running := map[string]int{}
		for _, task := range w.tasks(t, types.DesiredStatusRunning) {
			running[*task.TaskDefinitionArn]++
		}
		if len(running) != 2 {
			t.Errorf("tasks of %v run, want of both revisions", running)
		}
	}},
	{"a pause hook shows its id, when it expires and what then", guide + "pause-lifecycle-hooks", func(t *testing.T, w *world) {
		d, h := w.paused(t, types.DeploymentLifecycleHookStagePostTestTrafficShift)
		if !strings.HasPrefix(*h.HookId, "ecs-pause-") || h.TargetType != types.DeploymentLifecycleHookTargetTypePause || h.TargetArn != nil ||
			h.ExpiresAt == nil || h.TimeoutAction != types.DeploymentLifecycleHookActionRollback || d.LifecycleStage != types.ServiceDeploymentLifecycleStagePostTestTrafficShift {
			t.Errorf("at %s the hook is %+v", d.LifecycleStage, h)
		}
	}},
	{"a deployment that is continued ends well, and cannot be continued again", guide + "continue-service-deployment, troubleshooting-blue-green", func(t *testing.T, w *world) {
		d, h := w.paused(t, types.DeploymentLifecycleHookStagePreScaleUp)
		must(w.goOn(t, d, h.HookId, ""))(t)
		wantError(t, "InvalidParameterException", "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN")(w.goOn(t, d, h.HookId, ""))
		w.ended(t, types.ServiceDeploymentStatusSuccessful)
		_, err := w.goOn(t, d, h.HookId, "")
		if err == nil || !strings.Contains(err.Error(), "Continuing a service deployment is not allowed for service deployment in terminal states.") {
			t.Errorf("continuing what has ended: %v", err)
		}
	}},
	{"a hook's id has a form", guide + "troubleshooting-blue-green", func(t *testing.T, w *world) {
		d, _ := w.paused(t, types.DeploymentLifecycleHookStagePreScaleUp)
		wantError(t, "InvalidParameterException", "Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}")(w.goOn(t, d, new("mine"), ""))
	}},
	{"a pause that is rolled back brings the old revision back", guide + "pause-lifecycle-hooks, ROLLBACK", func(t *testing.T, w *world) {
		d, h := w.paused(t, types.DeploymentLifecycleHookStagePostProductionTrafficShift)
		must(w.goOn(t, d, h.HookId, types.DeploymentLifecycleHookActionRollback))(t)
		d = w.ended(t, types.ServiceDeploymentStatusRollbackSuccessful)
		if *d.Rollback.ServiceRevisionArn != *d.SourceServiceRevisions[0].Arn {
			t.Errorf("rolled back to %s, want %s", *d.Rollback.ServiceRevisionArn, *d.SourceServiceRevisions[0].Arn)
		}
	}},
	{"pause hooks cannot be at the shifts of traffic", guide + "troubleshooting-blue-green", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		in := &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("web"), DeploymentConfiguration: blueGreen(pauseAt(types.DeploymentLifecycleHookStageProductionTrafficShift))}
		wantError(t, "InvalidParameterException", "Invalid lifecycle stage provided for Pause Hook")(w.ecs.UpdateService(t.Context(), in))
	}},
	{"blue/green counts for the circuit breaker", observed + "terraform-provider-aws, TestAccECSService_BlueGreenDeployment_circuitBreakerRollback", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.serving(t, "nginx", 1)
		cfg := blueGreen()
		cfg.DeploymentCircuitBreaker = &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "bad")), DeploymentConfiguration: cfg})
		d := w.ended(t, types.ServiceDeploymentStatusRollbackSuccessful)
		if got := aws.ToString(d.StatusReason); got != "Service deployment rolled back because the circuit breaker threshold was exceeded." {
			t.Errorf("the reason is %q", got)
		}
	}},
	{"a first deployment that fails has nothing to go back to", observed + "a service that could not be created: No rollback candidate was found", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx"), 1, func(in *ecs.CreateServiceInput) { in.DeploymentConfiguration = blueGreen(pauseAt("PRE_SCALE_UP")) })
		var d types.ServiceDeployment
		await(t, "a pause", func() bool { d = w.serviceDeployments(t)[0]; return len(d.LifecycleHookDetails) == 1 })
		must(w.goOn(t, d, d.LifecycleHookDetails[0].HookId, types.DeploymentLifecycleHookActionRollback))(t)
		if got := aws.ToString(w.ended(t, types.ServiceDeploymentStatusRollbackFailed).StatusReason); got != "No rollback candidate was found to run the rollback." {
			t.Errorf("the reason is %q", got)
		}
	}},
	{"a strategy's load balancers want an advanced configuration", observed + "terraform-aws-modules/terraform-aws-ecs issue 377", func(t *testing.T, w *world) {
		group, _ := w.balanced(t)
		definition := w.define(t, "nginx", listening)
		in := service(definition, 1)
		behind(group)(in)
		in.DeploymentConfiguration = &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyLinear}
		wantError(t, "ClientException", "advancedConfiguration field is required for all loadBalancers when using the linear deployment strategy")(w.ecs.CreateService(t.Context(), in))
	}},
	{"linear and canary have defaults", api + "LinearConfiguration, CanaryConfiguration", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		l := w.update(t, ecs.UpdateServiceInput{DeploymentConfiguration: &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyLinear}}).DeploymentConfiguration.LinearConfiguration
		c := w.update(t, ecs.UpdateServiceInput{DeploymentConfiguration: &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyCanary}}).DeploymentConfiguration.CanaryConfiguration
		if l == nil || *l.StepPercent != 10 || *l.StepBakeTimeInMinutes != 6 || c == nil || *c.CanaryPercent != 5 || *c.CanaryBakeTimeInMinutes != 10 {
			t.Errorf("linear is %+v, canary %+v", l, c)
		}
	}},
}
