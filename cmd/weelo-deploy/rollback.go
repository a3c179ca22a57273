package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/release"
)

func newRollbackCommand(a *app) *cobra.Command {
	var force bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "rollback [REVISION]", Short: "Go back to a revision that was proven", Args: oneArg("REVISION", true),
		Long: `rollback brings the service back to the proven revision before the one that
serves: a revision that completed a deployment on this very service. It never
goes forward to one that was rolled back, and never just subtracts one. When a
deployment is in progress or stuck, it goes back to what was proven before it.

With REVISION (27, family:27 or an ARN) it goes to that revision; one that never
succeeded on this service wants --force. It needs neither Docker nor git nor a
configuration file: --cluster and --service are enough. Of a file that is there,
mistakes in what it does not need (image, build, checks, …) are only told.`,
		Example: `  weelo-deploy rollback
  weelo-deploy rollback 27
  weelo-deploy rollback --cluster weelocluster --service backend`,
		RunE: func(cmd *cobra.Command, args []string) error {
			revision := ""
			if len(args) == 1 {
				revision = args[0]
			}
			return a.operate(cmd, "rollback", timeout, checkRevision(revision), func(ctx context.Context, r *release.Run) event.Result {
				return r.Rollback(ctx, revision, force)
			})
		},
	}
	a.reportFlag(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "also to a named revision that never succeeded here")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this `DURATION` without progress (default 10m)")
	return cmd
}

func newWatchCommand(a *app) *cobra.Command {
	var rollBack bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "watch", Short: "Attach to whatever is in progress", Args: noArgs,
		Long: `watch picks a release up whose process died or was detached, and brings it to its
end as the release would have: it bakes, rolls back, records the outcome.
What was asked of it holds: one that was begun with --no-rollback is not rolled
back, and one with --bake, --timeout or --tolerate is judged by them. Somebody else's deployment is only watched. --rollback overrides both.`,
		Example: "  weelo-deploy watch",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.operate(cmd, "watch", timeout, nil, func(ctx context.Context, r *release.Run) event.Result {
				return r.Resume(ctx, rollBack)
			})
		},
	}
	a.reportFlag(cmd)
	cmd.Flags().BoolVar(&rollBack, "rollback", false, "roll back when it fails, also when no release of ours began it")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this `DURATION` without progress (default 10m)")
	return cmd
}

// checkRevision refuses an argument that cannot name a revision, without asking
// anybody.
func checkRevision(s string) error {
	if s == "" || release.IsRevision(s) {
		return nil
	}
	return event.Fail(event.CodeUsage, fmt.Sprintf("%q is not a revision", s)).
		Hint("write a revision's number (27), its name (family:27) or its ARN")
}

// warn tells something in the story of a run.
func (s *session) warn(text string) { s.out.In("")(event.Note{Level: event.Warn, Text: text}) }

// operate runs a command that needs AWS and nothing else. wrong is what is wrong
// with its arguments.
func (a *app) operate(cmd *cobra.Command, command string, timeout time.Duration, wrong error, f func(context.Context, *release.Run) event.Result) error {
	s, err := a.begin(command)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	beating, stop := context.WithCancel(ctx)
	defer stop()
	s.beat(beating)
	if wrong != nil {
		return s.refuse(wrong)
	}
	clients, region, err := s.site(ctx, s.warn)
	if err != nil {
		return s.refuse(err)
	}
	c := s.config
	tolerate, err := health.ParseTolerance(c.Release.Tolerate)
	if err != nil {
		return s.refuse(event.Fail(event.CodeConfig, "release.tolerate").Because(err))
	}
	set := release.Settings{
		Command: command, Region: region, Given: a.given(cmd), Tolerate: tolerate, Cluster: c.Cluster, Service: c.Service, Account: c.Account, Container: c.Task.Container,
		Timeout: c.Release.Timeout, Bake: c.Release.Bake, NeverRollBack: c.Release.Rollback == "never",
		Terminal: a.interactive(), By: a.who(),
	}
	if timeout > 0 {
		set.Timeout = timeout
	}
	if command == "watch" {
		set.Checks = s.resumedChecks()
	}
	run := release.New(set, clients, s.out, a.now)
	run.Interrupts = a.again
	return s.done(f(ctx, run))
}
