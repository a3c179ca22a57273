package cluster

import (
	"cmp"
	"context"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
)

func (c *Cluster) updateService(_ context.Context, in *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
	s, err := c.service(deref(in.Cluster), deref(in.Service))
	switch {
	case err != nil:
		return nil, err
	case s.status != "ACTIVE":
		return nil, serviceNotActive()
	}
	if err := s.checkController(in); err != nil {
		return nil, err
	}
	settings := mergeSettings(s.settings, in)
	if err := checkConfiguration(settings.DeploymentConfiguration); err != nil {
		return nil, err
	}
	if err := checkCount(settings.DesiredCount); err != nil {
		return nil, err
	}
	r, err := c.nextRevision(s, in, settings)
	if err != nil {
		return nil, err
	}
	if err := s.checkUpdate(settings, r); err != nil {
		return nil, err
	}
	s.settings = settings
	if s.sched != nil {
		s.configure()
		if r != nil {
			s.deploy(r, c.env())
		}
	}
	return &ecs.UpdateServiceOutput{Service: ptr(c.view(s, true))}, nil
}

// checkUpdate looks at the deployment strategy with the load balancers that the
// next deployment would have.
func (s *service) checkUpdate(settings ecs.CreateServiceInput, next *revision) error {
	if next == nil {
		next = s.current()
	}
	if next != nil {
		settings.LoadBalancers = next.input.LoadBalancers
	}
	return checkStrategy(&settings)
}

// checkController refuses what only the ECS deployment controller can do.
func (s *service) checkController(in *ecs.UpdateServiceInput) error {
	controller := s.settings.DeploymentController.Type
	if in.DeploymentController != nil && in.DeploymentController.Type != controller {
		return unsupported("Changing the deployment controller of a service is not supported here.")
	}
	deploys := in.TaskDefinition != nil || in.ForceNewDeployment || in.NetworkConfiguration != nil ||
		in.PlatformVersion != nil || in.LoadBalancers != nil
	switch {
	case !deploys || controller == types.DeploymentControllerTypeEcs:
		return nil
	case controller == types.DeploymentControllerTypeCodeDeploy:
		return invalid("Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment.")
	}
	return invalid("Unable to update task definition on services with an EXTERNAL deployment controller. Use CreateTaskSet to trigger a new deployment.")
}

// mergeSettings are the service's settings after an update: what the request
// does not say stays as it is.
func mergeSettings(old ecs.CreateServiceInput, in *ecs.UpdateServiceInput) ecs.CreateServiceInput {
	s := old
	overwrite(&s.DesiredCount, in.DesiredCount)
	overwrite(&s.HealthCheckGracePeriodSeconds, in.HealthCheckGracePeriodSeconds)
	if s.SchedulingStrategy == types.SchedulingStrategyDaemon {
		s.DesiredCount = old.DesiredCount
	}
	if in.EnableECSManagedTags != nil {
		s.EnableECSManagedTags = *in.EnableECSManagedTags
	}
	overlist(&s.CapacityProviderStrategy, in.CapacityProviderStrategy)
	if in.EnableExecuteCommand != nil {
		s.EnableExecuteCommand = *in.EnableExecuteCommand
	}
	if in.AvailabilityZoneRebalancing != "" {
		s.AvailabilityZoneRebalancing = in.AvailabilityZoneRebalancing
	}
	if in.PropagateTags != "" {
		s.PropagateTags = in.PropagateTags
	}
	if in.PlacementConstraints != nil {
		s.PlacementConstraints = in.PlacementConstraints
	}
	if in.PlacementStrategy != nil {
		s.PlacementStrategy = in.PlacementStrategy
	}
	if in.DeploymentConfiguration != nil {
		s.DeploymentConfiguration = mergeConfiguration(*old.DeploymentConfiguration, *in.DeploymentConfiguration)
		dropOther(s.DeploymentConfiguration, in.DeploymentConfiguration)
		setStrategyDefaults(s.DeploymentConfiguration)
	}
	return s
}

// mergeConfiguration keeps every member that the update does not have.
func mergeConfiguration(old, in types.DeploymentConfiguration) *types.DeploymentConfiguration {
	merged := reflect.ValueOf(&old).Elem()
	given := reflect.ValueOf(in)
	for i := range merged.NumField() {
		if f := given.Field(i); merged.Type().Field(i).IsExported() && !f.IsZero() {
			merged.Field(i).Set(f)
		}
	}
	return &old
}

func overwrite[T any](p **T, v *T) {
	if v != nil {
		*p = v
	}
}

// nextRevision is the service revision that an update asks for, or nil when it
// asks for no deployment: one begins when something that a revision holds
// changes, or by force.
func (c *Cluster) nextRevision(s *service, in *ecs.UpdateServiceInput, settings ecs.CreateServiceInput) (*revision, error) {
	if s.sched == nil {
		return nil, nil
	}
	now := s.current()
	def, err := c.wantedDefinition(now, in)
	if err != nil {
		return nil, err
	}
	input := now.input
	overwrite(&input.NetworkConfiguration, in.NetworkConfiguration)
	if v := in.PlatformVersion; v != nil && *v != *givenVersion(now.input.PlatformVersion) {
		input.PlatformVersion = v
	}
	overwrite(&input.ServiceConnectConfiguration, in.ServiceConnectConfiguration)
	overlist(&input.LoadBalancers, in.LoadBalancers)
	overlist(&input.ServiceRegistries, in.ServiceRegistries)
	overlist(&input.VolumeConfigurations, in.VolumeConfigurations)
	overlist(&input.VpcLatticeConfigurations, in.VpcLatticeConfigurations)
	overlist(&input.GatewayConnectors, in.GatewayConnectors)
	overwrite(&input.Monitoring, in.Monitoring)
	changed := def != now.def || !reflect.DeepEqual(input, now.input)
	input.LaunchType, input.CapacityProviderStrategy = launch(settings)
	if !changed && !in.ForceNewDeployment {
		return nil, nil
	}
	if err := checkPlacement(def, &input); err != nil {
		return nil, err
	}
	if err := c.checkTargets(def, &input); err != nil {
		return nil, err
	}
	return s.newRevision(def, input, c.cfg.Now()), nil
}

// launch is where the next deployment of a service runs: a capacity provider
// strategy, which takes effect with the next deployment, goes before the launch
// type that the service was made with. An empty one leads back to that.
func launch(settings ecs.CreateServiceInput) (types.LaunchType, []types.CapacityProviderStrategyItem) {
	if len(settings.CapacityProviderStrategy) > 0 {
		return "", settings.CapacityProviderStrategy
	}
	return cmp.Or(settings.LaunchType, types.LaunchTypeEc2), nil
}

// wantedDefinition is the task definition that the update asks for. One that
// was deregistered cannot be asked for, but a service that runs it may go on.
func (c *Cluster) wantedDefinition(now *revision, in *ecs.UpdateServiceInput) (*definition.Definition, error) {
	if in.TaskDefinition == nil {
		return now.def, nil
	}
	return c.usable(*in.TaskDefinition)
}

// overlist overwrites a list by one that is given; an empty one takes its items
// away, if it has any.
func overlist[T any](p *[]T, v []T) {
	if v != nil && len(v)+len(*p) > 0 {
		*p = v
	}
}
