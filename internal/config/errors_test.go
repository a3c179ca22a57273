package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		put(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

const everythingWrong = `regoin: ap-south-1
cluster: weelocluster
service: [a]
account: 31877449908
image:
  repository: weelo-backend:latest
  tags: ["{{.GitSha}}", "x{{range 3}}a{{end}}", "{{.Env"]
build:
  platform: linux/amd46
  before: "npm run build"
  secrets: [{id: npmrc, fil: ~/.npmrc}]
  allowEmulation: yes
  on: ssh://ana:hunter2@host
  args: {BAD-NAME: x}
task:
  enviroment: {DATABASE_URL: "postgres://u:hunter2@h"}
  environment: {FOO: [hunter2], BAR: hunter2, BAZ: "hunter2${NOPE}"}
  secrets: {BAR: "arn:x"}
release:
  timeout: 10
  timeout: 10m
  tolerate: 110%
  rollback: onfailure
  bake: ${BAKE}
  container: web
notify:
  - url: ftp://hooks/hunter2
    on: [release]
environments:
  staging: {cluster: 5, servce: backend, release: {bake: 1 minute}}
  "no good": {}
`

func TestLoad_reportsEverythingAtOnce(t *testing.T) {
	got := refuse(t, everythingWrong, Options{
		Env:     "stagin",
		Environ: []string{"HOME=/h", "BAKE=abc", "WEELO_DEPLOY_BUILD_ALLOW_EMULATION=true", "WEELO_DEPLOY_CLUSTR=x", "WEELO_DEPLOY_IMAGE_TAGS=x", "WEELO_DEPLOY_RELEASE_TIMEOUT=x"},
		Flags:   map[string]string{"release.tolerate": "x"},
	})
	golden(t, "everything-wrong.golden", got)
	if strings.Contains(got, "hunter2") {
		t.Errorf("the report shows a secret:\n%s", got)
	}
}

func TestLoad_errors(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    Options
		want string
	}{
		"not a mapping": {text: "- a\n", want: "CONFIG weelo-deploy.yaml:1:1: want a mapping of keys to values, have a list\n"},
		"two documents": {text: "cluster: a\n---\ncluster: b\n", want: "CONFIG weelo-deploy.yaml:2:1: not YAML: more than one YAML document\n"},
		"a tab":         {text: "build:\n\tcontext: .\n", want: "spaces, not tabs"},
		"unended quote": {text: "cluster: \"a\n", want: "CONFIG weelo-deploy.yaml:1:10: not YAML: a quoted scalar never ends\n  1 | cluster: \"a\n    |          ^^\n"},
		"unended list":  {text: "image: {tags: [a}\n", want: "CONFIG weelo-deploy.yaml:1:17: not YAML"},
		"not UTF-8":     {text: "cluster: a\nservice: \xff\n", want: "CONFIG weelo-deploy.yaml:2:1: not UTF-8 text\n"},
		"control bytes": {text: "cluster: \x1b[31m\n", want: "CONFIG weelo-deploy.yaml:1:10: control characters are not allowed\n"},
		"unknown alias": {text: "cluster: *x\n", want: "unknown anchor 'x' referenced"},
		"alias of itself": {
			text: "build: {args: &a {X: *a}}\n", want: "CONFIG weelo-deploy.yaml:1:22: alias *a contains itself\n",
		},
		"many laughs": {
			text: "environments:\n  a: &a {x: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}\n  b: &b {x: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]}\n  c: &c {x: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]}\n  d: {x: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]}\n",
			want: "more than 20000 values",
		},
		"merge key":        {text: "build: {args: {<<: {A: x}}}\n", want: "merge keys (<<) are not supported"},
		"list as a key":    {text: "build: {args: {[a]: x}}\n", want: "a key must be plain text"},
		"foreign tag":      {text: "cluster: !vault x\n", want: "the YAML tag !vault is not supported"},
		"empty scalar":     {text: "cluster:\n", want: "CONFIG weelo-deploy.yaml:1:9: cluster has no value\n"},
		"empty text":       {text: "cluster: ''\n", want: `cluster: want the name or ARN of an ECS cluster, have ""`},
		"wrong case":       {text: "Cluster: a\n", want: `did you mean "cluster"?`},
		"misplaced key":    {text: "dockerfile: D\n", want: "did you mean build.dockerfile?"},
		"nothing near":     {text: "image: {xyzzy: 1}\n", want: "known here: repository, tags"},
		"text for boolean": {text: "build: {allowEmulation: \"true\"}\n", want: `build.allowEmulation wants true or false, have "true"`},
		"text for number":  {text: "verify: {trial: {seconds: ten}}\n", want: `verify.trial.seconds wants a whole number, have "ten"`},
		"number too large": {text: "verify: {trial: {seconds: 99999999999999999999}}\n", want: "verify.trial.seconds wants a whole number"},
		"negative time":    {text: "release: {bake: -1s}\n", want: "release.bake: want a duration of at least 0s"},
		"no time at all":   {text: "release: {timeout: 0s}\n", want: "release.timeout: want a duration of at least 1s"},
		"no tags":          {text: "image: {tags: []}\n", want: "image.tags: wants at least one entry"},
		"scheme before a repository": {
			text: "image: {repository: \"https://1.dkr.ecr.x.amazonaws.com/a\"}\n", want: `did you mean "1.dkr.ecr.x.amazonaws.com/a"?`,
		},
		"remote context":       {text: "build: {context: \"https://git/x\"}\n", want: "want a path on this machine"},
		"context by URL":       {text: "build: {contexts: {a: \"https://git/x\"}}\n", want: "want a path or docker-image://REFERENCE"},
		"context of no image":  {text: "build: {contexts: {a: \"docker-image://\"}}\n", want: "an image's reference after docker-image://"},
		"cache elsewhere":      {text: "build: {cacheTo: [\"type=gha\"]}\n", want: "want one of inline"},
		"unknown scheme":       {text: "build: {on: \"http://x\"}\n", want: "scheme ssh, tcp, unix or npipe"},
		"no codebuild name":    {text: "build: {on: \"codebuild:\"}\n", want: "a CodeBuild project's name"},
		"ssh without host":     {text: "build: {on: \"ssh:///x\"}\n", want: "names no host"},
		"incomplete secret":    {text: "build: {secrets: [{file: x}]}\n", want: `build.secrets[0] needs the key "id"`},
		"secret twice":         {text: "build: {secrets: [{id: a, env: A}, {id: a, env: B}]}\n", want: "build.secrets[1] has the same id as build.secrets[0]"},
		"allowed without path": {text: "verify: {allow: [{reason: x}]}\n", want: `verify.allow[0] needs the key "path"`},
		"allowed is nothing":   {text: "verify: {allow: [~]}\n", want: "verify.allow[0] has no value"},
		"allowed by no glob":   {text: "verify: {allow: [\"/app/[\"]}\n", want: `verify.allow[0]: want a glob such as /app/**/*.node, have "/app/["`},
		"allowed by a number":  {text: "verify: {allow: [5]}\n", want: "verify.allow[0] wants text, have a number"},
		"allowed for nothing":  {text: "verify: {allow: [{path: x, reason: \" \"}]}\n", want: "verify.allow[0].reason: must not be empty"},
		"check without url":    {text: "checks: {http: [{name: a}]}\n", want: `checks.http[0] needs the key "url"`},
		"bad status":           {text: "checks: {http: [{name: a, url: \"http://x\", expect: {status: 20}}]}\n", want: "a number from 100 to 599"},
		"webhook in clear":     {text: "notify: [{url: \"http://hooks.example/x\"}]\n", want: "want https: a webhook's URL is a secret, and http would show it"},
		"webhook for nothing":  {text: "notify: [{url: \"https://hooks.example/x\", on: []}]\n", want: "notify[0].on: wants at least one entry"},
		"webhook's format":     {text: "notify: [{url: \"http://127.0.0.1:1/x\", format: teams}]\n", want: "notify[0].format: want one of json, slack"},
		"before without one":   {text: "release: {before: [{timeout: 1m}]}\n", want: `release.before[0] needs the key "command"`},
		"unset variable":       {text: "region: x\nimage: {repository: \"é/${A_B}\"}\n", want: "CONFIG weelo-deploy.yaml:2:24: the variable A_B is not set\n"},
		"shell default":        {text: "cluster: ${A:-b}\n", want: "only ${NAME} is understood"},
		"unclosed variable":    {text: "cluster: ${A\n", want: `"${" without "}"`},
		"bad after expansion":  {text: "account: ${ACC}\n", o: Options{Environ: []string{"ACC=12"}}, want: `account: want an AWS account number of 12 digits, have "12"`},
		"nested environments":  {text: "environments: {a: {environments: {b: {}}}}\n", want: "an environment cannot hold environments"},
		"environments a list":  {text: "environments: [a]\n", want: "environments wants a mapping of names to settings, have a list"},
		"no environments":      {text: "cluster: a\n", o: Options{Env: "prod"}, want: "USAGE --env: no environment \"prod\"\n  hint: environments in weelo-deploy.yaml: none\n"},
		"bad tag":              {text: "image: {tags: [\"a b\"]}\n", want: `"a b" is no valid tag`},
		"tag without field":    {text: "image: {tags: [\"{{printf .GitSHA}}\"]}\n", want: "are understood, have"},
		"home unknown":         {text: "build: {context: ~/x}\n", o: Options{Environ: []string{"A=b"}}, want: "HOME is not set"},
		"flag nobody knows":    {text: "", o: Options{Flags: map[string]string{"image.tags": "x"}}, want: "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refuse(t, c.text, c.o); !strings.Contains(got, c.want) {
				t.Errorf("report = %s\nwant it to hold %q", got, c.want)
			}
		})
	}
}

