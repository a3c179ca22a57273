package codebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/event"
)

// fake is CodeBuild, its logs and its bucket: looks are answered one after the
// other, the last one for ever.
type fake struct {
	project *types.Project
	looks   []types.Build
	failing int // looks that fail before
	pages   [][]string
	logErr  error

	started *codebuild.StartBuildInput
	stopped []string
	objects []string
}

func (f *fake) BatchGetProjects(context.Context, *codebuild.BatchGetProjectsInput, ...func(*codebuild.Options)) (*codebuild.BatchGetProjectsOutput, error) {
	out := &codebuild.BatchGetProjectsOutput{}
	if f.project != nil {
		out.Projects = []types.Project{*f.project}
	}
	return out, nil
}

func (f *fake) StartBuild(_ context.Context, in *codebuild.StartBuildInput, _ ...func(*codebuild.Options)) (*codebuild.StartBuildOutput, error) {
	f.started = in
	return &codebuild.StartBuildOutput{Build: &types.Build{Id: aws.String("images:1")}}, nil
}

func (f *fake) BatchGetBuilds(context.Context, *codebuild.BatchGetBuildsInput, ...func(*codebuild.Options)) (*codebuild.BatchGetBuildsOutput, error) {
	if f.failing > 0 {
		f.failing--
		return nil, errors.New("no network")
	}
	now := f.looks[0]
	if len(f.looks) > 1 {
		f.looks = f.looks[1:]
	}
	now.Id, now.Logs = aws.String("images:1"), &types.LogsLocation{GroupName: aws.String("g"), StreamName: aws.String("s")}
	return &codebuild.BatchGetBuildsOutput{Builds: []types.Build{now}}, nil
}

func (f *fake) StopBuild(_ context.Context, in *codebuild.StopBuildInput, _ ...func(*codebuild.Options)) (*codebuild.StopBuildOutput, error) {
	f.stopped = append(f.stopped, *in.Id)
	return &codebuild.StopBuildOutput{}, nil
}

// GetLogEvents gives one page a token, and the last token again at the end.
func (f *fake) GetLogEvents(_ context.Context, in *cloudwatchlogs.GetLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.GetLogEventsOutput, error) {
	if f.logErr != nil {
		return nil, f.logErr
	}
	i := 0
	if in.NextToken != nil {
		if _, err := fmt.Sscan(*in.NextToken, &i); err != nil {
			return nil, err
		}
	}
	out := &cloudwatchlogs.GetLogEventsOutput{NextForwardToken: aws.String(fmt.Sprint(i))}
	if i < len(f.pages) {
		for _, line := range f.pages[i] {
			out.Events = append(out.Events, logtypes.OutputLogEvent{Message: aws.String(line + "\n")})
		}
		out.NextForwardToken = aws.String(fmt.Sprint(i + 1))
	}
	return out, nil
}

func (f *fake) Put(_ context.Context, bucket, key, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	f.objects = append(f.objects, "put "+bucket+"/"+key)
	return nil
}

func (f *fake) Delete(_ context.Context, bucket, key string) error {
	f.objects = append(f.objects, "delete "+bucket+"/"+key)
	return nil
}

func project(kind types.EnvironmentType, source types.SourceType, location string) *types.Project {
	return &types.Project{Environment: &types.ProjectEnvironment{Type: kind}, Source: &types.ProjectSource{Type: source, Location: &location}}
}

func native() *types.Project {
	return project(types.EnvironmentTypeLinuxContainer, types.SourceTypeS3, "bucket/some/where.zip")
}

func (f *fake) builder() *Builder {
	return &Builder{Project: "images", API: f, Logs: f, Bucket: f, Tool: Tool{Version: "v1.2.3", Platform: "darwin/arm64"}}
}

func request(t *testing.T) build.Request {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, map[string]string{"Dockerfile": "FROM scratch\n"})
	return build.Request{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Platform: "linux/amd64"}
}

var digest = "sha256:" + strings.Repeat("ab", 32)

func ended(status types.StatusType, image string) types.Build {
	b := types.Build{BuildStatus: status, BuildComplete: true, CurrentPhase: aws.String("COMPLETED")}
	if image != "" {
		b.ExportedEnvironmentVariables = []types.ExportedEnvironmentVariable{{Name: aws.String(exported), Value: &image}}
	}
	return b
}

