package cluster

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// hooked is a configuration with one hook.
func hooked(change func(h *types.DeploymentLifecycleHook)) types.DeploymentConfiguration {
	h := pause("PRE_SCALE_UP")
	change(&h)
	return blueGreen(h)
}

// unbalanced changes the load balancer of a blue/green service.
func unbalanced(change func(lb *types.LoadBalancer)) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) {
		balanced(in)
		configured(blueGreen())(in)
		change(&in.LoadBalancers[0])
	}
}

func TestAPI_refuses_strategies_that_cannot_be_carried_out(t *testing.T) {
	const wrong, clientSide = "InvalidParameterException", "ClientException"
	listener := elb + "listener/app/web/0000000000000003/0000000000000004"
	for name, c := range map[string]struct {
		change     func(*ecs.CreateServiceInput)
		code, text string
	}{
		"an unknown strategy":     {configured(types.DeploymentConfiguration{Strategy: "SPIRAL"}), wrong, "Invalid deployment strategy"},
		"no bake time":            {configured(types.DeploymentConfiguration{Strategy: "BLUE_GREEN"}), wrong, "bakeTimeInMinutes is required"},
		"a bake time of two days": {configured(types.DeploymentConfiguration{BakeTimeInMinutes: aws.Int32(2880)}), wrong, "between 0 and 1440"},
		"steps too small":         {configured(types.DeploymentConfiguration{Strategy: "LINEAR", LinearConfiguration: &types.LinearConfiguration{StepPercent: aws.Float64(2)}}), wrong, "between 3.0 and 100.0"},
		"hundredths":              {configured(types.DeploymentConfiguration{Strategy: "CANARY", CanaryConfiguration: &types.CanaryConfiguration{CanaryPercent: aws.Float64(2.55)}}), wrong, "multiple of 0.1"},
		"canary with steps":       {configured(types.DeploymentConfiguration{Strategy: "CANARY", LinearConfiguration: &types.LinearConfiguration{}}), wrong, "only valid with the LINEAR"},
		"alarms without names":    {configured(types.DeploymentConfiguration{Alarms: &types.DeploymentAlarms{AlarmNames: []string{}, Enable: true}}), wrong, "alarmNames cannot be empty"},
		"a daemon": {func(in *ecs.CreateServiceInput) {
			configured(blueGreen())(in)
			in.SchedulingStrategy, in.DesiredCount = types.SchedulingStrategyDaemon, nil
		}, wrong, "DAEMON"},
		"another controller": {func(in *ecs.CreateServiceInput) {
			configured(blueGreen())(in)
			in.DeploymentController = &types.DeploymentController{Type: types.DeploymentControllerTypeCodeDeploy}
		}, wrong, "ECS deployment controller"},

		"a hook of no type":         {configured(hooked(func(h *types.DeploymentLifecycleHook) { h.TargetType = "SNS" })), wrong, "Invalid targetType. Valid values are: AWS_LAMBDA, PAUSE"},
		"a hook at no stage":        {configured(hooked(func(h *types.DeploymentLifecycleHook) { h.LifecycleStages = nil })), wrong, "lifecycleStages cannot be empty"},
		"a hook in the bake":        {configured(hooked(func(h *types.DeploymentLifecycleHook) { h.LifecycleStages[0] = "BAKE_TIME" })), wrong, "Invalid lifecycle stage"},
		"a pause within the shift":  {configured(hooked(func(h *types.DeploymentLifecycleHook) { h.LifecycleStages[0] = "PRODUCTION_TRAFFIC_SHIFT" })), wrong, "Invalid lifecycle stage provided for Pause Hook"},
		"a pause with a function":   {configured(hooked(func(h *types.DeploymentLifecycleHook) { h.HookTargetArn = aws.String(lambda) })), wrong, "not allowed for Pause Hook"},
		"a function without a name": {configured(hooked(func(h *types.DeploymentLifecycleHook) { h.TargetType = "" })), wrong, "hookTargetArn"},
		"a function without a role": {configured(hooked(func(h *types.DeploymentLifecycleHook) { h.TargetType, h.HookTargetArn = "", aws.String(lambda) })), wrong, "roleArn is required"},
		"a pause of three weeks": {configured(hooked(func(h *types.DeploymentLifecycleHook) {
			h.TimeoutConfiguration = &types.DeploymentLifecycleHookTimeoutConfiguration{TimeoutInMinutes: aws.Int32(30240)}
		})), wrong, "between 1 and 20160"},
		"a timeout that stays": {configured(hooked(func(h *types.DeploymentLifecycleHook) {
			h.TimeoutConfiguration = &types.DeploymentLifecycleHookTimeoutConfiguration{Action: "STAY"}
		})), wrong, "Invalid timeout action"},
		"eleven pauses": {configured(blueGreen(slices.Repeat([]types.DeploymentLifecycleHook{pause("PRE_SCALE_UP")}, 11)...)), wrong, "at most 10"},

		"no advanced configuration": {unbalanced(func(lb *types.LoadBalancer) { lb.AdvancedConfiguration = nil }), clientSide,
			"advancedConfiguration field is required for all loadBalancers when using the Blue/green deployment strategy"},
		"a listener for a rule": {unbalanced(func(lb *types.LoadBalancer) { lb.AdvancedConfiguration.ProductionListenerRule = &listener }), clientSide,
			"productionListenerRule has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: " + listener},
		"one rule for both": {unbalanced(func(lb *types.LoadBalancer) { lb.AdvancedConfiguration.TestListenerRule = aws.String(prodRule) }), clientSide,
			"The following rules cannot be used as both production and test listener rules: " + prodRule},
		"no other target group": {unbalanced(func(lb *types.LoadBalancer) { lb.AdvancedConfiguration.AlternateTargetGroupArn = nil }), clientSide, "alternateTargetGroupArn is required"},
		"no rule":               {unbalanced(func(lb *types.LoadBalancer) { lb.AdvancedConfiguration.ProductionListenerRule = nil }), clientSide, "productionListenerRule is required"},
		"no role":               {unbalanced(func(lb *types.LoadBalancer) { lb.AdvancedConfiguration.RoleArn = nil }), clientSide, "roleArn is required"},
		"a classic load balancer": {unbalanced(func(lb *types.LoadBalancer) { lb.LoadBalancerName = aws.String("old") }), clientSide,
			"advancedConfiguration field is not allowed with ELBv1 loadBalancers"},
		"the same target group twice": {func(in *ecs.CreateServiceInput) {
			balanced(in)
			configured(blueGreen())(in)
			in.LoadBalancers = append(in.LoadBalancers, in.LoadBalancers[0])
		}, clientSide, "Duplicate targetGroupArn found: " + blueTG},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				ctx := context.Background()
				must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("prod")}))
				definition := w.register(listening("web:1"))
				in := &ecs.CreateServiceInput{
					Cluster: aws.String("prod"), ServiceName: aws.String("web"), TaskDefinition: &definition,
					DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network,
				}
				c.change(in)
				_, err := w.ecs.CreateService(ctx, in)
				wantError(t, err, c.code, c.text)
			})
		})
	}
}

