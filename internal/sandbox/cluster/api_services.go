package cluster

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// maxDescribedServices is the limit of DescribeServices.
const maxDescribedServices = 10

func (c *Cluster) describeServices(_ context.Context, in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
	switch {
	case len(in.Services) == 0:
		return nil, invalid("Services cannot be empty.")
	case len(in.Services) > maxDescribedServices:
		return nil, invalid("Services cannot have more than %d elements.", maxDescribedServices)
	}
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeServicesOutput{Services: []types.Service{}, Failures: []types.Failure{}}
	for _, ref := range in.Services {
		s := cl.services[c.arns.nameIn("service", cl.name, ref)]
		if s == nil {
			if !strings.HasPrefix(ref, "arn:") {
				ref = c.arns.service(cl.name, ref)
			}
			out.Failures = append(out.Failures, missing(ref))
			continue
		}
		out.Services = append(out.Services, c.view(s, slices.Contains(in.Include, types.ServiceFieldTags)))
	}
	return out, nil
}

func (c *Cluster) listServices(_ context.Context, in *ecs.ListServicesInput) (*ecs.ListServicesOutput, error) {
	cl, err := c.cluster(deref(in.Cluster))
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, s := range cl.sortedServices() {
		r := s.current()
		switch {
		case s.status != "ACTIVE": // no longer visible here (DeleteService)
		case in.LaunchType != "" && (r == nil || r.input.LaunchType != in.LaunchType):
		case in.SchedulingStrategy != "" && s.settings.SchedulingStrategy != in.SchedulingStrategy:
		default:
			arns = append(arns, s.arn)
		}
	}
	size := in.MaxResults
	if size == nil {
		size = ptr(int32(10)) // ListServices is the one whose default is not its limit
	}
	list, next, err := page(arns, itself, in.NextToken, size, 100)
	if err != nil {
		return nil, err
	}
	return &ecs.ListServicesOutput{ServiceArns: list, NextToken: next}, nil
}

func (c *Cluster) deleteService(_ context.Context, in *ecs.DeleteServiceInput) (*ecs.DeleteServiceOutput, error) {
	s, err := c.service(deref(in.Cluster), deref(in.Service))
	switch {
	case err != nil:
		return nil, err
	case s.status == "INACTIVE":
		return nil, serviceNotFound()
	case deref(s.settings.DesiredCount) > 0 && !deref(in.Force) && s.settings.SchedulingStrategy != types.SchedulingStrategyDaemon:
		return nil, invalid("The service cannot be stopped while it is scaled above 0.")
	}
	s.settings.DesiredCount = ptr(int32(0))
	if s.sched == nil {
		s.status = "INACTIVE"
	} else if s.status == "ACTIVE" {
		s.status, s.dirty = "DRAINING", true
		s.sched.Desired, s.sched.Draining = 0, true
	}
	return &ecs.DeleteServiceOutput{Service: ptr(c.view(s, false))}, nil
}
