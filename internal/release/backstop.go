package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// The backstop: ECS's own circuit breaker, on while a release runs, so that a
// laptop that is closed in the middle leaves no crash loop behind.

func (r *Run) wantsBackstop() bool {
	if !r.Backstop || r.NoRollback || r.NeverRollBack || r.goal == nil {
		return false
	}
	if !r.ecsGoesToGoal() {
		return false // it would bring something that was never proven
	}
	if _, v := r.pre.ledger.Backstop(); v != "" {
		return true
	}
	b := currentBreaker(r.pre.service)
	return !b.Enable || !b.Rollback
}

// breakerBefore is the setting to restore in the end: the service's own, or the one
// that an earlier release recorded and did not live to restore. A breaker that is
// not as a release leaves it was set by somebody since, and that record is stale. It
// is nil when there is nothing to restore.
func (r *Run) breakerBefore() *types.DeploymentCircuitBreaker {
	b := currentBreaker(r.pre.service)
	_, v := r.pre.ledger.Backstop()
	left := v != "" && b.Enable && b.Rollback
	switch {
	case left:
		b.Enable, b.Rollback = parseBreaker(v)
	case !r.wantsBackstop():
		return nil
	}
	return &b
}

func currentBreaker(s types.Service) types.DeploymentCircuitBreaker {
	if d := s.DeploymentConfiguration; d != nil && d.DeploymentCircuitBreaker != nil {
		return *d.DeploymentCircuitBreaker
	}
	return types.DeploymentCircuitBreaker{}
}

func withRollback(b types.DeploymentCircuitBreaker) *types.DeploymentCircuitBreaker {
	b.Enable, b.Rollback = true, true
	return &b
}

func formatBreaker(b *types.DeploymentCircuitBreaker) string {
	return fmt.Sprintf("enable=%t rollback=%t", b.Enable, b.Rollback)
}

func parseBreaker(v string) (enable, rollback bool) {
	return strings.Contains(v, "enable=true"), strings.Contains(v, "rollback=true")
}

// compareConfiguration tells when a change of the breaker has changed anything else.
func (r *Run) compareConfiguration(stage string, was, is *types.DeploymentConfiguration) {
	if was == nil || is == nil {
		return
	}
	a, b := *was, *is
	a.DeploymentCircuitBreaker, b.DeploymentCircuitBreaker = nil, nil
	if then, now := brief(a), brief(b); then != now {
		r.note(stage, event.Warn, fmt.Sprintf("the service's deployment configuration changed besides the circuit breaker: it was %s and is %s now", then, now))
	}
}

// record is what the revision's tags say of this run: which one it is, what was
// asked of it, and what the circuit breaker was before.
func (r *Run) record() map[string]string {
	k := r.keys()
	after := ""
	if a := r.pre.ledger.Attempts; len(a) > 0 {
		after = a[0].ARN
	}
	set := map[string]string{k.Run: history.RunValue(r.RunID, after)}
	if by := history.Value(r.By); by != "" {
		set[k.By] = by
	}
	if names := history.Value(strings.Join(r.beforeNames(), " / ")); names != "" {
		set[k.Before] = names
	}
	if wishes := r.wishes(); len(wishes) > 0 {
		set[k.Wishes] = strings.Join(wishes, " ")
	}
	if before := r.breakerBefore(); before != nil {
		set[k.Backstop] = formatBreaker(before)
	}
	return set
}

// sign writes this run's record on the revision that it deploys, where it is not
// there as it should be: a new revision got it with its registration, by what
// preflight saw. It says whether anything was written.
func (r *Run) sign(ctx context.Context) (bool, error) {
	is := r.record()
	set, remove := map[string]string{}, []string{}
	for key, value := range is {
		if r.noted[key] != value {
			set[key] = value
		}
	}
	for key := range r.noted {
		if _, ok := is[key]; !ok {
			remove = append(remove, key)
		}
	}
	if len(set)+len(remove) == 0 {
		return false, nil
	}
	slices.Sort(remove)
	if err := (taskdef.Client{API: r.ECS}).Tag(ctx, r.next.ARN(), set, remove); err != nil {
		return false, fromAWS(err, "tag "+r.next.Name(), "ecs:TagResource and ecs:UntagResource")
	}
	r.noted = is
	return true, nil
}

