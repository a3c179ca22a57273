package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/release"
)

type buildFlags struct {
	name, platform, target string
	args, tags             []string
	noCache, pull          bool
	allowEmulation         bool
	push, noTrial          bool
}

func newBuildCommand(a *app) *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use: "build", Short: "Build and verify the image; with --push, push it", Args: noArgs,
		Long: `build makes the image as release would and verifies it, and leaves it in the
local engine under --name, also when its binaries are refused. stdout carries the
image's id.

With --push it also starts the image once, pushes it under image.tags (or --tag)
and reads it back. stdout carries REPOSITORY@DIGEST then. It changes no service,
and asks none which tags it lives by: a tag that can move is moved.`,
		Example: `  weelo-deploy build --name weelo-backend:local
  weelo-deploy release --image weelo-backend:local --tag v1.0.9
  weelo-deploy release --image "$(weelo-deploy build --push)"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runBuild(cmd.Context(), cmd, &f)
		},
	}
	p := cmd.Flags()
	p.StringVar(&f.name, "name", "", "local `REFERENCE` for the image (default: the repository's name with the tag local)")
	p.StringVar(&f.platform, "platform", "", "build for this `OS/ARCH` (default: build.platform, or linux/amd64)")
	p.StringVar(&f.target, "target", "", "`STAGE` of the Dockerfile to build")
	p.StringArrayVar(&f.args, "build-arg", nil, "build argument `NAME=VALUE`, may be repeated")
	p.BoolVar(&f.push, "push", false, "verify as release does, and push to image.repository")
	p.StringArrayVar(&f.tags, "tag", nil, "with --push: `TAG` of the image, may be repeated (default: image.tags, or the commit)")
	p.BoolVar(&f.noTrial, "no-trial", false, "with --push: do not start the image once before")
	p.BoolVar(&f.noCache, "no-cache", false, "build every step anew")
	p.BoolVar(&f.pull, "pull", false, "look for newer base images")
	p.BoolVar(&f.allowEmulation, "allow-emulation", false, "build also when steps are emulated")
	return cmd
}

func (a *app) runBuild(ctx context.Context, cmd *cobra.Command, f *buildFlags) error {
	s, err := a.begin("build")
	if err != nil {
		return err
	}
	over, err := changed(cmd, map[string]string{"platform": "build.platform", "target": "build.target", "allow-emulation": "build.allowEmulation"}, f.args)
	if len(f.tags) > 0 {
		over.lists = map[string][]string{"image.tags": f.tags}
	}
	if err == nil {
		err = s.load(over)
	}
	if err == nil {
		err = f.check(s.config.Build.On)
	}
	if err != nil {
		return s.refuse(err)
	}
	beating, stop := context.WithCancel(ctx)
	defer stop()
	s.beat(beating)
	res := event.Result{Command: "build", Outcome: event.Verified, Stages: []event.StageOutcome{}}
	if err := s.build(ctx, f, &res); err != nil {
		return s.refuseAs(res, interruptOr(ctx, err))
	}
	s.out.In("")(res)
	if s.mode != output.JSON {
		fmt.Fprintln(a.stdout, res.Image)
	}
	return nil
}

// build makes the image and judges it, and fills the result as far as it gets.
func (s *session) build(ctx context.Context, f *buildFlags, res *event.Result) error {
	c := s.config
	src, err := build.ReadSource(ctx, c.Dir)
	if err != nil && !errors.Is(err, build.ErrNoGit) {
		return err
	}
	req := buildRequest(c, src, f.noCache, f.pull)
	req.Name = cmp.Or(f.name, defaultName(c.Image.Repository))
	want, err := image.ParsePlatform(req.Platform)
	if err != nil {
		return event.Fail(event.CodeConfig, "build.platform").Because(err)
	}
	var push *imagePusher
	if f.push {
		if push, err = s.newPusher(ctx, f, src); err != nil {
			return err
		}
	}
	e, err := openEngine(c.Build.On)
	if err != nil {
		return err
	}
	defer e.Close()
	builder := build.New(e)
	if _, err := builder.Check(ctx, req); err != nil {
		return err
	}
	if err := build.RunBefore(ctx, c.Dir, c.Build.Before, s.out.In("build")); err != nil {
		return err
	}
	made, err := builder.Build(ctx, req, s.out.In("build"))
	if err != nil {
		return err
	}
	res.Image, res.Emulated = made.ImageID, made.Emulated
	needs := []image.Requirement{{Platform: want, From: "build.platform"}}
	local, err := image.VerifyLocal(ctx, e, made.ImageID, needs)
	if err != nil {
		return err
	}
	s.out.In("verify")(event.Note{Level: event.Info, Text: fmt.Sprintf("built %s for %s as %s, %d of %d steps cached", local.ID, local.Platform, req.Name, made.Cached, made.Steps)})
	remote := !e.Local() // its images do not pass through this machine
	switch {
	case remote && push == nil:
		s.out.In("verify")(event.Check{Name: "binaries", Status: event.Skipped, Detail: "the engine at " + e.Endpoint() + " is not on this machine; release looks inside when it has pushed the image"})
	case !remote:
		res.Binaries, err = s.lookInside(ctx, inEngine(e, local), local.ConfigDigest, want)
	}
	if err != nil || push == nil {
		return err
	}
	ref, err := push.push(ctx, e, local, needs)
	if err != nil {
		return err
	}
	res.Image = ref
	if remote {
		res.Binaries, err = push.lookInside(ctx, ref, want)
	}
	return err
}

func (f *buildFlags) check(on string) error {
	switch _, elsewhere := codeBuildProject(on); {
	case elsewhere:
		return event.Fail(event.CodeUsage, "build makes an image in an engine, and build.on is "+on).
			Hint("release builds with CodeBuild; to build here, set WEELO_DEPLOY_BUILD_ON=docker")
	case !f.push && (len(f.tags) > 0 || f.noTrial):
		return event.Fail(event.CodeUsage, "--tag and --no-trial belong to --push")
	}
	return nil
}

func defaultName(repository string) string {
	if repository == "" {
		return "weelo-deploy-build:local"
	}
	_, name := splitURI(repository)
	return name + ":local"
}

// interruptOr gives a run that a signal ended its own failure.
func interruptOr(ctx context.Context, err error) error {
	var i *release.Interrupt
	if errors.As(context.Cause(ctx), &i) {
		return event.Fail(event.CodeInterrupted, i.Error())
	}
	return err
}
