package cluster

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// view is the service as DescribeServices and its relatives tell it.
func (c *Cluster) view(s *service, tags bool) types.Service {
	in, r := &s.settings, s.current()
	v := types.Service{
		ServiceArn: &s.arn, ServiceName: &s.name, ClusterArn: &s.cluster.arn, Status: &s.status,
		CreatedAt: &s.created, CreatedBy: ptr("arn:aws:iam::" + c.cfg.Account + ":root"),
		DesiredCount:                  deref(in.DesiredCount),
		SchedulingStrategy:            in.SchedulingStrategy,
		DeploymentController:          in.DeploymentController,
		DeploymentConfiguration:       in.DeploymentConfiguration,
		AvailabilityZoneRebalancing:   in.AvailabilityZoneRebalancing,
		HealthCheckGracePeriodSeconds: in.HealthCheckGracePeriodSeconds,
		EnableECSManagedTags:          in.EnableECSManagedTags,
		EnableExecuteCommand:          in.EnableExecuteCommand,
		PropagateTags:                 in.PropagateTags,
		PlacementConstraints:          orEmpty(in.PlacementConstraints),
		PlacementStrategy:             orEmpty(in.PlacementStrategy),
		RoleArn:                       in.Role,
		Deployments:                   []types.Deployment{},
		Events:                        []types.ServiceEvent{},
		LoadBalancers:                 []types.LoadBalancer{},
		ServiceRegistries:             []types.ServiceRegistry{},
	}
	if r != nil {
		v.TaskDefinition = &r.def.ARN
		v.LaunchType, v.CapacityProviderStrategy = launch(*in)
		v.NetworkConfiguration = r.input.NetworkConfiguration
		v.LoadBalancers = orEmpty(r.input.LoadBalancers)
		v.ServiceRegistries = orEmpty(r.input.ServiceRegistries)
		if v.PlatformVersion, v.PlatformFamily = platformOf(r); v.PlatformVersion != nil {
			v.PlatformVersion = givenVersion(r.input.PlatformVersion) // its deployments say what that is
		}
	}
	if tags {
		v.Tags = orEmpty(s.tags)
	}
	if s.sched != nil {
		c.viewScheduled(&v, s)
	} else {
		v.TaskSets = s.taskSets()
	}
	return v
}

func (c *Cluster) viewScheduled(v *types.Service, s *service) {
	n := s.sched.Count("")
	v.RunningCount, v.PendingCount = int32(n.Running), int32(n.Pending)
	for _, d := range s.sched.Deployments {
		v.Deployments = append(v.Deployments, s.viewDeployment(d))
		n := s.sched.Count(d.ID)
		v.CurrentServiceRevisions = append(v.CurrentServiceRevisions, types.ServiceCurrentRevisionSummary{
			Arn: &d.Revision, RequestedTaskCount: int32(n.Desired),
			PendingTaskCount: int32(n.Pending), RunningTaskCount: int32(n.Running),
		})
	}
	if sd := s.sched.Current(); sd != nil {
		v.CurrentServiceDeployment = ptr(c.arns.serviceDeployment(s.cluster.name, s.name, sd.ID))
	}
	for _, e := range slices.Backward(s.sched.Events) {
		v.Events = append(v.Events, types.ServiceEvent{Id: &e.ID, CreatedAt: &e.At, Message: &e.Message})
	}
}

func (s *service) viewDeployment(d *scheduler.Deployment) types.Deployment {
	r, n := s.revisions[d.Revision], s.sched.Count(d.ID)
	v := types.Deployment{
		Id: &d.ID, Status: ptr(s.sched.Status(d)), TaskDefinition: &r.def.ARN,
		DesiredCount: int32(n.Desired), PendingCount: int32(n.Pending), RunningCount: int32(n.Running),
		FailedTasks: int32(d.FailedTasks), CreatedAt: &d.Created, UpdatedAt: &d.Updated,
		RolloutState: types.DeploymentRolloutState(d.Rollout), RolloutStateReason: &d.Reason,
		LaunchType: r.input.LaunchType, CapacityProviderStrategy: r.input.CapacityProviderStrategy,
		NetworkConfiguration: r.input.NetworkConfiguration,
		VolumeConfigurations: r.input.VolumeConfigurations, ServiceConnectConfiguration: r.input.ServiceConnectConfiguration,
		VpcLatticeConfigurations: r.input.VpcLatticeConfigurations,
	}
	v.PlatformVersion, v.PlatformFamily = platformOf(r)
	return v
}

// taskSets are what a service has instead of deployments when another
// controller than ECS deploys it.
func (s *service) taskSets() []types.TaskSet {
	r := s.current()
	if r == nil {
		return []types.TaskSet{}
	}
	number := r.arn[len(r.arn)-19:]
	return []types.TaskSet{{
		Id: ptr("ecs-svc/" + number), Status: ptr("PRIMARY"), StabilityStatus: types.StabilityStatusSteadyState,
		TaskSetArn:           ptr(s.arns.taskSet(s.cluster.name, s.name, number)),
		TaskDefinition:       &r.def.ARN,
		ClusterArn:           &s.cluster.arn,
		ServiceArn:           &s.arn,
		LaunchType:           r.input.LaunchType,
		NetworkConfiguration: r.input.NetworkConfiguration,
		LoadBalancers:        orEmpty(r.input.LoadBalancers),
		Scale:                &types.Scale{Unit: types.ScaleUnitPercent, Value: 100},
		CreatedAt:            &r.created, UpdatedAt: &r.created, StabilityStatusAt: &r.created,
	}}
}

// platformOf is the platform version and family of a revision on Fargate.
func platformOf(r *revision) (version, family *string) {
	if !onFargate(r.input.LaunchType, r.input.CapacityProviderStrategy) {
		return nil, nil
	}
	return ptr(platformVersion(r.input.PlatformVersion)), ptr(platformFamily(r.def))
}

// platformVersion is the version that LATEST stands for, or the one given.
func platformVersion(given *string) string {
	if v := *givenVersion(given); v != latest {
		return v
	}
	return "1.4.0"
}

const latest = "LATEST"

// givenVersion is the platform version that was asked for: LATEST when nothing was
// said.
func givenVersion(v *string) *string {
	if deref(v) == "" {
		return ptr(latest)
	}
	return v
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
