package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/weelo/weelo-deploy/internal/config"
)

var incident = Facts{
	Region: "ap-south-1", Account: "318774499084", Cluster: "weelocluster", Service: "backend", Repository: "weelo-backend", Git: true,
	Beside: Beside{Dockerfile: "Dockerfile.production", Before: []string{"npm run build"}, Manager: "npm", Locked: true},
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestConfig_loadsAndMeansTheFacts(t *testing.T) {
	odd := incident
	odd.Account, odd.Container, odd.Platform, odd.Git, odd.Prisma, odd.Branch = "012345678901", "api", "linux/arm64", false, true, "main"
	odd.Before, odd.Repository = []string{`sh -c "a: b"`}, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/api"
	for name, f := range map[string]Facts{"the incident": incident, "much that is odd": odd} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, ConfigFile), Config(f))
			c, err := config.Load(config.Options{Dir: dir, Environ: []string{"HOME=/h"}})
			if err != nil {
				t.Fatalf("%v\n%s", err, Config(f))
			}
			got := Facts{
				Region: c.Region, Account: c.Account, Cluster: c.Cluster, Service: c.Service, Repository: c.Image.Repository, Container: c.Task.Container,
				Platform: c.Build.Platform, Beside: Beside{Dockerfile: filepath.Base(c.Build.Dockerfile), Before: c.Build.Before},
			}
			want := f
			want.Git, want.Prisma, want.Manager, want.Branch, want.Locked = false, false, "", "", false
			want.Platform = or(f.Platform, "linux/amd64")
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("facts (-written +loaded):\n%s", d)
			}
			if !strings.HasPrefix(Config(f), "# yaml-language-server: $schema="+SchemaURL+"\n") {
				t.Error("the first line does not name the schema")
			}
		})
	}
}

func TestSchemaURL_isTheSchemasOwn(t *testing.T) {
	text, err := os.ReadFile("../../schema/weelo-deploy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"$id": "`+SchemaURL+`"`) {
		t.Errorf("the schema does not call itself %s", SchemaURL)
	}
}

// workflow is what matters of a workflow.
type workflow struct {
	On struct {
		Push struct {
			Branches []string `yaml:"branches"`
		} `yaml:"push"`
	} `yaml:"on"`
	Concurrency struct {
		Group  string `yaml:"group"`
		Cancel *bool  `yaml:"cancel-in-progress"`
	} `yaml:"concurrency"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		RunsOn      string `yaml:"runs-on"`
		Environment string `yaml:"environment"`
		Steps       []struct {
			Uses string            `yaml:"uses"`
			Run  string            `yaml:"run"`
			With map[string]string `yaml:"with"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

func TestWorkflow_releasesWithOIDCAndIsNeverCancelled(t *testing.T) {
	var w workflow
	if err := yaml.Unmarshal([]byte(Workflow(incident)), &w); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"contents": "read", "id-token": "write"}, w.Permissions); d != "" {
		t.Errorf("permissions (-want +got):\n%s", d)
	}
	if c := w.Concurrency; c.Group != "deploy-backend" || c.Cancel == nil || *c.Cancel {
		t.Errorf("concurrency is %+v", c)
	}
	job := w.Jobs["deploy"]
	if job.Environment != "production" || job.RunsOn != "ubuntu-latest" || w.On.Push.Branches[0] != "main" {
		t.Errorf("job is %+v, on %+v", job, w.On)
	}
	var steps []string
	for _, s := range job.Steps {
		steps = append(steps, s.Uses+s.Run)
	}
	want := []string{"actions/checkout@v5", "actions/setup-node@v5", "npm ci", "aws-actions/configure-aws-credentials@v6", "weelo/weelo-deploy@v" + Release}
	if d := cmp.Diff(want, steps); d != "" {
		t.Errorf("steps (-want +got):\n%s", d)
	}
	if with := job.Steps[3].With; with["role-to-assume"] != "arn:aws:iam::318774499084:role/weelo-deploy" || with["aws-region"] != "ap-south-1" {
		t.Errorf("credentials with %v", with)
	}

	arm := incident
	arm.Platform, arm.Before, arm.Branch, arm.Role, arm.Version = "linux/arm64", nil, "release/1.x", "arn:aws:iam::1:role/x", "1.2.3"
	text := Workflow(arm)
	for _, part := range []string{"runs-on: ubuntu-24.04-arm\n", "branches: [release/1.x]\n", "role-to-assume: arn:aws:iam::1:role/x\n", "weelo/weelo-deploy@v1.2.3\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("the workflow for arm64 lacks %q:\n%s", part, text)
		}
	}
	unlocked := incident
	unlocked.Locked = false
	if !strings.Contains(Workflow(unlocked), "- run: npm install\n") {
		t.Error("npm ci is run without a lock file")
	}
	if strings.Contains(text, "setup-node") {
		t.Error("Node.js is installed although nothing is built before")
	}
}

