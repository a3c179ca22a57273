package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/release"
)

// completeTime bounds what a shell waits for names that only AWS knows.
const completeTime = 3 * time.Second

// suggestion gives the words that may stand in a place. It says nothing of errors:
// a shell has no place for them.
type suggestion func(context.Context) []string

// addCompletion tells shells which words may stand where: names of the
// configuration and of the account for flags that want one, and the words of a
// choice.
func (a *app) addCompletion(root *cobra.Command) {
	names := map[string]suggestion{
		"env":     func(context.Context) []string { return config.EnvironmentNames(a.configOptions()) },
		"cluster": a.clusterNames, "service": a.serviceNames, "revision": a.revisions,
		"output": choices("auto", "tty", "plain", "json", "github"), "base": choices("current", "latest"), "on-interrupt": choices("rollback", "detach"),
	}
	for _, cmd := range documented(root) {
		flags := cmd.Flags() // its own, before cobra adds its parents'
		if cmd == root {
			flags = cmd.PersistentFlags()
		}
		for flag, suggest := range names {
			if flags.Lookup(flag) != nil {
				_ = cmd.RegisterFlagCompletionFunc(flag, completes(suggest)) // fails for a flag that is not there
			}
		}
		switch {
		case strings.HasSuffix(cmd.Use, " [REVISION]"):
			cmd.ValidArgsFunction = first(completes(a.revisions))
		case cmd.ValidArgsFunction == nil && !strings.Contains(cmd.Use, " "):
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
}

func choices(list ...string) suggestion { return func(context.Context) []string { return list } }

// completes turns a suggestion into cobra's form, bounded in time.
func completes(suggest suggestion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		parent := cmd.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completeTime)
		defer cancel()
		return slices.DeleteFunc(slices.Clone(suggest(ctx)), func(s string) bool { return !strings.HasPrefix(s, typed) }),
			cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// first completes the first argument only.
func first(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, typed)
	}
}

// configOptions are those of a command without flags of its own.
func (a *app) configOptions() config.Options {
	return config.Options{Path: a.flags.config, Env: a.flags.env, Environ: a.environ()}
}

// addressed opens the clients, and says which cluster and service the flags and the
// configuration name.
func (a *app) addressed(ctx context.Context) (c release.Clients, cluster, service string, ok bool) {
	cluster, service = a.flags.cluster, a.flags.service
	region := a.flags.region
	if conf, err := config.Load(a.configOptions()); err == nil {
		cluster, service, region = cmp.Or(cluster, conf.Cluster), cmp.Or(service, conf.Service), cmp.Or(region, conf.Region)
	}
	c, _, err := openClients(ctx, place{Region: region})
	return c, cluster, service, err == nil
}

func (a *app) clusterNames(ctx context.Context) []string {
	c, _, _, ok := a.addressed(ctx)
	if !ok {
		return nil
	}
	return listed(ctx, clusters(c.ECS))
}

func (a *app) serviceNames(ctx context.Context) []string {
	c, cluster, _, ok := a.addressed(ctx)
	if !ok || cluster == "" {
		return nil
	}
	return listed(ctx, services(c.ECS, cluster))
}

func listed(ctx context.Context, list lister) []string {
	names, err := list(ctx)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	return names
}

// revisions are the numbers of the revisions that were deployed on the service,
// newest first, each with how it went.
func (a *app) revisions(ctx context.Context) []string {
	c, cluster, service, ok := a.addressed(ctx)
	if !ok || cluster == "" || service == "" {
		return nil
	}
	def, err := definitionOf(ctx, c, cluster, service)
	if err != nil {
		return nil
	}
	ledger, err := history.Read(ctx, c.ECS, cluster, service, def.Family())
	if err != nil {
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for _, at := range ledger.Attempts {
		n := history.Revision(at.TaskDefinition)
		if n == "" || seen[n] {
			continue
		}
		seen[n] = true
		how := "did not succeed"
		if at.Succeeded() {
			how = "succeeded"
		}
		out = append(out, n+"\t"+how+" "+output.Ago(a.now().Sub(at.Created)))
	}
	return out
}
