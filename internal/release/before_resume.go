package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/onetask"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// A release whose process died between its before-tasks and UpdateService has left
// nothing but its revision, tagged with its run and never deployed, and the tasks,
// which ECS tells about for at least an hour after they have stopped (DescribeTasks,
// ECS API reference). A later release of the same goes on with both. After that hour
// nobody knows how the tasks ended, and they are run again.

// remembered is how long ECS tells about a stopped task at least.
const remembered = time.Hour

// unfinished is the revision of such a release, which would be registered now once
// more; nil when there is none.
func (r *Run) unfinished(ctx context.Context, next *taskdef.Definition) *taskdef.Definition {
	if len(r.BeforeTasks) == 0 {
		return nil
	}
	for _, arn := range r.neverDeployed() {
		def, err := taskdef.Client{API: r.ECS}.Describe(ctx, arn)
		if err != nil || !taskdef.Equal(def, next) {
			continue
		}
		if r.now().Sub(def.RegisteredAt()) < remembered {
			return def
		}
		run := r.pre.ledger.Tags[arn].Run
		if found, err := r.oneTasks().Find(ctx, r.Cluster, def.Family(), startedByRun(run)); err == nil && len(found) > 0 {
			return def
		}
	}
	return nil
}

// neverDeployed are the revisions that runs for this service registered, before-tasks
// included, and of which nothing more is recorded; newest first.
func (r *Run) neverDeployed() []string {
	var arns []string
	for arn, t := range r.pre.ledger.Tags {
		switch {
		case t.Run == "", t.CopyOf != "", t.Before == "":
		case t.Outcome.Kind != "", r.pre.ledger.Statuses[arn] != "ACTIVE":
		case arn == r.pre.current.ARN(), r.attempted(arn), !strings.HasPrefix(history.Name(arn), r.pre.base.Family()+":"):
		default:
			arns = append(arns, arn)
		}
	}
	slices.SortFunc(arns, func(a, b string) int { return revisionNumber(b) - revisionNumber(a) })
	return arns
}

func revisionNumber(arn string) int {
	n, err := strconv.Atoi(history.Revision(arn))
	if err != nil {
		return 0
	}
	return n
}

// tellUnfinished says, where nothing is in progress, that a release died before its
// deployment and can be gone on with.
func (r *Run) tellUnfinished(ctx context.Context) {
	for _, arn := range r.neverDeployed() {
		def, err := taskdef.Client{API: r.ECS}.Describe(ctx, arn)
		if err != nil || r.now().Sub(def.RegisteredAt()) > remembered {
			continue
		}
		t := r.pre.ledger.Tags[arn]
		r.note("attach", event.Warn, fmt.Sprintf("a release%s registered %s and did not come to deploy it; its before-tasks (%s) may have run, and `release` goes on with it", by(t), def.Name(), t.Before))
		return
	}
}

// takeOver goes on with the revision of a run that did not finish, as that run.
func (r *Run) takeOver(def *taskdef.Definition) string {
	t := r.pre.ledger.Tags[def.ARN()]
	r.next, r.registered, r.noted, r.RunID = def, true, r.earlierRecord(def.ARN()), t.Run
	r.before.takenOver = true
	r.result.TaskDefinition = def.ARN()
	return fmt.Sprintf("%s was registered by a release%s that did not finish: going on with it", def.Name(), by(t))
}

// earlierTasks are the tasks that the run which this one goes on with has started.
func (r *Run) earlierTasks(ctx context.Context) ([]types.Task, error) {
	if !r.before.takenOver {
		return nil, nil
	}
	found, err := r.oneTasks().Find(ctx, r.Cluster, r.next.Family(), startedByRun(r.RunID))
	if err != nil {
		return nil, fromAWS(err, "look for the before-tasks of the run that did not finish", "ecs:ListTasks and ecs:DescribeTasks")
	}
	return found, nil
}