func TestAPI_UpdateService_switches_the_strategy(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		w.create(w.register(listening("web:1")))
		change := func(cfg types.DeploymentConfiguration, lbs ...types.LoadBalancer) (types.DeploymentConfiguration, error) {
			out, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{
				Cluster: aws.String("prod"), Service: aws.String("web"), DeploymentConfiguration: &cfg, LoadBalancers: lbs,
			})
			if err != nil {
				return types.DeploymentConfiguration{}, err
			}
			return *out.Service.DeploymentConfiguration, nil
		}
		got := must(change(types.DeploymentConfiguration{Strategy: types.DeploymentStrategyCanary}))
		if c := got.CanaryConfiguration; c == nil || *c.CanaryPercent != 5 || *c.CanaryBakeTimeInMinutes != 10 {
			t.Errorf("the defaults of a canary are %+v", c)
		}
		got = must(change(types.DeploymentConfiguration{Strategy: types.DeploymentStrategyLinear}))
		if l := got.LinearConfiguration; l == nil || *l.StepPercent != 10 || *l.StepBakeTimeInMinutes != 6 || got.CanaryConfiguration != nil {
			t.Errorf("the configuration is %+v", got)
		}
		_, err := change(types.DeploymentConfiguration{Strategy: types.DeploymentStrategyRolling, CanaryConfiguration: &types.CanaryConfiguration{}})
		wantError(t, err, "InvalidParameterException", "only valid with the CANARY")

		// A load balancer that comes later needs what the strategy needs.
		var in ecs.CreateServiceInput
		balanced(&in)
		in.LoadBalancers[0].AdvancedConfiguration = nil
		_, err = change(types.DeploymentConfiguration{}, in.LoadBalancers...)
		wantError(t, err, "ClientException", "advancedConfiguration field is required for all loadBalancers when using the linear deployment strategy")
		if got := w.service().LoadBalancers; len(got) != 0 {
			t.Errorf("a refused update left load balancers %v", got)
		}
	})
}

func TestAPI_StopServiceDeployment_only_rolls_back(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")), configured(blueGreen(pause("PRE_SCALE_UP"))))
		w.pass(1)
		_, err := w.ecs.StopServiceDeployment(context.Background(), &ecs.StopServiceDeploymentInput{
			ServiceDeploymentArn: w.deployments()[0].ServiceDeploymentArn, StopType: types.StopServiceDeploymentStopTypeAbort,
		})
		wantError(t, err, "UnsupportedFeatureException", "ABORT")
	})
}