func inPhase(name string) types.Build {
	return types.Build{BuildStatus: types.StatusTypeInProgress, CurrentPhase: &name}
}

func TestCheckRefusesWhatCannotWork(t *testing.T) {
	amd64 := types.EnvironmentTypeLinuxContainer
	for name, c := range map[string]struct {
		project *types.Project
		mend    func(*Builder, *build.Request)
		code    event.Code
	}{
		"a native project":              {project: native()},
		"an EC2 machine":                {project: project(types.EnvironmentTypeLinuxEc2, types.SourceTypeS3, "b/k")},
		"no project":                    {code: event.CodeNotFound},
		"another architecture":          {project: project(types.EnvironmentTypeArmContainer, types.SourceTypeS3, "b/k"), code: event.CodeEmulatedBuild},
		"a machine without Docker":      {project: project(types.EnvironmentTypeLinuxLambdaContainer, types.SourceTypeS3, "b/k"), code: event.CodeUnsupported},
		"a source that is no bucket":    {project: project(amd64, types.SourceTypeGithub, "https://github.com/a/b"), code: event.CodeUnsupported},
		"a tool that is no release":     {project: native(), mend: func(b *Builder, _ *build.Request) { b.Tool.Version = "(devel)" }, code: event.CodeUnsupported},
		"a tool that runs there itself": {project: native(), mend: func(b *Builder, _ *build.Request) { b.Tool = Tool{"(devel)", "/bin/x", "linux/amd64"} }},
		"secrets": {project: native(), mend: func(_ *Builder, r *build.Request) {
			r.Secrets = []build.Secret{{ID: "a", Env: "PATH"}}
		}, code: event.CodeUnsupported},
		"keys":             {project: native(), mend: func(_ *Builder, r *build.Request) { r.SSH = []string{"default=/dev/null"} }, code: event.CodeUnsupported},
		"no Dockerfile":    {project: native(), mend: func(_ *Builder, r *build.Request) { r.Dockerfile += ".missing" }, code: event.CodeUsage},
		"emulation, asked": {project: project(types.EnvironmentTypeArmContainer, types.SourceTypeS3, "b/k"), mend: func(_ *Builder, r *build.Request) { r.AllowEmulation = true }},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := (&fake{project: c.project}).builder(), request(t)
			if c.mend != nil {
				c.mend(b, &r)
			}
			where, err := b.Check(t.Context(), r)
			switch {
			case c.code == "" && (err != nil || where == ""):
				t.Errorf("Check = %q, %v, want a place", where, err)
			case c.code != "" && (err == nil || event.FailuresOf(err)[0].Code != c.code):
				t.Errorf("Check = %v, want %s", err, c.code)
			}
		})
	}
}

func TestBuildFollowsToTheDigest(t *testing.T) {
	r := request(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{project: native(), failing: 2,
			looks: []types.Build{inPhase("QUEUED"), inPhase("BUILD"), ended(types.StatusTypeSucceeded, "host/name@"+digest)},
			pages: [][]string{{"one", "two"}, {"three"}}}
		var story []string
		got, err := f.builder().Build(t.Context(), Request{Build: r, Repository: "host/name", Tag: "weelo-build-r1", RunID: "r1"}, tellTo(&story))
		if err != nil || got != digest {
			t.Fatalf("Build = %q, %v", got, err)
		}
		want := []string{"codebuild: pack and upload the sources started", "codebuild: pack and upload the sources done", "note CodeBuild builds: images:1",
			"codebuild: queued started", "one", "two", "three", "codebuild: queued done", "codebuild: build started", "codebuild: build done"}
		if d := cmp.Diff(want, story); d != "" {
			t.Errorf("story (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]string{"put bucket/some/weelo-deploy/r1.zip", "delete bucket/some/weelo-deploy/r1.zip"}, f.objects); d != "" {
			t.Errorf("objects (-want +got):\n%s", d)
		}
		if aws.ToString(f.started.SourceLocationOverride) != "bucket/some/weelo-deploy/r1.zip" || !aws.ToBool(f.started.PrivilegedModeOverride) {
			t.Errorf("started %+v", f.started)
		}
		spec := aws.ToString(f.started.BuildspecOverride)
		for _, part := range []string{"tar -xzf sources.tar.gz", "releases/download/v1.2.3/weelo-deploy_1.2.3_linux_amd64.tar.gz", "sha256sum -c", "build --push --output plain --config weelo-deploy.yaml --tag weelo-build-r1"} {
			if !strings.Contains(spec, part) {
				t.Errorf("the buildspec does not hold %q:\n%s", part, spec)
			}
		}
	})
}

