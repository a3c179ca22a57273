package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// globalFlags are the flags of every command.
type globalFlags struct {
	config, env, region, cluster, service, output string
	json, yes                                     bool
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "weelo-deploy",
		Short: "Release to Amazon ECS, and go back when it fails",
		Long: `weelo-deploy builds a native image, verifies its platform, pushes it to ECR,
registers a task definition revision pinned to the pushed digest, deploys it,
watches its tasks, and rolls back to the last proven revision when one dies.`,
		Example: `  weelo-deploy release                  # build and release, by weelo-deploy.yaml
  weelo-deploy plan                     # what a release would do
  weelo-deploy rollback                 # back to the revision proven before
  weelo-deploy release --sandbox        # rehearse it, without an AWS account`,
		SilenceErrors: true, SilenceUsage: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	p := root.PersistentFlags()
	p.StringVar(&a.flags.config, "config", "", "configuration `FILE` (default: weelo-deploy.yaml here or above)")
	p.StringVar(&a.flags.env, "env", "", "environment `NAME` of the configuration")
	p.StringVar(&a.flags.region, "region", "", "AWS `REGION`")
	p.StringVar(&a.flags.cluster, "cluster", "", "ECS cluster `NAME`")
	p.StringVar(&a.flags.service, "service", "", "ECS service `NAME`")
	p.StringVar(&a.flags.output, "output", "", "how to write: auto, tty, plain, json or github `MODE`")
	p.BoolVar(&a.flags.json, "json", false, "short for --output json")
	p.BoolVar(&a.flags.yes, "yes", false, "answer every question with yes")

	root.AddGroup(&cobra.Group{ID: "release", Title: "Release:"}, &cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "parts", Title: "Parts and practice:"})
	for id, cmds := range map[string][]*cobra.Command{
		"release": {newReleaseCommand(a), newPlanCommand(a), newRollbackCommand(a), newWatchCommand(a)},
		"look":    {newStatusCommand(a), newHistoryCommand(a)},
		"parts":   {newBuildCommand(a), newVerifyCommand(a), newSandboxCommand(a)},
	} {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newVersionCommand(a), exitCodesTopic(), environmentTopic())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return err })
	return root
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.Parent() == nil {
		msg := fmt.Sprintf("there is no command %q", args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			msg += "; did you mean " + strings.Join(near, ", ") + "?"
		}
		return fmt.Errorf("%s", msg)
	}
	return fmt.Errorf("%s takes no arguments, got %q", cmd.CommandPath(), args[0])
}

// commandPath is the command that args name, for a hint.
func (a *app) commandPath(root *cobra.Command, args []string) string {
	if cmd, _, err := root.Find(args); err == nil {
		return cmd.CommandPath()
	}
	return root.CommandPath()
}
