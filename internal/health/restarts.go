package health

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// restarting is a definition that knows which of its containers have a
// restartPolicy.
type restarting interface{ RestartsInPlace() []string }

// tellPolicies says once that there are containers whose end nobody can judge: ECS
// starts them again within their task, and keeps the count for Container Insights
// and the task's own metadata endpoint (container restart policy, Developer Guide).
func (r *run) tellPolicies() {
	names := r.restarted()
	if len(names) == 0 {
		return
	}
	r.emit(event.Note{Level: event.Info, Text: fmt.Sprintf("ECS restarts container %s in place when it ends (restartPolicy): a crash of it ends no task and counts as no failure; "+
		"only a health check or a live check (checks) shows it", strings.Join(names, " and "))})
}

// restarted are the containers that have a restartPolicy, as far as is known.
func (r *run) restarted() []string {
	if d, ok := r.scope.definition.(restarting); ok {
		return d.RestartsInPlace()
	}
	return nil
}

// tellRestarts tells of containers that were restarted within their task: their
// task lives on and the exit code is lost, but the health check begins anew. The
// container keeps its id on container instances, where the agent starts the same one
// again; another id is taken for a restart too. Without a policy a health that is lost
// means no restart: ECS does not know it while an agent is not connected. A restart is
// missed when the check passes again before the next look.
func (r *run) tellRestarts(before, now types.Task) {
	old := map[string]types.Container{}
	for _, c := range before.Containers {
		old[str(c.Name)] = c
	}
	for _, c := range now.Containers {
		was, id0, id1 := old[str(c.Name)], str(old[str(c.Name)].RuntimeId), str(c.RuntimeId)
		another := id0 != "" && id1 != "" && id0 != id1
		anew := slices.Contains(r.restarted(), str(c.Name)) && was.HealthStatus == types.HealthStatusHealthy && c.HealthStatus == types.HealthStatusUnknown && str(now.LastStatus) == "RUNNING"
		if another || anew {
			r.emit(event.Note{Level: event.Warn, Text: fmt.Sprintf("container %s of task %s ended and was restarted in place (restartPolicy): ECS does not say how it ended, see its log",
				str(c.Name), id(now))})
		}
	}
}
