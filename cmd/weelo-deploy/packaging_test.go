package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/weelo/weelo-deploy/internal/scaffold"
)

// root is the top of the work tree.
var root = filepath.Join("..", "..")

func readText(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readYAML(t *testing.T, into any, path ...string) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readText(t, path...)), into); err != nil {
		t.Fatal(err)
	}
}

type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Permissions map[string]string
		Steps       []struct {
			Uses, Run string
			With      map[string]any
		}
	}
}

// pinned is an action by its commit, with the version for people.
var pinned = regexp.MustCompile(`(?m)^\s*- uses: [\w./-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$`)

func TestOurWorkflowsPinActionsAndAskForLittle(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("found %d workflows (%v)", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		var w workflow
		readYAML(t, &w, ".github", "workflows", name)
		text := readText(t, ".github", "workflows", name)
		if used, good := strings.Count(text, "uses: "), len(pinned.FindAllString(text, -1)); used != good {
			t.Errorf("%s uses %d actions, %d of them by commit and version", name, used, good)
		}
		if w.Permissions == nil || strings.Contains(text, "pull_request_target") || strings.Contains(text, "write-all") {
			t.Errorf("%s does not say which permissions it needs, or takes too many", name)
		}
		for what, may := range w.Permissions {
			if may == "write" {
				t.Errorf("%s may write %s in every job", name, what)
			}
		}
		for job, j := range w.Jobs {
			for _, s := range j.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
					t.Errorf("job %s of %s leaves its token in the work tree", job, name)
				}
				if strings.Contains(s.Run, "${{") {
					t.Errorf("job %s of %s puts an expression into a script: %s", job, name, s.Run)
				}
			}
		}
	}
}

type releaser struct {
	Builds []struct {
		Flags, Tags, Ldflags, Goos, Goarch []string
		ModTimestamp                       string `yaml:"mod_timestamp"`
	}
	Archives []struct {
		NameTemplate string `yaml:"name_template"`
		Files        []struct{ Src string }
	}
	Casks []struct{ Manpages []string } `yaml:"homebrew_casks"`
}

func TestReleasesAreBuiltTheWayThatIsComparedAndInstalled(t *testing.T) {
	var r releaser
	readYAML(t, &r, ".goreleaser.yaml")
	b := r.Builds[0]
	if strings.Join(b.Goos, " ") != "linux darwin windows" || strings.Join(b.Goarch, " ") != "amd64 arm64" || b.ModTimestamp == "" {
		t.Errorf("the builds are %+v", b)
	}
	if r.Archives[0].NameTemplate != "" {
		t.Error("archives have names of their own; action.yml, docs/codebuild.md and build.on: codebuild know goreleaser's")
	}
	reproduce, extras, make := readText(t, "scripts", "release", "reproduce"), readText(t, "scripts", "release", "extras"), readText(t, "Makefile")
	for _, tag := range b.Tags {
		for name, text := range map[string]string{"reproduce": reproduce, "extras": extras, "Makefile": make} {
			if !strings.Contains(text, "-tags "+tag) {
				t.Errorf("%s does not build with the tag %s of releases", name, tag)
			}
		}
	}
	if len(b.Flags) != 1 || !strings.Contains(reproduce, b.Flags[0]) || !strings.HasPrefix(b.Ldflags[0], "-s -w -X main.version=") || !strings.Contains(reproduce, "-s -w -X main.version=") {
		t.Errorf("scripts/release/reproduce does not build with the flags %v %v", b.Flags, b.Ldflags)
	}
}

func TestTheCaskNamesManPagesThatExist(t *testing.T) {
	var r releaser
	readYAML(t, &r, ".goreleaser.yaml")
	exist := map[string]bool{}
	for _, cmd := range documented(newRootCommand(&app{getenv: func(string) string { return "" }})) {
		exist["man/"+manName(cmd)+".1.gz"] = true
	}
	if len(r.Casks[0].Manpages) == 0 {
		t.Error("the cask has no man pages")
	}
	for _, page := range r.Casks[0].Manpages {
		if !exist[page] {
			t.Errorf("there is no page %s", page)
		}
	}
}

// Everything that names a release by hand names the one that the action installs.
func TestTheDocumentedVersionIsTheActionsOwn(t *testing.T) {
	version := readAction(t).Inputs["version"].Default
	for _, doc := range []string{"github-actions.md", "codebuild.md"} {
		if !strings.Contains(readText(t, "docs", doc), version) {
			t.Errorf("docs/%s does not name version %s", doc, version)
		}
	}
}

// What init writes is what the documentation shows.
func TestTheDocumentationShowsTheFilesOfInit(t *testing.T) {
	facts := scaffold.Facts{Region: "ap-south-1", Account: "318774499084", Service: "production"}
	for doc, text := range map[string]string{"github-actions.md": scaffold.Workflow(facts), "codebuild.md": scaffold.Buildspec(facts)} {
		if shown := "```yaml\n" + text + "```\n"; !strings.Contains(readText(t, "docs", doc), shown) {
			t.Errorf("docs/%s does not show what init writes:\n%s", doc, text)
		}
	}
}

func TestTheDocumentationNamesEveryInputAndOutputOfTheAction(t *testing.T) {
	f, doc := readAction(t), readText(t, "docs", "github-actions.md")
	for name := range f.Inputs {
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("docs/github-actions.md does not name the input %s", name)
		}
	}
	for name := range f.Outputs {
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("docs/github-actions.md does not name the output %s", name)
		}
	}
}
