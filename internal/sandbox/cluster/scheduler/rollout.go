package scheduler

import (
	"errors"
	"fmt"
	"slices"
)

// Texts that AWS was seen to send. %s is a deployment's id.
const (
	reasonInProgress   = "ECS deployment %s in progress."
	reasonCompleted    = "ECS deployment %s completed."
	reasonBreaker      = "ECS deployment circuit breaker: tasks failed to start."
	reasonBreakerBack  = "ECS deployment circuit breaker: rolling back to deploymentId %s."
	reasonUserStopped  = "ECS deployment %s stopped: a rollback was requested."
	statusBreaker      = "Service deployment rolled back because the circuit breaker threshold was exceeded."
	statusBreakerStop  = "Service deployment stopped because the circuit breaker threshold was exceeded."
	statusUser         = "Service deployment rolled back because of a StopServiceDeployment request."
	statusNewer        = "Service deployment stopped because of a newer service deployment."
	statusNothingToDo  = "No rollback candidate was found to run the rollback."
	statusRollbackFail = "Service deployment rollback failed because the circuit breaker threshold was exceeded."
)

// Errors of [Service.RequestRollback].
var (
	ErrEnded    = errors.New("the service deployment has ended")
	ErrNoTarget = errors.New("there is no deployment to roll back to")
)

// Deploy makes d the PRIMARY deployment, IN_PROGRESS, and records it as the
// service deployment with the given id. One that was in progress is stopped.
func (s *Service) Deploy(d *Deployment, serviceDeployment string, env Env) *ServiceDeployment {
	for _, sd := range s.ServiceDeployments {
		if !sd.Ended() && sd.Status != SDStopRequested {
			sd.Status, sd.StatusReason = SDStopRequested, statusNewer
			sd.Updated, sd.requested = env.Now, env.Now
		}
	}
	sd := &ServiceDeployment{
		ID: serviceDeployment, Deployment: d.ID, Target: d.Revision,
		Status: SDPending, Created: env.Now, Updated: env.Now,
	}
	for _, old := range s.Deployments {
		sd.Sources = append(sd.Sources, old.Revision)
	}
	if s.Plan.eventful() {
		sd.Course = newCourse(s.Plan, len(s.Deployments) > 1)
	}
	d.Rollout, d.Reason = InProgress, fmt.Sprintf(reasonInProgress, d.ID)
	d.Created, d.Updated = env.Now, env.Now
	s.Deployments = slices.Insert(s.Deployments, 0, d)
	s.ServiceDeployments = append(s.ServiceDeployments, sd)
	s.steady = false
	return sd
}

// RequestRollback asks for the way back from a service deployment that has
// not ended. One that is on its way back, or is being stopped, goes on.
func (s *Service) RequestRollback(sd *ServiceDeployment, env Env) error {
	switch {
	case sd.Ended():
		return ErrEnded
	case sd.Status != SDPending && sd.Status != SDInProgress:
		return nil
	case s.target(sd) == nil:
		return ErrNoTarget
	}
	sd.Status, sd.StatusReason = SDRollbackRequested, statusUser
	sd.Updated, sd.requested = env.Now, env.Now
	return nil
}

// target is the deployment that a service deployment is rolled back to.
func (s *Service) target(sd *ServiceDeployment) *Deployment {
	if s.LastCompleted == nil || s.LastCompleted.ID == sd.Deployment {
		return nil
	}
	return s.LastCompleted
}

func (s *Service) beginUserRollback(sd *ServiceDeployment, env Env) {
	from, to := s.deployment(sd.Deployment), s.target(sd)
	if to == nil {
		sd.StatusReason = statusNothingToDo
		s.end(sd, SDRollbackFailed, env)
		return
	}
	if from != nil {
		from.Rollout, from.Reason = Failed, fmt.Sprintf(reasonUserStopped, from.ID)
		from.Updated = env.Now
	}
	s.rollBack(sd, to, fmt.Sprintf(reasonInProgress, to.ID), statusUser, env)
}

