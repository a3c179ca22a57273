package cluster

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// maxDescribed is the limit of DescribeServiceDeployments and
// DescribeServiceRevisions.
const maxDescribed = 20

func (c *Cluster) listServiceDeployments(_ context.Context, in *ecs.ListServiceDeploymentsInput) (*ecs.ListServiceDeploymentsOutput, error) {
	s, err := c.service(c.clusterOf(in.Cluster, in.Service), deref(in.Service))
	if err != nil {
		return nil, err
	}
	briefs := []types.ServiceDeploymentBrief{}
	for _, sd := range slices.Backward(s.serviceDeployments()) {
		if len(in.Status) > 0 && !slices.Contains(in.Status, types.ServiceDeploymentStatus(sd.Status)) {
			continue
		}
		if f := in.CreatedAt; f != nil && (f.After != nil && sd.Created.Before(*f.After) || f.Before != nil && sd.Created.After(*f.Before)) {
			continue
		}
		briefs = append(briefs, c.brief(s, sd))
	}
	size := in.MaxResults
	if size == nil {
		size = ptr(int32(20))
	}
	list, next, err := page(briefs, func(b types.ServiceDeploymentBrief) string { return *b.ServiceDeploymentArn }, in.NextToken, size, 100)
	if err != nil {
		return nil, err
	}
	return &ecs.ListServiceDeploymentsOutput{ServiceDeployments: list, NextToken: next}, nil
}

// clusterOf is the cluster that a request means: the one that it names, or
// the one in the service's ARN.
func (c *Cluster) clusterOf(cluster, service *string) string {
	if kind, parts, ok := c.arns.split(deref(service)); deref(cluster) == "" && ok && kind == "service" && len(parts) == 2 {
		return parts[0]
	}
	return deref(cluster)
}

func (s *service) serviceDeployments() []*scheduler.ServiceDeployment {
	if s.sched == nil {
		return nil
	}
	return s.sched.ServiceDeployments
}

func (c *Cluster) brief(s *service, sd *scheduler.ServiceDeployment) types.ServiceDeploymentBrief {
	b := types.ServiceDeploymentBrief{
		ServiceDeploymentArn:     ptr(c.arns.serviceDeployment(s.cluster.name, s.name, sd.ID)),
		ServiceArn:               &s.arn,
		ClusterArn:               &s.cluster.arn,
		TargetServiceRevisionArn: &sd.Target,
		Status:                   types.ServiceDeploymentStatus(sd.Status),
		CreatedAt:                at(sd.Created), StartedAt: at(sd.Started), FinishedAt: at(sd.Finished),
	}
	if sd.StatusReason != "" {
		b.StatusReason = &sd.StatusReason
	}
	return b
}

