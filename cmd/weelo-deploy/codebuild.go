package main

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	awscodebuild "github.com/aws/aws-sdk-go-v2/service/codebuild"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/codebuild"
	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/release"
)

// codeBuildProject is the project of build.on: codebuild:PROJECT.
func codeBuildProject(on string) (project string, ok bool) {
	return strings.CutPrefix(on, "codebuild:")
}

// elsewhere is CodeBuild as a release sees it; nil when build.on names an engine.
func elsewhere(cfg aws.Config, p place) release.Elsewhere {
	project, ok := codeBuildProject(p.On)
	if !ok {
		return nil
	}
	endpoint := os.Getenv("AWS_ENDPOINT_URL_S3")
	if endpoint == "" && cfg.BaseEndpoint != nil {
		endpoint = *cfg.BaseEndpoint
	}
	info, _ := debug.ReadBuildInfo()
	self, err := os.Executable()
	if err != nil {
		self = "" // a release is downloaded then
	}
	return codeBuild{&codebuild.Builder{
		Project: project, API: awscodebuild.NewFromConfig(cfg), Logs: cloudwatchlogs.NewFromConfig(cfg),
		// Without the bound of an API call: an upload takes as long as it takes.
		Bucket: &codebuild.Uploader{Credentials: cfg.Credentials, Region: cfg.Region, Endpoint: endpoint, Client: &http.Client{}},
		Tool:   codebuild.Tool{Version: readVersion(version, commit, date, info).Version, Executable: self, Platform: runtime.GOOS + "/" + runtime.GOARCH},
	}, p.Verify}
}

// verifyElsewhere is what of verify travels to the machine that builds. The reasons
// of verify.allow stay: the release looks into the pushed image once more.
func verifyElsewhere(v config.Verify, noTrial bool) codebuild.Verify {
	there := codebuild.Verify{Seconds: v.Trial.Seconds, NoTrial: noTrial}
	for _, a := range v.Allow {
		there.Allow = append(there.Allow, a.Path)
	}
	return there
}

// codeBuild builds with CodeBuild what a release asks for.
type codeBuild struct {
	*codebuild.Builder
	verify codebuild.Verify
}

func (c codeBuild) Build(ctx context.Context, r build.Request, repository, tag string, emit event.Emit) (string, error) {
	return c.Builder.Build(ctx, codebuild.Request{Build: r, Verify: c.verify, Repository: repository, Tag: tag, RunID: strings.TrimPrefix(tag, "weelo-build-")}, emit)
}
