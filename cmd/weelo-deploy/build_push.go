package main

import (
	"context"
	"fmt"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/trial"
)

// imagePusher pushes what build has made and verified, as a release would: tried
// first, and read back from the registry by digest.
type imagePusher struct {
	*session
	clients release.Clients
	repo    image.Repository
	tags    []string
	noTrial bool
}

// newPusher finds what would refuse the push, before the build takes its time.
func (s *session) newPusher(ctx context.Context, f *buildFlags, src build.Source) (*imagePusher, error) {
	c := s.config
	if c.Image.Repository == "" {
		return nil, event.Fail(event.CodeUsage, "no image repository is named").
			Hint("set image.repository in weelo-deploy.yaml, or WEELO_DEPLOY_IMAGE_REPOSITORY")
	}
	tags, err := c.ExpandTags(config.Vars{GitSHA: src.Commit, GitBranch: src.Branch, Suffix: src.TagSuffix()})
	if err != nil {
		return nil, err
	}
	clients, _, err := openClients(ctx, place{Region: c.Region, On: c.Build.On})
	if err != nil {
		return nil, err
	}
	repo, err := image.FindRepository(ctx, clients.ECR, c.Image.Repository)
	if err != nil {
		return nil, err
	}
	return &imagePusher{s, clients, repo, tags, f.noTrial}, nil
}

// push gives the reference of the pushed image, by digest.
func (p *imagePusher) push(ctx context.Context, e release.Engine, local image.Local, want []image.Requirement) (string, error) {
	emulated := local.Labels[build.LabelEmulated] != ""
	switch emit := p.out.In("verify"); {
	case p.noTrial && emulated:
		emit(event.Note{Level: event.Warn, Text: "--no-trial does not count for an image that was built under emulation"})
	case p.noTrial:
		emit(event.Check{Name: "trial run", Status: event.Skipped, Detail: "--no-trial"})
	}
	if !p.noTrial || emulated {
		trying := trial.Request{Image: local.ID, Platform: p.config.Build.Platform, Env: p.config.Verify.Trial.Env, Seconds: p.config.Verify.Trial.Seconds}
		if _, err := trial.Run(ctx, e, trying, p.out.In("verify")); err != nil {
			return "", err
		}
	}
	auth, err := image.Login(ctx, p.clients.ECR, p.repo.Host)
	if err != nil {
		return "", err
	}
	digest, err := image.Push(ctx, e, image.PushRequest{ImageID: local.ID, Repository: p.repo.URI, Tags: p.tags, Auth: auth}, p.out.In("push"))
	if err != nil {
		return "", err
	}
	reg, ref := p.clients.OpenRegistry(auth), p.repo.URI+"@"+digest
	d, err := reg.Describe(ctx, ref, want[0].Platform)
	if err == nil {
		err = image.Judge(d, want)
	}
	switch {
	case err != nil:
		return "", err
	case d.ConfigDigest != local.ConfigDigest:
		return "", event.Fail(event.CodePushFailed, fmt.Sprintf("the registry has another image than the one that was verified: config %s, verified %s", d.ConfigDigest, local.ConfigDigest))
	}
	if _, err := reg.Pin(ctx, p.repo.URI, d.Digest); err != nil {
		p.out.In("push")(event.Note{Level: event.Warn, Text: fmt.Sprintf("the image could not be given a tag of its own: %v", err)})
	}
	return p.repo.URI + "@" + d.Digest, nil
}

// lookInside judges the binaries of the image that was pushed.
func (p *imagePusher) lookInside(ctx context.Context, ref string, want image.Platform) (*event.Binaries, error) {
	auth, err := image.Login(ctx, p.clients.ECR, p.repo.Host)
	if err != nil {
		return nil, err
	}
	reg := image.NewRemote(auth, nil)
	d, err := reg.Describe(ctx, ref, want)
	if err != nil {
		return nil, err
	}
	return p.session.lookInside(ctx, inRepository(reg, ref, d), d.ConfigDigest, want)
}
