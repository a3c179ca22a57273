// Package health watches a deployment of an ECS service and says how it ends.
//
// Classify is pure: from what ECS tells of one stopped task (and the last lines
// that it logged) it makes a Finding, with a code, evidence and hints. A Watcher
// polls ECS on its own clock, classifies the tasks of one deployment, and
// reports a Verdict: Watch for a deployment that brings something new,
// WatchReturn for one that goes back. Explain adds the log lines of the task
// that died, so that reading logs never delays a rollback.
//
// The package only reads. It judges nothing but the tasks of the deployment that
// it was given, believes a success only when that very deployment is PRIMARY and
// completed with every desired task running, and orders events by the clock of
// AWS; the clock of this machine only paces the polling.
package health

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/event"
)

// ECS are the calls of the ECS client that a Watcher makes; all of them read.
type ECS interface {
	DescribeServices(context.Context, *ecs.DescribeServicesInput, ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error)
	ListTasks(context.Context, *ecs.ListTasksInput, ...func(*ecs.Options)) (*ecs.ListTasksOutput, error)
	DescribeTasks(context.Context, *ecs.DescribeTasksInput, ...func(*ecs.Options)) (*ecs.DescribeTasksOutput, error)
	ListServiceDeployments(context.Context, *ecs.ListServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error)
	DescribeServiceDeployments(context.Context, *ecs.DescribeServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.DescribeServiceDeploymentsOutput, error)
	DescribeServiceRevisions(context.Context, *ecs.DescribeServiceRevisionsInput, ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error)
}

// Logs is the call of the CloudWatch Logs client that Explain makes.
type Logs interface {
	GetLogEvents(context.Context, *cloudwatchlogs.GetLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error)
}

var (
	_ ECS  = (*ecs.Client)(nil)
	_ Logs = (*cloudwatchlogs.Client)(nil)
)

// Definition is what a Watcher asks of the task definition that it watches.
type Definition interface {
	// Log says where a container's output goes; all empty when it is not known.
	Log(container string) (driver, group, prefix, region string)
	// LogDestination says for people where it goes when awslogs does not send it.
	LogDestination(container string) string
	// Essential says whether a task stops with the container.
	Essential(container string) (essential, known bool)
	// HealthChecked says whether ECS gives the tasks a health status.
	HealthChecked() bool
}

// Subject is the deployment to watch.
type Subject struct {
	Cluster, Service string
	Deployment       string    // "ecs-svc/…", from the answer to UpdateService
	TaskDefinition   string    // ARN
	CreatedAt        time.Time // of the deployment, on AWS's clock; zero: taken from ECS
	// Previous is the ARN of the task definition that served before. What its own
	// stopped tasks of the last hour failed with is no news about the new one.
	Previous string
	// Definition is the task definition; nil when it is not known.
	Definition Definition
}

// Return is a rollback to watch.
type Return struct {
	Cluster, Service string
	Target           string // ARN of the task definition to go back to
	// Deployment is the id of the deployment that our UpdateService made; empty
	// for a rollback of ECS's own, which makes an older deployment PRIMARY again.
	Deployment string
	// Abandoned is the id of the deployment that failed; empty when it is not known.
	Abandoned string
	// ServiceDeployment is the ARN of the service deployment that ECS rolls back.
	ServiceDeployment string
	// Began is when the rollback began, on AWS's clock; zero: when the watch sees
	// the service first. No older task or event belongs to it.
	Began time.Time
}

// Policy says what a deployment may cost before it counts as failed.
type Policy struct {
	Timeout  time.Duration // without progress, not in all; 0: 10 minutes
	Tolerate Tolerance     // failed tasks that do not end it
	Bake     time.Duration // watched on after it completed
}

// DefaultTimeout is the Timeout of a Policy that names none.
const DefaultTimeout = 10 * time.Minute

// Tolerance is a number of failed tasks, or a share of the desired count. The
// zero value tolerates none.
type Tolerance struct {
	n       int
	percent bool
}

// ParseTolerance reads "2" or "10%". Empty is none.
func ParseTolerance(s string) (Tolerance, error) {
	text, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	if text == "" && !percent {
		return Tolerance{}, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0:
		return Tolerance{}, fmt.Errorf("read tolerance %q: want a number of tasks or a percentage, such as 2 or 10%%", s)
	case percent && n > 100:
		return Tolerance{}, fmt.Errorf("read tolerance %q: more than 100%%", s)
	}
	return Tolerance{n, percent}, nil
}

// Of is how many failed tasks are tolerated with a desired count, rounded down:
// 10% of one task is none.
func (t Tolerance) Of(desired int) int {
	if t.percent {
		return desired * t.n / 100
	}
	return t.n
}

// String is the tolerance as ParseTolerance reads it.
func (t Tolerance) String() string {
	if t.percent {
		return strconv.Itoa(t.n) + "%"
	}
	return strconv.Itoa(t.n)
}

// Outcome is how a deployment ended.
type Outcome string

// The outcomes.
const (
	// Serving: the deployment is PRIMARY and completed, its running count equals a
	// desired count above zero, its tasks were seen healthy, and it has baked.
	Serving Outcome = "serving"
	// Failing: tasks of the deployment failed more than the policy allows, or ECS
	// gave it up without going back.
	Failing Outcome = "failing"
	// RolledBackByECS: ECS went back, or is going back, to an older deployment.
	RolledBackByECS Outcome = "rolled_back_by_ecs"
	// Superseded: somebody else's deployment took over.
	Superseded Outcome = "superseded"
	// Stalled: nothing moved for the policy's timeout.
	Stalled Outcome = "stalled"
)

// Verdict is how a deployment ended, or, beside an error, how it stood when it
// could not be watched any more.
type Verdict struct {
	Outcome Outcome
	// Failure says why, unless the outcome is Serving.
	Failure *event.Failure
	// TakenBy is the deployment that is PRIMARY instead, when Superseded or
	// RolledBackByECS.
	TakenBy Taker
	// DetectedAt is when the first answer arrived that showed the failure, on this
	// machine's clock.
	DetectedAt time.Time
	// Desired and Running are the deployment's counts in the last answer.
	Desired, Running int
	HealthySeen      bool // a task of the deployment was seen healthy
	Completed        bool // the deployment was seen completed, also if it failed later
	// ServiceDeployment is the ARN of the deployment's service deployment, where
	// it could be found.
	ServiceDeployment string

	dead *corpse // the task that the failure shows, for Explain
}

// Taker is a deployment that is PRIMARY in the place of ours.
type Taker struct {
	Deployment, TaskDefinition string
	CreatedAt                  time.Time
}

// Watcher watches deployments. Its methods may be called one after another; two
// at once need two watchers.
type Watcher struct {
	ECS  ECS
	Logs Logs       // nil: log lines are not fetched
	Emit event.Emit // nil: nothing is told
	Pace Pace       // zero: the default pace
}

func (s Subject) check() error {
	if s.Service == "" || s.Deployment == "" || s.TaskDefinition == "" {
		return errors.New("watch a deployment: service, deployment and task definition are needed")
	}
	return nil
}

func (r Return) check() error {
	if r.Service == "" || r.Target == "" {
		return errors.New("watch a rollback: service and target are needed")
	}
	return nil
}

// name is the last part of an ARN.
func name(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// InRegion is the flag of an aws command for what has this ARN; empty for a name.
func InRegion(arn string) string {
	if parts := strings.SplitN(arn, ":", 5); len(parts) == 5 && parts[0] == "arn" && parts[3] != "" {
		return " --region " + parts[3]
	}
	return ""
}
