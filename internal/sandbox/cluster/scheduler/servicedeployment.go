package scheduler

import "time"

// Statuses of a service deployment (ServiceDeploymentStatus).
const (
	SDPending            = "PENDING"
	SDInProgress         = "IN_PROGRESS"
	SDSuccessful         = "SUCCESSFUL"
	SDStopRequested      = "STOP_REQUESTED"
	SDStopped            = "STOPPED"
	SDRollbackRequested  = "ROLLBACK_REQUESTED"
	SDRollbackInProgress = "ROLLBACK_IN_PROGRESS"
	SDRollbackSuccessful = "ROLLBACK_SUCCESSFUL"
	SDRollbackFailed     = "ROLLBACK_FAILED"
)

// A ServiceDeployment is the record of one attempt to bring a service to a
// service revision: of what ListServiceDeployments and its relatives tell.
type ServiceDeployment struct {
	ID           string   // last part of its ARN
	Deployment   string   // ecs-svc/… that carries it out
	Target       string   // ARN of the service revision
	Sources      []string // ARNs of the service revisions that served before
	Status       string
	StatusReason string

	Created, Started, Finished, StoppedAt, Updated time.Time
	Rollback                                       *Rollback

	// BreakerFired, Failures and Threshold describe the circuit breaker;
	// the latter two are frozen when the service deployment ends.
	BreakerFired bool
	Failures     int
	Threshold    int

	// Final are the counts of the target when the service deployment ended.
	Final Counts

	// Course is its way through the lifecycle stages; nil where there are none.
	Course *Course
	Alarms *AlarmWatch // nil: none watch it

	requested time.Time // of the stop or rollback
}

// Rollback says what a service deployment was rolled back to, and why.
type Rollback struct {
	Revision string // ARN of the service revision
	Reason   string
	Started  time.Time
}

// Ended reports whether the status is a last one.
func (d *ServiceDeployment) Ended() bool {
	switch d.Status {
	case SDSuccessful, SDStopped, SDRollbackSuccessful, SDRollbackFailed:
		return true
	}
	return false
}

// Current is the latest service deployment, or nil.
func (s *Service) Current() *ServiceDeployment {
	if len(s.ServiceDeployments) == 0 {
		return nil
	}
	return s.ServiceDeployments[len(s.ServiceDeployments)-1]
}

// ofDeployment returns the service deployment that is carried out by a
// deployment and has not ended, or nil.
func (s *Service) ofDeployment(id string) *ServiceDeployment {
	for _, sd := range s.ServiceDeployments {
		if sd.Deployment == id && !sd.Ended() {
			return sd
		}
	}
	return nil
}

// end gives a service deployment its last status.
func (s *Service) end(sd *ServiceDeployment, status string, env Env) {
	if d := s.deployment(sd.Deployment); d != nil && !sd.BreakerFired {
		sd.Failures = d.FailedTasks
	}
	sd.Threshold = s.Breaker.Threshold(s.Desired)
	sd.Final = s.Count(sd.Deployment)
	sd.Status, sd.Updated, sd.Finished = status, env.Now, env.Now
	if sd.Alarms.watching() {
		sd.Alarms.Status = MonitorComplete
	}
	if status == SDStopped {
		sd.StoppedAt = env.Now
	}
}

// advanceServiceDeployments moves on what was requested and may now begin.
func (s *Service) advanceServiceDeployments(env Env) {
	for _, sd := range s.ServiceDeployments {
		due := !env.Now.Before(sd.requested.Add(env.Pace.Request))
		switch {
		case sd.Status == SDPending:
			sd.Status, sd.Started, sd.Updated = SDInProgress, env.Now, env.Now
			s.watchAlarms(sd, env)
		case sd.Status == SDStopRequested && due:
			s.end(sd, SDStopped, env)
		case sd.Status == SDRollbackRequested && due:
			s.beginUserRollback(sd, env)
		}
	}
}

func (s *Service) wakeServiceDeployments(env Env, wake func(time.Time)) {
	for _, sd := range s.ServiceDeployments {
		if sd.Status == SDStopRequested || sd.Status == SDRollbackRequested {
			wake(sd.requested.Add(env.Pace.Request))
		}
	}
}
