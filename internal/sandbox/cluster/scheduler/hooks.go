package scheduler

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Statuses of a hook (DeploymentLifecycleHookStatus).
const (
	HookAwaiting   = "AWAITING_ACTION"
	HookInProgress = "IN_PROGRESS"
	HookSucceeded  = "SUCCEEDED"
	HookFailed     = "FAILED"
	HookTimedOut   = "TIMED_OUT"
)

// callBackDelay is the time until a Lambda function that is not ready is called
// again, unless it says another (Lambda hooks, Developer Guide).
const callBackDelay = 30 * time.Second

// A HookRun is a hook at work: once for each stage, and step, that it is for.
type HookRun struct {
	ID      string // ecs-pause-…
	Type    string
	Target  string
	Stage   string
	Status  string
	Expires time.Time

	Continue bool            // at the timeout
	Details  json.RawMessage // to be handed to the function
	Next     time.Time       // of a function: it is called then
	Called   bool            // its answer is awaited

	// Failure says why it failed, in ECS's words.
	Failure string
}

// An Answer is what a Lambda function says (hookStatus, callBackDelay), or why
// it could not be asked.
type Answer struct {
	Status  string
	Delay   time.Duration // 0: 30 s
	Details json.RawMessage
	Failure string
}

// over says whether nothing is awaited of the hook any more.
func (r *HookRun) over() bool { return r.Status != HookAwaiting && r.Status != HookInProgress }

// beginHooks starts the hooks of the stage that was entered, all at once. On
// the way back only functions are called: a pause would hold up the rollback.
func (s *Service) beginHooks(c *Course, env Env) {
	c.Runs = nil
	for _, h := range c.Plan.Hooks {
		if !h.at(c.Stage) || c.Back && h.Type == HookPause {
			continue
		}
		r := &HookRun{
			ID: env.NewHookID(h.Type), Type: h.Type, Target: h.Target, Stage: c.Stage, Status: HookInProgress,
			Expires: env.Now.Add(env.Pace.Of(h.Timeout)), Continue: h.Continue, Details: h.Details, Next: env.Now,
		}
		if h.Type == HookPause {
			r.Status = HookAwaiting
		}
		c.Runs = append(c.Runs, r)
	}
}

// hooksOver looks at the hooks of the stage. why is not empty when one of them
// wants the deployment undone; over says that none is awaited any more.
func (c *Course) hooksOver(env Env) (over bool, why string) {
	over = true
	for _, r := range c.Runs {
		if !r.over() && !env.Now.Before(r.Expires) {
			r.timeOut()
		}
		switch {
		case r.Failure != "":
			return false, r.Failure
		case !r.over():
			over = false
		}
	}
	return over, ""
}

func (r *HookRun) timeOut() {
	r.Status = HookTimedOut
	switch {
	case r.Continue:
	case r.Type == HookPause:
		r.Failure = fmt.Sprintf(statusPauseTimeout, r.Stage)
	default:
		r.Failure = fmt.Sprintf(statusHooks, r.Stage, fmt.Sprintf("Lifecycle hook target %s timed out.", r.Target))
	}
}

// Invocations are the Lambda functions that are to be called now. Each is
// returned once until [Service.HookAnswered] tells what it said.
func (s *Service) Invocations(env Env) (*ServiceDeployment, []*HookRun) {
	sd := s.underWay()
	if sd == nil || sd.Course == nil {
		return nil, nil
	}
	var due []*HookRun
	for _, r := range sd.Course.Runs {
		if r.Type == HookLambda && !r.over() && !r.Called && !env.Now.Before(r.Next) {
			r.Called = true
			due = append(due, r)
		}
	}
	return sd, due
}

// HookAnswered tells what a Lambda function said. An answer that nobody waits
// for any more is ignored.
func (s *Service) HookAnswered(id string, a Answer, env Env) {
	sd := s.underWay()
	if sd == nil {
		return
	}
	r := sd.Course.run(id)
	if r == nil || r.over() {
		return
	}
	r.Called = false
	if len(a.Details) > 0 {
		r.Details = a.Details
	}
	switch {
	case a.Failure != "":
		r.Status, r.Failure = HookFailed, fmt.Sprintf(statusHooks, r.Stage, a.Failure)
	case a.Status == HookInProgress:
		if a.Delay <= 0 {
			a.Delay = callBackDelay
		}
		r.Next = env.Now.Add(env.Pace.Of(a.Delay))
	case a.Status == HookFailed:
		r.Status = HookFailed
		r.Failure = fmt.Sprintf(statusHooks, r.Stage, fmt.Sprintf("Lifecycle hook target %s returned FAILED status.", r.Target))
	default:
		r.Status = HookSucceeded
	}
}

// run finds a hook of the present stage; c may be nil.
func (c *Course) run(id string) *HookRun {
	if c == nil {
		return nil
	}
	for _, r := range c.Runs {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// ErrNoHook is the error of [Service.Continue] for a hook that waits for
// nobody.
var ErrNoHook = errors.New("no such hook awaits an action")

// Continue ends a pause: the deployment goes on or, with back, is undone.
func (s *Service) Continue(sd *ServiceDeployment, hook string, back bool, env Env) error {
	if sd.Ended() {
		return ErrEnded
	}
	r := sd.Course.run(hook)
	if r == nil || r.Status != HookAwaiting || sd.Status != SDInProgress {
		return ErrNoHook
	}
	if !back {
		r.Status = HookSucceeded
		return nil
	}
	r.Status, r.Failure = HookFailed, fmt.Sprintf(statusPauseBack, r.Stage)
	return nil
}
