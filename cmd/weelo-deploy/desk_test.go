package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// desk runs commands in this process: a folder of its own, a sandbox with scripted
// tasks, and no engine.
type desk struct {
	t      *testing.T
	server *sandbox.Server
	app    app
}

// deskSeed is a service that was released once, from an image on record.
const deskSeed = `
clusters: [{name: weelocluster}]
repositories: [{name: weelo-backend, images: [{name: v1, tags: [v1], builtin: {program: idle}}]}]
logGroups: [{name: /ecs/backend}]
taskDefinitions:
  - {family: backend, revision: 27, definition: {networkMode: bridge, executionRoleArn: "arn:aws:iam::318774499084:role/exec", containerDefinitions: [{name: app, image: "${REGISTRY}/weelo-backend:v1", memory: 64, essential: true,
      logConfiguration: {logDriver: awslogs, options: {awslogs-group: /ecs/backend, awslogs-region: ap-south-1, awslogs-stream-prefix: ecs}}}]}}
services:
  - {cluster: weelocluster, name: backend, family: backend, desiredCount: 1, deployments: [{revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}]}
`

// sit makes a desk. yaml is the sandbox's seed.
func sit(t *testing.T, yaml string) *desk {
	t.Helper()
	sd, err := seed.Parse("seed.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.Start(t.Context(), sandbox.Config{Listen: "127.0.0.1:0", Account: "318774499084", Region: "ap-south-1", Speed: 1000, Runtime: scripted.New(), Seed: sd})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	t.Chdir(dir)
	for _, v := range append(s.Env(), "HOME="+dir, "AWS_CONFIG_FILE="+filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(dir, "none"),
		"DOCKER_HOST=unix://"+filepath.Join(dir, "none.sock"), "AWS_PROFILE=", "GITHUB_ACTIONS=", "CI=") {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "WEELO_DEPLOY_") {
			t.Setenv(name, "")
		}
	}
	return &desk{t: t, server: s}
}

// run runs a command line. What is on the terminal and typed is the app's.
func (d *desk) run(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	var out, err bytes.Buffer
	a := d.app
	a.stdout, a.stderr, a.getenv, a.environ, a.now = &out, &err, os.Getenv, os.Environ, time.Now
	if a.stdin == nil {
		a.stdin = strings.NewReader("")
	}
	code = a.run(d.t.Context(), args)
	return out.String(), err.String(), code
}

func (d *desk) write(name, text string) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// wants fails unless text has every one of the parts.
func wants(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, text)
		}
	}
}

const deskConfig = "region: ap-south-1\ncluster: weelocluster\nservice: backend\nimage: {repository: weelo-backend, tags: [v2]}\n"

func TestDoctor_tellsEveryCheckAndEndsWith4(t *testing.T) {
	d := sit(t, deskSeed)
	d.write("weelo-deploy.yaml", deskConfig)
	d.write("Dockerfile", "FROM scratch\nCOPY a /a\n")
	d.write("a", "")
	out, stderr, code := d.run("doctor")
	if code != 4 || stderr != "" {
		t.Errorf("doctor ends with %d and says %q on stderr", code, stderr)
	}
	wants(t, "doctor", out, "ok    identity          account 318774499084 as sandbox\n", "ok    rollback target", "fail  engine", "warn  health checks",
		"\n1 check failed: a release would be refused or would fail; 1 warning\n")
	out, _, code = d.run("doctor", "--json")
	if code != 4 {
		t.Errorf("doctor --json ends with %d", code)
	}
	wants(t, "doctor --json", out, `"status":"fail"`, `{"name":"engine","status":"fail"`, `"code":"NO_ENGINE"`)
}

func TestDoctor_wantsToKnowTheService(t *testing.T) {
	d := sit(t, deskSeed)
	_, stderr, code := d.run("doctor")
	if code != 2 {
		t.Errorf("doctor without a service ends with %d", code)
	}
	wants(t, "stderr", stderr, "neither cluster nor service is named")
}

func TestIAMPolicy_isForThisConfiguration(t *testing.T) {
	d := sit(t, deskSeed)
	d.write("weelo-deploy.yaml", deskConfig)
	out, stderr, code := d.run("iam-policy")
	if code != 0 || stderr != "" {
		t.Errorf("iam-policy ends with %d and says %q on stderr", code, stderr)
	}
	wants(t, "policy", out, `"arn:aws:iam::318774499084:role/exec"`, `"arn:aws:ecs:ap-south-1:318774499084:task-definition/backend:*"`, `log-group:/ecs/backend:`)
	if strings.Contains(out, "SimulatePrincipalPolicy") {
		t.Error("the policy allows what only doctor needs")
	}
	out, _, _ = d.run("iam-policy", "--doctor")
	wants(t, "policy", out, "iam:SimulatePrincipalPolicy")

	d.write("weelo-deploy.yaml", "region: ap-south-1\ncluster: weelocluster\nservice: bakend\nimage: {repository: weelo-backend}\n")
	out, stderr, code = d.run("iam-policy")
	if code != 0 {
		t.Errorf("iam-policy of an unknown service ends with %d", code)
	}
	wants(t, "stderr", stderr, "note: the task definition, its roles and log groups are not known; the policy has * instead (there is no service bakend")
	wants(t, "policy", out, `"arn:aws:ecs:ap-south-1:318774499084:task-definition/*:*"`, `"arn:aws:iam::318774499084:role/*"`)
}

func TestConfigShow_masksAndNamesOrigins(t *testing.T) {
	d := sit(t, deskSeed)
	d.write("weelo-deploy.yaml", deskConfig+"task: {environment: {KEY: hunter2-hunter2}}\n")
	out, stderr, code := d.run("config", "show", "--origin", "--service", "api")
	if code != 0 || stderr != "" || strings.Contains(out, "hunter2") {
		t.Errorf("config show ends with %d, stderr %q, stdout\n%s", code, stderr, out)
	}
	wants(t, "config show", out, "service: api", "# --service\n", "# weelo-deploy.yaml:2:10\n", "# default\n")
	out, _, _ = d.run("config", "show", "--json")
	wants(t, "config show --json", out, `{"key":"cluster","value":"weelocluster","source":"file","name":"weelo-deploy.yaml","line":2,"column":10}`)
	d.write("weelo-deploy.yaml", "clustre: a\n")
	if _, stderr, code = d.run("config", "show"); code != 2 {
		t.Errorf("config show of a broken file ends with %d", code)
	}
	wants(t, "stderr", stderr, "weelo-deploy.yaml:1:1", "did you mean", "cluster")
}

func TestHistory_outsideATerminalTellsTheWayBackOnStderr(t *testing.T) {
	d := sit(t, deskSeed)
	d.write("weelo-deploy.yaml", deskConfig)
	out, stderr, code := d.run("history")
	if code != 0 || strings.Contains(out, "rollback") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("history ends with %d, stdout\n%s\nstderr\n%s", code, out, stderr)
	}
	wants(t, "stderr", stderr, "weelo-deploy rollback has nothing to go back to\n")
}
