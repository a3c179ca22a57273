package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func (d *desk) folder() {
	d.write("Dockerfile", "FROM node\nCOPY dist /app\n")
	d.write("package.json", `{"scripts":{"build":"tsc"}}`)
	d.write("package-lock.json", "{}")
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestInit_writesWhatTheAccountAndTheFolderTell(t *testing.T) {
	d := sit(t, deskSeed)
	d.folder()
	out, stderr, code := d.run("init", "--github", "--codebuild")
	if code != 0 || out != "weelo-deploy.yaml\n.github/workflows/deploy.yml\nbuildspec.yml\n" {
		t.Fatalf("init ends with %d and prints %q\n%s", code, out, stderr)
	}
	wants(t, "stderr", stderr, "backend in cluster weelocluster, account 318774499084, ap-south-1", "Go on with:\n", "weelo-deploy doctor", "docs/github-actions.md")
	if strings.Contains(stderr, "git add") {
		t.Errorf("it says to commit where no git is:\n%s", stderr)
	}
	wants(t, "weelo-deploy.yaml", read(t, "weelo-deploy.yaml"), "cluster: weelocluster\n", "service: backend\n", `account: "318774499084"`, "repository: weelo-backend\n", "- npm run build\n", "in no git work tree")
	wants(t, "the workflow", read(t, ".github/workflows/deploy.yml"), "role/weelo-deploy", "- run: npm ci\n")
	wants(t, "the buildspec", read(t, "buildspec.yml"), "- npm ci\n")
	if _, stderr, code = d.run("config", "show"); code != 0 {
		t.Errorf("what was written does not load: %s", stderr)
	}
}

func TestInit_neverReplacesAFileUnasked(t *testing.T) {
	d := sit(t, deskSeed)
	d.folder()
	d.write("weelo-deploy.yaml", "mine\n")
	_, stderr, code := d.run("init")
	if code != 2 || read(t, "weelo-deploy.yaml") != "mine\n" {
		t.Errorf("init over a file ends with %d", code)
	}
	wants(t, "stderr", stderr, "weelo-deploy.yaml is there already; nothing was written", "--yes")
	d.app.stdinTerminal, d.app.stderrTerminal = true, true
	for answer, want := range map[string]int{"\n": 2, "n\n": 2, "": 2} {
		d.app.stdin = strings.NewReader(answer)
		if _, _, code := d.run("init"); code != want || read(t, "weelo-deploy.yaml") != "mine\n" {
			t.Errorf("the answer %q ends with %d", answer, code)
		}
	}
	d.app.stdin = strings.NewReader("y\n")
	if _, stderr, code := d.run("init"); code != 0 || read(t, "weelo-deploy.yaml") == "mine\n" {
		t.Errorf("yes ends with %d: %s", code, stderr)
	}
	d.write("weelo-deploy.yaml", "mine\n")
	d.app.stdin, d.app.stdinTerminal = nil, false
	if _, _, code := d.run("init", "--yes"); code != 0 || read(t, "weelo-deploy.yaml") == "mine\n" {
		t.Errorf("--yes ends with %d", code)
	}
}

// twoSeed has a second cluster, and a second service whose image is in no
// repository of the account.
const twoSeed = `
clusters: [{name: other}, {name: weelocluster}]
repositories: [{name: aa, images: [{name: v1, tags: [v1], builtin: {program: idle}}]}, {name: bb}]
taskDefinitions:
  - {family: two, revision: 1, definition: {networkMode: bridge, runtimePlatform: {cpuArchitecture: ARM64, operatingSystemFamily: LINUX}, containerDefinitions: [{name: app, image: "docker.io/library/x:1", memory: 64, essential: true}, {name: side, image: "x", memory: 64, essential: true}]}}
services:
  - {cluster: weelocluster, name: api, family: two, desiredCount: 0, deployments: [{revision: 1, outcome: SUCCESSFUL, createdAt: -72h}]}
  - {cluster: weelocluster, name: web, family: two, desiredCount: 0, deployments: [{revision: 1, outcome: SUCCESSFUL, createdAt: -72h}]}
`

func TestInit_asksOnATerminal(t *testing.T) {
	d := sit(t, twoSeed)
	d.folder()
	d.write("Dockerfile.production", "FROM node\nRUN npm run build\n")
	d.app.stdinTerminal, d.app.stderrTerminal = true, true
	d.app.stdin = strings.NewReader("\n3\nnone\nweelocluster\n2\nside\n\n")
	_, stderr, code := d.run("init")
	if code != 0 {
		t.Fatalf("init ends with %d: %s", code, stderr)
	}
	wants(t, "the questions", stderr, "Dockerfile:\n   1  Dockerfile.production\n   2  Dockerfile\n", "Cluster:\n   1  other\n   2  weelocluster\n", `There is no "3".`, `There is no "none".`, "Service:", "Container:", "Repository:")
	wants(t, "weelo-deploy.yaml", read(t, "weelo-deploy.yaml"), "cluster: weelocluster\n", "service: web\n", "repository: aa\n", "container: side ", "dockerfile: Dockerfile.production\n", "platform: linux/arm64 ")
}

func TestInit_namesTheFlagThatAnswers(t *testing.T) {
	d := sit(t, twoSeed)
	_, stderr, code := d.run("init")
	if code != 2 {
		t.Errorf("init without a Dockerfile ends with %d", code)
	}
	wants(t, "stderr", stderr, "there is no Dockerfile in this folder", "--dockerfile PATH")
	d.folder()
	args := []string{"init", "--json"}
	for _, step := range []struct{ asks, flag, value string }{
		{"which cluster is meant?", "--cluster", "weelocluster"}, {"which service is meant?", "--service", "api"},
		{"which container is meant?", "--container", "app"}, {"which repository is meant?", "--repository", "bb"},
	} {
		out, _, code := d.run(args...)
		if code != 2 {
			t.Errorf("%q ends with %d", args, code)
		}
		wants(t, "the answer", out, step.asks, step.flag+" is one of ", step.value)
		args = append(args, step.flag, step.value)
	}
	out, _, code := d.run(args...)
	if code != 0 || !strings.Contains(out, `{"cluster":"weelocluster","service":"api","repository":"bb","files":["weelo-deploy.yaml"]}`) {
		t.Errorf("%q ends with %d: %s", args, code, out)
	}
}

func TestInit_tellsWhatIsNotThere(t *testing.T) {
	d := sit(t, deskSeed)
	d.folder()
	for flag, want := range map[string]string{"--service": "there is no service x in cluster weelocluster", "--cluster": "there is no cluster x in this account and region", "--repository": "there is no ECR repository x"} {
		if out, stderr, code := d.run("init", flag, "x"); code != 4 || out != "" || !strings.Contains(stderr, want) {
			t.Errorf("init %s x ends with %d: %s", flag, code, stderr)
		}
	}
	if _, err := os.Stat("weelo-deploy.yaml"); err == nil {
		t.Error("a file was written")
	}
}

func TestInit_saysToCommitWhatItWrote(t *testing.T) {
	d := sit(t, deskSeed)
	d.folder()
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=ana", "-c", "user.email=ana@x.example", "commit", "-q", "-m", "code"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	_, stderr, code := d.run("init", "--github")
	if code != 0 {
		t.Fatalf("init ends with %d\n%s", code, stderr)
	}
	wants(t, "stderr", stderr, "  git add weelo-deploy.yaml .github/workflows/deploy.yml && git commit -m ")
}
