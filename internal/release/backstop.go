package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
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
	if _, v := r.earlierBackstop(); v != "" {
		return true
	}
	b := currentBreaker(r.pre.service)
	return !b.Enable || !b.Rollback
}

// breakerBefore is the setting to restore: the service's own, or the one that an
// earlier release recorded and did not live to restore. A breaker that is not as a
// release leaves it was set by somebody since, and that record is stale.
func (r *Run) breakerBefore() *types.DeploymentCircuitBreaker {
	b := currentBreaker(r.pre.service)
	if _, v := r.earlierBackstop(); v != "" && b.Enable && b.Rollback {
		b.Enable, b.Rollback = parseBreaker(v)
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

// compareConfiguration tells when switching the breaker on changed anything else.
func (r *Run) compareConfiguration(was, is *types.DeploymentConfiguration) {
	if was == nil || is == nil {
		return
	}
	if aws.ToInt32(was.MinimumHealthyPercent) != aws.ToInt32(is.MinimumHealthyPercent) ||
		aws.ToInt32(was.MaximumPercent) != aws.ToInt32(is.MaximumPercent) ||
		(was.Alarms == nil) != (is.Alarms == nil) {
		r.note("deploy", event.Warn, "the service's deployment configuration changed besides the circuit breaker: compare it with `aws ecs describe-services`")
	}
}

// earlierBackstop is a circuit breaker setting that a release which died left to
// be restored: the newest attempt's revision that still carries it.
func (r *Run) earlierBackstop() (arn, value string) {
	for _, a := range r.pre.ledger.Attempts {
		if t := r.pre.ledger.Tags[a.TaskDefinition]; t.Backstop != "" {
			return a.TaskDefinition, t.Backstop
		}
	}
	return "", ""
}

// sign writes on the revision whose deployment this is, where it was not registered
// by this run, and what the circuit breaker was before this release switches it on.
// A new revision got both with its registration, by what preflight saw. It gives
// the setting to restore; nil when the breaker stays as it is.
func (r *Run) sign(ctx context.Context) (*types.DeploymentCircuitBreaker, error) {
	var before *types.DeploymentCircuitBreaker
	is := ""
	if r.wantsBackstop() {
		before = r.breakerBefore()
		is = formatBreaker(before)
	}
	set := map[string]string{}
	if !r.registered {
		set[history.KeyRun] = r.RunID
		if by := history.Value(r.By); by != "" {
			set[history.KeyBy] = by
		}
	}
	var remove []string
	switch {
	case is == r.noted:
	case is == "":
		remove = []string{history.KeyBackstop}
	default:
		set[history.KeyBackstop] = is
	}
	if err := (taskdef.Client{API: r.ECS}).Tag(ctx, r.next.ARN(), set, remove); err != nil {
		return nil, fromAWS(err, "tag "+r.next.Name(), "ecs:TagResource and ecs:UntagResource")
	}
	r.noted = is
	return before, nil
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
	was := r.pre.ledger.Tags[r.next.ARN()]
	set, remove := map[string]string{}, []string{}
	for key, value := range map[string]string{history.KeyRun: was.Run, history.KeyBy: was.By, history.KeyBackstop: was.Backstop} {
		if value == "" {
			remove = append(remove, key)
		} else {
			set[key] = value
		}
	}
	if err := (taskdef.Client{API: r.ECS}).Tag(ctx, r.next.ARN(), set, remove); err != nil {
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

// restoreEarlier restores what a release that died left, where no release is left to
// be concluded.
func (r *Run) restoreEarlier(ctx context.Context) {
	arn, _ := r.earlierBackstop()
	if arn == "" {
		return
	}
	was := r.deployed
	r.deployed = &deployed{TaskDefinition: arn}
	r.takeBackstop(arn)
	r.restoreBackstop(ctx)
	r.deployed = was
}

// restoreBackstop gives the service its own circuit breaker setting back, and
// takes the record of it off every revision that carries one.
func (r *Run) restoreBackstop(ctx context.Context) {
	before := r.deployed.Backstop
	if before == nil {
		return
	}
	_, err := r.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{
		Cluster: &r.Cluster, Service: &r.Service,
		DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: before},
	})
	if err != nil {
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
		if err := (taskdef.Client{API: r.ECS}).Tag(ctx, arn, nil, []string{history.KeyBackstop}); err != nil {
			r.note("conclude", event.Warn, fmt.Sprintf("%s could not be untagged: %v", history.Name(arn), err))
		}
	}
}
