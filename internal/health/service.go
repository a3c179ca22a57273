package health

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// primary is the status of the newest deployment of a service (Deployment, ECS
// API reference).
const primary = "PRIMARY"

// service is what the last answer of DescribeServices said.
type service struct {
	known   bool
	answers int // how many there were
	is      types.Service
	id      string // of the deployment that is ours; empty when it is not known
	seenMe  bool   // ours was in an answer once

	told   map[string]event.Deployment
	events map[string]bool      // ids of service events that were taken in
	recent []event.ServiceEvent // since the deployment began, oldest first
}

// ours is the deployment that is watched; nil when the answer does not have it.
func (s *service) ours() *types.Deployment { return s.deployment(s.id) }

func (s *service) deployment(id string) *types.Deployment {
	if id == "" {
		return nil
	}
	for i, d := range s.is.Deployments {
		if str(d.Id) == id {
			return &s.is.Deployments[i]
		}
	}
	return nil
}

// primary is the deployment that ECS brings the service to; nil when there is
// none.
func (s *service) primary() *types.Deployment {
	for i, d := range s.is.Deployments {
		if str(d.Status) == primary {
			return &s.is.Deployments[i]
		}
	}
	return nil
}

// left is how many tasks other deployments still run or start.
func (s *service) left() int {
	n := 0
	for _, d := range s.is.Deployments {
		if str(d.Id) != s.id {
			n += int(d.RunningCount + d.PendingCount)
		}
	}
	return n
}

// seeService takes in an answer of DescribeServices.
func (r *run) seeService(is types.Service, at time.Time) {
	before := r.svc.ours()
	counted := before != nil
	var was types.Deployment
	if counted {
		was = *before
	}
	r.svc.known, r.svc.is = true, is
	r.svc.answers++
	for _, d := range is.Deployments {
		r.clock.see(at, d.CreatedAt, d.UpdatedAt)
		r.tellDeployment(d)
	}
	r.tellGone(is)
	if r.scope.created.IsZero() {
		r.scope.created = r.begun(at)
	}
	for _, e := range slices.Backward(is.Events) { // AWS lists the newest first
		r.clock.see(at, e.CreatedAt)
		r.seeEvent(e)
	}
	if now := r.svc.ours(); now != nil {
		r.svc.seenMe = true
		if !counted || was.RunningCount != now.RunningCount || was.PendingCount != now.PendingCount || was.FailedTasks != now.FailedTasks {
			r.fleet.stale = true
			r.soon(r.tasks)
		}
		// The tasks of a deployment that ECS goes back to are mostly not of this
		// rollback: there is nothing to look for.
		unseen := r.svc.id == r.scope.id && int(now.RunningCount+now.PendingCount) > len(r.fleet.alive())
		if unseen && r.tasks.readable() {
			r.fleet.missing = true
			r.soon(r.running)
		}
	}
	r.tellSettings()
	r.note(at)
}

// begun is when the watched deployment began, on AWS's clock, for a caller who
// did not know: when ECS made it, or the time of the first answer for a rollback
// of ECS's own.
func (r *run) begun(at time.Time) time.Time {
	if d := r.svc.ours(); d != nil {
		return aws.ToTime(d.CreatedAt)
	}
	if r.scope.id != "" {
		return time.Time{}
	}
	return r.clock.at(at)
}

func (r *run) tellDeployment(d types.Deployment) {
	e := event.Deployment{
		ID: str(d.Id), Ours: str(d.Id) == r.svc.id, Status: str(d.Status), TaskDefinition: str(d.TaskDefinition),
		RolloutState: string(d.RolloutState), RolloutReason: str(d.RolloutStateReason),
		Desired: int(d.DesiredCount), Running: int(d.RunningCount), Pending: int(d.PendingCount), FailedTasks: int(d.FailedTasks),
	}
	if r.svc.told == nil {
		r.svc.told = map[string]event.Deployment{}
	}
	if r.svc.told[e.ID] != e {
		r.svc.told[e.ID] = e
		r.emit(e)
	}
}

// tellGone tells of deployments that ECS lists no more: nothing is left of them.
func (r *run) tellGone(is types.Service) {
	for id, e := range r.svc.told {
		listed := slices.ContainsFunc(is.Deployments, func(d types.Deployment) bool { return str(d.Id) == id })
		if listed || e.Status == "INACTIVE" {
			continue
		}
		e.Status, e.Desired, e.Running, e.Pending = "INACTIVE", 0, 0, 0
		r.svc.told[id] = e
		r.emit(e)
	}
}

// startedTasks finds the ids of tasks in "(service S) has started 2 tasks: (task
// A) (task B)." (Service event messages, ECS Developer Guide).
var startedTasks = regexp.MustCompile(`\(task ([0-9a-fA-F-]{8,64})\)`)

// seeEvent takes in an event of the service, once, if it is not older than the
// deployment. Events are evidence; the tasks that they name are looked at.
func (r *run) seeEvent(e types.ServiceEvent) {
	if r.svc.events == nil {
		r.svc.events = map[string]bool{}
	}
	if r.svc.events[str(e.Id)] || aws.ToTime(e.CreatedAt).Before(r.scope.created) {
		return
	}
	r.svc.events[str(e.Id)] = true
	told := event.ServiceEvent{ID: str(e.Id), At: aws.ToTime(e.CreatedAt), Message: str(e.Message)}
	r.svc.recent = append(r.svc.recent, told)
	r.emit(told)
	if !strings.Contains(told.Message, "has started") {
		return
	}
	for _, m := range startedTasks.FindAllStringSubmatch(told.Message, -1) {
		_, other := r.fleet.others[m[1]]
		if r.fleet.ours[m[1]] == nil && !other {
			r.want(m[1])
		}
	}
}

// trouble are words of service events that tell of trouble.
var trouble = regexp.MustCompile(`(?i)fail|unhealthy|error|throttl|unable|missing|alarm|rolling back|unavailable|could not|limit`)

// rejection is the last event that says what a target group has against a task: the
// task itself only says which target group. There may be none yet.
func (s *service) rejection() []string {
	for _, e := range slices.Backward(s.recent) {
		if strings.Contains(e.Message, "is unhealthy in (target-group") {
			return []string{e.Message}
		}
	}
	return nil
}

// troubles are the last events that tell of trouble, at most n, oldest first.
func (s *service) troubles(n int) []string {
	var out []string
	for _, e := range slices.Backward(s.recent) {
		if trouble.MatchString(about.ReplaceAllString(e.Message, "")) && !slices.Contains(out, e.Message) && len(out) < n {
			out = append(out, e.Message)
		}
	}
	slices.Reverse(out)
	return out
}
