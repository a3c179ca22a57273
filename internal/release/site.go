package release

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/nearest"
)

// Site is one ECS service, and how to reach it.
type Site struct {
	ECS              ECS
	Cluster, Service string
}

// Read describes the service. A missing cluster or service is a NOT_FOUND
// failure that suggests the nearest names.
func (s Site) Read(ctx context.Context) (types.Service, error) {
	res, err := s.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &s.Cluster, Services: []string{s.Service}})
	if apiCode(err) == "ClusterNotFoundException" {
		return types.Service{}, s.noCluster(ctx, err)
	}
	if err != nil {
		return types.Service{}, fromAWS(err, "describe service "+s.Service, "ecs:DescribeServices")
	}
	for _, svc := range res.Services {
		// An INACTIVE service of the same name may be described for a while after it
		// was deleted.
		if aws.ToString(svc.Status) != "INACTIVE" {
			return svc, nil
		}
	}
	return types.Service{}, s.noService(ctx)
}

func (s Site) noCluster(ctx context.Context, cause error) error {
	f := event.Fail(event.CodeNotFound, fmt.Sprintf("there is no cluster %s in this account and region", s.Cluster)).Because(cause)
	var names []string
	in := ecs.ListClustersInput{}
	for more := true; more; more = in.NextToken != nil {
		page, err := s.ECS.ListClusters(ctx, &in)
		if err != nil {
			break // the suggestion is a courtesy
		}
		in.NextToken = page.NextToken
		for _, arn := range page.ClusterArns {
			names = append(names, history.Short(arn))
		}
	}
	return suggest(f, "cluster", s.Cluster, names).Try("aws ecs list-clusters")
}

func (s Site) noService(ctx context.Context) error {
	f := event.Fail(event.CodeNotFound, fmt.Sprintf("there is no service %s in cluster %s", s.Service, s.Cluster))
	var names []string
	in := ecs.ListServicesInput{Cluster: &s.Cluster, MaxResults: aws.Int32(100)}
	for more := true; more; more = in.NextToken != nil {
		page, err := s.ECS.ListServices(ctx, &in)
		if err != nil {
			break
		}
		in.NextToken = page.NextToken
		for _, arn := range page.ServiceArns {
			names = append(names, history.Short(arn))
		}
	}
	return suggest(f, "service", s.Service, names).Try("aws ecs list-services --cluster " + s.Cluster)
}

func suggest(f *event.Failure, kind, want string, have []string) *event.Failure {
	near := nearest.Names(history.Short(want), have, 3)
	switch {
	case len(near) > 0:
		f.Hint("did you mean " + strings.Join(near, ", ") + "?")
	case len(have) == 0:
		f.Hint("no " + kind + " is visible here: check the region and the account")
	default:
		slices.Sort(have)
		f.Hint("there are: " + strings.Join(have[:min(5, len(have))], ", "))
	}
	return f
}

// Progress is how a service's deployments stand.
type Progress string

// The ways they stand.
const (
	Settled     Progress = "settled"      // PRIMARY completed
	Deploying   Progress = "deploying"    // PRIMARY is in progress
	RollingBack Progress = "rolling back" // PRIMARY is in progress because ECS goes back
	Stuck       Progress = "stuck"        // in progress, with failures and nothing healthy, or without progress
	GaveUp      Progress = "gave up"      // PRIMARY FAILED: ECS starts no more tasks
)

// stuckAfter is how long a deployment may stand still before it is called stuck.
const stuckAfter = 10 * time.Minute

// ProgressOf judges the PRIMARY deployment. A deployment without a rolloutState
// (a Classic Load Balancer) counts as settled when all its tasks run. A crash
// loop has a task that runs for a moment: three failures in a row, where ECS's own
// circuit breaker would end it, make it stuck all the same.
func ProgressOf(s types.Service, now time.Time) Progress {
	p := history.Primary(s)
	switch {
	case p == nil, p.RolloutState == types.DeploymentRolloutStateCompleted:
		return Settled
	case p.RolloutState == "" && p.RunningCount == p.DesiredCount && len(s.Deployments) == 1:
		return Settled
	case strings.Contains(aws.ToString(p.RolloutStateReason), "rolling back"):
		return RollingBack
	case p.RolloutState == types.DeploymentRolloutStateFailed:
		return GaveUp
	case p.RunningCount == 0 && p.FailedTasks > 0, p.FailedTasks >= 3, now.Sub(aws.ToTime(p.UpdatedAt)) > stuckAfter:
		return Stuck
	}
	return Deploying
}

// Serves says in one line what serves and what is on its way.
func Serves(s types.Service) string {
	p := history.Primary(s)
	if p == nil {
		return "nothing: the service has no deployment"
	}
	name, run := history.Name(aws.ToString(p.TaskDefinition)), fmt.Sprintf("%d/%d running", p.RunningCount, s.DesiredCount)
	if history.Completed(s) {
		return fmt.Sprintf("%s serves, %s", name, run)
	}
	for _, d := range s.Deployments {
		if aws.ToString(d.Status) != "PRIMARY" && d.RunningCount > 0 {
			return fmt.Sprintf("%s serves, %d running; %s is deploying, %s (%s)",
				history.Name(aws.ToString(d.TaskDefinition)), d.RunningCount, name, run, p.RolloutState)
		}
	}
	return fmt.Sprintf("%s, %s, %s", name, run, p.RolloutState)
}

// ServingARN is the task definition that serves as far as the answer tells:
// PRIMARY's once it completed, an older deployment's while that has tasks.
func ServingARN(s types.Service) string {
	p := history.Primary(s)
	if p == nil || history.Completed(s) {
		return aws.ToString(s.TaskDefinition)
	}
	for _, d := range s.Deployments {
		if aws.ToString(d.Status) != "PRIMARY" && d.RunningCount > 0 {
			return aws.ToString(d.TaskDefinition)
		}
	}
	if p.RunningCount > 0 {
		return aws.ToString(p.TaskDefinition)
	}
	return ""
}
