package cluster

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// viewCourse tells the stage that a service deployment is at, the hooks of that
// stage, and how the traffic is shared out.
func (s *service) viewCourse(v *types.ServiceDeployment, sd *scheduler.ServiceDeployment) {
	v.LifecycleHookDetails = []types.DeploymentLifecycleHookDetail{}
	c := sd.Course
	if c == nil {
		return
	}
	v.LifecycleStage = types.ServiceDeploymentLifecycleStage(c.Stage)
	for _, r := range c.Runs {
		v.LifecycleHookDetails = append(v.LifecycleHookDetails, hookDetail(r))
	}
	if !c.Plan.Shifts {
		return
	}
	weigh(v.TargetServiceRevision, c.Production, c.Test)
	blue := s.serving()
	for i := range v.SourceServiceRevisions {
		source := &v.SourceServiceRevisions[i]
		if has := blue != nil && *source.Arn == blue.arn; has && blue.arn != sd.Target && !sd.Ended() {
			weigh(source, 100-c.Production, 0)
			if c.Tested {
				weigh(source, 100-c.Production, 100-c.Test)
			}
			continue
		}
		weigh(source, 0, 0)
	}
	if back := sd.Rollback; back != nil && sd.Ended() {
		for i := range v.SourceServiceRevisions {
			if source := &v.SourceServiceRevisions[i]; *source.Arn == back.Revision {
				weigh(source, 100, 0)
			}
		}
	}
}

func weigh(v *types.ServiceRevisionSummary, production, test float64) {
	v.RequestedProductionTrafficWeight, v.RequestedTestTrafficWeight = &production, &test
}

func hookDetail(r *scheduler.HookRun) types.DeploymentLifecycleHookDetail {
	d := types.DeploymentLifecycleHookDetail{
		HookId: &r.ID, TargetType: types.DeploymentLifecycleHookTargetType(r.Type),
		Status: types.DeploymentLifecycleHookStatus(r.Status), ExpiresAt: at(r.Expires),
		TimeoutAction: types.DeploymentLifecycleHookActionRollback,
	}
	if r.Continue {
		d.TimeoutAction = types.DeploymentLifecycleHookActionContinue
	}
	if r.Target != "" {
		d.TargetArn = &r.Target
	}
	return d
}

// alarmsOf tells about the alarms that watch a service deployment.
func alarmsOf(sd *scheduler.ServiceDeployment) *types.ServiceDeploymentAlarms {
	a := sd.Alarms
	if a == nil {
		return &types.ServiceDeploymentAlarms{Status: types.ServiceDeploymentRollbackMonitorsStatusDisabled}
	}
	return &types.ServiceDeploymentAlarms{
		AlarmNames: a.Names, Status: types.ServiceDeploymentRollbackMonitorsStatus(a.Status), TriggeredAlarmNames: a.Triggered,
	}
}

// resolved tells which target groups a revision's tasks are in; nil when ECS
// does not choose them.
func resolved(r *revision) *types.ResolvedConfiguration {
	var list []types.ServiceRevisionLoadBalancer
	for i, lb := range r.input.LoadBalancers {
		if a := lb.AdvancedConfiguration; a != nil && i < len(r.groups) {
			list = append(list, types.ServiceRevisionLoadBalancer{
				TargetGroupArn: &r.groups[i], ProductionListenerRule: a.ProductionListenerRule,
			})
		}
	}
	if list == nil {
		return nil
	}
	return &types.ResolvedConfiguration{LoadBalancers: list}
}

// hookID is the form of a hook's id.
var hookID = regexp.MustCompile(`^ecs-[a-z]+-[A-Za-z0-9_-]+$`)

func (c *Cluster) continueServiceDeployment(_ context.Context, in *ecs.ContinueServiceDeploymentInput) (*ecs.ContinueServiceDeploymentOutput, error) {
	arn := deref(in.ServiceDeploymentArn)
	switch {
	case arn == "":
		return nil, invalid("serviceDeploymentArn cannot be empty.")
	case !hookID.MatchString(deref(in.HookId)):
		return nil, invalid("Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}")
	case in.Action != "" && !slices.Contains(in.Action.Values(), in.Action):
		return nil, invalid("Invalid action. Valid values are: CONTINUE, ROLLBACK")
	}
	ref := c.serviceDeployment(arn)
	if ref == nil {
		return nil, &types.ServiceDeploymentNotFoundException{Message: ptr("The service deployment does not exist.")}
	}
	back := in.Action == types.DeploymentLifecycleHookActionRollback
	switch err := ref.service.sched.Continue(ref.sd, *in.HookId, back, c.env()); {
	case errors.Is(err, scheduler.ErrEnded):
		return nil, client("Continuing a service deployment is not allowed for service deployment in terminal states.")
	case err != nil:
		return nil, invalid("Provided hookId is either completed, unavailable, or not associated with the given Resource ARN")
	}
	ref.service.dirty = true
	return &ecs.ContinueServiceDeploymentOutput{ServiceDeploymentArn: &arn}, nil
}
