package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/nearest"
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
	root.SetFlagErrorFunc(flagError)
	return root
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.Parent() == nil {
		f := event.Fail(event.CodeUsage, fmt.Sprintf("there is no command %q", args[0]))
		var names []string
		for _, c := range cmd.Commands() {
			names = append(names, c.Name())
		}
		return meant(f, args[0], names).Try("weelo-deploy --help")
	}
	return fmt.Errorf("%s takes no arguments, got %q", cmd.CommandPath(), args[0])
}

// flagError names the flag that was probably meant when there is none of the name.
func flagError(cmd *cobra.Command, err error) error {
	var named interface{ GetSpecifiedName() string } // pflag's errors have it
	if !errors.As(err, &named) || cmd.Flags().Lookup(named.GetSpecifiedName()) != nil {
		return err
	}
	names := flagName.FindAllString(cmd.Flags().FlagUsages(), -1)
	return meant(event.Fail(event.CodeUsage, err.Error()), "--"+named.GetSpecifiedName(), names).Try(cmd.CommandPath() + " --help")
}

// flagName finds the flags in a command's usage text.
var flagName = regexp.MustCompile(`--[a-z][a-z-]*`)

// meant adds the nearest of the names that exist.
func meant(f *event.Failure, word string, names []string) *event.Failure {
	if near := nearest.Names(word, names, 2); len(near) > 0 {
		return f.Hint("did you mean " + strings.Join(near, " or ") + "?")
	}
	return f
}

// commandPath is the command that args name, for a hint.
func (a *app) commandPath(root *cobra.Command, args []string) string {
	if cmd, _, err := root.Find(args); err == nil {
		return cmd.CommandPath()
	}
	return root.CommandPath()
}
