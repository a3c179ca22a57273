// Package builds is CodeBuild for projects whose source is in S3, and as much of
// S3 as that takes. A build runs the commands of its buildspec on this machine, as
// the user whom the sandbox runs as: it needs a docker client, and here that is the
// local engine. Projects come from the seed only, so that nobody runs commands who
// did not write one.
//
// Start with [New]. Phases take no time of their own, and there is no queue.
package builds

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codebuild/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/logstore"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
)

// Project is a CodeBuild project.
type Project struct {
	Name   string
	Source string // BUCKET/KEY of its source; the bucket is made
	Type   string // environment type, LINUX_CONTAINER by default
}

// Config is what a [Store] is made of.
type Config struct {
	Account, Region string
	Now             func() time.Time
	Logs            *logstore.Store
	Objects         *objects.Store
	// Env is what the commands of a build get besides their own variables.
	Env func() []string
}

// Store holds projects and builds.
type Store struct {
	cfg Config

	mu       sync.Mutex
	projects map[string]Project
	builds   map[string]*build
	number   int64

	running sync.WaitGroup
}

// build is one build. The store's lock guards it.
type build struct {
	types.Build
	stop context.CancelFunc `state:"-"`
}

// New makes a store without projects.
func New(cfg Config) *Store {
	return &Store{cfg: cfg, projects: map[string]Project{}, builds: map[string]*build{}}
}

// AddProject makes a project, its bucket and its log group.
func (s *Store) AddProject(p Project) error {
	if p.Type == "" {
		p.Type = string(types.EnvironmentTypeLinuxContainer)
	}
	bucket, _, _ := strings.Cut(p.Source, "/")
	s.cfg.Objects.CreateBucket(bucket)
	s.mu.Lock()
	s.projects[p.Name] = p
	s.mu.Unlock()
	if group := logGroup(p.Name); !s.cfg.Logs.HasGroup(group) {
		return s.cfg.Logs.CreateGroup(group)
	}
	return nil
}

func logGroup(project string) string { return "/aws/codebuild/" + project }

// Close stops the builds that run and waits for their end.
func (s *Store) Close() {
	s.mu.Lock()
	for _, b := range s.builds {
		b.stop()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// API serves CodeBuild from the store.
func (s *Store) API() *awsjson.Service {
	svc := awsjson.NewService("CodeBuild_20161006")
	awsjson.Handle(svc, "BatchGetProjects", s.batchGetProjects)
	awsjson.Handle(svc, "StartBuild", s.startBuild)
	awsjson.Handle(svc, "BatchGetBuilds", s.batchGetBuilds)
	awsjson.Handle(svc, "StopBuild", s.stopBuild)
	return svc
}

func (s *Store) arn(kind, name string) string {
	return fmt.Sprintf("arn:aws:codebuild:%s:%s:%s/%s", s.cfg.Region, s.cfg.Account, kind, name)
}

func (s *Store) batchGetProjects(_ context.Context, in *codebuild.BatchGetProjectsInput) (*codebuild.BatchGetProjectsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &codebuild.BatchGetProjectsOutput{Projects: []types.Project{}, ProjectsNotFound: []string{}}
	for _, name := range in.Names {
		p, ok := s.projects[name]
		if !ok {
			out.ProjectsNotFound = append(out.ProjectsNotFound, name)
			continue
		}
		out.Projects = append(out.Projects, types.Project{
			Name: aws.String(p.Name), Arn: aws.String(s.arn("project", p.Name)), ServiceRole: aws.String("arn:aws:iam::" + s.cfg.Account + ":role/codebuild"),
			Source:      &types.ProjectSource{Type: types.SourceTypeS3, Location: aws.String(p.Source)},
			Artifacts:   &types.ProjectArtifacts{Type: types.ArtifactsTypeNoArtifacts},
			Environment: &types.ProjectEnvironment{Type: types.EnvironmentType(p.Type), ComputeType: types.ComputeTypeBuildGeneral1Medium, Image: aws.String("sandbox"), PrivilegedMode: aws.Bool(true)},
		})
	}
	return out, nil
}

func (s *Store) startBuild(_ context.Context, in *codebuild.StartBuildInput) (*codebuild.StartBuildOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := aws.ToString(in.ProjectName)
	p, ok := s.projects[name]
	if !ok {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Project cannot be found: " + s.arn("project", name))}
	}
	source := p.Source
	if in.SourceLocationOverride != nil {
		source = *in.SourceLocationOverride
	}
	spec := aws.ToString(in.BuildspecOverride)
	if spec == "" || in.SourceTypeOverride != "" && in.SourceTypeOverride != types.SourceTypeS3 {
		return nil, &types.InvalidInputException{Message: aws.String("The sandbox builds sources in S3, by a buildspec in the request.")}
	}
	s.number++
	id := fmt.Sprintf("%s:%08x-0000-4000-8000-000000000000", name, s.number)
	stream := id[len(name)+1:]
	now := s.cfg.Now()
	ctx, cancel := context.WithCancel(context.Background())
	b := &build{stop: cancel, Build: types.Build{
		Id: &id, Arn: aws.String(s.arn("build", id)), BuildNumber: aws.Int64(s.number), ProjectName: &name, StartTime: &now,
		BuildStatus: types.StatusTypeInProgress, CurrentPhase: aws.String("SUBMITTED"), Initiator: aws.String("sandbox"),
		Source: &types.ProjectSource{Type: types.SourceTypeS3, Location: &source, Buildspec: &spec},
		Logs:   &types.LogsLocation{GroupName: aws.String(logGroup(name)), StreamName: &stream},
	}}
	s.builds[id] = b
	s.running.Go(func() { s.run(ctx, b, source, spec, in.EnvironmentVariablesOverride) })
	answer := b.Build
	return &codebuild.StartBuildOutput{Build: &answer}, nil
}

func (s *Store) batchGetBuilds(_ context.Context, in *codebuild.BatchGetBuildsInput) (*codebuild.BatchGetBuildsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &codebuild.BatchGetBuildsOutput{Builds: []types.Build{}, BuildsNotFound: []string{}}
	for _, id := range in.Ids {
		b, ok := s.builds[id]
		if !ok {
			out.BuildsNotFound = append(out.BuildsNotFound, id)
			continue
		}
		answer := b.Build
		answer.Phases = slices.Clone(b.Phases)
		out.Builds = append(out.Builds, answer)
	}
	return out, nil
}

func (s *Store) stopBuild(_ context.Context, in *codebuild.StopBuildInput) (*codebuild.StopBuildOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.builds[aws.ToString(in.Id)]
	if !ok {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Build cannot be found")}
	}
	if !b.BuildComplete {
		s.finish(b, types.StatusTypeStopped)
		b.stop()
	}
	answer := b.Build
	return &codebuild.StopBuildOutput{Build: &answer}, nil
}

// finish ends a build, once. s.mu is held.
func (s *Store) finish(b *build, status types.StatusType) {
	if b.BuildComplete {
		return
	}
	now := s.cfg.Now()
	b.BuildComplete, b.BuildStatus, b.EndTime, b.CurrentPhase = true, status, &now, aws.String("COMPLETED")
}
