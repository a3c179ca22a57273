package cluster

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

func (c *Cluster) createService(_ context.Context, in *ecs.CreateServiceInput) (*ecs.CreateServiceOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	if !serviceTokenForm.MatchString(deref(in.ClientToken)) {
		return nil, invalid("clientToken must have at most 36 characters in the range of 33-126.")
	}
	if old := cl.services[deref(in.ServiceName)]; old != nil && old.status != "INACTIVE" {
		if deref(in.ClientToken) != "" && deref(in.ClientToken) == deref(old.settings.ClientToken) {
			return &ecs.CreateServiceOutput{Service: ptr(c.view(old, true))}, nil
		}
		if old.status == "DRAINING" {
			return nil, invalid("Unable to Start a service that is still Draining.")
		}
		return nil, invalid("Creation of service was not idempotent.")
	}
	def, err := c.checkCreate(in)
	if err != nil {
		return nil, err
	}
	s := c.addService(cl, in, c.cfg.Now())
	if def != nil {
		r := s.newRevision(def, *in, c.cfg.Now())
		s.revisions[r.arn] = r
		if s.sched != nil {
			s.deploy(r, c.env())
		}
	}
	return &ecs.CreateServiceOutput{Service: ptr(c.view(s, true))}, nil
}

// checkCreate refuses what CreateService refuses, and fills in its defaults.
func (c *Cluster) checkCreate(in *ecs.CreateServiceInput) (*definition.Definition, error) {
	if !nameForm.MatchString(deref(in.ServiceName)) {
		return nil, invalid("Invalid service name. It must consist of letters, numbers, underscores and hyphens.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	setDefaults(in)
	if in.SchedulingStrategy == types.SchedulingStrategyDaemon && onFargate(in.LaunchType, in.CapacityProviderStrategy) {
		return nil, invalid("The scheduling strategy DAEMON is not supported on Fargate.")
	}
	if in.SchedulingStrategy == types.SchedulingStrategyReplica && in.DesiredCount == nil {
		return nil, invalid("Desired count is required when the scheduling strategy is REPLICA.")
	}
	if err := checkCount(in.DesiredCount); err != nil {
		return nil, err
	}
	if in.LaunchType != "" && len(in.CapacityProviderStrategy) > 0 {
		return nil, invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if err := checkConfiguration(in.DeploymentConfiguration); err != nil {
		return nil, err
	}
	if err := checkStrategy(in); err != nil {
		return nil, err
	}
	if deref(in.TaskDefinition) == "" {
		if in.DeploymentController.Type == types.DeploymentControllerTypeExternal {
			return nil, nil
		}
		return nil, invalid("TaskDefinition is required.")
	}
	def, err := c.usable(*in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	if err := checkPlacement(def, in); err != nil {
		return nil, err
	}
	return def, c.checkTargets(def, in)
}

// maxDesired is the quota of tasks per service.
const maxDesired = 5000

func checkCount(desired *int32) error {
	if n := deref(desired); n < 0 || n > maxDesired {
		return invalid("Desired count must be between 0 and %d.", maxDesired)
	}
	return nil
}

// setDefaults fills in what CreateService takes when nothing is said.
func setDefaults(in *ecs.CreateServiceInput) {
	if in.DeploymentController == nil {
		in.DeploymentController = &types.DeploymentController{Type: types.DeploymentControllerTypeEcs}
	}
	if in.SchedulingStrategy == "" {
		in.SchedulingStrategy = types.SchedulingStrategyReplica
	}
	if in.LaunchType == "" && len(in.CapacityProviderStrategy) == 0 {
		in.LaunchType = types.LaunchTypeEc2
	}
	if in.AvailabilityZoneRebalancing == "" {
		in.AvailabilityZoneRebalancing = types.AvailabilityZoneRebalancingEnabled
	}
	if in.PropagateTags == "" {
		in.PropagateTags = types.PropagateTagsNone
	}
	daemon := in.SchedulingStrategy == types.SchedulingStrategyDaemon
	if daemon {
		in.DesiredCount = ptr(int32(1)) // one container instance is all there is
	}
	cfg := deref(in.DeploymentConfiguration)
	setDefault(&cfg.MinimumHealthyPercent, 100, daemon, 0)
	setDefault(&cfg.MaximumPercent, 200, daemon, 100)
	if cfg.DeploymentCircuitBreaker == nil {
		cfg.DeploymentCircuitBreaker = &types.DeploymentCircuitBreaker{}
	}
	if cfg.Strategy == "" {
		cfg.Strategy = types.DeploymentStrategyRolling
	}
	setStrategyDefaults(&cfg)
	in.DeploymentConfiguration = &cfg
}

func setDefault(p **int32, replica int32, daemon bool, other int32) {
	if *p != nil {
		return
	}
	if *p = ptr(replica); daemon {
		*p = ptr(other)
	}
}

// checkConfiguration refuses deployment configurations that make no sense.
func checkConfiguration(cfg *types.DeploymentConfiguration) error {
	if lower := deref(cfg.MinimumHealthyPercent); lower < 0 || lower > 100 {
		return invalid("minimumHealthyPercent must be between 0 and 100.")
	}
	if upper := deref(cfg.MaximumPercent); upper < 1 || upper > 10000 {
		return invalid("maximumPercent is out of range.")
	}
	if deref(cfg.MaximumPercent) < deref(cfg.MinimumHealthyPercent) {
		return invalid("maximumPercent must not be less than minimumHealthyPercent.")
	}
	if b := cfg.DeploymentCircuitBreaker; b != nil && b.ThresholdConfiguration != nil {
		t := b.ThresholdConfiguration
		percent := t.Type == types.ThresholdTypeBoundedPercent || t.Type == types.ThresholdTypeUnboundedPercent
		switch {
		case t.Type != types.ThresholdTypeCount && !percent:
			return invalid("The threshold type of the deployment circuit breaker is not valid.")
		case t.Value < 1 || percent && t.Value > 100:
			return invalid("The threshold value of the deployment circuit breaker is out of range.")
		}
	}
	return nil
}

// checkPlacement refuses task definitions that the service could not run.
func checkPlacement(def *definition.Definition, in *ecs.CreateServiceInput) error {
	network := in.NetworkConfiguration != nil && in.NetworkConfiguration.AwsvpcConfiguration != nil
	awsvpc := def.NetworkMode() == types.NetworkModeAwsvpc
	switch {
	case onFargate(in.LaunchType, in.CapacityProviderStrategy) && !def.Supports(types.LaunchTypeFargate):
		return invalid("Task definition does not support launch_type FARGATE.")
	case awsvpc && !network:
		return invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	case !awsvpc && network:
		return invalid("Network Configuration is not valid for the given networkMode of this task definition.")
	}
	for _, lb := range in.LoadBalancers {
		if err := checkLoadBalancer(def, lb); err != nil {
			return err
		}
	}
	return nil
}

func checkLoadBalancer(def *definition.Definition, lb types.LoadBalancer) error {
	for _, c := range def.Task.ContainerDefinitions {
		if deref(c.Name) != deref(lb.ContainerName) {
			continue
		}
		for _, p := range c.PortMappings {
			if deref(p.ContainerPort) == deref(lb.ContainerPort) {
				return nil
			}
		}
		return invalid("The container %s did not have a container port %d defined.", deref(lb.ContainerName), deref(lb.ContainerPort))
	}
	return invalid("The container %s does not exist in the task definition.", deref(lb.ContainerName))
}

// addService makes a service without a deployment.
func (c *Cluster) addService(cl *clusterRecord, in *ecs.CreateServiceInput, now time.Time) *service {
	s := &service{
		cluster: cl, arns: c.arns, name: *in.ServiceName, arn: c.arns.service(cl.name, *in.ServiceName),
		status: "ACTIVE", created: now, tags: in.Tags, settings: *in,
		revisions: make(map[string]*revision), byDeploy: make(map[string]*revision),
		deployments: make(map[string]*deploymentRef), balanced: c.cfg.Balancer != nil,
	}
	if in.DeploymentController.Type == types.DeploymentControllerTypeEcs {
		s.sched = &scheduler.Service{Name: s.name}
		s.configure()
	}
	cl.services[s.name] = s
	return s
}

// configure tells the scheduler what the service's settings say.
func (s *service) configure() {
	cfg := s.settings.DeploymentConfiguration
	s.sched.Desired = int(deref(s.settings.DesiredCount))
	s.sched.Exec = s.settings.EnableExecuteCommand
	s.sched.Grace = time.Duration(deref(s.settings.HealthCheckGracePeriodSeconds)) * time.Second
	s.sched.Limits = scheduler.Limits{
		MinimumHealthyPercent: int(*cfg.MinimumHealthyPercent), MaximumPercent: int(*cfg.MaximumPercent),
	}
	b := cfg.DeploymentCircuitBreaker
	s.sched.Breaker = scheduler.Breaker{
		Enable: b.Enable, Rollback: b.Rollback, KeepCount: b.ResetOnHealthyTask != nil && !*b.ResetOnHealthyTask,
	}
	if t := b.ThresholdConfiguration; t != nil {
		s.sched.Breaker.Type, s.sched.Breaker.Value = string(t.Type), int(t.Value)
	}
	s.sched.Plan = plan(&s.settings)
	s.dirty = true
}

// newRevision makes a service revision that is not yet the service's.
func (s *service) newRevision(def *definition.Definition, in ecs.CreateServiceInput, now time.Time) *revision {
	return &revision{
		arn:     s.arns.serviceRevision(s.cluster.name, s.name, newNumber()),
		created: now, def: def, input: in, digests: make(map[string]string),
	}
}

// deploy begins the deployment of a revision.
func (s *service) deploy(r *revision, env scheduler.Env) *scheduler.Deployment {
	s.revisions[r.arn] = r
	r.groups = s.groupsBeside(r, s.serving())
	if shiftsTraffic(s.settings.DeploymentConfiguration) {
		s.sched.Plan.Shifts, s.sched.Plan.Tests = routing(&r.input)
	}
	d := s.newDeployment(r)
	s.keep(s.sched.Deploy(d, newServiceDeploymentID(), env))
	s.dirty = true
	return d
}

func (s *service) newDeployment(r *revision) *scheduler.Deployment {
	d := &scheduler.Deployment{
		ID: newDeploymentID(), Revision: r.arn,
		Template: template(r.def, r.input.LaunchType, r.input.CapacityProviderStrategy),
	}
	if s.balanced {
		d.Template.Targets = r.targets()
	}
	s.byDeploy[d.ID] = r
	return d
}

// keep makes a service deployment known by its ARN.
func (s *service) keep(sd *scheduler.ServiceDeployment) {
	s.deployments[s.arns.serviceDeployment(s.cluster.name, s.name, sd.ID)] = &deploymentRef{s, sd}
}
