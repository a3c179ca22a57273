package cluster

import (
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// Bounds of a deployment configuration (ECS API reference; Pause hooks, Developer
// Guide).
const (
	maxBake         = 1440 // minutes
	maxHooks        = 10   // of each type
	maxPauseMinutes = 20160
)

// checkStrategy refuses deployment strategies that cannot be carried out, with
// AWS's texts where they are published (Troubleshooting Amazon ECS blue/green
// deployments).
func checkStrategy(in *ecs.CreateServiceInput) error {
	cfg := in.DeploymentConfiguration
	if !slices.Contains(types.DeploymentStrategy("").Values(), cfg.Strategy) {
		return invalid("Invalid deployment strategy. Valid values are: ROLLING, BLUE_GREEN, LINEAR, CANARY")
	}
	if shiftsTraffic(cfg) {
		switch {
		case in.DeploymentController.Type != types.DeploymentControllerTypeEcs:
			return invalid("The deployment strategy %s is only supported with the ECS deployment controller.", cfg.Strategy)
		case in.SchedulingStrategy == types.SchedulingStrategyDaemon:
			return invalid("The deployment strategy %s is not supported with the DAEMON scheduling strategy.", cfg.Strategy)
		}
	}
	if a := cfg.Alarms; a != nil && a.Enable && len(a.AlarmNames) == 0 {
		return invalid("alarmNames cannot be empty when deployment alarms are enabled.")
	}
	if err := checkBakes(cfg); err != nil {
		return err
	}
	if err := checkHooks(cfg.LifecycleHooks); err != nil {
		return err
	}
	return checkAdvanced(cfg, in.LoadBalancers)
}

func checkBakes(cfg *types.DeploymentConfiguration) error {
	l, c := cfg.LinearConfiguration, cfg.CanaryConfiguration
	switch {
	case cfg.Strategy == types.DeploymentStrategyBlueGreen && cfg.BakeTimeInMinutes == nil:
		return invalid("bakeTimeInMinutes is required when using the BLUE_GREEN deployment strategy.")
	case outside(cfg.BakeTimeInMinutes):
		return invalid("bakeTimeInMinutes must be between 0 and %d.", maxBake)
	case l != nil && cfg.Strategy != types.DeploymentStrategyLinear:
		return invalid("linearConfiguration is only valid with the LINEAR deployment strategy.")
	case c != nil && cfg.Strategy != types.DeploymentStrategyCanary:
		return invalid("canaryConfiguration is only valid with the CANARY deployment strategy.")
	case l != nil && !percentage(l.StepPercent, 3):
		return invalid("stepPercent must be a multiple of 0.1 between 3.0 and 100.0.")
	case l != nil && outside(l.StepBakeTimeInMinutes):
		return invalid("stepBakeTimeInMinutes must be between 0 and %d.", maxBake)
	case c != nil && !percentage(c.CanaryPercent, 0.1):
		return invalid("canaryPercent must be a multiple of 0.1 between 0.1 and 100.0.")
	case c != nil && outside(c.CanaryBakeTimeInMinutes):
		return invalid("canaryBakeTimeInMinutes must be between 0 and %d.", maxBake)
	}
	return nil
}

func outside(n *int32) bool { return deref(n) < 0 || deref(n) > maxBake }

func percentage(p *float64, least float64) bool {
	tenths := deref(p) * 10
	return deref(p) >= least && deref(p) <= 100 && math.Abs(tenths-math.Round(tenths)) < 1e-6
}

func checkHooks(hooks []types.DeploymentLifecycleHook) error {
	count := map[string]int{}
	for _, h := range hooks {
		kind := hookType(h)
		if count[kind]++; count[kind] > maxHooks {
			return invalid("A service can have at most %d lifecycle hooks of the target type %s.", maxHooks, kind)
		}
		if err := checkHook(h); err != nil {
			return err
		}
	}
	return nil
}

func checkHook(h types.DeploymentLifecycleHook) error {
	longest := int32(hookMinutes)
	switch kind := hookType(h); {
	case kind != scheduler.HookLambda && kind != scheduler.HookPause:
		return invalid("Invalid targetType. Valid values are: AWS_LAMBDA, PAUSE")
	case len(h.LifecycleStages) == 0:
		return invalid("lifecycleStages cannot be empty for a lifecycle hook.")
	case kind == scheduler.HookPause:
		longest = maxPauseMinutes
		if h.HookTargetArn != nil || h.RoleArn != nil {
			return invalid("hookTargetArn and roleArn are not allowed for Pause Hook")
		}
	case !strings.HasPrefix(deref(h.HookTargetArn), "arn:aws:lambda:"):
		return invalid("hookTargetArn must be the ARN of a Lambda function.")
	case deref(h.RoleArn) == "":
		return invalid("roleArn is required for a lifecycle hook with the target type AWS_LAMBDA.")
	}
	for _, stage := range h.LifecycleStages {
		if hookType(h) == scheduler.HookPause && (stage == scheduler.StageTest || stage == scheduler.StageProduction) {
			return invalid("Invalid lifecycle stage provided for Pause Hook")
		}
		if !slices.Contains(scheduler.HookStages, string(stage)) {
			return invalid("Invalid lifecycle stage: %s", stage)
		}
	}
	t := h.TimeoutConfiguration
	if t != nil && t.TimeoutInMinutes != nil && (*t.TimeoutInMinutes < 1 || *t.TimeoutInMinutes > longest) {
		return invalid("timeoutInMinutes must be between 1 and %d.", longest)
	}
	if t != nil && t.Action != "" && !slices.Contains(t.Action.Values(), t.Action) {
		return invalid("Invalid timeout action. Valid values are: ROLLBACK, CONTINUE")
	}
	return nil
}

// strategyNames are those that AWS's messages have.
var strategyNames = map[types.DeploymentStrategy]string{
	types.DeploymentStrategyBlueGreen: "Blue/green",
	types.DeploymentStrategyLinear:    "linear",
	types.DeploymentStrategyCanary:    "canary",
}

// checkAdvanced looks at what a strategy needs of the load balancers.
func checkAdvanced(cfg *types.DeploymentConfiguration, lbs []types.LoadBalancer) error {
	advanced, seen := 0, map[string]bool{}
	for _, lb := range lbs {
		group := deref(lb.TargetGroupArn)
		if group != "" && seen[group] && shiftsTraffic(cfg) {
			return client("Duplicate targetGroupArn found: %s", group)
		}
		seen[group] = true
		if lb.AdvancedConfiguration == nil {
			continue
		}
		advanced++
		if deref(lb.LoadBalancerName) != "" {
			return client("advancedConfiguration field is not allowed with ELBv1 loadBalancers")
		}
		if err := checkRules(lb.AdvancedConfiguration); err != nil {
			return err
		}
	}
	switch {
	case shiftsTraffic(cfg) && advanced < len(lbs):
		return client("advancedConfiguration field is required for all loadBalancers when using the %s deployment strategy", strategyNames[cfg.Strategy])
	case advanced > 0 && advanced < len(lbs):
		return client("Either all or none of the provided loadBalancers must have advancedConfiguration defined")
	}
	return nil
}

func checkRules(a *types.AdvancedConfiguration) error {
	production, test := deref(a.ProductionListenerRule), deref(a.TestListenerRule)
	for _, rule := range []struct{ member, arn string }{{"productionListenerRule", production}, {"testListenerRule", test}} {
		if rule.arn != "" && !ruleARN(rule.arn) {
			return client("%s has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: %s", rule.member, rule.arn)
		}
	}
	switch {
	case deref(a.AlternateTargetGroupArn) == "":
		return client("alternateTargetGroupArn is required in advancedConfiguration")
	case production == "":
		return client("productionListenerRule is required in advancedConfiguration")
	case deref(a.RoleArn) == "":
		return client("roleArn is required in advancedConfiguration")
	case production == test:
		return client("The following rules cannot be used as both production and test listener rules: %s", production)
	}
	return nil
}

// ruleARN says whether an ARN is one of a rule of an Application Load Balancer or
// of a listener of a Network Load Balancer.
func ruleARN(arn string) bool {
	_, resource, _ := strings.Cut(arn, ":elasticloadbalancing:")
	return strings.Contains(resource, ":listener-rule/app/") || strings.Contains(resource, ":listener/net/")
}
