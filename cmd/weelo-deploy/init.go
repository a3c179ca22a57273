package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/config"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/scaffold"
)

// initReport is the JSON form of init (docs/json-output.md).
type initReport struct {
	Cluster    string   `json:"cluster"`
	Service    string   `json:"service"`
	Repository string   `json:"repository"`
	Files      []string `json:"files"`

	found string // for people
	git   bool   // the files are in a git work tree
}

type initFlags struct {
	github, codebuild                       bool
	repository, container, dockerfile, role string
}

func newInitCommand(a *app) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use: "init", Short: "Write weelo-deploy.yaml from a service that runs", Args: noArgs,
		Long: `init reads a service, its task definition and image repository from the account,
and the Dockerfile and package.json in this folder, and writes a commented
weelo-deploy.yaml; with --github a workflow, with --codebuild a buildspec too.

What is not clear is asked on a terminal, and has a flag. A file that is there is
replaced only when you say so (or --yes does).`,
		Example: `  weelo-deploy init
  weelo-deploy init --cluster weelocluster --service backend --github
  weelo-deploy init --yes               # where there is one cluster with one service`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context(), &f) },
	}
	p := cmd.Flags()
	p.BoolVar(&f.github, "github", false, "write "+scaffold.WorkflowFile+" too")
	p.BoolVar(&f.codebuild, "codebuild", false, "write "+scaffold.BuildspecFile+" too")
	p.StringVar(&f.repository, "repository", "", "image repository `NAME` (default: that of the service's image)")
	p.StringVar(&f.container, "container", "", "`NAME` of the container that gets the image (default: the only essential one)")
	p.StringVar(&f.dockerfile, "dockerfile", "", "`PATH` of the Dockerfile (default: Dockerfile.production or Dockerfile)")
	p.StringVar(&f.role, "role", "", "`ARN` of the role that the workflow assumes (default: weelo-deploy in this account)")
	return cmd
}

func (a *app) init(ctx context.Context, f *initFlags) error {
	s, err := a.begin("init")
	if err != nil {
		return err
	}
	rep, err := s.init(ctx, f)
	if err != nil {
		return s.refuse(err)
	}
	if a.wantsJSON() {
		return output.WriteObject(a.stdout, s.redact, rep)
	}
	for _, name := range rep.Files {
		fmt.Fprintln(a.stdout, name)
	}
	fmt.Fprint(a.stderr, rep.found+next(f, rep))
	return nil
}

// next says how to go on.
func next(f *initFlags, rep initReport) string {
	var b strings.Builder
	b.WriteString("\nGo on with:\n  weelo-deploy doctor             # is everything there that a release needs?\n" +
		"  weelo-deploy release --sandbox  # rehearse it on this machine\n")
	if rep.git { // what is not committed makes the tag end with -dirty
		b.WriteString("  git add " + strings.Join(rep.Files, " ") + " && git commit -m 'Release with weelo-deploy'\n")
	}
	b.WriteString("  weelo-deploy release\n")
	if f.github {
		b.WriteString("The workflow wants a role that trusts this repository: docs/github-actions.md in github.com/weelo/weelo-deploy.\n" +
			"What it may do: weelo-deploy iam-policy\n")
	}
	if f.codebuild {
		b.WriteString("The CodeBuild project wants privileged mode, and a role with what weelo-deploy iam-policy prints.\n")
	}
	return b.String()
}

// init finds the facts, writes the files and reads the configuration back.
func (s *session) init(ctx context.Context, f *initFlags) (initReport, error) {
	files := []string{scaffold.ConfigFile}
	if f.github {
		files = append(files, scaffold.WorkflowFile)
	}
	if f.codebuild {
		files = append(files, scaffold.BuildspecFile)
	}
	ask := s.app.asker(ctx)
	if err := mayReplace(ask, s.app.flags.yes, files); err != nil {
		return initReport{}, err
	}
	facts, err := s.facts(ctx, f, ask)
	if err != nil {
		return initReport{}, err
	}
	for _, name := range files {
		text := map[string]func(scaffold.Facts) string{
			scaffold.ConfigFile: scaffold.Config, scaffold.WorkflowFile: scaffold.Workflow, scaffold.BuildspecFile: scaffold.Buildspec,
		}[name](facts)
		if err := writeFile(name, text); err != nil {
			return initReport{}, err
		}
	}
	if _, err := config.Load(config.Options{Path: scaffold.ConfigFile}); err != nil {
		return initReport{}, fmt.Errorf("read back %s: %w", scaffold.ConfigFile, err)
	}
	return initReport{Cluster: facts.Cluster, Service: facts.Service, Repository: facts.Repository, Files: files, found: found(facts), git: facts.Git}, nil
}

// found says in one line what the files are about.
func found(f scaffold.Facts) string {
	return fmt.Sprintf("\n%s in cluster %s, account %s, %s: the image of %s goes to %s.\n", f.Service, f.Cluster, f.Account, f.Region, f.Dockerfile, f.Repository)
}

// mayReplace asks before files that are there are replaced.
func mayReplace(ask *asker, yes bool, files []string) error {
	for _, name := range files {
		switch _, err := os.Lstat(name); {
		case errors.Is(err, fs.ErrNotExist), err == nil && yes:
			continue
		case err != nil:
			return fmt.Errorf("look for %s: %w", name, err)
		}
		if ok, err := ask.confirm(name + " is there already. Replace it?"); err != nil {
			return err
		} else if !ok {
			return event.Fail(event.CodeUsage, name+" is there already; nothing was written").
				Hint("remove it, or let --yes replace it").Try("weelo-deploy config show")
		}
	}
	return nil
}

func writeFile(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// beside reads the folder, and asks which Dockerfile is meant where there are
// several.
func beside(f *initFlags, ask *asker) (scaffold.Beside, error) {
	found, err := scaffold.Look(".")
	if err != nil {
		return found, event.Fail(event.CodeUsage, err.Error()).Because(err)
	}
	switch {
	case f.dockerfile != "":
		found.Dockerfile = filepath.ToSlash(f.dockerfile)
	case found.Dockerfile == "":
		return found, event.Fail(event.CodeUsage, "there is no Dockerfile in this folder").
			Hint("run this in the folder of the service, or name it: --dockerfile PATH")
	default:
		found.Dockerfile, err = ask.choose("Dockerfile", "--dockerfile", found.Dockerfiles, true)
	}
	return found, err
}

// gitFacts are the branch that is released and whether this is a work tree. A branch
// that is neither main nor master is somebody's work, which no push should release.
func gitFacts(ctx context.Context) (branch string, git bool, err error) {
	src, err := build.ReadSource(ctx, ".")
	if errors.Is(err, build.ErrNoGit) {
		return "", false, nil
	}
	if branch = src.Branch; branch != "master" {
		branch = "main"
	}
	return branch, err == nil, err
}
