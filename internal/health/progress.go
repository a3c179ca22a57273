package health

import (
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// progress remembers the best that a deployment has shown. Only a record is
// progress: a crash loop that starts the same task over and over is none.
type progress struct {
	at      time.Time // of the last progress, on this machine's clock
	stages  [healthy + 1]int
	running int // most tasks of ours that ran, by the deployment's own count
	left    int // fewest tasks of other deployments; -1: not counted yet
	least   int // fewest and most tasks that were wanted
	most    int
	state   types.DeploymentRolloutState
}

// The stages of a task of ours, each better than the one before.
const (
	created = iota
	pulling
	pulled
	started
	healthy
)

func newProgress(now time.Time) progress { return progress{at: now, left: -1, least: math.MaxInt} }

// stage is how far a task has come, from its timestamps: they tell more than its
// status, and do not depend on which status names ECS uses for pulling.
func stage(t types.Task) int {
	switch {
	case t.HealthStatus == types.HealthStatusHealthy:
		return healthy
	case t.StartedAt != nil:
		return started
	case t.PullStoppedAt != nil:
		return pulled
	case t.PullStartedAt != nil:
		return pulling
	}
	return created
}

// note looks whether what was just seen is progress.
func (r *run) note(at time.Time) {
	p := &r.progress
	var stages [healthy + 1]int
	for _, t := range r.fleet.alive() {
		for s := created; s <= stage(t); s++ {
			stages[s]++
		}
	}
	better := false
	for s, n := range stages {
		if n > p.stages[s] {
			p.stages[s], better = n, true
		}
	}
	if d := r.svc.ours(); d != nil {
		better = p.deployment(*d, r.svc.left()) || better
	}
	if better {
		p.at = at
	}
}

func (p *progress) deployment(d types.Deployment, left int) (better bool) {
	if int(d.RunningCount) > p.running {
		p.running, better = int(d.RunningCount), true
	}
	if p.left < 0 || left < p.left {
		p.left, better = left, true
	}
	// Somebody scales: what is awaited changed. Back and forth is no progress.
	if want := int(d.DesiredCount); want < p.least || want > p.most {
		p.least, p.most, better = min(p.least, want), max(p.most, want), true
	}
	if d.RolloutState == types.DeploymentRolloutStateCompleted && p.state != d.RolloutState {
		better = true
	}
	p.state = d.RolloutState
	return better
}
