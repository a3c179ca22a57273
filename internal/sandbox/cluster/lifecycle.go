package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// hookEvent is what ECS sends a Lambda function ("Lifecycle payloads", Developer
// Guide). Weights are told at the stages that are about them.
type hookEvent struct {
	ExecutionID      string          `json:"executionId"`
	LifecycleStage   string          `json:"lifecycleStage"`
	ResourceArn      string          `json:"resourceArn"`
	ExecutionDetails hookDetails     `json:"executionDetails"`
	HookDetails      json.RawMessage `json:"hookDetails,omitempty"`
}

type hookDetails struct {
	ServiceArn               string             `json:"serviceArn"`
	TargetServiceRevisionArn string             `json:"targetServiceRevisionArn"`
	TestTrafficWeights       map[string]float64 `json:"testTrafficWeights"`
	ProductionTrafficWeights map[string]float64 `json:"productionTrafficWeights"`
}

// hookAnswer is what a Lambda function answers.
type hookAnswer struct {
	HookStatus    string          `json:"hookStatus"`
	CallBackDelay float64         `json:"callBackDelay"` // seconds
	HookDetails   json.RawMessage `json:"hookDetails"`
}

// invocations are the calls of Lambda functions that are due.
func (c *Cluster) invocations(s *service, env scheduler.Env) []job {
	var jobs []job
	sd, due := s.sched.Invocations(env)
	for _, r := range due {
		event, id, target := s.hookEvent(sd, r), r.ID, r.Target
		jobs = append(jobs, job{do: func() {
			c.work.Go(func() { c.invoke(s, id, target, event) })
		}})
	}
	return jobs
}

func (s *service) hookEvent(sd *scheduler.ServiceDeployment, r *scheduler.HookRun) hookEvent {
	e := hookEvent{
		ExecutionID: awsjson.NewUUID(), LifecycleStage: r.Stage, HookDetails: r.Details,
		ResourceArn: s.arns.serviceDeployment(s.cluster.name, s.name, sd.ID),
		ExecutionDetails: hookDetails{
			ServiceArn: s.arn, TargetServiceRevisionArn: sd.Target,
			TestTrafficWeights: map[string]float64{}, ProductionTrafficWeights: map[string]float64{},
		},
	}
	shares := func(weights map[string]float64, target float64) {
		weights[sd.Target] = target
		if blue := s.sched.Serving(); blue != nil && blue.Revision != sd.Target {
			weights[blue.Revision] = 100 - target
		}
	}
	switch r.Stage {
	case scheduler.StageTest:
		shares(e.ExecutionDetails.TestTrafficWeights, sd.Course.Test)
	case scheduler.StagePreProduction, scheduler.StageProduction:
		shares(e.ExecutionDetails.ProductionTrafficWeights, sd.Course.Production)
	}
	return e
}

// invoke calls a function and tells the scheduler what it said. It runs without
// the lock.
func (c *Cluster) invoke(s *service, id, target string, event hookEvent) {
	a := c.ask(target, event)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.sched.HookAnswered(id, a, c.env())
	s.dirty = true
	c.notify()
}

func (c *Cluster) ask(target string, event hookEvent) scheduler.Answer {
	if c.cfg.Hooks == nil {
		return scheduler.Answer{Status: scheduler.HookSucceeded}
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return scheduler.Answer{Failure: unparsed(target, err.Error())}
	}
	body, err := c.cfg.Hooks.Invoke(c.ctx, target, payload)
	if err != nil {
		return scheduler.Answer{Failure: fmt.Sprintf("ECS was unable to invoke hook target %s due to %s", target, err)}
	}
	var a hookAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return scheduler.Answer{Failure: unparsed(target, err.Error())}
	}
	switch a.HookStatus {
	case scheduler.HookSucceeded, scheduler.HookFailed, scheduler.HookInProgress:
		return scheduler.Answer{Status: a.HookStatus, Details: a.HookDetails, Delay: time.Duration(a.CallBackDelay * float64(time.Second))}
	case "":
		return scheduler.Answer{Failure: unparsed(target, "HookStatus must not be null")}
	}
	return scheduler.Answer{Failure: unparsed(target, "HookStatus "+a.HookStatus+" is not valid")}
}

func unparsed(target, why string) string {
	return fmt.Sprintf("ECS was unable to parse the response from %s due to %s", target, why)
}

// groupsBeside are the target groups of a revision, one for each of its load
// balancers: beside a revision that has the traffic, those which that one does
// not use.
func (s *service) groupsBeside(r, serving *revision) []string {
	var groups []string
	for i, lb := range r.input.LoadBalancers {
		group := deref(lb.TargetGroupArn)
		if a := lb.AdvancedConfiguration; a != nil && serving != nil && i < len(serving.groups) {
			other, now := deref(a.AlternateTargetGroupArn), serving.groups[i]
			switch shifts := s.sched.Plan.Strategy != scheduler.Rolling; {
			case shifts && now == group, !shifts && now == other:
				group = other
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// serving is the revision that has the production traffic, or nil.
func (s *service) serving() *revision {
	if d := s.sched.Serving(); d != nil {
		return s.revisions[d.Revision]
	}
	return nil
}

// shifts are the changes of weights that the service's deployment now wants and
// that were not handed on yet.
func (c *Cluster) shifts(s *service) []job {
	var jobs []job
	for rule, weights := range s.weights() {
		if maps.Equal(s.handed[rule], weights) {
			continue
		}
		if s.handed == nil {
			s.handed = make(map[string]map[string]int)
		}
		s.handed[rule] = weights
		jobs = append(jobs, job{do: func() { c.shift(s, rule, weights) }})
	}
	return jobs
}

func (c *Cluster) shift(s *service, rule string, weights map[string]int) {
	if c.cfg.Traffic == nil {
		return
	}
	err := c.cfg.Traffic.SetWeights(rule, weights)
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.sched.TrafficFailed(err.Error(), c.env())
	s.dirty = true
	c.notify()
}

// weights are those of the rules that a deployment under way shifts, by rule.
func (s *service) weights() map[string]map[string]int {
	sd := s.sched.Current()
	if sd == nil || sd.Course == nil || !sd.Course.Plan.Shifts || sd.Course.Stage == "" {
		return nil
	}
	c, target, blue := sd.Course, s.revisions[sd.Target], s.serving()
	all := make(map[string]map[string]int)
	for i, lb := range target.input.LoadBalancers {
		a := lb.AdvancedConfiguration
		if a == nil || i >= len(target.groups) {
			continue
		}
		green := target.groups[i]
		old := deref(lb.TargetGroupArn)
		if old == green {
			old = deref(a.AlternateTargetGroupArn)
		}
		if blue != nil || c.Production > 0 { // a first deployment has nobody to share with
			all[deref(a.ProductionListenerRule)] = share(green, old, c.Production)
		}
		if c.Tested && deref(a.TestListenerRule) != "" {
			all[deref(a.TestListenerRule)] = share(green, old, c.Test)
		}
	}
	return all
}

// maxWeight is the highest weight of a target group (TargetGroupTuple, ELBv2 API
// reference).
const maxWeight = 999

// share turns a percentage, which may have tenths, into the weights of two
// target groups.
func share(green, blue string, percent float64) map[string]int {
	whole, scale := math.Round(percent), 1.0
	if math.Abs(whole-percent) > 1e-6 {
		scale = 10
	}
	n := int(math.Round(percent * scale))
	return map[string]int{green: min(n, maxWeight), blue: min(int(100*scale)-n, maxWeight)}
}
