package scheduler

import (
	"slices"
	"time"
)

// placeFleets keeps the tasks of a deployment that runs beside the one before:
// each has all that is desired until the last stage. It reports false where
// the rules of a rolling deployment hold.
func (s *Service) placeFleets(c *Course, env Env) bool {
	p := s.Primary()
	begun := c.At >= 0 && c.scaled()
	if c.Stage == StageCleanUp || c.Plan.rolling() && (begun || c.Back) {
		return false
	}
	blue := s.Serving()
	for _, d := range slices.Clone(s.Deployments) {
		switch {
		case d == blue, d == p && begun:
			s.keep(d, env)
		case d != p && blue != nil && !c.Back && !c.Plan.rolling():
			s.stopTasks(s.liveTasks(func(t *Task) bool { return t.Deployment == d.ID }), p, env)
		}
	}
	return true
}

// scaled says whether tasks of the target may have been started.
func (c *Course) scaled() bool {
	return c.Back || c.Stage != StageReconcile && c.Stage != StagePreScaleUp
}

// keep starts and stops tasks of one deployment until it has what is desired.
func (s *Service) keep(d *Deployment, env Env) {
	d.holds = slices.DeleteFunc(d.holds, func(until time.Time) bool { return !env.Now.Before(until) })
	if extra := s.live(d) - s.Desired; extra > 0 {
		s.stopTasks(s.newest(d, extra), d, env)
	}
	if n := s.need(d) - len(d.holds); n > 0 && !env.Now.Before(d.throttle.until) {
		s.begin(d, n, env)
	}
}