func TestLoad_environmentWithoutFile(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, ".git", "HEAD"), "")
	got := refuse(t, "", Options{Dir: dir, Environ: []string{"WEELO_DEPLOY_ENV=prod"}})
	if want := "CONFIG WEELO_DEPLOY_ENV: there is no weelo-deploy.yaml that could hold an environment \"prod\"\n"; got != want {
		t.Errorf("report = %q, want %q", got, want)
	}
}

func TestLoad_anchors(t *testing.T) {
	c := load(t, "build: {args: &a {A: x}, labels: *a}\n", Options{})
	if d := cmp.Diff(c.Build.Args, c.Build.Labels); d != "" {
		t.Errorf("labels differ from the anchor (-args +labels):\n%s", d)
	}
}

// Whatever is wrong around a secret, the report does not show it.
func TestLoad_secretsStayOutOfExcerpts(t *testing.T) {
	for name, text := range map[string]string{
		"multi-line text":         "task:\n  environment:\n    A: \"one\n      hunter2\"\n    B: [x]\n",
		"text that ends there":    "task: {environment: {A: \"one\n  hunter2\", B: [x]}}\n",
		"block text":              "task:\n  environment:\n    A: |\n      ${NOPE}\n      hunter2\n",
		"escapes":                 "task: {environment: {A: \"hunter2\\n\", B: [x]}}\n",
		"an anchor":               "build: {args: {X: &a hunter2, Y: [z]}}\ntask: {environment: {A: *a}}\n",
		"unended quote":           "task:\n  environment:\n    A: \"hunter2\n",
		"unended quote in a flow": "task: {environment: {A: \"hunter2\n",
		"unended nested":          "task:\n  environment:\n    A: hunter2\n    B: {hunter2\n",
		"top-level misspelt":      "enviroment: {A: hunter2}\n",
		"secret name misspelt":    "tokn: 1\npassword: hunter2\n",
		"URL in a bad place":      "cluster: https://u:hunter2@x\n",
		"unended in an env":       "environments:\n  a:\n    task:\n      environment:\n        X: 'hunter2\n",
		"continued":               "notify:\n- url: \"https://x/\n   hunter2\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got := refuse(t, text, Options{}); strings.Contains(got, "hunter2") {
				t.Errorf("the report shows the secret:\n%s", got)
			}
		})
	}
}

func TestLoad_longLinesAreCut(t *testing.T) {
	got := refuse(t, "build: {args: {A: "+strings.Repeat("x", 300)+", B: [y], C: "+strings.Repeat("z", 300)+"}}\n", Options{})
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 3 {
		t.Fatalf("report = %q, want three lines", got)
	}
	source, caret := []rune(lines[1]), strings.IndexByte(lines[2], '^')
	if n := len(source); n > excerptWidth+10 {
		t.Errorf("the line has %d characters, want about %d", n, excerptWidth)
	}
	if source[caret] != '[' {
		t.Errorf("the caret points at %q, want the list:\n%s", source[caret], got)
	}
}

func TestLoad_manyProblemsAreBounded(t *testing.T) {
	_, err := Load(Options{Dir: write(t, strings.Repeat("x: 1\n", 200))})
	fs := event.FailuresOf(err)
	if len(fs) != maxProblems+1 || !strings.Contains(fs[maxProblems].Message, "more problems") {
		t.Errorf("%d failures, want %d and a count of the rest", len(fs), maxProblems)
	}
}
