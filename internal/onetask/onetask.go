// Package onetask runs one task of ECS, outside of any service, to its end.
//
// A Runner starts a Task by RunTask under a client token, so that a request that
// has to be repeated runs nothing twice (Start); follows it until the container
// that it is about has ended, and hands its log lines on as they come (Follow);
// finds tasks that an earlier process started (Find); and stops one (Stop).
//
// Only the exit code of that one container decides: a sidecar that is killed with
// the task says nothing, and a task that would go on without the container is
// stopped. The package knows nothing of releases.
package onetask

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
)

// ECS are the calls of the ECS client that a Runner makes.
type ECS interface {
	RunTask(context.Context, *ecs.RunTaskInput, ...func(*ecs.Options)) (*ecs.RunTaskOutput, error)
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
	ListTasks(context.Context, *ecs.ListTasksInput, ...func(*ecs.Options)) (*ecs.ListTasksOutput, error)
	StopTask(context.Context, *ecs.StopTaskInput, ...func(*ecs.Options)) (*ecs.StopTaskOutput, error)
}

// Logs is the call of the CloudWatch Logs client that a Runner makes.
type Logs interface {
	GetLogEvents(context.Context, *cloudwatchlogs.GetLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error)
}

// Task is what is run.
type Task struct {
	Name           string // for people
	Cluster        string
	TaskDefinition string // ARN
	Definition     health.Definition
	Container      string // the one whose command is overridden, and whose exit decides
	Command        []string
	Environment    map[string]string
	Place          Place
	Group          string
	StartedBy      string        // by which Find knows the task again
	Token          string        // one request of this token runs one task
	Timeout        time.Duration // from when it was started or found; 0: none
	Known          []string      // ARNs of its earlier tasks, which are not the one that is started
}

// Place says where a task runs and in which network.
type Place struct {
	LaunchType        types.LaunchType
	CapacityProviders []types.CapacityProviderStrategyItem
	PlatformVersion   *string
	Network           *types.NetworkConfiguration
	Constraints       []types.PlacementConstraint
	Strategy          []types.PlacementStrategy
}

// PlaceOf is the place of a service's own tasks.
func PlaceOf(s types.Service) Place {
	p := Place{
		LaunchType: s.LaunchType, CapacityProviders: s.CapacityProviderStrategy, PlatformVersion: s.PlatformVersion,
		Network: s.NetworkConfiguration, Constraints: s.PlacementConstraints, Strategy: s.PlacementStrategy,
	}
	if len(p.CapacityProviders) > 0 {
		p.LaunchType = "" // RunTask takes one of the two
	}
	return p
}

// Pace says how often a Runner asks, and how long it waits. Zero fields take the
// defaults.
type Pace struct {
	Poll     time.Duration // between two looks at task and log
	Retry    time.Duration // before a call is sent again; doubled each time
	Slowest  time.Duration // between two looks while ECS does not answer
	Capacity time.Duration // how long a place for the task is waited for
	Settle   time.Duration // how long ECS may take to show a task that it has accepted
	LastLog  time.Duration // how long the log of an ended container is waited for
	Stopping time.Duration // how long a task that was stopped may take to end
	GiveUp   time.Duration // how long refused credentials or permissions are tried again
}

func (p Pace) withDefaults() Pace {
	def := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	def(&p.Poll, 2*time.Second)
	def(&p.Retry, time.Second)
	def(&p.Slowest, 15*time.Second)
	def(&p.Capacity, time.Minute)
	def(&p.Settle, time.Minute)
	def(&p.LastLog, 4*time.Second)
	def(&p.Stopping, 150*time.Second) // stopTimeout is at most 120 s on Fargate
	def(&p.GiveUp, 30*time.Second)
	return p
}

// Runner runs tasks.
type Runner struct {
	ECS  ECS
	Logs Logs       // nil: logs are not read
	Emit event.Emit // nil: nothing is told
	Pace Pace
}

func (r Runner) emit(e event.Event) {
	if r.Emit != nil {
		r.Emit(e)
	}
}

func (r Runner) warn(text string) { r.emit(event.Note{Level: event.Warn, Text: text}) }

// input is the request that runs the task. It is the same for the same task, as the
// client token demands.
func (t Task) input() *ecs.RunTaskInput {
	o := types.ContainerOverride{Name: &t.Container, Command: t.Command}
	for _, name := range slices.Sorted(maps.Keys(t.Environment)) {
		o.Environment = append(o.Environment, types.KeyValuePair{Name: &name, Value: aws.String(t.Environment[name])})
	}
	in := &ecs.RunTaskInput{
		TaskDefinition: &t.TaskDefinition, Count: aws.Int32(1), Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{o}},
		LaunchType: t.Place.LaunchType, CapacityProviderStrategy: t.Place.CapacityProviders, PlatformVersion: t.Place.PlatformVersion,
		NetworkConfiguration: t.Place.Network, PlacementConstraints: t.Place.Constraints, PlacementStrategy: t.Place.Strategy,
		StartedBy: &t.StartedBy, ClientToken: &t.Token,
	}
	if t.Cluster != "" {
		in.Cluster = &t.Cluster
	}
	if t.Group != "" {
		in.Group = &t.Group
	}
	return in
}

// cluster is the cluster's name; nil stands for AWS's default cluster.
func (t Task) cluster() *string {
	if t.Cluster == "" {
		return nil
	}
	return &t.Cluster
}

// container is the one that the task is about, as ECS tells of it.
func (t Task) container(k types.Task) types.Container {
	for _, c := range k.Containers {
		if aws.ToString(c.Name) == t.Container {
			return c
		}
	}
	return types.Container{}
}

// sleep waits, and says whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
