package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/doctor"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/iam"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/release"
)

// doctorReport is the JSON form of doctor (docs/json-output.md).
type doctorReport struct {
	Cluster string           `json:"cluster"`
	Service string           `json:"service"`
	Status  doctor.Status    `json:"status"`
	Checks  []doctor.Finding `json:"checks"`
}

func newDoctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check everything that a release needs, and say how to mend it", Args: noArgs,
		Long: `doctor makes every check of a release's preflight and more, all at once:
credentials, permissions, service, rollback target, repository, lifecycle policy,
engine, disk space. Each says ok, warn, fail or skip, and the command that mends
it. Nothing is changed.

Exit 4 when a check fails: a release would be refused, or would fail.`,
		Example: "  weelo-deploy doctor\n  weelo-deploy doctor --env production --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.examine(cmd.Context()) },
	}
}

func (a *app) examine(ctx context.Context) error {
	s, err := a.begin("doctor")
	if err != nil {
		return err
	}
	found, err := s.findings(ctx)
	if err != nil {
		return s.refuse(err)
	}
	if a.wantsJSON() {
		err = output.WriteObject(a.stdout, s.redact, doctorReport{s.config.Cluster, s.config.Service, doctor.Worst(found), found})
	} else {
		err = output.WriteFindings(a.stdout, s.redact, output.Colour(a.getenv, a.stdoutTerminal), lines(found))
	}
	if err == nil && doctor.Worst(found) == doctor.Fail {
		return exit(event.ExitRefused)
	}
	return err
}

// findings examines the service of the configuration.
func (s *session) findings(ctx context.Context) ([]doctor.Finding, error) {
	if err := s.load(overrides{}); err != nil {
		return nil, err
	}
	if err := s.target(); err != nil {
		return nil, err
	}
	clients, region, err := openClients(ctx, place{Region: s.config.Region, On: s.config.Build.On})
	if err != nil {
		return nil, err
	}
	lifecycle, ok := clients.ECR.(doctor.Lifecycle)
	if !ok {
		return nil, fmt.Errorf("examine: %T has no lifecycle policies", clients.ECR)
	}
	set, untagged, wrong := s.examined(ctx)
	set.Region, set.Given = region, s.app.given(nil)
	plan := planOf(s.config, region)
	if plan.Bucket, err = sources(ctx, clients); err != nil {
		plan.Bucket = "" // preflight says what is wrong with the project
	}
	return doctor.Examine(ctx, doctor.Patient{
		Settings: set, Tags: s.config.Image.Tags, Configuration: wrong, Untagged: untagged,
		Clients: clients, Lifecycle: lifecycle, Plan: plan, Getenv: s.app.getenv,
	}), nil
}

// examined are the settings of a release without flags, why they give no tag, and
// what is wrong with the configuration that they come from.
func (s *session) examined(ctx context.Context) (set release.Settings, untagged, wrong error) {
	c := s.config
	var faults []error
	src, err := build.ReadSource(ctx, c.Dir)
	if err != nil && !errors.Is(err, build.ErrNoGit) {
		faults = append(faults, err)
	}
	_, untagged = s.tags(&releaseFlags{}, src)
	checks, err := s.liveChecks()
	faults = append(faults, err)
	if c.Image.Repository == "" {
		faults = append(faults, noRepository())
	}
	return release.Settings{
		Command: s.command, Cluster: c.Cluster, Service: c.Service, Account: c.Account, Repository: c.Image.Repository,
		Build: buildRequest(c, src, false, false), Source: src, Container: c.Task.Container, Base: c.Task.Base,
		NeverRollBack: c.Release.Rollback == "never", Backstop: c.Release.Backstop != "keep", RequireClean: c.Release.RequireClean,
		Checks:      checks,
		WaitTimeout: time.Nanosecond, // a rollback in progress is told, not waited for
	}, untagged, errors.Join(faults...)
}

// planOf is what the configuration says of the permissions that its releases need.
func planOf(c *config.Config, region string) iam.Plan {
	project, ok := codeBuildProject(c.Build.On)
	if !ok {
		project = ""
	}
	return iam.Plan{
		Region: region, Account: c.Account, Cluster: c.Cluster, Service: c.Service, Repository: c.Image.Repository,
		BeforeTasks: len(c.Release.Before) > 0, LogChecks: len(c.Checks.Logs) > 0, Project: project,
	}
}

// sources is where a CodeBuild project takes its sources from, BUCKET/FOLDER; empty
// when none builds.
func sources(ctx context.Context, c release.Clients) (string, error) {
	project, ok := c.Elsewhere.(codeBuild)
	if !ok {
		return "", nil
	}
	bucket, folder, err := project.Sources(ctx)
	return strings.TrimSuffix(bucket+"/"+folder, "/"), err
}

func lines(found []doctor.Finding) []output.Finding {
	out := make([]output.Finding, 0, len(found))
	for _, f := range found {
		out = append(out, output.Finding{Status: string(f.Status), Name: f.Name, Detail: f.Detail, Mend: f.Mend})
	}
	return out
}
