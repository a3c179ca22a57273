package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/release"
)

// statusHook is a lifecycle hook that the newest deployment waits for.
type statusHook struct {
	ID            string    `json:"id"`
	Type          string    `json:"type"`
	Stage         string    `json:"stage,omitempty"`
	Status        string    `json:"status"`
	Target        string    `json:"target,omitempty"`
	ExpiresAt     time.Time `json:"expiresAt,omitzero"`
	TimeoutAction string    `json:"timeoutAction,omitempty"`
	Continue      string    `json:"continue,omitempty"`
}

// readHooks reads what hooks the service's deployment waits for. Whoever may not
// read service deployments is told so by the history already.
func readHooks(ctx context.Context, api release.ECS, s types.Service) []statusHook {
	hooks := []statusHook{}
	arn := aws.ToString(s.CurrentServiceDeployment)
	if arn == "" {
		return hooks
	}
	out, err := api.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn}})
	if err != nil || len(out.ServiceDeployments) == 0 {
		return hooks
	}
	d := out.ServiceDeployments[0]
	if d.Status != types.ServiceDeploymentStatusInProgress && d.Status != types.ServiceDeploymentStatusRollbackInProgress {
		return hooks
	}
	for _, h := range d.LifecycleHookDetails {
		waits := statusHook{
			ID: aws.ToString(h.HookId), Type: string(h.TargetType), Stage: string(d.LifecycleStage), Status: string(h.Status),
			Target: aws.ToString(h.TargetArn), ExpiresAt: aws.ToTime(h.ExpiresAt).UTC(), TimeoutAction: string(h.TimeoutAction),
		}
		switch h.Status {
		case types.DeploymentLifecycleHookStatusAwaitingAction:
			waits.Continue = health.ContinueCommand(arn, waits.ID)
		case types.DeploymentLifecycleHookStatusInProgress:
		default:
			continue // it is over
		}
		hooks = append(hooks, waits)
	}
	return hooks
}

// printHooks tells what the deployment waits for, and how it goes on.
func (s *session) printHooks(hooks []statusHook) error {
	if len(hooks) == 0 {
		return nil
	}
	fmt.Fprintln(s.app.stdout)
	table := s.table("HOOK", "TYPE", "STAGE", "STATUS", "AT THE TIMEOUT", "TIMEOUT").Keep("HOOK", "STAGE", "STATUS")
	for _, h := range hooks {
		table.Row(h.ID, h.Type, h.Stage, h.Status, h.TimeoutAction, h.ExpiresAt.Format(time.RFC3339))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, h := range hooks {
		if h.Continue != "" {
			fmt.Fprintf(s.app.stdout, "\nto continue it (or ROLLBACK): %s\n", h.Continue)
		}
	}
	return nil
}
