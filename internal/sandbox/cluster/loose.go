package cluster

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// looseTask is a task that RunTask started: nobody replaces it.
type looseTask struct {
	sched           *scheduler.Task
	def             *definition.Definition
	launchType      types.LaunchType
	providers       []types.CapacityProviderStrategyItem
	platformVersion string
	group           string
	startedBy       string
	clientToken     string
	request         string // what RunTask was asked, as JSON
	overrides       *types.TaskOverride
	tags            []types.Tag
}

// stepLoose steps the cluster's loose tasks and forgets the expired ones.
func (cl *clusterRecord) stepLoose(env scheduler.Env) []job {
	if !cl.dirtyLoose && (cl.nextLoose.IsZero() || env.Now.Before(cl.nextLoose)) {
		return nil
	}
	cl.dirtyLoose, cl.nextLoose = false, time.Time{}
	var jobs []job
	for _, id := range slices.Sorted(maps.Keys(cl.loose)) {
		t := cl.loose[id]
		if t.sched.Expired(env.Now) {
			delete(cl.loose, id)
			continue
		}
		acts, next := t.sched.Advance(env)
		for _, a := range acts {
			jobs = append(jobs, job{Action: a, owner: &owner{cluster: cl, def: t.def, loose: t}})
		}
		cl.nextLoose = earlier(cl.nextLoose, next)
	}
	return jobs
}
