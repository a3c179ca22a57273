package config

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const full = `
region: ap-south-1
cluster: weelocluster
service: weelobackendtask-service-joxh3c0r
account: "318774499084"
image:
  repository: weelo-backend
  tags: ["{{.GitSHA}}"]
build:
  before: ["npm run build"]
  context: .
  dockerfile: Dockerfile.production
  args: {NODE_ENV: production, PORT: 3000, VERSION: 1.10, DEBUG: yes}
  secrets: [{id: npmrc, file: ~/.npmrc}, {id: token, env: NPM_TOKEN}]
  ssh: [default, "key=keys/id"]
  on: docker
task:
  container: weelo-backend
  environment: {REDIS_URL: "redis://cache:6379"}
  secrets: {DATABASE_URL: "arn:aws:secretsmanager:ap-south-1:318774499084:secret:db"}
release:
  before: [{command: ["npx", "prisma", "migrate", "deploy"], timeout: 5m}]
  timeout: 15m
  bake: 0s
  tolerate: 2
  rollback: never
  backstop: keep
  requireClean: true
checks:
  http: [{name: health, url: "https://api.weelo.in/health", expect: {status: 200}}]
  logs: [{name: locks, contains: "Lock acquired", within: 60s}]
notify: [{url: "https://hooks.example.com/x", on: [failed]}]
environments:
  staging: {cluster: weelo-staging, service: backend}
`

func TestLoad_everyKey(t *testing.T) {
	dir := write(t, full)
	c := load(t, "", Options{Dir: dir})
	want := Settings{
		Region: "ap-south-1", Cluster: "weelocluster", Service: "weelobackendtask-service-joxh3c0r", Account: "318774499084",
		Image: Image{Repository: "weelo-backend", Tags: []string{"{{.GitSHA}}"}},
		Build: Build{
			Before: []string{"npm run build"}, Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile.production"),
			Platform: "linux/amd64", On: "docker",
			Args:    map[string]string{"NODE_ENV": "production", "PORT": "3000", "VERSION": "1.10", "DEBUG": "yes"},
			Secrets: []BuildSecret{{ID: "npmrc", File: "/home/ana/.npmrc"}, {ID: "token", Env: "NPM_TOKEN"}},
			SSH:     []string{"default", "key=" + filepath.Join(dir, "keys/id")},
		},
		Task: Task{
			Container:   "weelo-backend",
			Environment: map[string]string{"REDIS_URL": "redis://cache:6379"},
			Secrets:     map[string]string{"DATABASE_URL": "arn:aws:secretsmanager:ap-south-1:318774499084:secret:db"},
		},
		Release: Release{
			Before:  []BeforeTask{{Command: []string{"npx", "prisma", "migrate", "deploy"}, Timeout: 5 * time.Minute, OnInterrupt: "leave"}},
			Timeout: 15 * time.Minute, Bake: 0, Tolerate: "2", Rollback: "never", Backstop: "keep", RequireClean: true,
		},
		Checks: Checks{
			HTTP: []HTTPCheck{{Name: "health", Method: "GET", URL: "https://api.weelo.in/health", Expect: Expect{Status: []int{200}},
				Timeout: 10 * time.Second, Retries: 2, Pause: 2 * time.Second}},
			Logs: []LogCheck{{Name: "locks", Contains: "Lock acquired", Within: time.Minute}},
		},
		Notify: []Notice{{URL: "https://hooks.example.com/x", On: []string{"failed"}}},
	}
	if d := cmp.Diff(want, c.Settings); d != "" {
		t.Errorf("Settings (-want +got):\n%s", d)
	}
	if got, want := c.File, filepath.Join(dir, FileName); got != want {
		t.Errorf("File = %q, want %q", got, want)
	}
}

func TestLoad_contextsAndCaches(t *testing.T) {
	dir := write(t, "build: {contexts: {shared: ../shared, \"node:20\": \"docker-image://mirror/node:20\"}, cacheFrom: [weelo/cache], cacheTo: [inline]}\n")
	got := load(t, "", Options{Dir: dir}).Build
	want := map[string]string{"shared": filepath.Join(filepath.Dir(dir), "shared"), "node:20": "docker-image://mirror/node:20"}
	if d := cmp.Diff(want, got.Contexts); d != "" {
		t.Errorf("Contexts (-want +got):\n%s", d)
	}
	if d := cmp.Diff([][]string{{"weelo/cache"}, {"inline"}}, [][]string{got.CacheFrom, got.CacheTo}); d != "" {
		t.Errorf("CacheFrom, CacheTo (-want +got):\n%s", d)
	}
}

