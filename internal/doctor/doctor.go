// Package doctor looks at everything that a release depends on, all at once, and
// says what is wrong and which command mends it.
//
// [Examine] runs preflight (package release) and the checks of the table in this
// file side by side. Each check is a function from what is known of the patient to
// findings; those that only judge what was read are pure. Nothing is written,
// but for the preview of a lifecycle policy, which changes no image.
package doctor

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/iam"
	"github.com/weelo/weelo-deploy/internal/release"
)

// Status is how a check ended.
type Status string

// The statuses, from good to bad. A release would be refused, or fail, where a
// check says Fail.
const (
	OK   Status = "ok"
	Skip Status = "skip"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Finding is what a check says.
type Finding struct {
	Name   string     `json:"name"`
	Status Status     `json:"status"`
	Detail string     `json:"detail"`         // one line
	Mend   string     `json:"mend,omitempty"` // a command, or one line on what to do
	Code   event.Code `json:"code,omitempty"` // of the failure that a release would end with
}

// Lifecycle is the part of ECR's API that tells what a lifecycle policy expires.
type Lifecycle interface {
	GetLifecyclePolicy(context.Context, *ecr.GetLifecyclePolicyInput, ...func(*ecr.Options)) (*ecr.GetLifecyclePolicyOutput, error)
	StartLifecyclePolicyPreview(context.Context, *ecr.StartLifecyclePolicyPreviewInput, ...func(*ecr.Options)) (*ecr.StartLifecyclePolicyPreviewOutput, error)
	GetLifecyclePolicyPreview(context.Context, *ecr.GetLifecyclePolicyPreviewInput, ...func(*ecr.Options)) (*ecr.GetLifecyclePolicyPreviewOutput, error)
}

// Patient is what is examined.
type Patient struct {
	// Settings are those of a release by the configuration as it is.
	Settings release.Settings
	Tags     []string // image.tags, templates
	// Configuration is what is wrong with the configuration itself; nil: nothing.
	Configuration error
	// Untagged is why image.tags gives no tag here; a release then wants --tag.
	Untagged error

	Clients   release.Clients
	Lifecycle Lifecycle
	Plan      iam.Plan // what is known of it without asking AWS
	Getenv    func(string) string
}

// exam is a patient with what preflight found.
type exam struct {
	Patient
	release.Inspection
}

// need is what a check cannot do without.
type need int

const (
	nothing need = iota
	anAccount
	aService    // and its task definition
	aRepository // and a service
)

// checks are the checks besides preflight's.
var checks = []struct {
	name  string
	needs need
	run   func(context.Context, *exam) []Finding
}{
	{"permissions", anAccount, permissions},
	{"calls", aService, calls},
	{"circuit breaker", aService, pure(circuitBreaker)},
	{"capacity", aService, pure(capacity)},
	{"health checks", aService, pure(healthChecks)},
	{"logs", aService, logs},
	{"registry", aRepository, registry},
	{"tags", aRepository, pure(tags)},
	{"lifecycle policy", aRepository, lifecycle},
	{"GitHub Actions", nothing, pure(gitHubActions)},
}

func pure(judge func(*exam) []Finding) func(context.Context, *exam) []Finding {
	return func(_ context.Context, e *exam) []Finding { return judge(e) }
}

// order is the order of the findings for people: from who asks to where it runs.
// Checks that are not in it come last.
var order = []string{
	"configuration", "identity", "permissions", "calls", "service", "deployment", "circuit breaker", "capacity", "health checks", "logs",
	"rollback target", "live checks", "repository", "registry", "tags", "lifecycle policy", "engine", "disk space", "work tree", "GitHub Actions",
}

// Examine runs every check and gives all findings, sorted for people.
func Examine(ctx context.Context, p Patient) []Finding {
	e := &exam{Patient: p}
	found := configuration(p.Configuration, p.Untagged)
	var disk []Finding
	var beside sync.WaitGroup
	beside.Go(func() { disk = diskSpace(ctx, p) }) // needs nothing of preflight
	e.Inspection = release.New(p.Settings, p.Clients, event.NewStream(nil), nil).Inspect(ctx)
	found = append(found, preflight(e.Inspection)...)
	results := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		if why := e.lacks(c.needs); why != "" {
			results[i] = one(c.name, Skip, why, "")
			continue
		}
		wg.Go(func() { results[i] = c.run(ctx, e) })
	}
	wg.Wait()
	beside.Wait()
	for _, r := range append(results, disk) {
		found = append(found, r...)
	}
	for i, f := range found {
		if strings.HasPrefix(f.Mend, "aws ") || strings.HasPrefix(f.Mend, "weelo-deploy ") {
			found[i].Mend = p.Settings.Again(f.Mend)
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return rank(a.Name) - rank(b.Name) })
	return found
}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// lacks says why a check cannot be made; empty: it can.
func (e *exam) lacks(n need) string {
	switch {
	case n >= anAccount && e.Account == "":
		return "needs credentials"
	case n >= aService && (e.Service == nil || e.Current == nil):
		return "needs the service"
	case n >= aRepository && e.Repository.Name == "":
		return "needs the repository"
	}
	return ""
}

// Worst is the worst status of the findings.
func Worst(found []Finding) Status {
	worst := OK
	for _, f := range found {
		if f.Status == Fail || f.Status == Warn && worst != Fail {
			worst = f.Status
		}
	}
	return worst
}

// one makes a check's only finding.
func one(name string, s Status, detail, mend string) []Finding {
	return []Finding{{Name: name, Status: s, Detail: detail, Mend: mend}}
}
