package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// What holds a deployment although no task fails: a hook that waits for
// somebody, alarms that ECS watches, settings that let nothing happen.

// paused is the hook at which ECS waits for somebody to go on (ContinueServiceDeployment,
// ECS API reference); nil when there is none.
func (r *run) paused() *types.DeploymentLifecycleHookDetail {
	for i, h := range r.own.LifecycleHookDetails {
		if h.Status == types.DeploymentLifecycleHookStatusAwaitingAction {
			return &r.own.LifecycleHookDetails[i]
		}
	}
	return nil
}

// hold keeps the timeout from running while ECS waits for somebody: nothing is
// wrong, and the hook has a timeout of its own.
func (r *run) hold(now time.Time) {
	h := r.paused()
	if h == nil {
		return
	}
	r.progress.at = now
	r.tellOnce("hook "+str(h.HookId)+string(r.own.LifecycleStage), event.Warn, fmt.Sprintf("ECS waits at %s for somebody to go on%s: %s (or ROLLBACK)",
		r.stage(), expiry(h), ContinueCommand(str(r.own.ServiceDeploymentArn), str(h.HookId))))
}

// ContinueCommand is what ends a pause.
func ContinueCommand(serviceDeployment, hook string) string {
	return fmt.Sprintf("aws ecs continue-service-deployment --service-deployment-arn %s --hook-id %s%s --action CONTINUE", serviceDeployment, hook, InRegion(serviceDeployment))
}

func (r *run) stage() string { return cmp.Or(string(r.own.LifecycleStage), "a lifecycle stage") }

func expiry(h *types.DeploymentLifecycleHookDetail) string {
	if h.ExpiresAt == nil {
		return ""
	}
	return fmt.Sprintf(" (at %s UTC it ends with %s)", h.ExpiresAt.UTC().Format(time.DateTime), cmp.Or(string(h.TimeoutAction), "ROLLBACK"))
}

// hooked says what a lifecycle hook has the deployment wait for; empty when none
// does.
func (r *run) hooked() string {
	if h := r.paused(); h != nil {
		return fmt.Sprintf("paused at %s by hook %s until somebody continues it", r.stage(), str(h.HookId))
	}
	for _, h := range r.own.LifecycleHookDetails {
		if h.Status == types.DeploymentLifecycleHookStatusInProgress {
			return fmt.Sprintf("hook %s runs at %s", cmp.Or(name(str(h.TargetArn)), str(h.HookId)), r.stage())
		}
	}
	return ""
}

// alarmed says whether CloudWatch alarms ended our deployment, and which, where
// that is known.
func (r *run) alarmed() (which []string, went bool) {
	if a := r.own.Alarms; a != nil && a.Status == types.ServiceDeploymentRollbackMonitorsStatusTriggered {
		return names(cmp.Or(strings.Join(a.TriggeredAlarmNames, ","), strings.Join(a.AlarmNames, ","))), true
	}
	for _, e := range r.svc.recent {
		if f, ok := Announcement(e.Message); ok && f.Code == event.CodeAlarm {
			return configuredAlarms(r.svc.is), true
		}
	}
	return nil, false
}

// names splits names that ECS may have joined by commas (ServiceDeploymentAlarms,
// ECS API reference).
func names(joined string) []string {
	return slices.DeleteFunc(strings.Split(joined, ","), func(s string) bool { return s == "" })
}

func configuredAlarms(s types.Service) []string {
	if d := s.DeploymentConfiguration; d != nil && d.Alarms != nil && d.Alarms.Enable {
		return d.Alarms.AlarmNames
	}
	return nil
}

// alarmFailure is the failure of a deployment that an alarm ended; nil when none did.
func (r *run) alarmFailure() *event.Failure {
	which, went := r.alarmed()
	switch {
	case !went:
		return nil
	case len(which) == 0:
		return event.Fail(event.CodeAlarm, "a CloudWatch alarm of the service went off")
	}
	f := event.Fail(event.CodeAlarm, fmt.Sprintf("the CloudWatch %s %s went off", plural(len(which), "alarm"), strings.Join(which, ", ")))
	return f.Hint("see what it measured: aws cloudwatch describe-alarm-history --alarm-name " + which[0])
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// tellSettings tells once what in the service's settings decides this deployment
// beside its tasks.
func (r *run) tellSettings() {
	ours := r.svc.ours()
	if ours == nil {
		return
	}
	if ours.DesiredCount == 0 && ours.RolloutState != types.DeploymentRolloutStateFailed {
		r.tellOnce("desired", event.Warn, fmt.Sprintf("the desired count of %s is 0: ECS starts no task, and nothing can be proven", name(r.scope.serviceName)))
	}
	if r.stuck(*ours) {
		r.tellOnce("percents", event.Warn, r.stuckText(*ours)+": "+r.mendPercents())
	}
	alarms := configuredAlarms(r.svc.is)
	if a := r.own.Alarms; len(alarms) > 0 && a != nil && a.Status == types.ServiceDeploymentRollbackMonitorsStatusDisabled {
		r.tellOnce("alarms", event.Warn, fmt.Sprintf("ECS does not use the %s %s in this deployment: one that is in ALARM already when a deployment begins is ignored",
			plural(len(alarms), "alarm"), strings.Join(alarms, ", ")))
	}
}

// stuck says whether ECS may neither stop a task nor start one, as long as the
// deployment before has its tasks: the minimum rounds up, the maximum down
// (DeploymentConfiguration, ECS API reference).
func (r *run) stuck(ours types.Deployment) bool {
	d := r.svc.is.DeploymentConfiguration
	if d == nil || d.MinimumHealthyPercent == nil || d.MaximumPercent == nil || r.svc.left() == 0 || ours.RunningCount > 0 {
		return false
	}
	n := int(ours.DesiredCount)
	least := (n*int(*d.MinimumHealthyPercent) + 99) / 100
	return n > 0 && least >= n && n*int(*d.MaximumPercent)/100 <= n
}

func (r *run) stuckText(ours types.Deployment) string {
	d := r.svc.is.DeploymentConfiguration
	return fmt.Sprintf("with %d wanted, minimumHealthyPercent %d and maximumPercent %d let ECS neither start nor stop a task",
		ours.DesiredCount, aws.ToInt32(d.MinimumHealthyPercent), aws.ToInt32(d.MaximumPercent))
}

func (r *run) mendPercents() string {
	return fmt.Sprintf("aws ecs update-service --cluster %s --service %s%s --deployment-configuration minimumHealthyPercent=100,maximumPercent=200",
		cmp.Or(r.scope.cluster, "default"), name(r.scope.serviceName), InRegion(str(r.svc.is.ServiceArn)))
}

// tellOnce tells what does not change any more.
func (r *run) tellOnce(what string, level event.Level, text string) {
	if r.once[what] {
		return
	}
	r.once[what] = true
	r.emit(event.Note{Level: level, Text: text})
}
