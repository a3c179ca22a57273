package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/doctor"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/iam"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// policyTime bounds the questions to AWS behind iam-policy, which does without.
const policyTime = 15 * time.Second

func newIAMPolicyCommand(a *app) *cobra.Command {
	var forDoctor bool
	cmd := &cobra.Command{
		Use: "iam-policy", Short: "Print the least policy that a release of this configuration needs", Args: noArgs,
		Long: `iam-policy prints an IAM policy that allows what a release by this configuration
calls, on the resources that it calls them on, and nothing else. Account, task
definition, roles and log groups are asked of AWS where that is allowed; where it
is not, the policy has a * and stderr says so.`,
		Example: `  weelo-deploy iam-policy > policy.json
  aws iam put-role-policy --role-name deploy --policy-name weelo-deploy --policy-document file://policy.json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.printPolicy(cmd.Context(), forDoctor) },
	}
	cmd.Flags().BoolVar(&forDoctor, "doctor", false, "allow also what only doctor asks for")
	return cmd
}

func (a *app) printPolicy(ctx context.Context, forDoctor bool) error {
	s, err := a.begin("iam-policy")
	if err != nil {
		return err
	}
	if err := s.load(overrides{}); err != nil {
		return s.refuse(err)
	}
	plan := s.plan(ctx)
	needs := iam.Needs(plan)
	if forDoctor {
		needs = append(needs, iam.DoctorNeeds(plan)...)
	}
	_, err = io.WriteString(a.stdout, iam.Policy(needs)+"\n")
	return err
}

// plan completes what the configuration says of permissions by what AWS tells.
func (s *session) plan(ctx context.Context) iam.Plan {
	ctx, cancel := context.WithTimeout(ctx, policyTime)
	defer cancel()
	plan := planOf(s.config, s.config.Region)
	unknown := func(what string, err error) {
		fmt.Fprintf(s.app.stderr, "note: %s; the policy has * instead (%s)\n", what, words.Clean(s.redact.String(event.FailuresOf(err)[0].Message)))
	}
	clients, region, err := openClients(ctx, place{Region: plan.Region, On: s.config.Build.On})
	if err != nil {
		unknown("region, account and task definition are not known", err)
		return plan
	}
	plan.Region = region
	account, _, err := clients.WhoAmI(ctx)
	if err != nil {
		unknown("account and task definition are not known", err)
		return plan
	}
	if plan.Bucket, err = sources(ctx, clients); err != nil {
		plan.Bucket = ""
		unknown("the bucket of the CodeBuild project is not known", err)
	}
	def, err := s.servingDefinition(ctx, clients)
	if err != nil {
		unknown("the task definition, its roles and log groups are not known", err)
	}
	return doctor.Complete(plan, account, def)
}

func (s *session) servingDefinition(ctx context.Context, c release.Clients) (*taskdef.Definition, error) {
	if err := s.target(); err != nil {
		return nil, err
	}
	return definitionOf(ctx, c, s.config.Cluster, s.config.Service)
}