func TestLoad_allowWithAndWithoutReason(t *testing.T) {
	got := load(t, "verify: {allow: [\"*.node\", {path: /app/x, reason: \"nobody loads it\"}]}\n", Options{}).Verify.Allow
	want := []Allow{{Path: "*.node"}, {Path: "/app/x", Reason: "nobody loads it"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Allow (-want +got):\n%s", d)
	}
}

func TestLoad_defaults(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, ".git"), "gitdir: elsewhere")
	c := load(t, "", Options{Dir: dir, Flags: map[string]string{"cluster": "c", "service": "s"}})
	want := Settings{
		Cluster: "c", Service: "s",
		Image:   Image{Tags: []string{"{{.GitSHA}}"}},
		Build:   Build{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Platform: "linux/amd64", On: "docker"},
		Release: Release{Timeout: 10 * time.Minute, Bake: 30 * time.Second, Tolerate: "0", Rollback: "on-failure", Backstop: "enforce"},
	}
	if d := cmp.Diff(want, c.Settings); d != "" {
		t.Errorf("Settings (-want +got):\n%s", d)
	}
	if c.File != "" || c.Dir != dir {
		t.Errorf("File, Dir = %q, %q, want none and %q", c.File, c.Dir, dir)
	}
}

func TestLoad_finding(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, FileName), "cluster: outer\n")
	put(t, filepath.Join(root, "repo", ".git", "HEAD"), "x")
	put(t, filepath.Join(root, "repo", "app", "Dockerfile"), "FROM scratch\n")

	t.Run("not above the root of the work tree", func(t *testing.T) {
		if c := load(t, "", Options{Dir: filepath.Join(root, "repo", "app")}); c.File != "" {
			t.Errorf("File = %q, want none", c.File)
		}
	})
	t.Run("upwards to the root of the work tree", func(t *testing.T) {
		put(t, filepath.Join(root, "repo", FileName), "cluster: inner\nbuild: {context: app}\n")
		c := load(t, "", Options{Dir: filepath.Join(root, "repo", "app")})
		if c.Cluster != "inner" || c.Build.Context != filepath.Join(root, "repo", "app") {
			t.Errorf("Cluster, Context = %q, %q", c.Cluster, c.Build.Context)
		}
	})
	t.Run("named by --config, relative to the working directory", func(t *testing.T) {
		c := load(t, "", Options{Dir: filepath.Join(root, "repo"), Path: "../" + FileName})
		if c.Cluster != "outer" {
			t.Errorf("Cluster = %q, want outer", c.Cluster)
		}
	})
	t.Run("named by --config and missing", func(t *testing.T) {
		got := refuse(t, "", Options{Dir: root, Path: "nope.yaml"})
		if !strings.HasPrefix(got, "CONFIG read configuration nope.yaml: no such file or directory\n") {
			t.Errorf("report = %q", got)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		if got := refuse(t, "", Options{Dir: root, Path: "repo"}); !strings.Contains(got, "is a directory") {
			t.Errorf("report = %q", got)
		}
	})
	t.Run("the other spelling of the suffix", func(t *testing.T) {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "weelo-deploy.yml"), "cluster: c\n")
		if got := refuse(t, "", Options{Dir: dir}); !strings.Contains(got, "must be called weelo-deploy.yaml") {
			t.Errorf("report = %q", got)
		}
	})
	t.Run("too large", func(t *testing.T) {
		if got := refuse(t, strings.Repeat("# x\n", maxSize/4+1), Options{}); !strings.Contains(got, "larger than 1024 KiB") {
			t.Errorf("report = %q", got)
		}
	})
}