func TestBuildsThatDoNotGiveADigestFail(t *testing.T) {
	r := request(t)
	for name, c := range map[string]struct {
		end   types.Build
		pages [][]string
		want  string
	}{
		"failed":                         {ended(types.StatusTypeFailed, ""), [][]string{{"+00:01 x", "error: the program died [BINARY_MISMATCH]"}}, "its log says: the program died [BINARY_MISMATCH]"},
		"stopped by somebody":            {ended(types.StatusTypeStopped, ""), nil, "somebody stopped it"},
		"succeeded without an image":     {ended(types.StatusTypeSucceeded, ""), nil, "does not say which image"},
		"an image of another repository": {ended(types.StatusTypeSucceeded, "other/name@"+digest), nil, "does not say which image"},
		"something that is no digest":    {ended(types.StatusTypeSucceeded, "host/name@latest"), nil, "does not say which image"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{project: native(), looks: []types.Build{c.end}, pages: c.pages}
			_, err := f.builder().Build(t.Context(), Request{Build: r, Repository: "host/name", Tag: "t", RunID: "r"}, event.Discard)
			if err == nil || len(f.objects) != 2 {
				t.Fatalf("Build = %v, objects %v", err, f.objects)
			}
			fail := event.FailuresOf(err)[0]
			if text := fmt.Sprint(fail.Message, fail.Evidence, fail.Hints); fail.Code != event.CodeBuildFailed || !strings.Contains(text, c.want) {
				t.Errorf("%s: %s, want %q", fail.Code, text, c.want)
			}
		})
	}
}

func TestAnInterruptStopsTheBuild(t *testing.T) {
	r := request(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{project: native(), looks: []types.Build{inPhase("BUILD")}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := f.builder().Build(ctx, Request{Build: r, Repository: "host/name", Tag: "t", RunID: "r"}, event.Discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Build = %v", err)
		}
		if !cmp.Equal(f.stopped, []string{"images:1"}) || len(f.objects) != 2 {
			t.Errorf("stopped %v, objects %v", f.stopped, f.objects)
		}
	})
}

func TestALogThatCannotBeReadIsTold(t *testing.T) {
	f := &fake{project: native(), looks: []types.Build{ended(types.StatusTypeSucceeded, "host/name@"+digest)}, logErr: errors.New("AccessDenied")}
	var story []string
	if _, err := f.builder().Build(t.Context(), Request{Build: request(t), Repository: "host/name", Tag: "t", RunID: "r"}, tellTo(&story)); err != nil {
		t.Fatal(err)
	}
	if got := story[len(story)-1]; got != "note the build's log cannot be read: AccessDenied" {
		t.Errorf("the last word is %q", got)
	}
}

func TestABuildThatCannotBeSeenIsGivenUp(t *testing.T) {
	r := request(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{project: native(), looks: []types.Build{inPhase("BUILD")}, failing: 100}
		_, err := f.builder().Build(t.Context(), Request{Build: r, Repository: "host/name", Tag: "t", RunID: "r"}, event.Discard)
		if err == nil || !strings.Contains(err.Error(), "no network") {
			t.Errorf("Build = %v", err)
		}
	})
}

func tellTo(story *[]string) event.Emit {
	return func(e event.Event) {
		switch e := e.(type) {
		case event.Note:
			*story = append(*story, "note "+e.Text)
		case event.Build:
			if e.Line != "" {
				*story = append(*story, e.Line)
				return
			}
			*story = append(*story, e.Step+" "+string(e.Status))
		}
	}
}
