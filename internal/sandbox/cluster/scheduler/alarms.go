package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Statuses of what watches a deployment (ServiceDeploymentRollbackMonitorsStatus).
const (
	MonitorDisabled  = "DISABLED"
	MonitorWatching  = "MONITORING"
	MonitorTriggered = "TRIGGERED"
	MonitorComplete  = "MONITORING_COMPLETE"
)

// Texts of deployments that an alarm ends. That of the service event was seen
// on AWS. %s are names.
const (
	eventAlarm      = "(deployment %s) deployment failed: alarm detected."
	reasonAlarm     = "ECS deployment failed: alarm detected."
	reasonAlarmBack = "ECS deployment failed: alarm detected, rolling back to deploymentId %s."
	statusAlarm     = "Service deployment rolled back because of CloudWatch alarms: %s."
	statusAlarmStop = "Service deployment stopped because of CloudWatch alarms: %s."
)

// alarmState is the one that fails a deployment.
const alarmState = "ALARM"

// AlarmWatch is what a service deployment knows of the alarms that watch it.
type AlarmWatch struct {
	Names     []string
	RollBack  bool
	Status    string
	Triggered []string
}

// watchAlarms begins to watch the alarms of a deployment that begins. One that
// is in ALARM already has all be ignored: the deployment may be what mends it.
func (s *Service) watchAlarms(sd *ServiceDeployment, env Env) {
	if len(s.Plan.Alarms) == 0 {
		return
	}
	sd.Alarms = &AlarmWatch{Names: s.Plan.Alarms, RollBack: s.Plan.AlarmsRollBack, Status: MonitorWatching}
	if len(env.inAlarm(sd.Alarms.Names)) > 0 {
		sd.Alarms.Status = MonitorDisabled
	}
}

// inAlarm picks the names whose alarms are in ALARM.
func (env Env) inAlarm(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		if env.Alarm == nil {
			return true
		}
		state, _ := env.Alarm(name)
		return state != alarmState
	})
}

// checkAlarms fails the deployment on its way there when an alarm went off.
func (s *Service) checkAlarms(env Env) {
	sd := s.underWay()
	if sd == nil || sd.Status != SDInProgress || !sd.Alarms.watching() {
		return
	}
	p, went := s.Primary(), env.inAlarm(sd.Alarms.Names)
	if len(went) == 0 || p == nil || p.Rollout != InProgress {
		return
	}
	sd.Alarms.Status, sd.Alarms.Triggered = MonitorTriggered, went
	p.Rollout, p.Reason, p.Updated = Failed, reasonAlarm, env.Now
	s.say(env, fmt.Sprintf(eventAlarm, p.ID))
	names := strings.Join(went, ", ")
	switch to := s.target(sd); {
	case !sd.Alarms.RollBack:
		sd.Status, sd.StatusReason = SDStopRequested, fmt.Sprintf(statusAlarmStop, names)
		sd.Updated, sd.requested = env.Now, env.Now
	case to == nil:
		sd.StatusReason = statusNothingToDo
		s.end(sd, SDRollbackFailed, env)
	default:
		s.rollBack(sd, to, fmt.Sprintf(reasonAlarmBack, to.ID), fmt.Sprintf(statusAlarm, names), env)
	}
}

func (a *AlarmWatch) watching() bool { return a != nil && a.Status == MonitorWatching }

func (s *Service) wakeAlarms(env Env, wake func(time.Time)) {
	if sd := s.underWay(); sd != nil && sd.Status == SDInProgress && sd.Alarms.watching() {
		wake(env.Now.Add(env.Pace.Alarms))
	}
}
