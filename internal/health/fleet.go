package health

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// fleet is what is known of the service's tasks, by id.
type fleet struct {
	ours   map[string]*tracked
	others map[string]bool // described, not ours; true: stopped
	wanted map[string]bool // to be described
	// missing: the counts say that there are tasks of ours that were not seen yet.
	missing      bool
	healthy      bool // a task of ours was seen healthy
	stoppedPages int  // of the last list of stopped tasks
	listed       bool // stopped tasks were listed once
	refreshed    time.Time
	asked        int  // how many tasks the last description was for
	stale        bool // describe all unfinished tasks of ours at once
}

// tracked is a task of ours.
type tracked struct {
	task   types.Task
	judged bool // it has ended, and its end was classified
	told   bool
}

func newFleet() fleet {
	return fleet{ours: map[string]*tracked{}, others: map[string]bool{}, wanted: map[string]bool{}}
}

// ask gives the ids to describe: those wanted and, when it is time, those of
// ours that have not ended.
func (f *fleet) ask(now time.Time, every time.Duration) (ids []string) {
	defer func() { f.asked = len(ids) }()
	ids = slices.Sorted(maps.Keys(f.wanted))
	if !f.stale && now.Sub(f.refreshed) < every {
		return ids
	}
	f.stale, f.refreshed = false, now
	for _, id := range slices.Sorted(maps.Keys(f.ours)) {
		if !f.ours[id].judged && !f.wanted[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// alive are our tasks that have not ended, oldest first.
func (f *fleet) alive() []types.Task {
	var out []types.Task
	for _, id := range slices.Sorted(maps.Keys(f.ours)) {
		if t := f.ours[id]; !t.judged && aws.ToString(t.task.DesiredStatus) != "STOPPED" {
			out = append(out, t.task)
		}
	}
	slices.SortStableFunc(out, func(a, b types.Task) int { return aws.ToTime(a.CreatedAt).Compare(aws.ToTime(b.CreatedAt)) })
	return out
}

func (r *run) want(id string) {
	r.fleet.wanted[id] = true
	r.soon(r.tasks)
}

// seeStopped takes in a list of stopped tasks: what is new is described at once,
// and so is a task of ours that is on its way down.
func (r *run) seeStopped(ids []string, pages int) {
	r.fleet.listed, r.fleet.stoppedPages = true, pages
	for _, id := range ids {
		t, ours := r.fleet.ours[id]
		stopped, other := r.fleet.others[id]
		switch {
		case ours && !t.judged, other && !stopped, !ours && !other:
			r.want(id)
		}
	}
}

func (r *run) seeRunning(ids []string) {
	r.fleet.missing = false
	for _, id := range ids {
		_, other := r.fleet.others[id]
		if r.fleet.ours[id] == nil && !other {
			r.want(id)
		}
	}
}

// seeTasks takes in descriptions. Other people's tasks come first: what failed
// before the release must be known when ours are judged. What was asked for and
// did not come is forgotten; a later list brings it back.
func (r *run) seeTasks(asked []string, tasks []types.Task, at time.Time) {
	came := map[string]bool{}
	for _, t := range tasks {
		came[id(t)] = true
	}
	for _, id := range asked {
		delete(r.fleet.wanted, id)
		if t := r.fleet.ours[id]; t != nil && !t.judged && !came[id] {
			delete(r.fleet.ours, id)
		}
	}
	var ours []types.Task
	for _, t := range tasks {
		r.clock.see(at, t.CreatedAt, t.PullStartedAt, t.PullStoppedAt, t.StartedAt, t.StoppingAt, t.StoppedAt)
		if r.mine(t) {
			ours = append(ours, t)
			continue
		}
		r.seeOther(t)
	}
	slices.SortStableFunc(ours, func(a, b types.Task) int { return ended(a).Compare(ended(b)) })
	for _, t := range ours {
		r.seeOurs(t, at)
	}
	r.note(at)
}

// mine says whether a task belongs to the deployment. ECS writes the
// deployment's id into startedBy; where that is missing, the task definition and
// the time of creation decide.
func (r *run) mine(t types.Task) bool {
	by := str(t.StartedBy)
	if by != "" && r.scope.id != "" {
		return by == r.scope.id
	}
	return !r.scope.created.IsZero() && str(t.TaskDefinitionArn) == r.scope.taskDefinition && !aws.ToTime(t.CreatedAt).Before(r.scope.created)
}

// baselineAge is how far back failures of the revision that served before count
// as known. ECS keeps stopped tasks for about as long.
const baselineAge = time.Hour

func (r *run) seeOther(t types.Task) {
	stopped := str(t.LastStatus) == "STOPPED"
	known := r.fleet.others[id(t)]
	r.fleet.others[id(t)] = stopped
	if !stopped || known || r.scope.previous == "" || str(t.TaskDefinitionArn) != r.scope.previous {
		return
	}
	if ended(t).Before(r.scope.created.Add(-baselineAge)) {
		return
	}
	facts := Facts{Task: t, HealthySeen: true}
	if f := Classify(facts); f.Weight >= Counts {
		r.tally.known(f, facts)
	}
}

func (r *run) seeOurs(t types.Task, at time.Time) {
	if r.firstTask.IsZero() {
		r.firstTask = at
	}
	old := r.fleet.ours[id(t)]
	if old == nil {
		old = &tracked{}
		r.fleet.ours[id(t)] = old
	}
	if old.judged {
		return
	}
	before := old.task
	old.task = t
	r.tellRestarts(before, t)
	if t.HealthStatus == types.HealthStatusHealthy && str(t.LastStatus) == "RUNNING" {
		r.fleet.healthy = true
	}
	if r.hasEnded(t) {
		old.judged = true
		r.seeEnd(t, at)
		return
	}
	if !old.told || str(before.LastStatus) != str(t.LastStatus) || before.HealthStatus != t.HealthStatus {
		old.told = true
		r.emit(r.taskEvent(t))
	}
}

// hasEnded says whether a task's end can be judged: it is STOPPED, or it is on
// its way there and an essential container's exit code is known already, or its
// load balancer has rejected it. Such a task is drained first, by default for five
// minutes, and nothing that comes after that says more of it.
func (r *run) hasEnded(t types.Task) bool {
	switch str(t.LastStatus) {
	case "STOPPED", "DELETED":
		return true
	}
	if t.StopCode == types.TaskStopCodeServiceSchedulerInitiated {
		return Classify(Facts{Task: t, Essential: r.essential()}).Code == event.CodeUnhealthyTarget
	}
	if t.StopCode != types.TaskStopCodeEssentialContainerExited {
		return false
	}
	for _, c := range t.Containers {
		if c.ExitCode != nil && !(Facts{Essential: r.essential()}).canDoWithout(str(c.Name)) {
			return true
		}
	}
	return false
}

func (r *run) essential() func(string) (bool, bool) {
	if r.scope.definition == nil {
		return nil
	}
	return r.scope.definition.Essential
}

// seeEnd classifies the end of a task of ours, tells it, and counts it.
func (r *run) seeEnd(t types.Task, at time.Time) {
	facts := Facts{Task: t, HealthySeen: r.fleet.healthy, Essential: r.essential()}
	f := Classify(facts)
	known := f.Weight >= Counts && r.tally.isKnown(f)
	e := r.taskEvent(t)
	e.Container, e.ExitCode = f.Container, f.ExitCode
	if f.Weight == Ignored {
		e.Ignored = f.Code
		r.emit(e)
		return
	}
	one := &failed{Finding: f, facts: facts, at: at}
	r.tally.add(one)
	e.Code, e.Alike = f.Code, r.tally.size(one)
	e.Fatal = r.scope.judged && f.Weight == Fatal && !known
	e.Counted = r.scope.judged && f.Weight >= Counts
	r.emit(e)
	if !r.scope.judged {
		r.tellUnjudged(f)
	} else if known {
		r.tellKnown(f)
	} else {
		r.tellHost(one)
	}
}

// soundElsewhere says whether tasks of ours fare better on other hosts than a
// failed one did on its own: one is healthy there, or has outlived it.
func (r *run) soundElsewhere(f *failed) bool {
	now, lived := r.clock.at(time.Now()), time.Duration(0)
	if from := f.facts.Task.StartedAt; from != nil {
		lived = ended(f.facts.Task).Sub(*from)
	}
	return slices.ContainsFunc(r.fleet.alive(), func(t types.Task) bool {
		h := str(t.ContainerInstanceArn)
		if h == "" || h == f.host() || str(t.LastStatus) != "RUNNING" || t.StartedAt == nil {
			return false
		}
		return t.HealthStatus == types.HealthStatusHealthy || now.Sub(*t.StartedAt) > lived
	})
}

func (r *run) taskEvent(t types.Task) event.Task {
	e := event.Task{
		ID: id(t), Revision: name(str(t.TaskDefinitionArn)), Deployment: str(t.StartedBy), Status: str(t.LastStatus),
		StopCode: string(t.StopCode), Reason: str(t.StoppedReason),
	}
	if t.HealthStatus != types.HealthStatusUnknown {
		e.Health = string(t.HealthStatus)
	}
	return e
}

// ended is when a task ended, on AWS's clock, as well as it is known.
func ended(t types.Task) time.Time {
	for _, at := range []*time.Time{t.ExecutionStoppedAt, t.StoppingAt, t.StoppedAt, t.CreatedAt} {
		if at != nil {
			return *at
		}
	}
	return time.Time{}
}
