package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// runner stands for GitHub's runner: it gives steps their variables and files, and
// reads what they leave.
type runner struct {
	dir     string
	server  *sandbox.Server
	release *httptest.Server
	outputs map[string]string // of the step that ran last
	path    []string
	env     []string // of the tool, besides what every run has
}

// ended is how an action ended.
type ended struct {
	code int
	log  string
}

const actionSeed = `
clusters: [{name: weelocluster}]
repositories: [{name: weelo-backend, images: [{name: v1, tags: [v1], builtin: {program: idle}}, {name: good, tags: [good], builtin: {program: ignore-term}}]}]
taskDefinitions:
  - {family: backend, revision: 27, definition: {networkMode: bridge, containerDefinitions: [{name: app, image: "${REGISTRY}/weelo-backend:v1", memory: 64, essential: true}]}}
services:
  - {cluster: weelocluster, name: backend, family: backend, desiredCount: 1, deployments: [{revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}]}
`

const actionConfig = `region: ap-south-1
cluster: weelocluster
service: backend
image: {repository: weelo-backend}
release: {bake: 0s}
`

// newRunner is a runner beside a sandbox without containers and a server that
// holds one release of the tool.
func newRunner(t *testing.T) *runner {
	t.Helper()
	sd, err := seed.Parse("seed.yaml", []byte(actionSeed))
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{dir: t.TempDir()}
	r.server, err = sandbox.Start(t.Context(), sandbox.Config{Listen: "127.0.0.1:0", Account: "318774499084", Region: "ap-south-1", Speed: 50, Runtime: scripted.New(), Seed: sd})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.server.Close(); err != nil {
			t.Error(err)
		}
	})
	r.release = httptest.NewServer(releaseFiles(t, r.version(t), false))
	t.Cleanup(r.release.Close)
	if err := os.WriteFile(r.file("weelo-deploy.yaml"), []byte(actionConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *runner) file(name string) string { return filepath.Join(r.dir, name) }

// version is the one that the action installs when nobody names another.
func (r *runner) version(t *testing.T) string { return readAction(t).Inputs["version"].Default }

// releaseFiles serves what a release holds for this machine. The program in the
// archive hands over to the one that is tested.
func releaseFiles(t *testing.T, version string, broken bool) http.Handler {
	t.Helper()
	program, err := exec.LookPath("weelo-deploy") // testscript.Main has put it there
	if err != nil {
		t.Fatal(err)
	}
	archive := tarGz(t, "weelo-deploy", "#!/bin/sh\nexec '"+program+"' \"$@\"\n")
	sum := sha256.Sum256(archive)
	if broken {
		archive = tarGz(t, "weelo-deploy", "#!/bin/sh\nexit 0\n")
	}
	name := fmt.Sprintf("weelo-deploy_%s_%s_%s.tar.gz", version, runtime.GOOS, runtime.GOARCH)
	mux := http.NewServeMux()
	mux.HandleFunc("/v"+version+"/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) })
	mux.HandleFunc("/v"+version+"/checksums.txt", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s  other.tar.gz\n%s  %s\n", strings.Repeat("1", 64), hex.EncodeToString(sum[:]), name)
	})
	return mux
}

func tarGz(t *testing.T, name, text string) []byte {
	t.Helper()
	var b strings.Builder
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

// use runs the action's steps as a runner does, until one fails. during is called
// while the last step runs, with its entry process.
func (r *runner) use(t *testing.T, with map[string]string, during ...func(*exec.Cmd)) ended {
	t.Helper()
	f := readAction(t)
	inputs := map[string]string{}
	for name, in := range f.Inputs {
		inputs["inputs."+name] = in.Default
	}
	inputs["inputs.download-url"] = r.release.URL
	if r.server != nil {
		inputs["inputs.args"] = "--no-trial\n--image " + r.server.Registry() + "/weelo-backend:good"
	}
	for name, v := range with {
		if _, ok := f.Inputs[name]; !ok {
			t.Fatalf("action.yml has no input %s", name)
		}
		inputs["inputs."+name] = v
	}
	var all ended
	for i, s := range f.Runs.Steps {
		var then []func(*exec.Cmd)
		if i == len(f.Runs.Steps)-1 {
			then = during
		}
		one := r.step(t, s, inputs, then)
		all = ended{one.code, all.log + one.log}
		for name, v := range r.outputs {
			inputs["steps."+s.ID+".outputs."+name] = v
		}
		if all.code != 0 {
			break
		}
	}
	for name, out := range f.Outputs {
		r.outputs[name] = expand(t, out.Value, inputs)
	}
	return all
}

// step runs one step in a process of its own.
func (r *runner) step(t *testing.T, s actionStep, known map[string]string, during []func(*exec.Cmd)) ended {
	t.Helper()
	if s.Shell != "bash" {
		t.Fatalf("step %s wants the shell %q", s.ID, s.Shell)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"output", "path", "script", "summary"} {
		if err := os.WriteFile(r.file(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.MkdirAll(r.file("temp"), 0o700), os.WriteFile(r.file("script"), []byte(s.Run), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", r.file("script"))
	cmd.Dir = filepath.Join(r.dir, expand(t, s.WorkingDirectory, known))
	cmd.Env = []string{
		"PATH=" + strings.Join(append(r.path, os.Getenv("PATH")), string(os.PathListSeparator)), "HOME=" + r.dir, "AWS_EC2_METADATA_DISABLED=true",
		"CI=true", "GITHUB_ACTIONS=true", "GITHUB_ACTOR=ana", "RUNNER_OS=Linux", "RUNNER_TEMP=" + r.file("temp"), "GITHUB_ACTION_PATH=" + root,
		"GITHUB_OUTPUT=" + r.file("output"), "GITHUB_PATH=" + r.file("path"), "GITHUB_STEP_SUMMARY=" + r.file("summary"),
	}
	if r.server != nil {
		cmd.Env = append(cmd.Env, r.server.Env()...)
	}
	for name, v := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+expand(t, v, known))
	}
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range during {
		f(cmd)
	}
	_ = cmd.Wait() // the exit code says it
	r.outputs = r.pairs(t, "output")
	if b, err := os.ReadFile(r.file("path")); err == nil && len(b) > 0 {
		r.path = append(r.path, strings.Fields(string(b))...)
	}
	return ended{cmd.ProcessState.ExitCode(), log.String()}
}

// pairs reads a file of name=value and name<<MARK … MARK, as a runner does.
func (r *runner) pairs(t *testing.T, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(r.file(name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	lines := strings.Split(string(b), "\n")
	for i := 0; i < len(lines); i++ {
		if key, mark, ok := strings.Cut(lines[i], "<<"); ok && !strings.Contains(key, "=") {
			var value []string
			for i++; i < len(lines) && lines[i] != mark; i++ {
				value = append(value, lines[i])
			}
			all[key] = strings.Join(value, "\n")
		} else if key, value, ok := strings.Cut(lines[i], "="); ok {
			all[key] = value
		} else if lines[i] != "" {
			t.Errorf("a runner refuses the line %q of GITHUB_OUTPUT", lines[i])
		}
	}
	return all
}

var expression = regexp.MustCompile(`\$\{\{ *([a-z.-]+) *\}\}`)

// expand puts the values of expressions into text; what is not set is empty, as on
// a runner.
func expand(t *testing.T, text string, known map[string]string) string {
	t.Helper()
	out := expression.ReplaceAllStringFunc(text, func(e string) string {
		name := expression.FindStringSubmatch(e)[1]
		if _, ok := known[name]; !ok && strings.HasPrefix(name, "inputs.") {
			t.Errorf("action.yml names %s, which is no input", name)
		}
		return known[name]
	})
	if strings.Contains(expression.ReplaceAllString(text, ""), "${{") {
		t.Errorf("an expression of %q is not understood", text)
	}
	return out
}

func (r *runner) outcome(t *testing.T, got ended, code int) {
	t.Helper()
	if got.code != code {
		t.Fatalf("the action ended with %d, want %d:\n%s", got.code, code, got.log)
	}
}

func (r *runner) holds(t *testing.T, want map[string]string) {
	t.Helper()
	for name, v := range want {
		if r.outputs[name] != v {
			t.Errorf("output %s is %q, want %q", name, r.outputs[name], v)
		}
	}
}

func (r *runner) calls(t *testing.T) map[string]int {
	t.Helper()
	res, err := http.Get(r.server.URL() + "/_sandbox/calls")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Totals map[string]int }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Totals
}

func (r *runner) awaitCall(t *testing.T, operation string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for r.calls(t)[operation] == 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("%s was not called within a minute", operation)
		case <-every.C:
		}
	}
}
