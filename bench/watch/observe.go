package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// times are the moments of a broken release, in the order in which they come.
type times struct {
	stopped  time.Time // the API shows a task of the new revision that has died
	rollback time.Time // the rollback is called, or ECS's own is seen
	healthy  time.Time // the stable revision serves alone
}

// observer looks at a service through the API, apart from who ends the release.
type observer struct {
	ecs  *ecs.Client
	seen times
}

// every is the observer's resolution.
const every = 25 * time.Millisecond

// watch looks until the stable revision serves again.
func (o *observer) watch(ctx context.Context, stable string, called <-chan time.Time) (times, error) {
	for tick := time.NewTicker(every); ; {
		if err := o.look(ctx, stable); err != nil {
			return times{}, err
		}
		if !o.seen.healthy.IsZero() {
			// Who calls the rollback has seen the dead task, be it before the observer.
			if o.seen.rollback.Before(o.seen.stopped) {
				o.seen.stopped = o.seen.rollback
			}
			return o.seen, nil
		}
		select {
		case <-ctx.Done():
			return times{}, context.Cause(ctx)
		case o.seen.rollback = <-called:
		case <-tick.C:
		}
	}
}

func (o *observer) look(ctx context.Context, stable string) error {
	if o.seen.stopped.IsZero() {
		return o.findDead(ctx, stable)
	}
	out, err := o.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(clusterName), Services: []string{serviceName}})
	if err != nil || len(out.Services) == 0 {
		return err
	}
	var primary types.Deployment
	others := int32(0)
	for _, d := range out.Services[0].Deployments {
		if aws.ToString(d.Status) == "PRIMARY" {
			primary = d
		} else {
			others += d.RunningCount + d.PendingCount
		}
	}
	if aws.ToString(primary.TaskDefinition) != stable {
		return nil
	}
	if o.seen.rollback.IsZero() {
		o.seen.rollback = time.Now()
	}
	if primary.RolloutState == types.DeploymentRolloutStateCompleted && primary.RunningCount == primary.DesiredCount && others == 0 {
		o.seen.healthy = time.Now()
	}
	return nil
}

// findDead looks for a task that is not the stable revision's and has died: it is
// STOPPED, or on its way there with an exit code.
func (o *observer) findDead(ctx context.Context, stable string) error {
	list, err := o.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String(clusterName), ServiceName: aws.String(serviceName), DesiredStatus: types.DesiredStatusStopped})
	if err != nil || len(list.TaskArns) == 0 {
		return err
	}
	out, err := o.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(clusterName), Tasks: list.TaskArns})
	if err != nil {
		return err
	}
	for _, t := range out.Tasks {
		exited := t.StopCode == types.TaskStopCodeEssentialContainerExited && len(t.Containers) > 0 && t.Containers[0].ExitCode != nil
		if aws.ToString(t.TaskDefinitionArn) != stable && (exited || aws.ToString(t.LastStatus) == "STOPPED") {
			o.seen.stopped = time.Now()
		}
	}
	return nil
}