func (c *Cluster) describeServiceDeployments(_ context.Context, in *ecs.DescribeServiceDeploymentsInput) (*ecs.DescribeServiceDeploymentsOutput, error) {
	if err := checkArns("serviceDeploymentArns", in.ServiceDeploymentArns); err != nil {
		return nil, err
	}
	out := &ecs.DescribeServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeployment{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceDeploymentArns {
		ref := c.serviceDeployment(arn)
		if ref == nil {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		out.ServiceDeployments = append(out.ServiceDeployments, c.viewServiceDeployment(ref))
	}
	return out, nil
}

func checkArns(member string, arns []string) error {
	switch {
	case len(arns) == 0:
		return invalid("%s cannot be empty.", member)
	case len(arns) > maxDescribed:
		return invalid("%s cannot have more than %d elements.", member, maxDescribed)
	}
	return nil
}

// serviceDeployment finds a service deployment by its ARN, or returns nil.
func (c *Cluster) serviceDeployment(arn string) *deploymentRef {
	kind, parts, ok := c.arns.split(arn)
	if !ok || kind != "service-deployment" || len(parts) != 3 || c.clusters[parts[0]] == nil {
		return nil
	}
	s := c.clusters[parts[0]].services[parts[1]]
	if s == nil || s.status == "INACTIVE" { // its history goes with the service
		return nil
	}
	return s.deployments[arn]
}

func (c *Cluster) viewServiceDeployment(ref *deploymentRef) types.ServiceDeployment {
	s, sd := ref.service, ref.sd
	b := c.brief(s, sd)
	v := types.ServiceDeployment{
		ServiceDeploymentArn: b.ServiceDeploymentArn, ServiceArn: b.ServiceArn, ClusterArn: b.ClusterArn,
		Status: b.Status, StatusReason: b.StatusReason,
		CreatedAt: b.CreatedAt, StartedAt: b.StartedAt, FinishedAt: b.FinishedAt,
		StoppedAt: at(sd.StoppedAt), UpdatedAt: at(sd.Updated),
		DeploymentConfiguration:  s.settings.DeploymentConfiguration,
		DeploymentCircuitBreaker: s.breakerOf(sd),
		Alarms:                   alarmsOf(sd),
		TargetServiceRevision:    ptr(s.summary(sd.Target, sd)),
		SourceServiceRevisions:   []types.ServiceRevisionSummary{},
	}
	for _, source := range sd.Sources {
		v.SourceServiceRevisions = append(v.SourceServiceRevisions, s.summary(source, nil))
	}
	s.viewCourse(&v, sd)
	if r := sd.Rollback; r != nil {
		v.Rollback = &types.Rollback{Reason: &r.Reason, ServiceRevisionArn: &r.Revision, StartedAt: at(r.Started)}
	}
	return v
}

// summary counts the tasks of a revision. Those of the target of a service
// deployment that has ended are as they were at its end.
func (s *service) summary(arn string, sd *scheduler.ServiceDeployment) types.ServiceRevisionSummary {
	var n scheduler.Counts
	if sd != nil && sd.Ended() {
		n = sd.Final
	} else {
		for _, d := range s.sched.Deployments {
			if d.Revision == arn {
				n = s.sched.Count(d.ID)
			}
		}
	}
	return types.ServiceRevisionSummary{
		Arn: &arn, RequestedTaskCount: int32(n.Desired), RunningTaskCount: int32(n.Running), PendingTaskCount: int32(n.Pending),
	}
}

func (s *service) breakerOf(sd *scheduler.ServiceDeployment) *types.ServiceDeploymentCircuitBreaker {
	b := &types.ServiceDeploymentCircuitBreaker{
		Status:       types.ServiceDeploymentRollbackMonitorsStatusMonitoring,
		FailureCount: int32(sd.Failures), Threshold: int32(sd.Threshold),
	}
	if !sd.Ended() {
		b.Threshold = int32(s.sched.Breaker.Threshold(s.sched.Desired))
		for _, d := range s.sched.Deployments {
			if d.ID == sd.Deployment {
				b.FailureCount = int32(d.FailedTasks)
			}
		}
	}
	switch {
	case sd.BreakerFired:
		b.Status = types.ServiceDeploymentRollbackMonitorsStatusTriggered
	case !s.sched.Breaker.Enable:
		b.Status = types.ServiceDeploymentRollbackMonitorsStatusDisabled
	case sd.Ended():
		b.Status = types.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete
	}
	return b
}

func (c *Cluster) describeServiceRevisions(_ context.Context, in *ecs.DescribeServiceRevisionsInput) (*ecs.DescribeServiceRevisionsOutput, error) {
	if err := checkArns("serviceRevisionArns", in.ServiceRevisionArns); err != nil {
		return nil, err
	}
	out := &ecs.DescribeServiceRevisionsOutput{ServiceRevisions: []types.ServiceRevision{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceRevisionArns {
		kind, parts, ok := c.arns.split(arn)
		var r *revision
		var s *service
		if ok && kind == "service-revision" && len(parts) == 3 && c.clusters[parts[0]] != nil {
			if s = c.clusters[parts[0]].services[parts[1]]; s != nil && s.status != "INACTIVE" {
				r = s.revisions[arn]
			}
		}
		if r == nil {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		out.ServiceRevisions = append(out.ServiceRevisions, s.viewRevision(r))
	}
	return out, nil
}

func (s *service) viewRevision(r *revision) types.ServiceRevision {
	v := types.ServiceRevision{
		ServiceRevisionArn: &r.arn, ServiceArn: &s.arn, ClusterArn: &s.cluster.arn,
		TaskDefinition: &r.def.ARN, CreatedAt: &r.created,
		LaunchType: r.input.LaunchType, CapacityProviderStrategy: r.input.CapacityProviderStrategy,
		NetworkConfiguration: r.input.NetworkConfiguration,
		LoadBalancers:        r.input.LoadBalancers, ServiceRegistries: r.input.ServiceRegistries,
		ServiceConnectConfiguration: r.input.ServiceConnectConfiguration,
		VolumeConfigurations:        r.input.VolumeConfigurations,
		VpcLatticeConfigurations:    r.input.VpcLatticeConfigurations,
		GatewayConnectors:           r.input.GatewayConnectors,
		Monitoring:                  r.input.Monitoring,
		ContainerImages:             []types.ContainerImage{},
	}
	v.PlatformVersion, v.PlatformFamily = platformOf(r)
	v.ResolvedConfiguration = resolved(r)
	for _, d := range r.def.Task.ContainerDefinitions {
		image := types.ContainerImage{ContainerName: d.Name, Image: d.Image}
		if digest := r.digests[*d.Name]; digest != "" {
			image.ImageDigest = &digest
		}
		v.ContainerImages = append(v.ContainerImages, image)
	}
	return v
}

func (c *Cluster) stopServiceDeployment(_ context.Context, in *ecs.StopServiceDeploymentInput) (*ecs.StopServiceDeploymentOutput, error) {
	arn := deref(in.ServiceDeploymentArn)
	if in.StopType != "" && in.StopType != types.StopServiceDeploymentStopTypeRollback {
		return nil, unsupported("The stop type %s is not supported.", in.StopType)
	}
	ref := c.serviceDeployment(arn)
	if ref == nil {
		return nil, &types.ServiceDeploymentNotFoundException{Message: ptr("Service deployment not found.")}
	}
	switch err := ref.service.sched.RequestRollback(ref.sd, c.env()); {
	case errors.Is(err, scheduler.ErrEnded):
		return nil, conflict(arn, "The service deployment is in the status %s and cannot be stopped.", ref.sd.Status)
	case errors.Is(err, scheduler.ErrNoTarget):
		return nil, conflict(arn, "The service deployment cannot be rolled back because there is no completed deployment to roll back to.")
	case err != nil:
		return nil, err
	}
	ref.service.dirty = true
	return &ecs.StopServiceDeploymentOutput{ServiceDeploymentArn: &arn}, nil
}
