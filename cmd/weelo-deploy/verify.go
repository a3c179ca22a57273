package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/scan"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	platform, as, name string
	platformOnly       bool
}

func newVerifyCommand(a *app) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use: "verify IMAGE", Short: "Judge an image: its platform and its binaries, wherever it is", Args: oneArg("IMAGE", false),
		Long: `verify judges an image as release would before it pushes. Index, manifest and
config must all say the platform that the target runs. Then it looks inside: the
program that starts, what it links, and the native add-ons that it will load must
be for that platform and for the image's own C library. IMAGE is one of

  a reference in the local engine         weelo-backend:local
  a reference in a registry               HOST/weelo-backend:latest
  an OCI layout, a directory              ./layout
  an archive                              image.tar, or - for standard input

An archive is what docker save writes, or an OCI layout packed with tar; it may be
compressed with gzip or zstd. A path that exists, and is a layout or an archive,
goes before a reference; the local engine goes before a registry.

The image is not started: release does that. verify.allow of the configuration
accepts files, and --json has every finding in the result's member binaries.`,
		Example: `  weelo-deploy verify weelo-backend:local
  weelo-deploy verify 318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend:latest
  weelo-deploy verify image.tar --platform linux/amd64
  weelo-deploy verify ./layout --name backend:v1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runVerify(cmd.Context(), args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.platform, "platform", "", "the `OS/ARCH` it has to be for (default: build.platform, or linux/amd64)")
	cmd.Flags().StringVar(&f.as, "as", "", "`KIND` of IMAGE: local, registry, layout or tar (default: found out)")
	cmd.Flags().StringVar(&f.name, "name", "", "the `NAME` of the image, in a layout or archive of several")
	cmd.Flags().BoolVar(&f.platformOnly, "platform-only", false, "do not look inside; no layer is read")
	return cmd
}

func (a *app) runVerify(ctx context.Context, arg string, f verifyFlags) error {
	s, err := a.begin("verify")
	if err != nil {
		return err
	}
	over := overrides{values: map[string]string{}}
	if f.platform != "" {
		over.values["build.platform"] = f.platform
	}
	if err := s.load(over); err != nil {
		return s.refuse(err)
	}
	v, err := s.verifier(arg, f)
	if err != nil {
		return s.refuse(err)
	}
	beating, stop := context.WithCancel(ctx)
	defer stop()
	s.beat(beating)
	res := event.Result{Command: "verify", Outcome: event.Verified, Image: arg, Stages: []event.StageOutcome{}}
	if err := v.run(ctx, arg, &res); err != nil {
		return s.refuseAs(res, interruptOr(ctx, err))
	}
	s.out.In("")(res)
	return nil
}

// run judges the image's platform, and then what is in it.
func (v *verifier) run(ctx context.Context, arg string, res *event.Result) error {
	emit := v.out.In("verify")
	found, err := v.verify(ctx, arg)
	defer found.close()
	if found.Form != "" {
		res.Verified = &found.VerifiedImage
	}
	if err != nil {
		return err
	}
	emit(event.Check{Name: "platform", Status: event.Done, Detail: sentence(arg, found.VerifiedImage)})
	if v.platformOnly {
		emit(event.Check{Name: "binaries", Status: event.Skipped, Detail: "--platform-only"})
		return nil
	}
	res.Binaries, err = v.lookInside(ctx, found.layers, found.Config, v.choice.Platform)
	return err
}

// sentence says of an image what it is, and where it was read.
func sentence(arg string, v event.VerifiedImage) string {
	switch {
	case v.Form == "local engine":
		return fmt.Sprintf("%s (in the local engine) is %s", arg, v.Platform)
	case v.Digest == "":
		return fmt.Sprintf("%s (config %s) is %s, read from a %s", arg, v.Config, v.Platform, v.Form)
	}
	return fmt.Sprintf("%s (%s) is %s, read from %s", arg, v.Digest, v.Platform, withArticle(v.Form))
}

func withArticle(form string) string {
	switch {
	case form == "registry":
		return "the registry"
	case strings.HasPrefix(form, "OCI"):
		return "an " + form
	}
	return "a " + form
}

// verifier judges one image.
type verifier struct {
	*session
	verifyFlags
	source source
	need   []image.Requirement
	choice image.Choice
}

// looked is an image that was found, and how to read what is in it.
type looked struct {
	event.VerifiedImage
	layers  scan.Source
	opened  []io.Closer // what layers reads
	removed string      // a temporary file that layers reads
}

func (l looked) close() {
	for _, c := range l.opened {
		c.Close() // it was read only
	}
	if l.removed != "" {
		os.Remove(l.removed)
	}
}

func (s *session) verifier(arg string, f verifyFlags) (*verifier, error) {
	want, err := image.ParsePlatform(s.config.Build.Platform)
	if err != nil {
		return nil, event.Fail(event.CodeUsage, "--platform").Because(err)
	}
	by := "build.platform"
	if f.platform != "" {
		by = "--platform"
	}
	v := &verifier{session: s, verifyFlags: f, need: []image.Requirement{{Platform: want, From: by}}, choice: image.Choice{Platform: want, Name: f.name}}
	if v.source, err = sourceOf(arg, f.as); err != nil {
		return nil, err
	}
	if f.name != "" && v.source != inLayout && v.source != inTar {
		return nil, event.Fail(event.CodeUsage, "--name is for an OCI layout or an archive, and "+arg+" is neither")
	}
	return v, nil
}

// verify finds the image and judges its platform.
func (v *verifier) verify(ctx context.Context, arg string) (looked, error) {
	switch v.source {
	case inLayout:
		d, err := image.DescribeLayout(ctx, arg, v.choice)
		found, err := v.judge(arg, d, err)
		return looked{VerifiedImage: found, layers: scan.FromLayout(arg)}, err
	case inTar:
		return v.archive(ctx, arg)
	case inRegistry:
		return v.remote(ctx, arg)
	}
	found, err := v.local(ctx, arg)
	host, _ := splitURI(arg)
	elsewhere := errors.Is(err, image.ErrNotFound) || errors.Is(err, engine.ErrUnreachable)
	if v.source == anywhere && elsewhere && host != "" {
		found.close()
		return v.remote(ctx, arg)
	}
	return found, err
}

// judge ends what was described, wherever it was.
func (v *verifier) judge(arg string, d image.Description, err error) (event.VerifiedImage, error) {
	if errors.Is(err, image.ErrNoImages) {
		return event.VerifiedImage{}, event.Fail(event.CodeUsage, err.Error()).
			Hint("a layout is a directory with index.json; an archive is what docker save writes, and may be cut off")
	}
	found := event.VerifiedImage{Form: d.Form, Platform: d.Config.String(), Digest: d.Digest, Index: d.Index, Config: d.ConfigDigest}
	if err == nil {
		err = image.Judge(d, v.need)
	}
	if err != nil && d.Form != "" {
		v.tell(arg, found)
	}
	return found, err
}

// tell says of a refused image where it was read: IMAGE may be in several places.
func (v *verifier) tell(arg string, found event.VerifiedImage) {
	where := "in " + withArticle(found.Form)
	if found.Form == "local engine" {
		where = "in the local engine"
	}
	v.out.In("verify")(event.Note{Level: event.Info, Text: arg + " is judged as it is " + where})
}

func (v *verifier) local(ctx context.Context, ref string) (looked, error) {
	e, err := openEngine(v.config.Build.On)
	if err != nil {
		return looked{}, err
	}
	found := looked{opened: []io.Closer{e}}
	l, err := image.VerifyLocal(ctx, e, ref, v.need)
	if l.ID == "" {
		return found, err
	}
	found.VerifiedImage = event.VerifiedImage{Form: "local engine", Platform: l.Platform.String(), Config: l.ConfigDigest}
	found.layers = inEngine(e, l)
	if err != nil {
		v.tell(ref, found.VerifiedImage)
	}
	return found, err
}

func (v *verifier) remote(ctx context.Context, ref string) (looked, error) {
	host, _ := splitURI(ref)
	var auth engine.Auth
	if strings.Contains(host, ".dkr.ecr.") || v.app.getenv("AWS_ENDPOINT_URL") != "" {
		cfg, _, err := awsConfig(ctx, place{Region: v.config.Region})
		if err != nil {
			return looked{}, err
		}
		if auth, err = image.Login(ctx, ecr.NewFromConfig(cfg), host); err != nil {
			return looked{}, err
		}
	}
	r := image.NewRemote(auth, nil)
	d, err := r.Describe(ctx, ref, v.choice.Platform)
	if errors.Is(err, image.ErrNotFound) {
		where := "in the local engine or in its registry"
		if v.source == inRegistry {
			where = "in its registry"
		}
		return looked{}, event.Fail(event.CodeNotFound, "there is no image "+ref+" "+where).Because(err)
	}
	found, err := v.judge(ref, d, err)
	return looked{VerifiedImage: found, layers: inRepository(r, ref, d)}, err
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
