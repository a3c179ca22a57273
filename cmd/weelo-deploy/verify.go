package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
)

func newVerifyCommand(a *app) *cobra.Command {
	var platform string
	cmd := &cobra.Command{
		Use: "verify IMAGE", Short: "Judge an image's platform, locally or in the registry", Args: cobra.ExactArgs(1),
		Long: `verify judges an image as release would before it pushes: index, manifest and
config must all say the platform that the target runs. IMAGE is a reference in
the local engine, or one in a registry (with a host name).`,
		Example: `  weelo-deploy verify weelo-backend:local
  weelo-deploy verify 318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend:latest`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runVerify(cmd.Context(), args[0], platform)
		},
	}
	cmd.Flags().StringVar(&platform, "platform", "", "the `OS/ARCH` it has to be for (default: build.platform, or linux/amd64)")
	return cmd
}

func (a *app) runVerify(ctx context.Context, ref, platform string) error {
	s, err := a.begin("verify")
	if err != nil {
		return err
	}
	if err := checkReference("IMAGE", ref); err != nil {
		return s.refuse(err)
	}
	over := overrides{values: map[string]string{}}
	if platform != "" {
		over.values["build.platform"] = platform
	}
	if err := s.load(over); err != nil {
		return s.refuse(err)
	}
	found, err := s.verify(ctx, ref)
	if err != nil {
		return s.refuse(interruptOr(ctx, err))
	}
	s.out.In("verify")(event.Check{Name: "platform", Status: event.Done, Detail: found})
	s.out.In("")(event.Result{Command: "verify", Outcome: event.Verified, Image: ref, Stages: []event.StageOutcome{}})
	return nil
}

func (s *session) verify(ctx context.Context, ref string) (string, error) {
	want, err := image.ParsePlatform(s.config.Build.Platform)
	if err != nil {
		return "", event.Fail(event.CodeUsage, "--platform").Because(err)
	}
	need := []image.Requirement{{Platform: want, From: "build.platform"}}
	e, err := openEngine(s.config.Build.On)
	if err != nil {
		return "", err
	}
	defer e.Close()
	local, localErr := image.VerifyLocal(ctx, e, ref, need)
	if localErr == nil {
		return fmt.Sprintf("%s (in the local engine) is %s", ref, local.Platform), nil
	}
	host, _ := splitURI(ref)
	if !(errors.Is(localErr, image.ErrNotFound) || errors.Is(localErr, engine.ErrUnreachable)) || host == "" {
		return "", localErr
	}
	return s.verifyRemote(ctx, host, ref, need)
}

func (s *session) verifyRemote(ctx context.Context, host, ref string, need []image.Requirement) (string, error) {
	var auth engine.Auth
	if strings.Contains(host, ".dkr.ecr.") || s.app.getenv("AWS_ENDPOINT_URL") != "" {
		cfg, _, err := awsConfig(ctx, place{Region: s.config.Region})
		if err != nil {
			return "", err
		}
		if auth, err = image.Login(ctx, ecr.NewFromConfig(cfg), host); err != nil {
			return "", err
		}
	}
	d, err := image.NewRemote(auth, nil).Describe(ctx, ref, need[0].Platform)
	if errors.Is(err, image.ErrNotFound) {
		return "", event.Fail(event.CodeNotFound, "there is no image "+ref+" in the local engine or in its registry").Because(err)
	}
	if err != nil {
		return "", err
	}
	if err := image.Judge(d, need); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s (%s) is %s", ref, d.Digest, d.Config), nil
}

// imageID is an id of the local engine as a whole; a short one reads as a name.
var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)

// checkReference refuses what no engine and no registry would take for an image.
func checkReference(what, ref string) error {
	if _, err := image.ParseReference(ref); err != nil && !imageID.MatchString(ref) {
		return event.Fail(event.CodeUsage, fmt.Sprintf("%s %q is no image reference", what, ref)).Because(err).
			Hint("an image is named NAME:TAG, HOST/NAME:TAG or HOST/NAME@sha256:DIGEST")
	}
	return nil
}

// splitURI parts a repository or reference into the registry's host, empty when
// it names none, and the path.
func splitURI(s string) (host, path string) {
	first, rest, ok := strings.Cut(s, "/")
	if ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first, rest
	}
	return "", s
}
