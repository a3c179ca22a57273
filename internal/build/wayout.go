package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// emulated is the refusal of a build that is not native, with the ways out for
// this project.
func emulated(r Request, n Nativeness, foreign []step, can []string, endpoint string) error {
	what := foreign[0].String()
	if len(foreign) > 1 {
		what = fmt.Sprintf("%d steps, the first is %s", len(foreign), what)
	}
	f := event.Fail(event.CodeEmulatedBuild, fmt.Sprintf("building for %s on a %s engine would emulate %s", n.Target, n.Worker, what))
	f.See(described(n.Engine, endpoint), "BuildKit's platforms, its own first: "+strings.Join(can, ", "))
	for _, s := range n.Emulated {
		f.See("would run under emulation: " + s)
	}
	arch := foreign[0].platform.Architecture
	f.Hint("emulated builds make images that die with exit 139: native modules are installed by programs that crash or mistake the machine",
		actions(r.Context, arch),
		"build on another "+arch+" machine: build.on: codebuild:PROJECT for AWS CodeBuild, or build.on: ssh://user@host",
		"use another engine of that kind: build.on: the name of a Docker context (docker context ls)")
	f.Hint(crossHints(foreign)...)
	return f.Hint("go on all the same, and test the image well: --allow-emulation").Try(
		"docker context create "+arch+"-builder --docker host=ssh://USER@HOST",
		"WEELO_DEPLOY_BUILD_ON="+arch+"-builder weelo-deploy release",
		"weelo-deploy release --allow-emulation")
}

func described(i engine.Info, endpoint string) string {
	return fmt.Sprintf("engine %s at %s: %s/%s, %s", i.Version, endpoint, i.OS, i.Arch, i.OperatingSystem)
}

// crossHints say which FROM lines make the stages that are only copied from run
// on the builder.
func crossHints(foreign []step) []string {
	var lines []string
	for _, s := range foreign {
		if s.cross != "" && !slices.Contains(lines, s.cross) {
			lines = append(lines, s.cross)
		}
	}
	if len(lines) == 0 {
		return []string{"compile across instead: FROM --platform=$BUILDPLATFORM in the stages that RUN, and only COPY in the last"}
	}
	var hints []string
	for _, l := range lines {
		hints = append(hints, "compile across instead: "+l+"; its steps run on the builder then, and must make programs for $TARGETARCH")
	}
	return hints
}

// crossLine is the FROM line that would make the stage's steps native; empty for
// a stage whose files are the image, or that does not begin from an image.
func (n *node) crossLine() string {
	root := n
	for root.base != nil {
		root = root.base
	}
	if n.final || root.final || root.image == "" {
		return ""
	}
	s := fmt.Sprintf("line %d: FROM --platform=$BUILDPLATFORM %s", root.line, root.image)
	if root.name != "" {
		s += " AS " + root.name
	}
	return s
}

// runners are GitHub's hosted machines by architecture (GitHub docs, "Standard
// GitHub-hosted runners").
var runners = map[string]string{"amd64": "ubuntu-latest", "arm64": "ubuntu-24.04-arm"}

// actions names GitHub Actions as a way out, and the project's own workflows
// where it has some.
func actions(dir, arch string) string {
	runner := runners[arch]
	if runner == "" {
		return "release from a " + arch + " machine in CI, such as a self-hosted GitHub Actions runner"
	}
	if found := workflows(dir); len(found) > 0 {
		return fmt.Sprintf("release from a GitHub Actions job with runs-on: %s; this project has %s", runner, strings.Join(found, ", "))
	}
	return "release from a GitHub Actions job with runs-on: " + runner
}

// workflows are the GitHub workflows of the work tree that dir is in.
func workflows(dir string) []string {
	for {
		var names []string
		for _, pattern := range []string{"*.yml", "*.yaml"} {
			found, err := filepath.Glob(filepath.Join(dir, ".github", "workflows", pattern))
			if err != nil {
				return nil
			}
			for _, f := range found {
				names = append(names, ".github/workflows/"+filepath.Base(f))
			}
		}
		_, err := os.Lstat(filepath.Join(dir, ".git"))
		up := filepath.Dir(dir)
		if len(names) > 0 || !errors.Is(err, os.ErrNotExist) || up == dir {
			return names
		}
		dir = up
	}
}
