package sandbox

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/page"
)

// viewDetail copies what the page shows of a service.
func viewDetail(i cluster.Inspection) page.Detail {
	d := page.Detail{Tasks: viewTasks(i.Tasks), More: i.More}
	for n, x := range i.Service.Deployments {
		p := page.Deployment{
			ID: str(x.Id), Status: str(x.Status), Revision: lastOf(str(x.TaskDefinition)), Rollout: string(x.RolloutState), Reason: str(x.RolloutStateReason),
			Desired: int(x.DesiredCount), Running: int(x.RunningCount), Pending: int(x.PendingCount), Failed: int(x.FailedTasks),
			Created: aws.ToTime(x.CreatedAt),
		}
		if n < len(i.Service.CurrentServiceRevisions) {
			for _, image := range i.Revisions[str(i.Service.CurrentServiceRevisions[n].Arn)].ContainerImages {
				if image.ImageDigest != nil {
					p.Digests = append(p.Digests, *image.ImageDigest)
				}
			}
		}
		d.Deployments = append(d.Deployments, p)
	}
	for _, sd := range i.Deployments {
		d.Attempts = append(d.Attempts, viewAttempt(sd, i.Revisions))
	}
	for _, e := range i.Service.Events {
		d.Events = append(d.Events, page.Event{ID: str(e.Id), At: aws.ToTime(e.CreatedAt), Text: str(e.Message)})
	}
	slices.SortStableFunc(d.Events, func(a, b page.Event) int { return b.At.Compare(a.At) }) // seeds tell them by deployment
	return d
}

func viewAttempt(sd types.ServiceDeployment, revisions map[string]types.ServiceRevision) page.Attempt {
	name := func(arn *string) string { return lastOf(str(revisions[str(arn)].TaskDefinition)) }
	a := page.Attempt{
		Status: string(sd.Status), Reason: str(sd.StatusReason), Stage: string(sd.LifecycleStage),
		Created: aws.ToTime(sd.CreatedAt), Finished: aws.ToTime(sd.FinishedAt),
	}
	weigh := func(r types.ServiceRevisionSummary) {
		if w := r.RequestedProductionTrafficWeight; w != nil {
			a.Weights = append(a.Weights, page.Weight{Revision: name(r.Arn), Percent: *w})
		}
	}
	if t := sd.TargetServiceRevision; t != nil {
		a.Revision = name(t.Arn)
		weigh(*t)
	}
	for n, s := range sd.SourceServiceRevisions {
		if n == 0 {
			a.From = name(s.Arn)
		}
		weigh(s)
	}
	if r := sd.Rollback; r != nil {
		a.Back = name(r.ServiceRevisionArn)
	}
	if b := sd.DeploymentCircuitBreaker; b != nil {
		a.Failures, a.Threshold = int(b.FailureCount), int(b.Threshold)
		if b.Status == types.ServiceDeploymentRollbackMonitorsStatusDisabled {
			a.Threshold = 0
		}
	}
	if sd.Status == types.ServiceDeploymentStatusInProgress || sd.Status == types.ServiceDeploymentStatusRollbackInProgress {
		a.Hooks = viewHooks(sd.LifecycleHookDetails)
	}
	return a
}

// viewHooks are the hooks that are not over.
func viewHooks(details []types.DeploymentLifecycleHookDetail) []page.Hook {
	var hooks []page.Hook
	for _, h := range details {
		x := page.Hook{ID: str(h.HookId), Until: aws.ToTime(h.ExpiresAt), Then: string(h.TimeoutAction)}
		switch h.Status {
		case types.DeploymentLifecycleHookStatusAwaitingAction:
		case types.DeploymentLifecycleHookStatusInProgress:
			x.Target = cmp.Or(str(h.TargetArn), string(h.TargetType))
		default:
			continue
		}
		hooks = append(hooks, x)
	}
	return hooks
}

func viewTasks(list []cluster.TaskInspection) []page.Task {
	tasks := make([]page.Task, 0, len(list))
	for _, t := range list {
		p := page.Task{
			ID: lastOf(str(t.TaskArn)), Revision: lastOf(str(t.TaskDefinitionArn)), Status: str(t.LastStatus), Health: string(t.HealthStatus),
			StopCode: string(t.StopCode), Reason: str(t.StoppedReason), Live: str(t.DesiredStatus) == "RUNNING", Failed: t.Failed,
			Created: aws.ToTime(t.CreatedAt), Started: aws.ToTime(t.StartedAt), Stopped: aws.ToTime(t.StoppedAt),
		}
		for n, k := range t.Task.Containers {
			more := t.Containers[n]
			c := page.Container{Name: str(k.Name), Status: str(k.LastStatus), Health: string(k.HealthStatus), Reason: str(k.Reason), Checked: more.Checked}
			if k.ExitCode != nil {
				c.Exit = new(int(*k.ExitCode))
			}
			for _, port := range more.Ports {
				if port.HostPort > 0 && port.Protocol != "udp" {
					c.Ports = append(c.Ports, net.JoinHostPort(port.HostIP, strconv.Itoa(port.HostPort)))
				}
			}
			p.Containers = append(p.Containers, c)
		}
		tasks = append(tasks, p)
	}
	return tasks
}

// heardStreams bounds how many streams are read for the lines of one service.
const heardStreams = 16

// stream is a container's log.
type stream struct{ group, name, task, container string }

// Lines are the latest lines of a service's tasks, the newest of which are heard.
func (v view) Lines(from page.Source, most int) []page.Line {
	var streams []stream
	v.cluster.Inspect(from.Cluster, from.Service, func(i cluster.Inspection) { streams = streamsOf(i.Tasks, from) })
	var lines []page.Line
	for _, s := range streams[:min(len(streams), heardStreams)] {
		who := s.task[:min(len(s.task), 8)]
		if len(streams) > 1 && s.container != "" {
			who += " " + s.container
		}
		for _, l := range v.logs.Tail(s.group, s.name, most) {
			lines = append(lines, page.Line{Key: fmt.Sprintf("%s-%s-%d", s.task, s.container, l.Number), Who: who, Text: l.Text, At: l.At})
		}
	}
	slices.SortStableFunc(lines, func(a, b page.Line) int { return a.At.Compare(b.At) })
	return lines[max(len(lines)-most, 0):]
}

// streamsOf are the streams that a source means, those of tasks that live first.
func streamsOf(tasks []cluster.TaskInspection, from page.Source) []stream {
	var streams []stream
	live := func(t cluster.TaskInspection) int {
		if str(t.DesiredStatus) == "RUNNING" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(tasks, func(a, b cluster.TaskInspection) int {
		return cmp.Or(cmp.Compare(live(a), live(b)), aws.ToTime(b.CreatedAt).Compare(aws.ToTime(a.CreatedAt)))
	})
	for _, t := range tasks {
		id := lastOf(str(t.TaskArn))
		if from.Task != "" && from.Task != id {
			continue
		}
		for _, k := range t.Containers {
			if k.LogGroup == "" || from.Container != "" && from.Container != k.Name {
				continue
			}
			s := stream{k.LogGroup, k.LogStream, id, ""}
			if len(t.Containers) > 1 {
				s.container = k.Name
			}
			streams = append(streams, s)
		}
	}
	return streams
}
