// Package codebuild builds an image on a machine of AWS CodeBuild: a native one
// for whoever sits before another architecture (build.on: codebuild:PROJECT).
//
// New gives a Builder. Its Check finds what would go wrong, its Build packs the
// sources (pack.go), uploads them to the bucket of the project's own source
// (upload.go), starts a build whose commands run `weelo-deploy build --push`
// (spec.go), and follows it (follow.go). What comes back is the digest of an image
// in the repository, which the caller verifies there like any other.
//
// Nothing of the project is changed: source, buildspec and privileged mode are
// given for the one build. When the context ends, the build is stopped.
package codebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
)

// API is what is needed of CodeBuild.
type API interface {
	BatchGetProjects(context.Context, *codebuild.BatchGetProjectsInput, ...func(*codebuild.Options)) (*codebuild.BatchGetProjectsOutput, error)
	StartBuild(context.Context, *codebuild.StartBuildInput, ...func(*codebuild.Options)) (*codebuild.StartBuildOutput, error)
	BatchGetBuilds(context.Context, *codebuild.BatchGetBuildsInput, ...func(*codebuild.Options)) (*codebuild.BatchGetBuildsOutput, error)
	StopBuild(context.Context, *codebuild.StopBuildInput, ...func(*codebuild.Options)) (*codebuild.StopBuildOutput, error)
}

// Logs is what is needed of CloudWatch Logs.
type Logs interface {
	GetLogEvents(context.Context, *cloudwatchlogs.GetLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error)
}

// Bucket stores and removes objects; Uploader is one.
type Bucket interface {
	Put(ctx context.Context, bucket, key, path string) error
	Delete(ctx context.Context, bucket, key string) error
}

// Tool is the weelo-deploy that the build runs.
type Tool struct {
	Version    string // of this program; a release's is downloaded where the program itself does not fit
	Executable string // this program's file
	Platform   string // what it runs on: "linux/amd64"
}

// Builder builds with one project.
type Builder struct {
	Project string
	API     API
	Logs    Logs
	Bucket  Bucket
	Tool    Tool
	Every   time.Duration // between looks at the build; 0: 2 s
}

// Request is what to build and where it goes.
type Request struct {
	Build      build.Request
	Verify     Verify
	Repository string // "host/name"
	Tag        string // one that names nothing else; the image's own tags come later
	RunID      string
}

// Verify says how the image is looked at before the push. The trial's environment
// does not travel: its values may be secrets.
type Verify struct {
	Allow   []string // verify.allow
	Seconds int      // verify.trial.seconds; 0: the default
	NoTrial bool
}

// platforms are the machines of CodeBuild that can run a Docker engine, by the
// environment type of the project.
var platforms = map[types.EnvironmentType]string{
	types.EnvironmentTypeLinuxContainer: "linux/amd64", types.EnvironmentTypeLinuxGpuContainer: "linux/amd64", types.EnvironmentTypeLinuxEc2: "linux/amd64",
	types.EnvironmentTypeArmContainer: "linux/arm64", types.EnvironmentTypeArmEc2: "linux/arm64",
}

// Check finds, without changing anything, what would refuse the build, and says
// where it will run.
func (b *Builder) Check(ctx context.Context, r build.Request) (string, error) {
	if err := errors.Join(portable(r), build.New(nil).CheckFiles(r)); err != nil {
		return "", err
	}
	p, err := b.project(ctx)
	if err != nil {
		return "", err
	}
	kind := p.Environment.Type
	switch machine := platforms[kind]; {
	case machine == "":
		return "", event.Fail(event.CodeUnsupported, fmt.Sprintf("CodeBuild project %s has the environment type %s, on which no Docker engine runs", b.Project, kind)).
			Hint("use a project of the type LINUX_CONTAINER (amd64) or ARM_CONTAINER (arm64)")
	case !strings.HasPrefix(r.Platform, machine) && !r.AllowEmulation:
		return "", event.Fail(event.CodeEmulatedBuild, fmt.Sprintf("CodeBuild project %s builds on %s, and %s is wanted", b.Project, machine, r.Platform)).
			Hint("use a project whose environment type is native: LINUX_CONTAINER for linux/amd64, ARM_CONTAINER for linux/arm64")
	default:
		if _, _, err := b.source(p); err != nil {
			return "", err
		}
		if _, err := b.Tool.commands(machine); err != nil {
			return "", err
		}
		return fmt.Sprintf("CodeBuild project %s builds natively for %s", b.Project, machine), nil
	}
}

// portable refuses what lies on this machine only and must not travel in an
// archive.
func portable(r build.Request) error {
	var errs []error
	if len(r.Secrets) > 0 {
		errs = append(errs, event.Fail(event.CodeUnsupported, "build.secrets cannot be used with build.on: codebuild").
			Hint("secrets are not put into the archive of the sources; release from a machine that has them, or inside CodeBuild (docs/codebuild.md)"))
	}
	if len(r.SSH) > 0 {
		errs = append(errs, event.Fail(event.CodeUnsupported, "build.ssh cannot be used with build.on: codebuild").
			Hint("keys stay on this machine; release from it, or inside CodeBuild (docs/codebuild.md)"))
	}
	return errors.Join(errs...)
}

// Sources are the bucket and the folder in it that the project takes its sources
// from.
func (b *Builder) Sources(ctx context.Context) (bucket, folder string, err error) {
	p, err := b.project(ctx)
	if err != nil {
		return "", "", err
	}
	return b.source(p)
}

