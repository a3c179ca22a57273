package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/release"
)

// releaseFlags are the flags of release and plan.
type releaseFlags struct {
	image, target, base, tolerate, onInterrupt              string
	tags, buildArgs                                         []string
	dryRun, sandbox, noTrial, noRollback                    bool
	moveTag, redeploy, rebuild, wait, supersede, keepFailed bool
	allowEmulation, exitCode, noCache, pull                 bool
	timeout, bake, waitTimeout                              time.Duration
	sandboxEnv                                              string
}

func (f *releaseFlags) register(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.image, "image", "", "release this image instead of building one: a `REF` in the target repository, or in the local engine")
	p.StringArrayVar(&f.tags, "tag", nil, "`TAG` of the image, may be repeated (default: image.tags, or the commit)")
	p.StringArrayVar(&f.buildArgs, "build-arg", nil, "build argument `NAME=VALUE`, may be repeated")
	p.BoolVar(&f.noCache, "no-cache", false, "build every step anew")
	p.BoolVar(&f.pull, "pull", false, "look for newer base images")
	p.StringVar(&f.target, "target", "", "`STAGE` of the Dockerfile to build")
	p.BoolVar(&f.sandbox, "sandbox", false, "rehearse in a sandbox on this machine; production cannot be reached")
	p.StringVar(&f.sandboxEnv, "sandbox-env", "", "with --sandbox: real environment values from `FILE` (NAME=value lines) instead of placeholders")
	p.BoolVar(&f.moveTag, "move-tag", false, "push also a tag that the serving revision or the rollback target names")
	p.BoolVar(&f.noTrial, "no-trial", false, "do not start the image once before the push")
	p.BoolVar(&f.noRollback, "no-rollback", false, "go on without a rollback target, and never roll back")
	p.BoolVar(&f.redeploy, "redeploy", false, "deploy also when nothing changed")
	p.BoolVar(&f.rebuild, "rebuild", false, "build also when an image of this commit is in the registry")
	p.BoolVar(&f.wait, "wait", false, "wait for a deployment in progress")
	p.DurationVar(&f.waitTimeout, "wait-timeout", 15*time.Minute, "how long --wait waits, a `DURATION`")
	p.BoolVar(&f.supersede, "supersede", false, "replace a deployment in progress")
	p.DurationVar(&f.timeout, "timeout", 0, "give up after this `DURATION` without progress (default: release.timeout, or 10m)")
	p.DurationVar(&f.bake, "bake", 0, "watch for this `DURATION` after the deployment completed (default: release.bake, or 30s)")
	p.StringVar(&f.tolerate, "tolerate", "", "failed tasks that do not end the release: a `NUMBER`, or a share such as 10%")
	p.StringVar(&f.base, "base", "", "`REVISION` to start from: current or latest")
	p.BoolVar(&f.keepFailed, "keep-failed", false, "do not deregister a revision that failed")
	p.BoolVar(&f.allowEmulation, "allow-emulation", false, "build also when steps are emulated")
	p.StringVar(&f.onInterrupt, "on-interrupt", "", "`ACT` of a signal while deploying: rollback or detach (default: on a terminal stop watching, twice: roll back; otherwise roll back)")
}

func newReleaseCommand(a *app) *cobra.Command {
	var f releaseFlags
	cmd := &cobra.Command{
		Use: "release", Short: "Build, verify, push, deploy, watch; roll back on failure", Args: noArgs,
		Long: `release makes the code in this work tree serve on the ECS service, and goes back
to the last proven revision when it does not.

Exit 0 means that the new revision serves (or nothing had to change). Exit 3
means that it failed and the stable revision serves again. See
weelo-deploy exit-codes for the others.`,
		Example: `  weelo-deploy release
  weelo-deploy release --tag v1.0.9 --bake 2m
  weelo-deploy release --image weelo-backend:local --tag v1.0.9`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.dryRun {
				return a.runPlan(cmd, &f)
			}
			return a.runRelease(cmd, "release", &f, func(ctx context.Context, r *release.Run) event.Result { return r.Execute(ctx) })
		},
	}
	f.register(cmd)
	a.reportFlag(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be done (the same as plan)")
	return cmd
}

