package cluster

import (
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// Defaults of a deployment configuration (LinearConfiguration,
// CanaryConfiguration, DeploymentLifecycleHookTimeoutConfiguration, ECS API
// reference).
const (
	linearPercent = 10.0
	linearBake    = 6
	canaryPercent = 5.0
	canaryBake    = 10
	hookMinutes   = 1440
)

// alarmBake is the bake time of a rolling deployment that alarms watch and that
// has none of its own: AWS computes one of "less than 5 minutes" from the alarms.
const alarmBake = 3 * time.Minute

// setStrategyDefaults fills in what a strategy has when nothing is said, and
// drops what belongs to another one: a service that was switched keeps the
// members of before.
func setStrategyDefaults(cfg *types.DeploymentConfiguration) {
	switch cfg.Strategy {
	case types.DeploymentStrategyLinear:
		l := deref(cfg.LinearConfiguration)
		cfg.LinearConfiguration = &l
		fill(&l.StepPercent, linearPercent)
		fill(&l.StepBakeTimeInMinutes, linearBake)
	case types.DeploymentStrategyCanary:
		c := deref(cfg.CanaryConfiguration)
		cfg.CanaryConfiguration = &c
		fill(&c.CanaryPercent, canaryPercent)
		fill(&c.CanaryBakeTimeInMinutes, canaryBake)
	}
}

func fill[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}

// dropOther forgets what a service had for the strategy before.
func dropOther(cfg, asked *types.DeploymentConfiguration) {
	if cfg.Strategy != types.DeploymentStrategyLinear && asked.LinearConfiguration == nil {
		cfg.LinearConfiguration = nil
	}
	if cfg.Strategy != types.DeploymentStrategyCanary && asked.CanaryConfiguration == nil {
		cfg.CanaryConfiguration = nil
	}
}

// plan is what a service's settings say about how its deployments go.
func plan(in *ecs.CreateServiceInput) scheduler.Plan {
	cfg := in.DeploymentConfiguration
	p := scheduler.Plan{Strategy: string(cfg.Strategy), Bake: minutes(cfg.BakeTimeInMinutes)}
	switch cfg.Strategy {
	case types.DeploymentStrategyBlueGreen:
		p.Steps = scheduler.Steps(scheduler.BlueGreen, 100, 0)
	case types.DeploymentStrategyLinear:
		l := deref(cfg.LinearConfiguration)
		p.Steps = scheduler.Steps(scheduler.Linear, deref(l.StepPercent), minutes(l.StepBakeTimeInMinutes))
	case types.DeploymentStrategyCanary:
		c := deref(cfg.CanaryConfiguration)
		p.Steps = scheduler.Steps(scheduler.Canary, deref(c.CanaryPercent), minutes(c.CanaryBakeTimeInMinutes))
	}
	if a := cfg.Alarms; a != nil && a.Enable {
		p.Alarms, p.AlarmsRollBack = a.AlarmNames, a.Rollback
		if cfg.BakeTimeInMinutes == nil && !shiftsTraffic(cfg) {
			p.Bake = alarmBake
		}
	}
	for _, h := range cfg.LifecycleHooks {
		p.Hooks = append(p.Hooks, hook(h))
	}
	return p
}

// shiftsTraffic says whether the strategy is one that shifts traffic.
func shiftsTraffic(cfg *types.DeploymentConfiguration) bool {
	return cfg.Strategy != "" && cfg.Strategy != types.DeploymentStrategyRolling
}

func minutes(n *int32) time.Duration { return time.Duration(deref(n)) * time.Minute }

func hook(h types.DeploymentLifecycleHook) scheduler.Hook {
	k := scheduler.Hook{Type: hookType(h), Target: deref(h.HookTargetArn), Timeout: hookMinutes * time.Minute}
	for _, stage := range h.LifecycleStages {
		k.Stages = append(k.Stages, string(stage))
	}
	if t := h.TimeoutConfiguration; t != nil {
		k.Continue = t.Action == types.DeploymentLifecycleHookActionContinue
		if t.TimeoutInMinutes != nil {
			k.Timeout = minutes(t.TimeoutInMinutes)
		}
	}
	if h.HookDetails != nil {
		if b, err := h.HookDetails.MarshalSmithyDocument(); err == nil {
			k.Details = json.RawMessage(b) // it was decoded from JSON, and is encoded again
		}
	}
	return k
}

func hookType(h types.DeploymentLifecycleHook) string {
	if h.TargetType == "" {
		return scheduler.HookLambda
	}
	return string(h.TargetType)
}

// routing says which traffic a revision's deployment can shift: production
// traffic with load balancers or Service Connect, test traffic where a rule
// tells it apart.
func routing(in *ecs.CreateServiceInput) (production, test bool) {
	for _, lb := range in.LoadBalancers {
		if a := lb.AdvancedConfiguration; a != nil {
			production = true
			test = test || deref(a.TestListenerRule) != ""
		}
	}
	sc := in.ServiceConnectConfiguration
	if sc == nil || !sc.Enabled {
		return production, test
	}
	for _, service := range sc.Services {
		for _, alias := range service.ClientAliases {
			production = true
			test = test || alias.TestTrafficRules != nil
		}
	}
	return production, test
}
