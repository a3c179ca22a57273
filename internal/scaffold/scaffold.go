// Package scaffold writes the files that a new user begins with: weelo-deploy.yaml,
// a workflow of GitHub Actions and a buildspec of CodeBuild.
//
// [Look] reads what lies beside them (Dockerfiles, package.json); [Config],
// [Workflow] and [Buildspec] are pure functions from facts to the text of a file.
package scaffold

import (
	"fmt"
	"strings"

	"github.com/weelo/weelo-deploy/internal/config"
)

// The files, relative to the folder of the service.
const (
	ConfigFile    = config.FileName
	WorkflowFile  = ".github/workflows/deploy.yml"
	BuildspecFile = "buildspec.yml"
)

// SchemaURL is where editors find the schema of the configuration.
const SchemaURL = "https://raw.githubusercontent.com/weelo/weelo-deploy/main/schema/weelo-deploy.schema.json"

// Release is the release of weelo-deploy that files name when the program is none
// itself.
const Release = "0.1.0"

// Facts are what the files are made of.
type Facts struct {
	Region, Account  string
	Cluster, Service string
	Repository       string // a name, or a full URI
	Container        string // empty: the only essential one
	Platform         string // empty: linux/amd64
	Role             string // ARN that the workflow assumes; empty: a role called weelo-deploy
	Branch           string // that is released by a push; empty: main
	Version          string // of weelo-deploy; empty: Release
	Git              bool   // the folder is in a git work tree
	Beside
}

// Config is the text of weelo-deploy.yaml.
func Config(f Facts) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	q := config.Quote
	line("# yaml-language-server: $schema=%s", SchemaURL)
	line("#")
	line("# How weelo-deploy releases this service. All keys: docs/configuration.md in")
	line("# github.com/weelo/weelo-deploy. Check it with: weelo-deploy doctor")
	line("region: %s", q(f.Region))
	line("account: %s # no other account is touched", q(f.Account))
	line("cluster: %s", q(f.Cluster))
	line("service: %s", q(f.Service))
	line("")
	line("image:")
	line("  repository: %s", q(f.Repository))
	if f.Git {
		line("  # The commit is the tag. A release goes by digest, whatever the tags are.")
		line("  tags: [\"{{.GitSHA}}\"]")
	} else {
		line("  # This folder is in no git work tree: give a tag with every release (--tag v1.2.3),")
		line("  # or let the commit be it: tags: [\"{{.GitSHA}}\"]")
	}
	line("")
	line("build:")
	if len(f.Before) > 0 {
		line("  # Run in this folder before the image is built.")
		line("  before:")
		for _, command := range f.Before {
			line("    - %s", q(command))
		}
	}
	line("  dockerfile: %s", q(f.Dockerfile))
	if f.Platform != "" {
		line("  platform: %s # as the task definition's runtimePlatform says", q(f.Platform))
	}
	if f.Container != "" {
		line("")
		line("task:")
		line("  container: %s # the one that gets the image", q(f.Container))
	}
	line("")
	line("release:")
	if f.Prisma {
		line("  # One-off tasks on the new revision, before the service changes:")
		line("  # before:")
		line("  #   - {command: [npx, prisma, migrate, deploy], timeout: 5m}")
	}
	line("  timeout: 10m # without progress, not in all")
	line("  bake: 30s # watched for so long after the deployment completed")
	return b.String()
}

// Workflow is the text of the workflow.
func Workflow(f Facts) string {
	branch, version := or(f.Branch, "main"), or(f.Version, Release)
	role := or(f.Role, "arn:aws:iam::"+f.Account+":role/weelo-deploy")
	runner := "ubuntu-latest"
	if strings.HasPrefix(f.Platform, "linux/arm64") {
		runner = "ubuntu-24.04-arm"
	}
	return fmt.Sprintf(`# Releases every push to %[1]s. docs/github-actions.md in github.com/weelo/weelo-deploy
# says what the role below has to trust, and weelo-deploy iam-policy what it may do.
name: deploy

on:
  push:
    branches: [%[2]s]
  workflow_dispatch:

# One release at a time, and one that runs is never cancelled by the next.
concurrency:
  group: %[3]s
  cancel-in-progress: false

permissions:
  contents: read
  id-token: write # a token that AWS takes for the role

jobs:
  deploy:
    runs-on: %[4]s
    timeout-minutes: 60
    environment: production
    steps:
      - uses: actions/checkout@v5
        with:
          persist-credentials: false
%[5]s      - uses: aws-actions/configure-aws-credentials@v6
        with:
          role-to-assume: %[6]s
          aws-region: %[7]s
      - uses: weelo/weelo-deploy@v%[8]s
`, branch, config.Quote(branch), config.Quote("deploy-"+f.Service), runner, f.nodeSteps(), role, f.Region, version)
}

// install is the command that brings what build.before needs of a Node.js project;
// empty: nothing.
func (f Facts) install() string {
	if len(f.Before) == 0 {
		return ""
	}
	if f.Manager == "npm" && !f.Locked {
		return "npm install" // npm ci wants a lock file
	}
	return map[string]string{
		"npm": "npm ci", "yarn": "yarn install --frozen-lockfile", "pnpm": "corepack enable && pnpm install --frozen-lockfile",
	}[f.Manager]
}

// nodeSteps install what build.before needs of a Node.js project.
func (f Facts) nodeSteps() string {
	install := f.install()
	if install == "" {
		return ""
	}
	node := "node-version: lts/*"
	if f.NodeVersionFile != "" {
		node = "node-version-file: " + config.Quote(f.NodeVersionFile)
	}
	return fmt.Sprintf("      - uses: actions/setup-node@v5\n        with:\n          %s\n      - run: %s\n", node, install)
}

// Buildspec is the text of the buildspec.
func Buildspec(f Facts) string {
	before := ""
	if command := f.install(); command != "" {
		before = "      - " + command + "\n"
	}
	arch := "amd64"
	if strings.HasPrefix(f.Platform, "linux/arm64") {
		arch = "arm64"
	}
	return fmt.Sprintf(`# Releases what the build was started for. The project wants privileged mode (for
# Docker), a linux/%[1]s environment, and a service role with the policy that
# weelo-deploy iam-policy prints.
version: 0.2

env:
  variables:
    WEELO_VERSION: "%[2]s"
    WEELO_BIN: /usr/local/bin

phases:
  install:
    commands:
      - archive="weelo-deploy_${WEELO_VERSION}_linux_%[1]s.tar.gz"
      - releases="https://github.com/weelo/weelo-deploy/releases/download/v${WEELO_VERSION}"
      - curl -fsSL --retry 3 -o "/tmp/$archive" "$releases/$archive"
      - curl -fsSL --retry 3 -o /tmp/checksums.txt "$releases/checksums.txt"
      - (cd /tmp && grep " $archive\$" checksums.txt | sha256sum --check --strict -)
      - tar -xzf "/tmp/$archive" -C "$WEELO_BIN" weelo-deploy
  build:
    commands:
%[3]s      - weelo-deploy release --tag "$CODEBUILD_RESOLVED_SOURCE_VERSION"
`, arch, or(f.Version, Release), before)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