func (b *Builder) project(ctx context.Context) (types.Project, error) {
	out, err := b.API.BatchGetProjects(ctx, &codebuild.BatchGetProjectsInput{Names: []string{b.Project}})
	if err != nil {
		return types.Project{}, fmt.Errorf("describe CodeBuild project %s: %w", b.Project, err)
	}
	if len(out.Projects) == 0 || out.Projects[0].Environment == nil {
		return types.Project{}, event.Fail(event.CodeNotFound, "there is no CodeBuild project "+b.Project+" in this account and region").
			Try("aws codebuild list-projects")
	}
	return out.Projects[0], nil
}

// source is the bucket that the project reads its source from, and the folder of
// ours in it.
func (b *Builder) source(p types.Project) (bucket, folder string, err error) {
	if p.Source == nil || p.Source.Type != types.SourceTypeS3 {
		return "", "", event.Fail(event.CodeUnsupported, fmt.Sprintf("CodeBuild project %s does not take its source from S3", b.Project)).
			Hint("give the project a source of the type S3, BUCKET/sources.zip; the object need not exist (docs/codebuild.md)")
	}
	location := strings.TrimPrefix(aws.ToString(p.Source.Location), "arn:aws:s3:::")
	bucket, key, _ := strings.Cut(location, "/")
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		folder = key[:i+1]
	}
	return bucket, folder + "weelo-deploy/", nil
}

// Build makes the image on the project's machine and returns the digest under
// which it is in the repository.
func (b *Builder) Build(ctx context.Context, r Request, emit event.Emit) (digest string, err error) {
	p, err := b.project(ctx)
	if err != nil {
		return "", err
	}
	bucket, folder, err := b.source(p)
	if err != nil {
		return "", err
	}
	spec, err := b.Tool.buildspec(r, platforms[p.Environment.Type])
	if err != nil {
		return "", err
	}
	key := folder + r.RunID + ".zip"
	if err := b.upload(ctx, r, platforms[p.Environment.Type], bucket, key, emit); err != nil {
		return "", err
	}
	defer func() {
		if rerr := b.remove(ctx, bucket, key); rerr != nil {
			emit(event.Note{Level: event.Info, Text: fmt.Sprintf("the sources stay in s3://%s/%s: %v", bucket, key, rerr)})
		}
	}()
	id, err := b.start(ctx, spec, bucket+"/"+key, r.RunID)
	if err != nil {
		return "", err
	}
	emit(event.Note{Level: event.Info, Text: "CodeBuild builds: " + id})
	done, err := b.follow(ctx, id, emit)
	if err != nil {
		return "", err
	}
	return digestOf(done, r.Repository)
}

func (b *Builder) upload(ctx context.Context, r Request, machine, bucket, key string, emit event.Emit) error {
	const step = "codebuild: pack and upload the sources"
	began := time.Now()
	emit(event.Build{Step: step, Status: event.Started})
	path, err := b.Tool.pack(ctx, r, machine)
	if err == nil {
		defer removeFile(path)
		err = b.Bucket.Put(ctx, bucket, key, path)
	}
	if err != nil {
		emit(event.Build{Step: step, Status: event.Failed, Seconds: time.Since(began).Seconds(), Error: err.Error()})
		return err
	}
	emit(event.Build{Step: step, Status: event.Done, Seconds: time.Since(began).Seconds()})
	return nil
}

func (b *Builder) remove(ctx context.Context, bucket, key string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return b.Bucket.Delete(ctx, bucket, key)
}

// start starts the build. What it overrides is for this build alone.
func (b *Builder) start(ctx context.Context, spec, location, token string) (id string, err error) {
	out, err := b.API.StartBuild(ctx, &codebuild.StartBuildInput{
		ProjectName: &b.Project, SourceTypeOverride: types.SourceTypeS3, SourceLocationOverride: &location, BuildspecOverride: &spec,
		ArtifactsOverride:      &types.ProjectArtifacts{Type: types.ArtifactsTypeNoArtifacts},
		PrivilegedModeOverride: aws.Bool(true), // a Docker engine runs in it
		LogsConfigOverride:     &types.LogsConfig{CloudWatchLogs: &types.CloudWatchLogsConfig{Status: types.LogsConfigStatusTypeEnabled}},
		IdempotencyToken:       &token,
	})
	if err != nil {
		return "", fmt.Errorf("start a build of CodeBuild project %s: %w", b.Project, err)
	}
	if out.Build == nil || out.Build.Id == nil {
		return "", errors.New("start a build: CodeBuild answered without an id")
	}
	return *out.Build.Id, nil
}

// digestOf reads what the build exported.
func digestOf(done types.Build, repository string) (string, error) {
	i := slices.IndexFunc(done.ExportedEnvironmentVariables, func(v types.ExportedEnvironmentVariable) bool { return aws.ToString(v.Name) == exported })
	if i >= 0 {
		image := aws.ToString(done.ExportedEnvironmentVariables[i].Value)
		if digest, ok := strings.CutPrefix(image, repository+"@"); ok && digestForm.MatchString(digest) {
			return digest, nil
		}
	}
	return "", event.Fail(event.CodeBuildFailed, "CodeBuild build "+aws.ToString(done.Id)+" succeeded, and does not say which image it pushed")
}