func TestLoad_precedence(t *testing.T) {
	const text = `
cluster: file
service: file
region: eu-west-1
image: {repository: file, tags: [a, b]}
build: {args: {A: file, B: file}}
environments:
  staging:
    service: environment
    region: eu-west-2
    image: {tags: [c]}
    build: {args: {B: environment, C: environment}}
`
	c := load(t, text, Options{
		Env:     "staging",
		Environ: []string{"WEELO_DEPLOY_REGION=eu-west-3", "WEELO_DEPLOY_CLUSTER=variable", "WEELO_DEPLOY_IMAGE_REPOSITORY="},
		Flags:   map[string]string{"cluster": "flag"},
		Maps:    map[string]map[string]string{"build.args": {"C": "flag"}},
	})
	got := []any{c.Cluster, c.Region, c.Service, c.Image.Repository, c.Image.Tags, c.Build.Args}
	want := []any{"flag", "eu-west-3", "environment", "file", []string{"c"}, map[string]string{"A": "file", "B": "environment", "C": "flag"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
	for path, want := range map[string]string{
		"cluster": "--cluster", "region": "WEELO_DEPLOY_REGION", "service": "weelo-deploy.yaml:9:14",
		"build.args.A": "weelo-deploy.yaml:6:19", "build.args.C": "--build-arg", "release.timeout": "default",
	} {
		if got := c.Origin(path).String(); got != want {
			t.Errorf("Origin(%q) = %q, want %q", path, got, want)
		}
	}
	t.Run("a list given by flags replaces the file's", func(t *testing.T) {
		c := load(t, text, Options{Lists: map[string][]string{"image.tags": {"x", "y"}}})
		if !reflect.DeepEqual(c.Image.Tags, []string{"x", "y"}) {
			t.Errorf("Tags = %q", c.Image.Tags)
		}
	})
	t.Run("the environment may come from a variable", func(t *testing.T) {
		if c := load(t, text, Options{Environ: []string{"WEELO_DEPLOY_ENV=staging"}}); c.Env != "staging" || c.Service != "environment" {
			t.Errorf("Env, Service = %q, %q", c.Env, c.Service)
		}
	})
}

func TestLoad_environmentMovesSecret(t *testing.T) {
	c := load(t, `
task: {environment: {A: x, B: y}}
environments:
  prod: {task: {secrets: {A: "arn:aws:ssm:x"}}}
`, Options{Env: "prod"})
	if d := cmp.Diff(Task{Environment: map[string]string{"B": "y"}, Secrets: map[string]string{"A": "arn:aws:ssm:x"}}, c.Task); d != "" {
		t.Errorf("Task (-want +got):\n%s", d)
	}
}

func TestLoad_expansion(t *testing.T) {
	c := load(t, `
cluster: ${STAGE}-cluster
build:
  before: ["echo ${NOT_OURS} $$"]
  allowEmulation: ${EMULATE}
release: {timeout: "${MINUTES}m"}
task:
  environment: {PRICE: "$$5 and $5", TOKEN_SHAPE: "$${x}", EMPTY: "${EMPTY}"}
`, Options{Environ: []string{"STAGE=prod", "EMULATE=true", "MINUTES=3", "EMPTY="}})
	if c.Cluster != "prod-cluster" || !c.Build.AllowEmulation || c.Release.Timeout != 3*time.Minute {
		t.Errorf("Cluster, AllowEmulation, Timeout = %q, %v, %v", c.Cluster, c.Build.AllowEmulation, c.Release.Timeout)
	}
	if c.Build.Before[0] != "echo ${NOT_OURS} $$" {
		t.Errorf("Before = %q, want it left to the shell", c.Build.Before)
	}
	want := map[string]string{"PRICE": "$5 and $5", "TOKEN_SHAPE": "${x}", "EMPTY": ""}
	if d := cmp.Diff(want, c.Task.Environment); d != "" {
		t.Errorf("Environment (-want +got):\n%s", d)
	}
	t.Run("a variable of an environment that was not chosen is not asked for", func(t *testing.T) {
		load(t, "environments: {prod: {cluster: \"${UNSET}\", release: {timeout: \"${UNSET}\"}}}\n", Options{})
	})
}

func TestLoad_pathsOfFlags(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, FileName), "build: {dockerfile: ops/Dockerfile}\n")
	work := filepath.Join(root, "sub")
	put(t, filepath.Join(work, "x"), "")
	c := load(t, "", Options{Dir: work, Flags: map[string]string{"build.context": "ctx"}})
	if got, want := c.Build.Context, filepath.Join(work, "ctx"); got != want {
		t.Errorf("Context = %q, want %q", got, want)
	}
	if got, want := c.Build.Dockerfile, filepath.Join(root, "ops/Dockerfile"); got != want {
		t.Errorf("Dockerfile = %q, want %q", got, want)
	}
}

func TestConfig_SecretValues(t *testing.T) {
	c := load(t, `
cluster: weelocluster
build: {args: {NPM_TOKEN: npm-t, NODE_ENV: development, MIRROR: "https://u:pw@mirror"}}
image: {repository: "${MY_SECRET_REPO}"}
notify: [{url: "https://hooks.example/services/t0ken"}]
task: {environment: {NODE_ENV: production, PORT: 3000, ON: true, REGION: ap-south-1, CLUSTER: weelocluster, REDIS_URL: "redis://x", DB_PASSWORD: production, API: "k-9/4"}}
`, Options{Environ: []string{"MY_SECRET_REPO=hidden"}})
	want := []string{"/services/t0ken", "hidden", "https://hooks.example/services/t0ken", "k-9/4", "npm-t", "production", "pw", "redis://x"}
	if d := cmp.Diff(want, c.SecretValues()); d != "" {
		t.Errorf("SecretValues (-want +got):\n%s", d)
	}
}