// TestRelease_isTheActionsOwn: the files name the release that the action of the
// same tag installs.
func TestRelease_isTheActionsOwn(t *testing.T) {
	for file, pattern := range map[string]string{"../../action.yml": `(?s)version:\n.*?default: ([0-9.]+)`, "../../docs/github-actions.md": `weelo/weelo-deploy@v([0-9.]+)`} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(pattern).FindStringSubmatch(string(text)); m == nil || m[1] != Release {
			t.Errorf("%s names %v, want %s", file, m, Release)
		}
	}
}

// TestBuildspec_works runs its commands, with a curl that finds a release here.
func TestBuildspec_works(t *testing.T) {
	var spec struct {
		Env struct {
			Variables map[string]string `yaml:"variables"`
		} `yaml:"env"`
		Phases map[string]struct {
			Commands []string `yaml:"commands"`
		} `yaml:"phases"`
	}
	f := incident
	f.Before = nil
	if err := yaml.Unmarshal([]byte(Buildspec(f)), &spec); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		tamper string
		ok     bool
	}{"a release": {"", true}, "a release that was tampered with": {"echo more >> release.tar.gz", false}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, "weelo-deploy"), "#!/bin/sh\necho \"called with $*\"\n")
			put(t, filepath.Join(dir, "bin/curl"), `#!/bin/sh
while [ "$#" -gt 2 ]; do [ "$1" = -o ] && out=$2; shift; done
out=${out:-$1}
case $2 in
  https://github.com/weelo/weelo-deploy/releases/download/v`+Release+`/weelo-deploy_`+Release+`_linux_amd64.tar.gz) cp release.tar.gz "$out" ;;
  https://github.com/weelo/weelo-deploy/releases/download/v`+Release+`/checksums.txt) cp checksums.txt "$out" ;;
  *) echo "curl: no such file: $2" >&2; exit 22 ;;
esac
`)
			script := []string{"set -e", "chmod +x weelo-deploy bin/curl", "tar -czf release.tar.gz weelo-deploy",
				"sed 's/ release/ weelo-deploy_" + Release + "_linux_amd64/' >checksums.txt <<<\"$(sha256sum release.tar.gz)\"", test.tamper}
			for _, phase := range []string{"install", "build"} {
				script = append(script, spec.Phases[phase].Commands...)
			}
			cmd := exec.Command("bash", "-c", strings.ReplaceAll(strings.Join(script, "\n"), "/tmp", dir+"/tmp"))
			cmd.Dir = dir
			cmd.Env = []string{"PATH=" + dir + "/bin:/usr/bin:/bin", "CODEBUILD_RESOLVED_SOURCE_VERSION=abc"}
			for k, v := range spec.Env.Variables {
				cmd.Env = append(cmd.Env, k+"="+v)
			}
			cmd.Env = append(cmd.Env, "WEELO_BIN="+dir+"/bin")
			put(t, filepath.Join(dir, "tmp/x"), "")
			out, err := cmd.CombinedOutput()
			if called := strings.Contains(string(out), "called with release --tag abc\n"); called != test.ok || (err == nil) != test.ok {
				t.Errorf("commands: %v\n%s", err, out)
			}
		})
	}
}

func TestLook(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  Beside
	}{
		"nothing": {nil, Beside{}},
		"a Dockerfile that copies what was built": {
			map[string]string{"Dockerfile": "FROM node\nCOPY dist /app\n", "package.json": `{"scripts":{"build":"tsc"}}`},
			Beside{Dockerfiles: []string{"Dockerfile"}, Dockerfile: "Dockerfile", Before: []string{"npm run build"}, Manager: "npm"},
		},
		"a Dockerfile that builds": {
			map[string]string{"Dockerfile": "FROM node\nRUN npm ci && \\\n  npm run build\n", "package.json": `{"scripts":{"build":"tsc"}}`},
			Beside{Dockerfiles: []string{"Dockerfile"}, Dockerfile: "Dockerfile", Manager: "npm"},
		},
		"production's own first, yarn, Prisma": {
			map[string]string{"Dockerfile": "", "Dockerfile.dev": "", "Dockerfile.production": "FROM node\n", "Dockerfile.production.dockerignore": "", "package.json": `{"scripts":{"build":"x"}}`,
				"yarn.lock": "", ".nvmrc": "22", "prisma/migrations/1/migration.sql": ""},
			Beside{Dockerfiles: []string{"Dockerfile.production", "Dockerfile", "Dockerfile.dev"}, Dockerfile: "Dockerfile.production", Before: []string{"yarn run build"},
				Manager: "yarn", Locked: true, NodeVersionFile: ".nvmrc", Prisma: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for f, text := range test.files {
				put(t, filepath.Join(dir, f), text)
			}
			got, err := Look(dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("found (-want +got):\n%s", d)
			}
		})
	}
	t.Run("a package.json that is none", func(t *testing.T) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "package.json"), "{")
		if _, err := Look(dir); err == nil {
			t.Error("Look has no error")
		}
	})
}