// earlierRecord is the record of an earlier run on a revision.
func (r *Run) earlierRecord(arn string) map[string]string {
	t, k := r.pre.ledger.Tags[arn], r.keys()
	was := map[string]string{}
	for key, value := range map[string]string{
		k.Run: history.RunValue(t.Run, t.After), k.By: t.By, k.Wishes: strings.Join(t.Wishes, " "), k.Backstop: t.Backstop, k.Before: t.Before,
	} {
		if value != "" {
			was[key] = value
		}
	}
	return was
}

// unsign gives a revision that serves, and that this run was not allowed to deploy
// anew, its earlier tags back: watch would take it for an unfinished release, and
// a later release would set the circuit breaker by it.
func (r *Run) unsign(ctx context.Context) {
	if r.registered || r.unsure {
		return
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	was := r.earlierRecord(r.next.ARN())
	var remove []string
	for key := range r.noted {
		if _, ok := was[key]; !ok {
			remove = append(remove, key)
		}
	}
	slices.Sort(remove)
	if err := (taskdef.Client{API: r.ECS}).Tag(ctx, r.next.ARN(), was, remove); err != nil {
		r.note("deploy", event.Warn, fmt.Sprintf("%s could not be given its tags back: %v", r.next.Name(), err))
	}
}

// takeBackstop takes over what a release that died recorded on its revision. When
// somebody has set the breaker since, restoring changes nothing but the record.
func (r *Run) takeBackstop(arn string) {
	v := r.pre.ledger.Tags[arn].Backstop
	if v == "" {
		return
	}
	b := currentBreaker(r.pre.service)
	if b.Enable && b.Rollback {
		b.Enable, b.Rollback = parseBreaker(v)
	}
	r.deployed.Backstop = &b
}

// restoreEarlier restores what a release that died left, where this one changed
// nothing itself.
func (r *Run) restoreEarlier(ctx context.Context) {
	arn, v := r.pre.ledger.Backstop()
	if v == "" {
		return
	}
	was := r.deployed
	r.deployed = &deployed{TaskDefinition: arn}
	r.takeBackstop(arn) // gives a setting, so restoreBackstop does not come back here
	r.restoreBackstop(ctx)
	r.deployed = was
}

// restoreBackstop gives the service its own circuit breaker setting back, and
// takes the record of it off every revision that carries one.
func (r *Run) restoreBackstop(ctx context.Context) {
	before := r.deployed.Backstop
	if before == nil {
		r.restoreEarlier(ctx)
		return
	}
	if err := r.setBack(ctx, *before); err != nil {
		r.note("conclude", event.Warn, fmt.Sprintf("the service's circuit breaker could not be set back to %s: %v", formatBreaker(before), err))
		return
	}
	r.deployed.Backstop = nil
	carriers := []string{r.deployed.TaskDefinition}
	for _, a := range r.pre.ledger.Attempts {
		if r.pre.ledger.Tags[a.TaskDefinition].Backstop != "" && !slices.Contains(carriers, a.TaskDefinition) {
			carriers = append(carriers, a.TaskDefinition)
		}
	}
	for _, arn := range carriers {
		r.untag(ctx, arn, r.keys().Backstop)
	}
}

// setBack switches the breaker off again as far as a release switched it on. One that
// is not as a release leaves it was set by somebody meanwhile, and stays; so does
// whatever else it has, such as a threshold.
func (r *Run) setBack(ctx context.Context, before types.DeploymentCircuitBreaker) error {
	now, err := r.site().Read(ctx)
	if err != nil {
		return err
	}
	is := currentBreaker(now)
	if !is.Enable || !is.Rollback || before.Enable && before.Rollback {
		return nil
	}
	is.Enable, is.Rollback = before.Enable, before.Rollback
	out, err := r.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{
		Cluster: &r.Cluster, Service: &r.Service,
		DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &is},
	})
	if err == nil && out.Service != nil {
		r.compareConfiguration("conclude", now.DeploymentConfiguration, out.Service.DeploymentConfiguration)
	}
	return err
}
