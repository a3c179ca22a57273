package scheduler

import (
	"fmt"
	"time"
)

// Texts of deployments that their stages end. The first three are AWS's
// (Troubleshooting Amazon ECS blue/green deployments); %s is a stage.
const (
	statusHooks        = "Service deployment rolled back because %s lifecycle hook(s) failed. %s"
	statusPauseTimeout = "Service deployment rolled back because %s pause hook timed out."
	statusNetworking   = "Service deployment rolled back because of invalid networking configuration. %s"
	statusPauseBack    = "Service deployment rolled back because %s pause hook was rolled back."
	statusStageTimeout = "Service deployment rolled back because %s lifecycle stage timed out."
	reasonStageFailed  = "ECS deployment %s failed."
)

// stageTimeout is how long a stage may last ("up to 24 hours"). Hooks have
// timeouts of their own, and bake times are not longer.
const stageTimeout = 24 * time.Hour

// A Course is the way of a service deployment through its lifecycle stages: the
// way there, and after a failure the way back. All of it is data, so that it
// can be written down and read again.
type Course struct {
	Plan    Plan
	Stage   string
	Legs    []Leg
	At      int // of Legs; -1 before the first
	Entered time.Time
	Back    bool

	// Production and Test are the percentages of the traffic that are asked
	// for the target. Tested says that test traffic has been shifted.
	Production, Test float64
	Tested           bool

	Runs []*HookRun // the hooks of the present stage
}

func newCourse(p Plan, reconcile bool) *Course {
	return &Course{Plan: p, Legs: p.legs(reconcile), At: -1}
}

// underWay is the service deployment that is on its way there or back, or nil.
func (s *Service) underWay() *ServiceDeployment {
	sd := s.Current()
	if sd == nil || sd.Status != SDInProgress && sd.Status != SDRollbackInProgress {
		return nil
	}
	return sd
}

// course is the way that the PRIMARY deployment is on, or nil when it has no
// stages or they are behind it.
func (s *Service) course() *Course {
	sd := s.Current()
	if sd == nil || sd.Ended() {
		return nil
	}
	return sd.Course
}

// Serving is the deployment that has the production traffic: what a
// deployment with traffic calls blue. nil: nothing was ever completed.
func (s *Service) Serving() *Deployment {
	if s.Served == nil {
		return s.LastCompleted
	}
	return s.Served
}

// advanceCourse goes from stage to stage as far as it can, and reports whether
// it went anywhere.
func (s *Service) advanceCourse(env Env) bool {
	sd := s.underWay()
	if sd == nil || sd.Course == nil {
		return false
	}
	moved := false
	for s.advanceStage(sd, env) {
		sd.Updated, moved = env.Now, true
	}
	return moved
}

// advanceStage reports whether the next stage was entered, or the way back.
func (s *Service) advanceStage(sd *ServiceDeployment, env Env) bool {
	c := sd.Course
	if c.At < 0 {
		s.enter(c, env)
		return true
	}
	over, why := c.hooksOver(env)
	switch {
	case why != "" && !c.Back: // nothing holds up a rollback
		return s.undo(sd, why, env)
	case c.Stage == StageScaleUp && !env.Now.Before(c.Entered.Add(env.Pace.Of(stageTimeout))) && !c.Back:
		return s.undo(sd, fmt.Sprintf(statusStageTimeout, c.Stage), env)
	case c.At == len(c.Legs)-1, why == "" && !over, !s.stageOver(c, env):
		return false
	}
	s.enter(c, env)
	return true
}

// stageOver says whether what the stage itself is about has happened.
func (s *Service) stageOver(c *Course, env Env) bool {
	p := s.Primary()
	if p == nil || env.Now.Before(c.until(env)) {
		return false
	}
	switch c.Stage {
	case StageReconcile:
		return c.Plan.rolling() || len(s.Deployments) <= 2 || s.Serving() == nil
	case StageScaleUp:
		all := s.live(p) == s.Desired && s.healthy(p) == s.Desired
		return all && (!c.Plan.rolling() || len(s.Deployments) == 1)
	}
	return true
}

// until is the end of the time that the present stage lasts at least.
func (c *Course) until(env Env) time.Time {
	least := env.Pace.Stage
	if c.Plan.rolling() || c.Back {
		least = 0
	}
	return c.Entered.Add(max(least, env.Pace.Of(c.Legs[c.At].Bake)))
}

// enter begins the next stage: traffic is shifted first, then hooks are called.
func (s *Service) enter(c *Course, env Env) {
	c.At++
	leg := c.Legs[c.At]
	c.Stage, c.Entered = leg.Stage, env.Now
	switch {
	case leg.Stage == StageTest && c.Plan.Tests:
		c.Test, c.Tested = leg.Percent, true
	case leg.Stage == StageProduction && c.Plan.Shifts:
		c.Production = leg.Percent
	}
	s.beginHooks(c, env)
}

// undo fails a deployment on its way and turns back, whatever its
// configuration says of rollbacks. It reports whether there is a way back.
func (s *Service) undo(sd *ServiceDeployment, why string, env Env) bool {
	if p := s.deployment(sd.Deployment); p != nil {
		p.Rollout, p.Reason, p.Updated = Failed, fmt.Sprintf(reasonStageFailed, p.ID), env.Now
		s.say(env, fmt.Sprintf("(deployment %s) deployment failed: %s", p.ID, why))
	}
	to := s.target(sd)
	if to == nil {
		sd.StatusReason = statusNothingToDo
		s.end(sd, SDRollbackFailed, env)
		return false
	}
	s.rollBack(sd, to, fmt.Sprintf(reasonInProgress, to.ID), why, env)
	return true
}

// turnBack makes the way back of the way there: traffic to the old revision at
// once or, when nothing of that is left, as soon as something is; then the
// new one is cleaned up.
func (c *Course) turnBack(blueServes bool) {
	c.Legs, c.At, c.Back, c.Runs = nil, -1, true, nil
	if c.Production > 0 && !blueServes {
		c.Legs = append(c.Legs, Leg{Stage: StageScaleUp})
	}
	if c.Production > 0 {
		c.Legs = append(c.Legs, Leg{Stage: StageProduction})
	}
	if c.Tested {
		c.Legs = append(c.Legs, Leg{Stage: StageTest})
	}
	c.Legs = append(c.Legs, Leg{Stage: StageCleanUp})
}

// TrafficFailed tells that the traffic could not be shifted, and why.
func (s *Service) TrafficFailed(why string, env Env) {
	if sd := s.underWay(); sd != nil && sd.Course != nil && !sd.Course.Back {
		s.undo(sd, fmt.Sprintf(statusNetworking, why), env)
	}
}

// baking says whether the PRIMARY deployment may not complete yet.
func (c *Course) baking() bool { return c != nil && c.Stage != StageCleanUp }

func (s *Service) wakeCourse(env Env, wake func(time.Time)) {
	c := s.course()
	if c == nil || c.At < 0 {
		return
	}
	wake(c.until(env))
	if c.Stage == StageScaleUp {
		wake(c.Entered.Add(env.Pace.Of(stageTimeout)))
	}
	for _, r := range c.Runs {
		if r.over() {
			continue
		}
		wake(r.Expires)
		if !r.Called {
			wake(r.Next)
		}
	}
}
