package scheduler

import (
	"encoding/json"
	"slices"
	"time"
)

// Strategies of a deployment (DeploymentStrategy). The empty one is Rolling.
const (
	Rolling   = "ROLLING"
	BlueGreen = "BLUE_GREEN"
	Linear    = "LINEAR"
	Canary    = "CANARY"
)

// Lifecycle stages of a service deployment, in their order
// (ServiceDeploymentLifecycleStage; "Deployment lifecycle stages", Developer
// Guide).
const (
	StageReconcile      = "RECONCILE_SERVICE"
	StagePreScaleUp     = "PRE_SCALE_UP"
	StageScaleUp        = "SCALE_UP"
	StagePostScaleUp    = "POST_SCALE_UP"
	StageTest           = "TEST_TRAFFIC_SHIFT"
	StagePostTest       = "POST_TEST_TRAFFIC_SHIFT"
	StagePreProduction  = "PRE_PRODUCTION_TRAFFIC_SHIFT"
	StageProduction     = "PRODUCTION_TRAFFIC_SHIFT"
	StagePostProduction = "POST_PRODUCTION_TRAFFIC_SHIFT"
	StageBake           = "BAKE_TIME"
	StageCleanUp        = "CLEAN_UP"
)

// HookStages are the stages that a hook can be configured for.
var HookStages = []string{StageReconcile, StagePreScaleUp, StagePostScaleUp, StageTest, StagePostTest,
	StagePreProduction, StageProduction, StagePostProduction}

// A Plan is how the deployments of a service go, as its deployment
// configuration says. Times are AWS's; [Pace] divides them.
type Plan struct {
	Strategy string
	// Steps are the shifts of production traffic; the last one is to 100.
	Steps []Step
	// Bake is the time between the last shift and the end of the old
	// revision or, for Rolling, between the end of the old revision and the
	// success.
	Bake  time.Duration
	Hooks []Hook

	// Shifts says that ECS moves production traffic, by a load balancer or
	// Service Connect, and Tests that there is test traffic. Without either, a
	// deployment passes the stages all the same.
	Shifts, Tests bool

	Alarms         []string // names; empty: not watched
	AlarmsRollBack bool
}

// A Step brings production traffic to a percentage and leaves it there for a
// while.
type Step struct {
	Percent float64
	Bake    time.Duration
}

// Steps are the shifts of a strategy: everything at once, a share and then the
// rest, or equal shares. The time after a step is not spent after the last one
// (LinearConfiguration, CanaryConfiguration).
func Steps(strategy string, percent float64, bake time.Duration) []Step {
	last := Step{Percent: 100}
	switch {
	case strategy == Rolling || strategy == "":
		return nil
	case strategy == BlueGreen || percent >= 100 || percent <= 0:
		return []Step{last}
	case strategy == Canary:
		return []Step{{percent, bake}, last}
	}
	var steps []Step
	for n := 1; ; n++ {
		// In tenths, so that thirty steps of 3.3 do not add up to 98.99999.
		tenths := int(percent*10+0.5) * n
		if tenths >= 1000 {
			return append(steps, last)
		}
		steps = append(steps, Step{float64(tenths) / 10, bake})
	}
}

// rolling says whether tasks are replaced little by little, without traffic
// being shifted.
func (p Plan) rolling() bool { return p.Strategy == Rolling || p.Strategy == "" }

// eventful says whether a deployment has stages worth following: a plain
// rolling one has none.
func (p Plan) eventful() bool {
	return !p.rolling() || p.Bake > 0 || len(p.Hooks) > 0
}

// A Leg is one lifecycle stage on the way of a deployment.
type Leg struct {
	Stage   string
	Percent float64       // of the traffic that the stage shifts
	Bake    time.Duration // how long the stage lasts at least
}

// legs are the stages of a deployment. RECONCILE_SERVICE is one of them only
// when more than one revision is there already.
func (p Plan) legs(reconcile bool) []Leg {
	var legs []Leg
	if reconcile {
		legs = append(legs, Leg{Stage: StageReconcile})
	}
	legs = append(legs, Leg{Stage: StagePreScaleUp}, Leg{Stage: StageScaleUp}, Leg{Stage: StagePostScaleUp})
	if !p.rolling() {
		legs = append(legs, Leg{Stage: StageTest, Percent: 100}, Leg{Stage: StagePostTest})
		for _, step := range p.Steps {
			legs = append(legs, Leg{Stage: StagePreProduction}, Leg{StageProduction, step.Percent, step.Bake})
		}
		legs = append(legs, Leg{Stage: StagePostProduction})
	}
	if p.Bake > 0 || !p.rolling() {
		legs = append(legs, Leg{Stage: StageBake, Bake: p.Bake})
	}
	return append(legs, Leg{Stage: StageCleanUp})
}

// Types of a hook's target (DeploymentLifecycleHookTargetType).
const (
	HookLambda = "AWS_LAMBDA"
	HookPause  = "PAUSE"
)

// A Hook is a lifecycle hook of a service's configuration.
type Hook struct {
	Type    string // HookLambda or HookPause
	Target  string // ARN of the Lambda function
	Stages  []string
	Details json.RawMessage // hookDetails

	Timeout  time.Duration
	Continue bool // at the timeout the deployment goes on, instead of back
}

func (h Hook) at(stage string) bool { return slices.Contains(h.Stages, stage) }