// rollBack makes the deployment to PRIMARY again, under its old id.
func (s *Service) rollBack(sd *ServiceDeployment, to *Deployment, reason, why string, env Env) {
	sd.Status, sd.StatusReason, sd.Updated = SDRollbackInProgress, why, env.Now
	sd.Rollback = &Rollback{Revision: to.Revision, Reason: why, Started: env.Now}
	to.Rollout, to.Reason, to.Updated = InProgress, reason, env.Now
	to.FailedTasks, to.holds, to.throttle, to.blocked = 0, nil, throttle{}, false
	s.Deployments = slices.DeleteFunc(s.Deployments, func(d *Deployment) bool { return d == to })
	s.Deployments = slices.Insert(s.Deployments, 0, to)
	s.LastCompleted, s.Served = nil, to // it keeps the traffic, or has it again, before it is completed
	s.steady = false
	if sd.Course != nil {
		sd.Course.turnBack(s.healthy(to) > 0)
	}
	s.say(env, "rolling back to deployment "+to.ID+".")
}

// checkBreaker fails the PRIMARY deployment when too many of its tasks have.
func (s *Service) checkBreaker(env Env) {
	p := s.Primary()
	if p == nil || p.Rollout != InProgress || !s.Breaker.Enable || p.FailedTasks < s.Breaker.Threshold(s.Desired) {
		return
	}
	p.Rollout, p.Reason, p.Updated = Failed, reasonBreaker, env.Now
	s.say(env, fmt.Sprintf("(deployment %s) deployment failed: tasks failed to start.", p.ID))
	sd := s.responsible(p)
	if sd == nil {
		return
	}
	sd.BreakerFired, sd.Failures = true, p.FailedTasks
	switch to := s.target(sd); {
	case sd.Status == SDRollbackInProgress:
		sd.StatusReason = statusRollbackFail
		s.end(sd, SDRollbackFailed, env)
	case sd.Status == SDStopRequested, sd.Status == SDRollbackRequested:
	case !s.Breaker.Rollback:
		sd.Status, sd.StatusReason = SDStopRequested, statusBreakerStop
		sd.Updated, sd.requested = env.Now, env.Now
	case to == nil:
		sd.StatusReason = statusNothingToDo
		s.end(sd, SDRollbackFailed, env)
	default:
		s.rollBack(sd, to, fmt.Sprintf(reasonBreakerBack, to.ID), statusBreaker, env)
	}
}

// responsible returns the service deployment that a PRIMARY deployment in
// progress belongs to: its own, or the one that is rolled back to it.
func (s *Service) responsible(p *Deployment) *ServiceDeployment {
	if sd := s.ofDeployment(p.ID); sd != nil {
		return sd
	}
	for _, sd := range slices.Backward(s.ServiceDeployments) {
		if sd.Status == SDRollbackInProgress && sd.Rollback.Revision == p.Revision {
			return sd
		}
	}
	return nil
}

// checkCompleted completes the PRIMARY deployment once it runs all its tasks,
// healthy, and no other one has any.
func (s *Service) checkCompleted(env Env) {
	s.dropDrained()
	p := s.Primary()
	if p == nil || len(s.Deployments) != 1 || s.live(p) != s.Desired || s.healthy(p) != s.Desired {
		s.steady = s.steady && p != nil && s.live(p) == s.Desired
		return
	}
	sd := s.responsible(p)
	if sd != nil && sd.Status == SDRollbackRequested {
		return // what is asked to be undone does not complete any more
	}
	if s.course().baking() {
		return
	}
	if p.Rollout == InProgress {
		p.Rollout, p.Reason, p.Updated = Completed, fmt.Sprintf(reasonCompleted, p.ID), env.Now
		s.LastCompleted, s.Served = p, p
		s.complete(sd, env)
		s.say(env, fmt.Sprintf("(deployment %s) deployment completed.", p.ID))
	}
	if p.Rollout == Completed && (!s.steady || !env.Now.Before(s.steadyAt.Add(env.Pace.Steady))) {
		s.steady, s.steadyAt, p.Restored = true, env.Now, false
		s.say(env, "has reached a steady state.")
	}
}

func (s *Service) complete(sd *ServiceDeployment, env Env) {
	switch {
	case sd == nil:
	case sd.Status == SDRollbackInProgress:
		s.end(sd, SDRollbackSuccessful, env)
	case sd.Status == SDInProgress:
		s.end(sd, SDSuccessful, env)
	}
}

// dropDrained forgets deployments that were replaced and whose containers
// have all ended.
func (s *Service) dropDrained() {
	for i := len(s.Deployments) - 1; i > 0; i-- {
		d := s.Deployments[i]
		if s.count(d, func(t *Task) bool { return t.Status < Deprovisioning }) == 0 {
			s.Deployments = slices.Delete(s.Deployments, i, i+1)
		}
	}
}