// deployedMeanwhile says whether the revision that was taken over is deployed: the
// run that was thought dead may live. Not being able to tell counts as yes.
func (r *Run) deployedMeanwhile(ctx context.Context) bool {
	s, err := r.site().Read(ctx)
	return err != nil || slices.ContainsFunc(s.Deployments, func(d types.Deployment) bool {
		return aws.ToString(d.TaskDefinition) == r.next.ARN()
	})
}

// untouched is what a run says that stopped between its before-tasks and the
// deployment.
const untouched = "the service was not touched; data may have been"

// stoppedAfterBefore makes a refusal into what it is once a before-task ran.
func (r *Run) stoppedAfterBefore() {
	if !r.before.started && r.before.unsure == "" {
		return
	}
	r.result.Outcome, r.result.ExitCode = event.Stopped, event.ExitStopped
	f := r.result.Failure.See(untouched)
	if len(r.before.ended) > 0 {
		f.See("before-tasks that ended well, and whose effects stay: " + strings.Join(r.before.ended, ", "))
	}
	f.Try(r.command("status"))
	if r.before.keep && r.registered {
		f.See(r.next.Name() + " stays registered, so that another release can go on with it").Try(r.command("release"))
	}
}

// interruptBefore says what goes on of the before-tasks of a run that is interrupted,
// and stops the one that runs where that is configured.
func (r *Run) interruptBefore(ctx context.Context, f *event.Failure) {
	b := &r.before
	switch {
	case b.running != nil && b.running.StopOnInterrupt:
		call, cancel := inFlight(ctx)
		defer cancel()
		if err := r.oneTasks().Stop(call, onetask.Task{Cluster: r.Cluster}, b.arn, "weelo-deploy: the release was interrupted"); err != nil {
			f.See(fmt.Sprintf("before-task %s could not be stopped (%s) and goes on: %s", b.running.name(), reason(err), b.arn))
			b.keep = true
		} else {
			f.See(fmt.Sprintf("before-task %s was stopped: %s", b.running.name(), b.arn))
		}
	case b.running != nil:
		f.See(fmt.Sprintf("before-task %s goes on: %s", b.running.name(), b.arn))
		b.keep = true
	case b.unsure != "":
		f.See("before-task " + b.unsure + " may run: RunTask was sent and not answered")
	case len(b.ended) > 0:
		f.See("before-tasks that ended well: " + strings.Join(b.ended, ", "))
		b.keep = true
	}
	if !b.started && b.unsure == "" || r.unsure {
		return
	}
	f.See(untouched)
	if b.keep && r.registered {
		f.Hint("release again: it goes on with " + r.next.Name() + " and runs no before-task twice, for an hour after the last one has stopped").Try(r.command("release"))
	}
}

// effects say, on the way back, what does not go back with it. A run that deployed
// knows what it ran; whoever resumes one has that run's record. The record that a
// revision had before it was deployed anew is of another release.
func (r *Run) effects() []string {
	names := strings.Join(r.before.ended, " / ")
	if names == "" && r.deployed != nil && !r.foreign {
		if t := r.pre.ledger.Tags[r.deployed.TaskDefinition]; r.RunID == "" || t.Run == r.RunID {
			names = t.Before
		}
	}
	if names == "" {
		return nil
	}
	return []string{"what the before-tasks did stays, a rollback does not undo it: " + names}
}

// effectsSince say the same of every revision that was deployed after the target
// last was.
func (r *Run) effectsSince(target string) []string {
	var out []string
	seen := map[string]bool{target: true}
	arns := []string{r.pre.current.ARN()}
	for _, a := range r.pre.ledger.Attempts {
		if a.TaskDefinition == target {
			break
		}
		arns = append(arns, a.TaskDefinition)
	}
	for _, arn := range arns {
		names := r.pre.ledger.Tags[arn].Before
		if names != "" && !seen[arn] {
			out = append(out, fmt.Sprintf("what the before-tasks of %s did stays, a rollback does not undo it: %s", history.Name(arn), names))
		}
		seen[arn] = true
	}
	return out
}
