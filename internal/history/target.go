package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Target is a revision to go back to, with the proof.
type Target struct {
	TaskDefinition string            // ARN
	Digests        map[string]string // container → digest that was proven; empty when unknown
	At             time.Time         // when it was last proven
	Why            string            // one line for people
}

// Passed is a revision that was looked at and not chosen.
type Passed struct {
	TaskDefinition string
	Why            string
}

// Automatic chooses what a failing release goes back to: the deployment that is
// PRIMARY and COMPLETED with tasks running, else the newest proof in the ledger.
// Only what was proven before the given time counts (zero: any time); a resumed
// release gives the start of its own deployment. It returns nil when nothing is
// proven, and in every case why newer revisions were passed over.
func (l Ledger) Automatic(s types.Service, before time.Time) (*Target, []Passed) {
	if p := Primary(s); p != nil && Completed(s) && (before.IsZero() || aws.ToTime(p.CreatedAt).Before(before)) {
		arn := aws.ToString(p.TaskDefinition)
		return &Target{arn, l.digests(arn), aws.ToTime(p.UpdatedAt), "it serves now: PRIMARY and COMPLETED"}, nil
	}
	return l.newest(func(p Served) string {
		if !before.IsZero() && !p.At.Before(before) {
			return "it was proven after this deployment began"
		}
		return ""
	})
}

// newest takes the latest proof that reject has nothing against.
func (l Ledger) newest(reject func(Served) string) (*Target, []Passed) {
	var passed []Passed
	var found *Target
	proofs := l.Proofs()
	for _, p := range slices.Backward(proofs) {
		why := reject(p)
		if why == "" && p.Refuted != "" {
			why = refutation(p)
		}
		if why != "" {
			passed = append(passed, Passed{p.TaskDefinition, why})
			continue
		}
		found = &Target{p.TaskDefinition, l.digestsOf(p), p.At, fmt.Sprintf("last proven: %s %s", p.How, p.At.UTC().Format(time.RFC3339))}
		break
	}
	var since time.Time
	if found != nil {
		since = found.At
	}
	return found, dedupe(append(l.failedSince(since), passed...))
}

// ByHand chooses what the rollback command without an argument goes to: the
// proven revision under the serving one. Going back never counts as going forward:
// the successes form a stack, and a deployment of a revision that is already on it
// takes off everything above. While a deployment has not completed, it is the
// newest proof; and when that deployment brings a proven revision, because it goes
// back or deploys it anew, that very revision: not an older one.
func (l Ledger) ByHand(s types.Service) (*Target, []Passed) {
	p := Primary(s)
	if p == nil {
		return nil, nil
	}
	serving := aws.ToString(p.TaskDefinition)
	stack := l.stack()
	i := l.index(stack, serving)
	switch {
	case i < 0 && !Completed(s):
		return l.newest(func(p Served) string {
			if p.TaskDefinition == serving {
				return "it is the one to go back from"
			}
			return ""
		})
	case i >= 0 && unfinished(*p) && stack[i].Refuted == "":
		return &Target{serving, l.digestsOf(stack[i]), stack[i].At, fmt.Sprintf("it is being deployed again, and was proven before: %s %s", stack[i].How, stack[i].At.UTC().Format(time.RFC3339))}, l.above(serving)
	}
	passed := l.above(serving)
	for i--; i >= 0 && stack[i].Refuted != ""; i-- {
		passed = append(passed, Passed{stack[i].TaskDefinition, refutation(stack[i])})
	}
	if i < 0 {
		return nil, dedupe(passed)
	}
	p1 := stack[i]
	return &Target{p1.TaskDefinition, l.digestsOf(p1), p1.At, fmt.Sprintf("proven before %s: %s %s", Name(serving), p1.How, p1.At.UTC().Format(time.RFC3339))}, dedupe(passed)
}

func refutation(p Served) string {
	return fmt.Sprintf("its deployment completed and then failed (%s); name it to deploy it again", p.Refuted)
}

// ComingBack says whether the deployment in progress goes back: it brings a
// revision that was proven before, and another one was tried since.
func (l Ledger) ComingBack(s types.Service) bool {
	p := Primary(s)
	if p == nil || !unfinished(*p) {
		return false
	}
	serving, stack := aws.ToString(p.TaskDefinition), l.stack()
	i := l.index(stack, serving)
	return i >= 0 && (i < len(stack)-1 || slices.ContainsFunc(l.Attempts, func(a Attempt) bool {
		return a.Created.After(stack[i].At) && !l.Same(a.TaskDefinition, serving)
	}))
}

// unfinished says whether a deployment is on its way, or was given up on it. That
// a task of one that completed has died since is another matter.
func unfinished(d types.Deployment) bool {
	return d.RolloutState == types.DeploymentRolloutStateInProgress || d.RolloutState == types.DeploymentRolloutStateFailed
}

