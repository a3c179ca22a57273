package output

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/redact"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with testdata/NAME.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// screen is what a run wrote.
type screen struct{ stdout, stderr bytes.Buffer }

// both is the two streams with their names, for golden files.
func (s *screen) both() string {
	return "--- stderr\n" + s.stderr.String() + "--- stdout\n" + s.stdout.String()
}

// step is an event of a sample run.
type step struct {
	at    float64 // seconds after the beginning
	stage string
	event event.Event
}

// sgr are colours.
var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

var begin = time.Date(2026, 11, 22, 9, 14, 0, 0, time.UTC)

// draw runs steps through an Output of the mode.
func draw(t *testing.T, mode Mode, r *redact.Redactor, steps ...step) *screen {
	t.Helper()
	var s screen
	out, err := New(Options{
		Mode: string(mode), Stdout: &s.stdout, Stderr: &s.stderr, StderrTerminal: mode == TTY, Redactor: r,
		Token: func() string { return "TOKEN" },
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.live != nil { // a frame only where it stays
		out.live.every = time.Hour
		out.live.now = func() time.Time { return out.live.run.Now }
	}
	emitAll(out, steps)
	return &s
}

// emitAll hands steps to a sink, each at its time.
func emitAll(sink event.Sink, steps []step) {
	now := begin
	stream := event.NewStream(func() time.Time { return now }, sink)
	for _, st := range steps {
		now = begin.Add(time.Duration(st.at * float64(time.Second)))
		stream.In(st.stage)(st.event)
	}
}

func exitCode(n int) *int { return &n }

// names of the sample runs.
const (
	arn27 = "arn:aws:ecs:ap-south-1:318774499084:task-definition/weelobackendtask:27"
	arn38 = "arn:aws:ecs:ap-south-1:318774499084:task-definition/weelobackendtask:38"
	repo  = "318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend"
)

// stages are the ten of a release.
var stages = []string{"preflight", "build", "verify", "push", "register", "before-tasks", "deploy", "watch", "checks", "conclude"}

func began(at float64, name string) step {
	return step{at, name, stageEvent(name, event.Started)}
}

func ended(at float64, name string, status event.Status, seconds float64, text string) step {
	e := stageEvent(name, status)
	e.Seconds = seconds
	if status == event.Skipped {
		e.Reason = text
	} else {
		e.Detail = text
	}
	return step{at, name, e}
}

func stageEvent(name string, status event.Status) event.Stage {
	for i, s := range stages {
		if s == name {
			return event.Stage{Name: name, Index: i + 1, Total: len(stages), Status: status}
		}
	}
	return event.Stage{Name: name, Status: status}
}

// upToDeploy are the stages of a release before the service changes.
func upToDeploy() []step {
	steps := []step{began(0, "preflight")}
	for _, c := range [][2]string{
		{"identity", "account 318774499084 as ana"}, {"service", "ACTIVE, 1/1 running"}, {"progress", "nobody else deploys"},
		{"rollback target", "weelobackendtask:27: completed 3 days ago"}, {"repository", repo}, {"engine", "linux/amd64, native"}, {"source", "9f2c1ab, clean"},
	} {
		steps = append(steps, step{0.8, "preflight", event.Check{Name: c[0], Status: event.Done, Detail: c[1]}})
	}
	steps = append(steps, ended(1.2, "preflight", event.Done, 1.2, "weelobackendtask:27 is the base, weelobackendtask:27 the way back"), began(1.2, "build"))
	steps = append(steps, step{1.3, "build", event.Build{Step: "before: npm run build", Status: event.Started}},
		step{9, "build", event.Build{Step: "before: npm run build", Line: "dist/main.js 412 kB"}},
		step{9.4, "build", event.Build{Step: "before: npm run build", Status: event.Done, Seconds: 8.1}})
	for _, s := range []string{"[internal] load build definition", "[1/5] FROM node:22", "[2/5] WORKDIR /app", "[3/5] COPY package.json ."} {
		steps = append(steps, step{9.6, "build", event.Build{Step: s, Status: event.Cached}})
	}
	return append(steps,
		step{10, "build", event.Build{Step: "[4/5] RUN npm ci", Status: event.Started}},
		step{32, "build", event.Build{Step: "[4/5] RUN npm ci", Line: "added 812 packages"}},
		step{32.1, "build", event.Build{Step: "[4/5] RUN npm ci", Status: event.Done, Seconds: 22.1}},
		step{32.4, "build", event.Build{Step: "[5/5] COPY dist dist", Status: event.Done, Seconds: 0.2}},
		ended(33, "build", event.Done, 31.8, "linux/amd64, native"),
		began(33, "verify"),
		step{33.5, "verify", event.Check{Name: "platform", Status: event.Done, Detail: "linux/amd64 in config and manifest"}},
		ended(33.6, "verify", event.Done, 0.6, "linux/amd64"),
		began(33.6, "push"), ended(45, "push", event.Done, 11.4, repo+"@sha256:9f2c"),
		began(45, "register"),
		step{45.2, "register", event.Diff{From: "weelobackendtask:27", To: "next", Lines: []string{"~ image: weelo-backend:v1.0.8 → weelo-backend@sha256:9f2c", "+ environment LOG_LEVEL: (masked)"}}},
		ended(45.6, "register", event.Done, 0.6, "weelobackendtask:38"),
		ended(45.6, "before-tasks", event.Skipped, 0, "not configured"),
		began(45.6, "deploy"), ended(46, "deploy", event.Done, 0.4, "ecs-svc/0123456789012345678"),
		began(46, "watch"),
		step{46, "watch", deployment(arn38, true, "PRIMARY", "IN_PROGRESS", 0, 1, 0)},
		step{46, "watch", deployment(arn27, false, "ACTIVE", "COMPLETED", 1, 0, 0)},
		step{47, "watch", event.ServiceEvent{ID: "e1", At: begin, Message: "(service weelobackendtask) has started 1 tasks: (task 3d8d97aa)."}},
		step{47, "watch", taskStep("3d8d97aa3d8d97aa3d8d97aa", arn38, "PROVISIONING")},
		step{60, "watch", taskStep("3d8d97aa3d8d97aa3d8d97aa", arn38, "RUNNING")},
		step{61, "watch", deployment(arn38, true, "PRIMARY", "IN_PROGRESS", 1, 0, 0)},
	)
}

func taskStep(id, arn, status string) event.Task {
	return event.Task{ID: id, Revision: words.Name(arn), Status: status}
}

func deployment(arn string, ours bool, status, rollout string, running, pending, failed int) event.Deployment {
	id := "ecs-svc/0123456789012345678"
	if !ours {
		id = "ecs-svc/9999999999999999999"
	}
	return event.Deployment{ID: id, Ours: ours, Status: status, TaskDefinition: arn, RolloutState: rollout, Desired: 1, Running: running, Pending: pending, FailedTasks: failed}
}

// goodRun is a release that works.
func goodRun() []step {
	healthy := taskStep("3d8d97aa3d8d97aa3d8d97aa", arn38, "RUNNING")
	healthy.Health = "HEALTHY"
	return append(upToDeploy(),
		step{75, "watch", healthy},
		step{95, "watch", event.Heartbeat{Text: "waiting for the old task to stop", Seconds: 49}},
		step{99, "watch", event.Task{ID: "aa11aa11aa11aa11aa11", Revision: "weelobackendtask:27", Status: "STOPPED", StopCode: "ServiceSchedulerInitiated", Reason: "Scaling activity initiated by (deployment ecs-svc/0123456789012345678)"}},
		step{101, "watch", deployment(arn38, true, "PRIMARY", "COMPLETED", 1, 0, 0)},
		step{101, "watch", event.ServiceEvent{ID: "e2", At: begin, Message: "(service weelobackendtask) has reached a steady state."}},
		ended(131, "watch", event.Done, 85, "1/1 healthy, 30s of bake over"),
		ended(131, "checks", event.Skipped, 0, "not configured"),
		began(131, "conclude"), ended(131.4, "conclude", event.Done, 0.4, "weelobackendtask:38 is proven"),
		step{131.4, "", released()},
	)
}

func released() event.Result {
	return event.Result{
		Outcome: event.Released, Command: "release", Cluster: "weelocluster", Service: "weelobackendtask-service-joxh3c0r",
		Image: repo + "@sha256:9f2c", TaskDefinition: arn38, Deployment: "ecs-svc/0123456789012345678", Stable: arn27, Serving: arn38,
		ServingNow: "weelobackendtask:38 serves, 1/1 running", Stages: []event.StageOutcome{{Name: "build", Status: event.Done, Seconds: 31.8}},
		Timings: event.Timings{TotalSeconds: 131.4, APICalls: 61}, Next: []string{"weelo-deploy rollback 27"},
	}
}

// crash is the failure of the incident: the process dies by SIGSEGV.
func crash() *event.Failure {
	return &event.Failure{
		Code: event.Code("EXIT_139_SIGSEGV"), Stage: "watch", Message: "container weelo-backend exited with 139 (SIGSEGV)",
		Container: "weelo-backend", ExitCode: exitCode(139), Reason: "Essential container in task exited", Tasks: 2,
		Evidence: []string{"task 3d8d97aa stopped after 1 s: Essential container in task exited", "the image is linux/amd64, the base image changed"},
		Logs:     []string{"listening on 3000", "Segmentation fault (core dumped)"},
		Hints:    []string{"a native module may be built for another C library"},
		Next:     []string{"weelo-deploy history"},
	}
}

// crashRun is a release whose tasks die, and which is rolled back.
func crashRun() []step {
	dead := event.Task{
		ID: "3d8d97aa3d8d97aa3d8d97aa", Revision: "weelobackendtask:38", Deployment: "ecs-svc/0123456789012345678", Status: "STOPPED", Container: "weelo-backend",
		ExitCode: exitCode(139), StopCode: "EssentialContainerExited", Reason: "Essential container in task exited", Code: "EXIT_139_SIGSEGV", Fatal: true, Counted: true,
	}
	return append(upToDeploy(),
		step{62, "watch", dead},
		step{62, "watch", event.Log{Task: "3d8d97aa3d8d97aa3d8d97aa", Container: "weelo-backend", At: begin, Text: "::error::forged\n::set-output name=x::y ##[warning]z"}},
		step{62, "watch", event.ServiceEvent{ID: "e3", At: begin, Message: "(service weelobackendtask) is unable to consistently start tasks successfully."}},
		ended(62.2, "watch", event.Failed, 16.2, "container weelo-backend exited with 139 (SIGSEGV)"),
		ended(62.2, "checks", event.Skipped, 0, "the release failed"),
		began(62.2, "conclude"),
		step{62.5, "conclude", event.Note{Level: event.Info, Text: "rolling back to weelobackendtask:27 by StopServiceDeployment"}},
		step{70, "conclude", event.Note{Level: event.Warn, Text: "a tag could not be written"}},
		ended(80, "conclude", event.Done, 17.8, "back to weelobackendtask:27"),
		step{80, "", rolledBack()},
	)
}

func rolledBack() event.Result {
	return event.Result{
		Outcome: event.RolledBack, ExitCode: event.ExitRolledBack, Command: "release", Cluster: "weelocluster", Service: "weelobackendtask-service-joxh3c0r",
		TaskDefinition: arn38, Stable: arn27, Serving: arn27, ServingNow: "weelobackendtask:27 serves, 1/1 running", Failure: crash(),
		Stages: []event.StageOutcome{}, Timings: event.Timings{TotalSeconds: 80, DetectSeconds: 0.4},
	}
}

func TestOutput_runs(t *testing.T) {
	for name, steps := range map[string][]step{"good": goodRun(), "crash": crashRun()} {
		for _, mode := range []Mode{Plain, TTY, JSON, GitHub} {
			t.Run(name+" in "+string(mode), func(t *testing.T) {
				golden(t, "run-"+name+"-"+string(mode), draw(t, mode, nil, steps...).both())
			})
		}
	}
}

func TestOutput_goodRunIsShort(t *testing.T) {
	s := draw(t, Plain, nil, goodRun()...)
	if n := strings.Count(s.stderr.String(), "\n"); n > 40 {
		t.Errorf("a release that works takes %d lines, want at most 40:\n%s", n, s.stderr.String())
	}
	if got := s.stdout.String(); got != arn38+"\n" {
		t.Errorf("stdout = %q, want the ARN", got)
	}
}
