package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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
	var asksVersion bool
	root := &cobra.Command{
		Use:   "weelo-deploy",
		Short: "Release to Amazon ECS, and go back when it fails",
		Long: `weelo-deploy builds a native image, verifies its platform, pushes it to ECR,
registers a task definition revision pinned to the pushed digest, deploys it,
watches its tasks, and rolls back to the last proven revision when one dies.`,
		Example: `  weelo-deploy init                     # write weelo-deploy.yaml for a service that runs
  weelo-deploy release                  # build and release, by weelo-deploy.yaml
  weelo-deploy plan                     # what a release would do
  weelo-deploy rollback                 # back to the revision proven before
  weelo-deploy release --sandbox        # rehearse it, without an AWS account`,
		SilenceErrors: true, SilenceUsage: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asksVersion {
				return a.printVersion()
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&asksVersion, "version", false, "print the version, as the command version does")
	p := root.PersistentFlags()
	p.StringVar(&a.flags.config, "config", "", "configuration `FILE` (default: weelo-deploy.yaml here or above)")
	p.StringVar(&a.flags.env, "env", "", "environment `NAME` of the configuration")
	p.StringVar(&a.flags.region, "region", "", "AWS `REGION`")
	p.StringVar(&a.flags.cluster, "cluster", "", "ECS cluster `NAME`")
	p.StringVar(&a.flags.service, "service", "", "ECS service `NAME`")
	p.StringVar(&a.flags.output, "output", "", "`MODE` of writing: auto, tty, plain, json or github")
	p.BoolVar(&a.flags.json, "json", false, "short for --output json")
	p.BoolVar(&a.flags.yes, "yes", false, "answer every question with yes")

	root.AddGroup(&cobra.Group{ID: "release", Title: "Release:"}, &cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "setup", Title: "Set up:"},
		&cobra.Group{ID: "parts", Title: "Parts and practice:"})
	for id, cmds := range map[string][]*cobra.Command{
		"release": {newReleaseCommand(a), newPlanCommand(a), newRollbackCommand(a), newWatchCommand(a)},
		"look":    {newStatusCommand(a), newHistoryCommand(a), newLogsCommand(a)},
		"setup":   {newInitCommand(a), newDoctorCommand(a), newIAMPolicyCommand(a), newConfigCommand(a), newSchemaCommand(a)},
		"parts":   {newBuildCommand(a), newVerifyCommand(a), newSandboxCommand(a)},
	} {
		for _, c := range cmds {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	root.AddCommand(newManCommand(a), newVersionCommand(a), exitCodesTopic(), environmentTopic())
	root.SetFlagErrorFunc(flagError)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return swallowed(cmd) }
	mendHelp(root)
	a.addCompletion(root)
	return root
}

// mendHelp makes the help command refuse topics that do not exist: cobra's shows
// the help of the root, as if that had been asked for.
func mendHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		return
	}
	help.Example = "  weelo-deploy help release"
	help.Run, help.RunE = nil, func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		switch {
		case err != nil:
			return err
		case len(rest) > 0 && (cmd == root || cmd.HasSubCommands()):
			return noCommand(cmd, rest[0])
		}
		cmd.InitDefaultHelpFlag()
		return cmd.Help()
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := swallowed(cmd); err != nil || len(args) == 0 {
		return err
	}
	if cmd.HasSubCommands() {
		return noCommand(cmd, args[0])
	}
	return fmt.Errorf("%s takes no arguments, got %q", cmd.CommandPath(), args[0])
}

// oneArg takes one argument, which the usage calls name, or none when it is
// optional.
func oneArg(name string, optional bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := swallowed(cmd); err != nil {
			return err
		}
		switch {
		case len(args) > 1:
			return fmt.Errorf("%s takes one %s, got %d: %s", cmd.CommandPath(), name, len(args), strings.Join(args, ", "))
		case len(args) == 0 && !optional:
			return fmt.Errorf("%s wants one argument, %s", cmd.CommandPath(), name)
		}
		return nil
	}
}

// noCommand names the command that was probably meant when parent has none of
// the name.
func noCommand(parent *cobra.Command, name string) error {
	var names []string
	for _, c := range parent.Commands() {
		names = append(names, c.Name())
	}
	path := parent.CommandPath()
	full := strings.TrimPrefix(path+" "+name, parent.Root().Name()+" ")
	return meant(event.Fail(event.CodeUsage, fmt.Sprintf("there is no command %q", full)), name, names).Try(path + " --help")
}

// swallowed refuses a flag whose value is another flag: its own value was
// forgotten, as in --cluster --output json.
func swallowed(cmd *cobra.Command) error {
	for _, flag := range flagNames(cmd) {
		f := cmd.Flags().Lookup(flag[2:])
		if f == nil || !f.Changed {
			continue
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(interface{ GetSlice() []string }); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			name, _, _ := strings.Cut(v, "=")
			if slices.Contains(flagNames(cmd), name) {
				return wantsValue(cmd, flag).Hint(v + " was taken for its value")
			}
		}
	}
	return nil
}

func wantsValue(cmd *cobra.Command, flag string) *event.Failure {
	return event.Fail(event.CodeUsage, flag+" wants a value").Try(cmd.CommandPath() + " --help")
}

// flagError says in words what is wrong with a flag, and names the one that was
// probably meant when there is none of the name.
func flagError(cmd *cobra.Command, err error) error {
	var named interface{ GetSpecifiedName() string } // pflag's errors about the flag itself
	var invalid interface{ GetValue() string }       // and about its value
	switch {
	case errors.As(err, &named) && cmd.Flags().Lookup(named.GetSpecifiedName()) != nil:
		return wantsValue(cmd, "--"+named.GetSpecifiedName())
	case errors.As(err, &named):
		return meant(event.Fail(event.CodeUsage, err.Error()), "--"+named.GetSpecifiedName(), flagNames(cmd)).Try(cmd.CommandPath() + " --help")
	case errors.As(err, &invalid):
		return invalidValue(cmd, invalid.GetValue(), err)
	}
	return err
}

// invalidValue says what the flag of pflag's error wants instead of value.
func invalidValue(cmd *cobra.Command, value string, err error) error {
	flag := flagName.FindString(strings.TrimPrefix(err.Error(), fmt.Sprintf("invalid argument %q for ", value)))
	f := cmd.Flags().Lookup(strings.TrimPrefix(flag, "--"))
	if f == nil || kinds[f.Value.Type()] == "" {
		return err
	}
	return event.Fail(event.CodeUsage, fmt.Sprintf("%s wants %s, not %q", flag, kinds[f.Value.Type()], value)).Try(cmd.CommandPath() + " --help")
}

// kinds are what flags of pflag's types want, in words.
var kinds = map[string]string{
	"bool": "true or false", "duration": "a duration such as 10m", "int": "a whole number", "float64": "a number",
}

// flagNames are the flags that a command's usage text names, its own among them.
func flagNames(cmd *cobra.Command) []string {
	return flagName.FindAllString(cmd.Flags().FlagUsages(), -1)
}

// flagName finds the flags in a text.
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
