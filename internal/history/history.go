// Package history answers two questions about an ECS service from what ECS
// itself remembers: what has run on it and how did that end, and what may it go
// back to.
//
// Read builds a Ledger from the service deployments and service revisions that
// ECS keeps for 90 days, and from the tags that releases leave on task
// definition revisions (Tags). The choice of a rollback target is a pure
// function over a Ledger: Ledger.Automatic for a release that fails,
// Ledger.ByHand for the rollback command. Neither ever subtracts one from a
// revision number.
package history

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Attempt is one service deployment: somebody tried to make a revision serve.
type Attempt struct {
	ARN             string
	Status          types.ServiceDeploymentStatus
	TaskDefinition  string            // ARN of the revision that it tried to bring
	ServiceRevision string            // ARN
	Digests         map[string]string // container name → digest that ECS resolved
	// WentBackTo is the ARN of the task definition that a rollback of this
	// attempt restored; empty when there was none or it is not known.
	WentBackTo        string
	WentBackToDigests map[string]string
	Created, Finished time.Time
	Reason            string
	// Config is the service revision that it tried to bring: load balancers, network,
	// capacity.
	Config types.ServiceRevision
	// Idle says that it ran no task: a service that wants none completes at once, and
	// proves nothing by it.
	Idle bool
}

// Succeeded says whether the attempt ended with its own revision serving.
func (a Attempt) Succeeded() bool { return a.Status == types.ServiceDeploymentStatusSuccessful }

// Over says whether the attempt has ended (ServiceDeploymentStatus, ECS API
// reference: the other values are PENDING, IN_PROGRESS and the *_REQUESTED and
// *_IN_PROGRESS ones).
func (a Attempt) Over() bool {
	switch a.Status {
	case types.ServiceDeploymentStatusSuccessful, types.ServiceDeploymentStatusStopped,
		types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentStatusRollbackFailed:
		return true
	}
	return false
}

// Served is a moment at which a revision was proven to serve.
type Served struct {
	TaskDefinition string
	Digests        map[string]string
	At             time.Time
	How            string // for people: "deployed", "restored by a rollback", "tagged proven"
	// Refuted is the code with which the release itself concluded that it failed, after
	// ECS had called it a success: in bake, or by its live checks. Nothing goes back to
	// that by itself.
	Refuted string
}

// Ledger is what is known of a service's past. Attempts are newest first.
type Ledger struct {
	Cluster, Service string
	Attempts         []Attempt
	Tags             map[string]Tags // by task definition ARN, where they were read
	Statuses         map[string]string
	// Notes say what could not be read, in words for the user.
	Notes []string
}

// GoingBack is the attempt that ECS is rolling back, or was asked to. ECS does not
// say of every rollback in the deployment's own words that it is one.
func (l Ledger) GoingBack() (Attempt, bool) {
	if len(l.Attempts) == 0 {
		return Attempt{}, false
	}
	a := l.Attempts[0]
	return a, a.Status == types.ServiceDeploymentStatusRollbackRequested || a.Status == types.ServiceDeploymentStatusRollbackInProgress
}

// skew is how far the clock that wrote a tag may be behind the clock of AWS. A tag
// that seems to be older than an attempt by less speaks of that very attempt.
const skew = time.Hour

// LastCompleted is what ECS itself would go back to: the newest deployment that
// completed, or that a rollback restored, whether it ran a task or not. It is empty
// when ECS remembers none.
func (l Ledger) LastCompleted() string {
	for _, a := range l.Attempts { // newest first
		switch {
		case a.Succeeded():
			return a.TaskDefinition
		case a.Status == types.ServiceDeploymentStatusRollbackSuccessful && a.WentBackTo != "":
			return a.WentBackTo
		}
	}
	return ""
}

// Config is the service revision under which a revision was last proven, as far as
// ECS remembers.
func (l Ledger) Config(taskDefinition string) types.ServiceRevision {
	for _, a := range l.Attempts { // newest first
		if a.TaskDefinition == taskDefinition && a.Succeeded() && !a.Idle {
			return a.Config
		}
	}
	return types.ServiceRevision{}
}

// Proofs lists every moment at which a revision was proven on this service,
// oldest first. Service deployments outrank tags: a tag only speaks for a
// revision of which ECS remembers no attempt from before the tag was written. An
// attempt whose revision ECS has forgotten proves nothing.
func (l Ledger) Proofs() []Served {
	var out []Served
	known := map[string]time.Time{} // since when ECS remembers attempts
	for _, a := range l.Attempts {  // newest first
		known[a.TaskDefinition] = a.Created
		switch {
		case a.Succeeded() && a.TaskDefinition != "" && !a.Idle:
			out = append(out, Served{a.TaskDefinition, a.Digests, a.end(), "deployed", l.refuted(a)})
		case a.Status == types.ServiceDeploymentStatusRollbackSuccessful && a.WentBackTo != "":
			out = append(out, Served{a.WentBackTo, a.WentBackToDigests, a.end(), "restored by a rollback", ""})
			known[a.WentBackTo] = a.Created
		}
	}
	for arn, t := range l.Tags {
		o := t.Outcome
		if since, ok := known[arn]; o.Kind == Proven && (!ok || since.After(o.At.Add(skew))) {
			out = append(out, Served{arn, nil, o.At, "tagged proven", ""})
		}
	}
	slices.SortStableFunc(out, func(a, b Served) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.TaskDefinition, b.TaskDefinition)
	})
	return out
}

func (a Attempt) end() time.Time {
	if a.Finished.IsZero() {
		return a.Created
	}
	return a.Finished
}

// EverProven says whether the revision was ever proven on this service.
func (l Ledger) EverProven(taskDefinition string) bool {
	for _, p := range l.Proofs() {
		if p.TaskDefinition == taskDefinition {
			return true
		}
	}
	return l.Tags[taskDefinition].Outcome.Kind == Left
}

// ProvenBefore says whether the revision was proven here before a deployment of it
// began. Whoever resumes a release finds that very deployment among the successes.
func (l Ledger) ProvenBefore(taskDefinition string, began time.Time) bool {
	own := func(a Attempt) bool { return !a.Created.Before(began.Add(-time.Second)) }
	l.Attempts = slices.DeleteFunc(slices.Clone(l.Attempts), own)
	return l.EverProven(taskDefinition)
}

// original follows a pinned copy to the revision that it stands for, so that a
// copy is not taken for newer code.
func (l Ledger) original(arn string) string {
	for range len(l.Tags) + 1 {
		of := l.Tags[arn].CopyOf
		if of == "" {
			return arn
		}
		arn = SameFamily(arn, of)
	}
	return arn
}

// Same says whether two revisions are the same code: equal, or one a pinned copy of
// the other.
func (l Ledger) Same(a, b string) bool { return l.original(a) == l.original(b) }

// SameFamily is the ARN of the revision named name ("family:27") in the account
// and region of arn.
func SameFamily(arn, name string) string {
	i := strings.LastIndex(arn, "/")
	if i < 0 || strings.HasPrefix(name, "arn:") {
		return name
	}
	return arn[:i+1] + name
}

// Name is "family:revision" of a task definition ARN, or s itself.
func Name(s string) string { return s[strings.LastIndex(s, "/")+1:] }

// Revision is the revision number as text, or the name when there is none.
func Revision(s string) string {
	n := Name(s)
	return n[strings.LastIndex(n, ":")+1:]
}