func newPlanCommand(a *app) *cobra.Command {
	var f releaseFlags
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what a release would do; change nothing", Args: noArgs,
		Example: `  weelo-deploy plan
  weelo-deploy plan --exit-code   # exit 8 when something would change`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runPlan(cmd, &f) },
	}
	f.register(cmd)
	a.reportFlag(cmd)
	cmd.Flags().BoolVar(&f.exitCode, "exit-code", false, "exit 8 when something would change")
	return cmd
}

// runRelease prepares a release as its flags say, and does with it what the
// command is for.
func (a *app) runRelease(cmd *cobra.Command, command string, f *releaseFlags, do func(context.Context, *release.Run) event.Result) error {
	s, err := a.begin(command)
	if err != nil {
		return err
	}
	s.rehearsal = f.sandbox
	ctx := cmd.Context()
	beating, stop := context.WithCancel(ctx)
	defer stop()
	s.beat(beating)
	run, closing, err := s.prepare(ctx, cmd, f)
	if err != nil {
		return s.refuse(err)
	}
	defer closing()
	run.Interrupts = a.again
	s.screen.Hint(f.hints())
	return s.done(do(ctx, run))
}

// hints say what Ctrl-C does on a terminal, before and after the service changes.
func (f *releaseFlags) hints() (before, then string) {
	before = "Ctrl-C: stop, nothing is deployed yet"
	switch release.OnInterrupt(f.onInterrupt) {
	case release.InterruptRollback:
		return before, "Ctrl-C: roll back"
	case release.InterruptDetach:
		return before, "Ctrl-C: stop watching (it goes on)"
	}
	return before, "Ctrl-C: stop watching (it goes on) · twice: roll back"
}

func (a *app) runPlan(cmd *cobra.Command, f *releaseFlags) error {
	return a.runRelease(cmd, "plan", f, func(ctx context.Context, r *release.Run) event.Result { return r.Plan(ctx, f.exitCode) })
}

// prepare turns configuration and flags into a release that can run: against
// AWS, or against a sandbox of its own.
func (s *session) prepare(ctx context.Context, cmd *cobra.Command, f *releaseFlags) (*release.Run, func(), error) {
	if err := f.check(); err != nil {
		return nil, nil, err
	}
	over, err := f.overrides(cmd)
	if err != nil {
		return nil, nil, err
	}
	if err := s.load(over); err != nil {
		return nil, nil, err
	}
	if f.sandbox {
		s.supposeNames()
	}
	if err := s.target(); err != nil {
		return nil, nil, err
	}
	set, err := s.settings(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	if f.sandbox {
		return s.rehearse(ctx, f, set)
	}
	clients, region, err := openClients(ctx, place{
		Region: s.config.Region, On: s.config.Build.On,
		Verify: verifyElsewhere(s.config.Verify, f.noTrial),
	})
	if err != nil {
		return nil, nil, err
	}
	set.Region = region
	set.Given = s.app.given(cmd)
	return release.New(set, s.conceal(clients), s.out, s.app.now), func() {}, nil
}

func (f *releaseFlags) check() error {
	switch {
	case f.onInterrupt != "" && f.onInterrupt != "rollback" && f.onInterrupt != "detach":
		return event.Fail(event.CodeUsage, "--on-interrupt is rollback or detach, not "+f.onInterrupt)
	case f.wait && f.supersede:
		return event.Fail(event.CodeUsage, "--wait waits for a deployment in progress and --supersede replaces it: choose one")
	case f.sandboxEnv != "" && !f.sandbox:
		return event.Fail(event.CodeUsage, "--sandbox-env belongs to --sandbox")
	case f.image != "" && (f.target != "" || len(f.buildArgs) > 0 || f.rebuild):
		return event.Fail(event.CodeUsage, "--image releases an image that exists: --target, --build-arg and --rebuild build one")
	case f.image != "":
		return checkReference("--image", f.image)
	}
	return nil
}