// index is the place of a revision, or of what it is a copy of, on the stack.
func (l Ledger) index(stack []Served, arn string) int {
	return slices.IndexFunc(stack, func(p Served) bool { return l.Same(p.TaskDefinition, arn) })
}

func (l Ledger) stack() []Served {
	var stack []Served
	for _, p := range l.Proofs() {
		if at := l.index(stack, p.TaskDefinition); at >= 0 {
			stack = stack[:at]
		}
		stack = append(stack, p)
	}
	return stack
}

// above explains revisions that are newer than the serving one and not chosen:
// those that were left by a rollback and those that failed.
func (l Ledger) above(serving string) []Passed {
	stack := l.stack()
	var out []Passed
	for _, p := range slices.Backward(l.Proofs()) {
		if p.TaskDefinition == serving || slices.ContainsFunc(stack, func(q Served) bool { return q.TaskDefinition == p.TaskDefinition }) {
			continue
		}
		out = append(out, Passed{p.TaskDefinition, "it was left by a rollback; name it to deploy it again"})
	}
	return dedupe(append(l.failedSince(time.Time{}), out...))
}

// failedSince lists attempts after t that did not succeed, newest first.
func (l Ledger) failedSince(t time.Time) []Passed {
	var out []Passed
	for _, a := range l.Attempts {
		if !a.Created.After(t) || a.Succeeded() && !a.Idle || l.EverProven(a.TaskDefinition) {
			continue
		}
		out = append(out, Passed{a.TaskDefinition, l.Verdict(a)})
	}
	return dedupe(out)
}

// Verdict says in one line how an attempt ended, with our own failure code
// where a release recorded one.
func (l Ledger) Verdict(a Attempt) string {
	var s string
	switch {
	case a.Idle:
		s = "completed without a task, which proves nothing,"
	case a.Succeeded():
		s = "succeeded"
	case a.Status == types.ServiceDeploymentStatusRollbackSuccessful:
		s = "failed and was rolled back"
	case a.Status == types.ServiceDeploymentStatusStopped:
		s = "was stopped before it completed"
	case a.Over():
		s = "failed (" + string(a.Status) + ")"
	default:
		s = "never completed (" + string(a.Status) + ")"
	}
	if c := l.Tags[a.TaskDefinition].Code; c != "" && !a.Succeeded() {
		s += ", " + c
	}
	if !a.Created.IsZero() {
		s += " on " + a.Created.UTC().Format("2006-01-02 15:04Z")
	}
	if a.Reason != "" && !a.Succeeded() {
		s += ": " + a.Reason
	}
	return s
}

// digests are those that the newest success of the revision resolved.
func (l Ledger) digests(arn string) map[string]string {
	for _, p := range slices.Backward(l.Proofs()) {
		if p.TaskDefinition == arn && len(p.Digests) > 0 {
			return p.Digests
		}
	}
	return nil
}

func (l Ledger) digestsOf(p Served) map[string]string {
	if len(p.Digests) > 0 {
		return p.Digests
	}
	return l.digests(p.TaskDefinition)
}

func dedupe(in []Passed) []Passed {
	seen := map[string]bool{}
	return slices.DeleteFunc(in, func(p Passed) bool {
		dup := seen[p.TaskDefinition]
		seen[p.TaskDefinition] = true
		return dup
	})
}

// Primary is the service's PRIMARY deployment, or nil.
func Primary(s types.Service) *types.Deployment {
	for i := range s.Deployments {
		if aws.ToString(s.Deployments[i].Status) == "PRIMARY" {
			return &s.Deployments[i]
		}
	}
	return nil
}

// Completed says whether the PRIMARY deployment completed and all the tasks that
// the service wants, at least one, are running.
func Completed(s types.Service) bool {
	p := Primary(s)
	return p != nil && p.RolloutState == types.DeploymentRolloutStateCompleted &&
		s.DesiredCount > 0 && p.RunningCount >= s.DesiredCount
}

// Outcome says in a few words how an attempt ended.
func (l Ledger) Outcome(a Attempt) string {
	switch {
	case a.Succeeded() && l.Failure(a) != "":
		return "completed, then failed"
	case a.Succeeded() && l.Tags[a.TaskDefinition].Outcome.Kind == Left:
		return "succeeded, left by a rollback"
	case a.Succeeded():
		return "succeeded"
	case a.Status == types.ServiceDeploymentStatusRollbackSuccessful:
		return "failed, rolled back to " + Name(a.WentBackTo)
	case a.Status == types.ServiceDeploymentStatusRollbackFailed:
		return "failed, rollback failed"
	case a.Status == types.ServiceDeploymentStatusStopped:
		return "stopped"
	case a.Over():
		return string(a.Status)
	}
	return "in progress (" + string(a.Status) + ")"
}
