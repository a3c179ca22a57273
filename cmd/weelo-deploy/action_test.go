package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// actionFile is what a runner reads of action.yml.
type actionFile struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []actionStep
	}
}

type actionStep struct {
	ID, Shell, Run, Uses string
	Env                  map[string]string
	WorkingDirectory     string `yaml:"working-directory"`
}

func readAction(t *testing.T) actionFile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var f actionFile
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	if f.Runs.Using != "composite" || len(f.Runs.Steps) == 0 {
		t.Fatalf("action.yml uses %q with %d steps, want a composite action", f.Runs.Using, len(f.Runs.Steps))
	}
	return f
}

func TestActionNeverPutsAnInputIntoAScript(t *testing.T) {
	f := readAction(t)
	for _, s := range f.Runs.Steps {
		if strings.Contains(s.Run, "${{") {
			t.Errorf("the script of step %s holds an expression:\n%s", s.ID, s.Run)
		}
		if s.Uses != "" {
			t.Errorf("step %s uses %s: the action brings all that it runs", s.ID, s.Uses)
		}
	}
	last := f.Runs.Steps[len(f.Runs.Steps)-1]
	lines := strings.Split(strings.TrimSpace(last.Run), "\n")
	if !strings.HasPrefix(lines[len(lines)-1], `exec "$INSTALLED" `) {
		t.Errorf("the last command is %q, want the tool in the place of the shell", lines[len(lines)-1])
	}
}

func TestActionReleases(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.outcome(t, r.use(t, map[string]string{"service": "backend"}), 0)
	r.holds(t, map[string]string{
		"outcome": "released", "revision": "28", "previous-revision": "27", "failure-code": "",
		"task-definition": "arn:aws:ecs:ap-south-1:318774499084:task-definition/backend:28",
	})
	if got := r.outputs["image"]; !strings.HasSuffix(got, "/weelo-backend@"+r.outputs["digest"]) || !strings.HasPrefix(r.outputs["digest"], "sha256:") {
		t.Errorf("image is %q and digest %q, want REPOSITORY@DIGEST", got, r.outputs["digest"])
	}
	if got := r.outputs["deployment"]; !strings.HasPrefix(got, "ecs-svc/") {
		t.Errorf("deployment is %q, want ecs-svc/N", got)
	}
	if b, err := os.ReadFile(r.file("summary")); err != nil || !strings.Contains(string(b), "backend:28") {
		t.Errorf("the step's summary is %q (%v), want it to name the revision", b, err)
	}
}

func TestActionFailsWithTheToolsExitCode(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.outcome(t, r.use(t, map[string]string{"service": "missing"}), 4)
	r.holds(t, map[string]string{"outcome": "refused", "failure-code": "NOT_FOUND", "revision": ""})
}

func TestActionGivesAHostileInputToTheToolAsText(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	canary := filepath.Join(r.dir, "canary")
	hostile := `"; touch ` + canary + `; $(touch ` + canary + `) ` + "`touch " + canary + "`"
	r.outcome(t, r.use(t, map[string]string{"service": hostile, "args": "$(touch " + canary + ") ; *"}), 2)
	if _, err := os.Stat(canary); err == nil {
		t.Error("an input was run as a script")
	}
}

// A runner sends its signal to the entry process of the step and to no other.
func TestActionInterruptReachesTheTool(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	r.outcome(t, r.use(t, map[string]string{}, func(entry *exec.Cmd) {
		r.awaitCall(t, "ecs.UpdateService")
		if err := entry.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}), 130)
	r.holds(t, map[string]string{"outcome": "interrupted"})
	// One call more than the deployment itself: ECS's own way back, or an update.
	calls := r.calls(t)
	if n := calls["ecs.StopServiceDeployment"] + calls["ecs.UpdateService"] - 1; n != 1 {
		t.Errorf("the calls are %v, want the rollback to be started once", calls)
	}
}

func TestActionInstallsNothingWithAWrongChecksum(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inputs map[string]string
		broken bool
		want   string
	}{
		"an archive that is not the one of checksums.txt": {broken: true, want: "it is not installed"},
		"a checksum of the workflow":                      {inputs: map[string]string{"checksum": strings.Repeat("0", 64)}, want: "it is not installed"},
		"a checksum that is none":                         {inputs: map[string]string{"checksum": "latest"}, want: "64 hexadecimal digits"},
		"a version that is not there":                     {inputs: map[string]string{"version": "9.9.9"}, want: "cannot be downloaded"},
		"a version that is none":                          {inputs: map[string]string{"version": "latest; rm -rf /"}, want: "wants a release"},
		"plain http to somewhere else":                    {inputs: map[string]string{"download-url": "http://mirror.example/"}, want: "wants https"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &runner{dir: t.TempDir()}
			r.release = httptest.NewServer(releaseFiles(t, r.version(t), c.broken))
			t.Cleanup(r.release.Close)
			got := r.use(t, c.inputs)
			if got.code == 0 || !strings.Contains(got.log, c.want) || r.outputs["path"] != "" {
				t.Errorf("exit %d, path %q, log:\n%s\nwant a refusal that says %q", got.code, r.outputs["path"], got.log, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(r.dir, "temp", "*", "weelo-deploy")); len(left) > 0 {
				t.Errorf("%v was unpacked", left)
			}
		})
	}
}
