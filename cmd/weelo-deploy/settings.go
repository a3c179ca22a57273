package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/scan"
)

// overrides are the configuration values that flags set.
func (f *releaseFlags) overrides(cmd *cobra.Command) (overrides, error) {
	o, err := changed(cmd, map[string]string{
		"timeout": "release.timeout", "bake": "release.bake", "tolerate": "release.tolerate",
		"base": "task.base", "target": "build.target", "allow-emulation": "build.allowEmulation",
	}, f.buildArgs)
	if len(f.tags) > 0 {
		o.lists = map[string][]string{"image.tags": f.tags}
	}
	return o, err
}

// changed collects the flags that were given, by the configuration key that each
// sets, and build arguments.
func changed(cmd *cobra.Command, keys map[string]string, buildArgs []string) (overrides, error) {
	o := overrides{values: map[string]string{}}
	for flag, key := range keys {
		if fl := cmd.Flags().Lookup(flag); fl != nil && fl.Changed {
			o.values[key] = fl.Value.String()
		}
	}
	if len(buildArgs) == 0 {
		return o, nil
	}
	args := map[string]string{}
	for _, a := range buildArgs {
		k, v, ok := strings.Cut(a, "=")
		if !ok {
			if v, ok = os.LookupEnv(k); !ok {
				return o, event.Fail(event.CodeUsage, fmt.Sprintf("--build-arg %s has no value, and the environment has none", k)).Hint("write --build-arg " + k + "=VALUE")
			}
		}
		args[k] = v
	}
	o.maps = map[string]map[string]string{"build.args": args}
	return o, nil
}

// settings turns the configuration and the flags of release into what a release
// is told.
func (s *session) settings(ctx context.Context, f *releaseFlags) (release.Settings, error) {
	c := s.config
	if c.Image.Repository == "" {
		return release.Settings{}, noRepository()
	}
	src, err := build.ReadSource(ctx, c.Dir)
	if err != nil && !errors.Is(err, build.ErrNoGit) {
		return release.Settings{}, err
	}
	tolerate, err := health.ParseTolerance(c.Release.Tolerate)
	if err != nil {
		return release.Settings{}, event.Fail(event.CodeConfig, "release.tolerate").Because(err)
	}
	set := release.Settings{
		Command: s.command, Cluster: c.Cluster, Service: c.Service, Account: c.Account, Repository: c.Image.Repository,
		Image: f.image, Before: c.Build.Before, Dir: c.Dir, Source: src,
		Container: c.Task.Container, Environment: c.Task.Environment, Secrets: c.Task.Secrets, Base: c.Task.Base,
		Timeout: c.Release.Timeout, Bake: c.Release.Bake, Tolerate: tolerate,
		NoRollback: f.noRollback, NeverRollBack: c.Release.Rollback == "never", Backstop: c.Release.Backstop != "keep",
		Wait: f.wait, WaitTimeout: f.waitTimeout, Supersede: f.supersede, Redeploy: f.redeploy, Rebuild: f.rebuild,
		MoveTag: f.moveTag, NoTrial: f.noTrial, Allow: allowed(c.Verify.Allow), Trial: release.Trial{Seconds: c.Verify.Trial.Seconds, Env: c.Verify.Trial.Env},
		RequireClean: c.Release.RequireClean, KeepFailed: f.keepFailed,
		OnInterrupt: release.OnInterrupt(f.onInterrupt), Terminal: s.app.interactive(), By: s.app.who(), RunID: strings.ToLower(rand.Text()[:12]),
	}
	for _, b := range c.Release.Before {
		set.BeforeTasks = append(set.BeforeTasks, release.BeforeTask{
			// Masked before it is cut: of half a secret nobody knows that it is one.
			Name: cmp.Or(b.Name, s.redact.String(strings.Join(b.Command, " "))), Container: b.Container, Command: b.Command, Environment: b.Environment, Timeout: b.Timeout, StopOnInterrupt: b.OnInterrupt == "stop",
		})
	}
	if set.Checks, err = s.liveChecks(); err != nil {
		return set, err
	}
	if set.Tags, err = s.tags(f, src); err != nil {
		return set, err
	}
	set.TagsGiven = len(f.tags) > 0
	if f.rebuild && !set.TagsGiven {
		for i, t := range set.Tags {
			set.Tags[i] = t + "-" + set.RunID[:6] // the tag of the first build may be immutable
		}
	}
	set.Build = buildRequest(c, src, f.noCache, f.pull)
	return set, nil
}

// allowed are the rules of verify.allow.
func allowed(list []config.Allow) []scan.Rule {
	var rules []scan.Rule
	for _, a := range list {
		rules = append(rules, scan.Rule{Path: a.Path, Reason: a.Reason})
	}
	return rules
}

func noRepository() error {
	return event.Fail(event.CodeUsage, "no image repository is named").
		Hint("set image.repository in weelo-deploy.yaml, or WEELO_DEPLOY_IMAGE_REPOSITORY")
}

// tags are the templates expanded. A released image that is in the repository
// already needs none; whether it is, verify finds out, and the push of one without
// a tag is refused.
func (s *session) tags(f *releaseFlags, src build.Source) ([]string, error) {
	if f.sandbox && src.Commit == "" && s.config.Origin("image.tags").Source == config.FromDefault && s.config.Origin("image.tags[0]").Source == config.FromDefault {
		return []string{"rehearsal"}, nil // the default is the commit, and there is none
	}
	tags, err := s.config.ExpandTags(config.Vars{GitSHA: src.Commit, GitBranch: src.Branch, Suffix: src.TagSuffix()})
	if err != nil && f.image != "" && len(f.tags) == 0 {
		return nil, nil
	}
	return tags, err
}

func buildRequest(c *config.Config, src build.Source, noCache, pull bool) build.Request {
	req := build.Request{
		Context: c.Build.Context, Dockerfile: c.Build.Dockerfile, Platform: c.Build.Platform, Target: c.Build.Target,
		Args: c.Build.Args, Labels: build.Labels(src, c.Build.Labels), SSH: c.Build.SSH,
		NoCache: noCache, Pull: pull, AllowEmulation: c.Build.AllowEmulation,
		Contexts: c.Build.Contexts, CacheFrom: c.Build.CacheFrom, CacheTo: c.Build.CacheTo,
	}
	for _, sec := range c.Build.Secrets {
		req.Secrets = append(req.Secrets, build.Secret{ID: sec.ID, File: sec.File, Env: sec.Env})
	}
	return req
}

// interactive says whether somebody sits there who can press Ctrl-C twice.
func (a *app) interactive() bool {
	return a.stdinTerminal && a.stderrTerminal && !output.InCI(a.getenv)
}

// who is the person or job that runs the release, for the revision's tags.
func (a *app) who() string {
	if actor := a.getenv("GITHUB_ACTOR"); actor != "" {
		return actor + " (GitHub Actions)"
	}
	if id := a.getenv("CODEBUILD_INITIATOR"); id != "" {
		return id + " (CodeBuild)"
	}
	name := a.getenv("USER")
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
