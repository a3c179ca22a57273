package release_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/output"
	"github.com/weelo/weelo-deploy/internal/output/outputtest"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

const (
	clusterName = "weelocluster"
	serviceName = "backend"
	accountID   = "318774499084"
)

// world is a sandbox with a scripted runtime, and the clients that reach it: the
// real SDK clients over real HTTP, and no container.
type world struct {
	t       *testing.T
	server  *sandbox.Server
	runtime *scripted.Runtime
	ecs     *ecs.Client
	config  aws.Config
	before  *types.DeploymentConfiguration // of the service, when the world began
	bury    func()                         // ends a release that was killed
	clients release.Clients
	mu      sync.Mutex
	events  []event.Record
	onEvent func(event.Record)
}

// fast polls often, so that a test waits for the sandbox and not for the poll.
var fast = health.Pace{
	Early: health.Rhythm{Stopped: 20 * time.Millisecond, Service: 40 * time.Millisecond, Deployment: 80 * time.Millisecond, Tasks: 60 * time.Millisecond, Spare: time.Millisecond},
	Later: health.Rhythm{Stopped: 20 * time.Millisecond, Service: 40 * time.Millisecond, Deployment: 80 * time.Millisecond, Tasks: 60 * time.Millisecond, Spare: time.Millisecond},
	Bake:  health.Rhythm{Stopped: 20 * time.Millisecond, Service: 40 * time.Millisecond, Deployment: 80 * time.Millisecond, Tasks: 60 * time.Millisecond, Spare: time.Millisecond},
}

// base is the seed of most tests: 27 serves, 36 and 37 failed; images good, other
// and arm are in the repository.
const base = `
clusters: [{name: weelocluster}]
repositories:
  - name: weelo-backend
    images:
      - {name: v1, tags: [v1], builtin: {program: idle}}
      - {name: good, tags: [good], builtin: {program: ignore-term}}
      - {name: arm, tags: [arm], builtin: {program: idle, arch: arm64}}
logGroups: [{name: /ecs/backend}]
taskDefinitions:
  - {family: backend, revision: 26, definition: &v1 {networkMode: bridge, containerDefinitions: [{name: app, image: "${REGISTRY}/weelo-backend:v1", memory: 64, essential: true,
      environment: [{name: LOG_LEVEL, value: info}], logConfiguration: {logDriver: awslogs, options: {awslogs-group: /ecs/backend, awslogs-region: ap-south-1, awslogs-stream-prefix: ecs}}}]}}
  - {family: backend, revision: 27, definition: *v1}
  - {family: backend, revision: 36, definition: *v1}
  - {family: backend, revision: 37, definition: *v1}
`

// incident has a circuit breaker that is off, and that would let many tasks fail if a
// release switches it on: what is tested is the release, however slow the machine.
const incident = base + `
services:
  - cluster: weelocluster
    name: backend
    family: backend
    desiredCount: 1
    settings: {deploymentConfiguration: {minimumHealthyPercent: 100, maximumPercent: 200, deploymentCircuitBreaker: {enable: false, rollback: false, thresholdConfiguration: {type: COUNT, value: 50}}}}
    deployments:
      - {revision: 26, outcome: SUCCESSFUL, createdAt: -80h, digests: {app: v1}}
      - {revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}
      - {revision: 36, outcome: STOPPED, createdAt: -48h, reason: "CannotPullContainerError"}
`

// eager is the incident with a circuit breaker that soon ends a deployment, where a
// release has switched it on: what is tested is what becomes of it when nobody watches.
var eager = strings.Replace(incident, "value: 50", "value: 3", 1)

func newWorld(t *testing.T, yaml string, scripts map[string]scripted.Script) *world {
	t.Helper()
	sd, err := seed.Parse("seed.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, runtime: scripted.New()}
	for k, s := range scripts {
		w.runtime.Set(k, s)
	}
	w.server, err = sandbox.Start(t.Context(), sandbox.Config{Listen: "127.0.0.1:0", Account: accountID, Region: "ap-south-1", Speed: 100, Runtime: w.runtime, Seed: sd})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(w.server.URL()), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	w.ecs, w.config = ecs.NewFromConfig(cfg), cfg
	w.before = w.service().DeploymentConfiguration
	w.clients = release.Clients{
		ECS: w.ecs, ECR: ecr.NewFromConfig(cfg), Log: cloudwatchlogs.NewFromConfig(cfg),
		WhoAmI: func(context.Context) (string, string, error) {
			return accountID, "arn:aws:iam::" + accountID + ":user/ana", nil
		},
		OpenEngine: func() (release.Engine, release.Builder, error) {
			return nil, nil, event.Fail(event.CodeNoEngine, "no engine in this test")
		},
		OpenRegistry: func(a engine.Auth) release.Registry { return image.NewRemote(a, nil) },
	}
	return w
}

// settings release an image that is in the repository already.
func (w *world) settings(tag string) release.Settings {
	return release.Settings{
		Cluster: clusterName, Service: serviceName, Account: accountID, Repository: "weelo-backend",
		Image: w.server.Registry() + "/weelo-backend:" + tag, Build: build.Request{Platform: "linux/amd64"},
		Timeout: 20 * time.Second, Bake: 100 * time.Millisecond, Backstop: true, By: "ana@laptop", RunID: "run1", Pace: fast,
	}
}

// schema is a sink that holds every event of the run against the published schema.
func (w *world) schema() event.Sink {
	bad := func(err error) { w.t.Errorf("an event is not as docs/events.schema.json says: %v", err) }
	out, err := output.New(output.Options{Mode: "json", Stdout: &outputtest.Lines{Bad: bad}, Stderr: io.Discard})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) run(s release.Settings) *release.Run {
	return release.New(s, w.clients, event.NewStream(nil, w, w.schema()), nil)
}

func (w *world) release(s release.Settings) event.Result { return w.run(s).Execute(w.t.Context()) }

// Emit implements event.Sink.
func (w *world) Emit(r event.Record) {
	w.mu.Lock()
	w.events = append(w.events, r)
	f := w.onEvent
	w.mu.Unlock()
	if f != nil {
		f(r)
	}
}

func (w *world) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, r := range w.events {
		fmt.Fprintf(&b, "%s %s %+v\n", r.Time.Format("05.000"), r.Stage, r.Event)
	}
	return b.String()
}

func (w *world) service() types.Service {
	w.t.Helper()
	s, err := release.Site{ECS: w.ecs, Cluster: clusterName, Service: serviceName}.Read(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) tags(revision string) history.Tags {
	w.t.Helper()
	out, err := w.ecs.DescribeTaskDefinition(context.Background(), &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String("backend:" + revision), Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}})
	if err != nil {
		w.t.Fatal(err)
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return history.ParseTags(tags, clusterName, serviceName)
}

func (w *world) status(revision string) string {
	w.t.Helper()
	out, err := w.ecs.DescribeTaskDefinition(context.Background(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:" + revision)})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out.TaskDefinition.Status)
}

func (w *world) fault(rule string) {
	w.t.Helper()
	res, err := http.Post(w.server.URL()+"/_sandbox/faults", "application/json", strings.NewReader(rule))
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		w.t.Fatalf("fault %s: %s", rule, res.Status)
	}
}

// count is how often an operation was called.
func (w *world) count(operation string) int {
	w.t.Helper()
	res, err := http.Get(w.server.URL() + "/_sandbox/calls")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Totals map[string]int }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		w.t.Fatal(err)
	}
	return out.Totals["ecs."+operation]
}

// want checks the outcome of a run, and prints its story when it is another.
func (w *world) want(got event.Result, exit int, outcome event.Outcome, code event.Code, serving string) {
	w.t.Helper()
	var gotCode event.Code
	if got.Failure != nil {
		gotCode = got.Failure.Code
	}
	if got.ExitCode != exit || got.Outcome != outcome || gotCode != code || history.Revision(got.Serving) != serving {
		w.t.Errorf("result: exit %d, %s, code %q, serving %q; want exit %d, %s, code %q, serving %q\nfailure: %+v\n%s",
			got.ExitCode, got.Outcome, gotCode, history.Revision(got.Serving), exit, outcome, code, serving, got.Failure, w.story())
	}
}

func (w *world) wantTag(revision string, kind history.Kind, code string) {
	w.t.Helper()
	t := w.tags(revision)
	if o := t.Outcome; o.Kind != kind || t.Code != code {
		w.t.Errorf("revision %s is tagged %q with code %q, want %q with %q", revision, o.Kind, t.Code, kind, code)
	}
}

var segfault = scripted.Script{Exits: true, ExitAfter: 10 * time.Millisecond, ExitCode: 139, Lines: []scripted.Line{{Text: "loading bcrypt"}}}

func TestReleaseServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	res := w.release(w.settings("good"))
	w.want(res, 0, event.Released, "", "38")
	w.wantTag("38", history.Proven, "")
	if tags := w.tags("38"); tags.By != "ana@laptop" || tags.Run != "run1" || tags.Backstop != "" {
		t.Errorf("tags of 38 = %+v", tags)
	}
	out, err := w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:38")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.TaskDefinition.ContainerDefinitions[0]
	if !strings.HasPrefix(aws.ToString(c.Image), w.server.Registry()+"/weelo-backend@sha256:") {
		t.Errorf("image of 38 = %s, want it pinned to the digest", aws.ToString(c.Image))
	}
	if b := w.service().DeploymentConfiguration.DeploymentCircuitBreaker; b != nil && b.Enable {
		t.Errorf("the circuit breaker stayed on: %+v", b)
	}
	if n := w.count("UpdateService"); n != 2 {
		t.Errorf("UpdateService was called %d times, want 2: deploy, and the breaker's setting back", n)
	}
}

func TestReleaseOfWhatServesChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.release(w.settings("good"))
	before := w.count("UpdateService") + w.count("RegisterTaskDefinition")
	res := w.release(w.settings("good"))
	w.want(res, 0, event.Unchanged, "", "38")
	if after := w.count("UpdateService") + w.count("RegisterTaskDefinition"); after != before {
		t.Errorf("an unchanged release wrote to ECS")
	}
}

func TestReleaseRollsBackOnExit139(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	res := w.release(w.settings("good"))
	w.want(res, 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	w.wantTag("38", history.Failed, "EXIT_139_SIGSEGV")
	w.wantTag("27", history.Proven, "")
	if s := w.status("38"); s != "INACTIVE" {
		t.Errorf("38 is %s, want INACTIVE: it never succeeded", s)
	}
	if s := w.status("27"); s != "ACTIVE" {
		t.Errorf("27 is %s, want ACTIVE", s)
	}
	if !slices.Contains(res.Failure.Logs, "loading bcrypt") {
		t.Errorf("logs of the failure = %q, want the dead task's", res.Failure.Logs)
	}
	if n := w.count("StopServiceDeployment"); n != 1 {
		t.Errorf("StopServiceDeployment was called %d times, want 1", n)
	}
	if b := w.service().DeploymentConfiguration.DeploymentCircuitBreaker; b != nil && b.Enable {
		t.Errorf("the circuit breaker stayed on: %+v", b)
	}
	if res.Timings.DetectSeconds <= 0 || res.Timings.DetectSeconds > 5 {
		t.Errorf("detectSeconds = %v", res.Timings.DetectSeconds)
	}
}

func TestReleaseRollsBackWhateverKillsTheTasks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script scripted.Script
		code   event.Code
	}{
		"the second exit alike":   {scripted.Script{Exits: true, ExitCode: 1, ExitAfter: 5 * time.Millisecond}, "EXIT_1"},
		"a missing image":         {scripted.Script{PullError: "pull image manifest has been retried 5 time(s): failed to resolve ref x: not found"}, "CANNOT_PULL_NOT_FOUND"},
		"out of memory, twice":    {scripted.Script{Exits: true, ExitCode: 137, OOM: true, ExitAfter: 5 * time.Millisecond}, "OUT_OF_MEMORY"},
		"a missing command":       {scripted.Script{StartError: `exec: "/nope": stat /nope: no such file or directory`}, "CANNOT_START"},
		"a wrapper's exit 1":      {scripted.Script{Exits: true, ExitCode: 1, ExitAfter: 5 * time.Millisecond, Lines: []scripted.Line{{Text: "Segmentation fault (core dumped)"}}}, "EXIT_139_SIGSEGV"},
		"exec format error (EC2)": {scripted.Script{Exits: true, ExitCode: 1, ExitAfter: 5 * time.Millisecond, Lines: []scripted.Line{{Text: "exec /app: exec format error"}}}, "EXEC_FORMAT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"backend:38": c.script})
			s := w.settings("good")
			s.KeepFailed = true
			w.want(w.release(s), 3, event.RolledBack, c.code, "27")
			if got := w.tags("38").Code; got != string(c.code) {
				t.Errorf("the revision's tag says %q, want %s", got, c.code)
			}
		})
	}
}

func TestReleaseRefusesTheWrongPlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("arm")), 4, event.Refused, "PLATFORM_MISMATCH", "27")
	if n := w.count("RegisterTaskDefinition") + w.count("UpdateService"); n != 0 {
		t.Errorf("%d calls changed something", n)
	}
}

func TestRollbackFallsBackToUpdateService(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"denied":   `{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"not authorized"}`,
		"conflict": `{"when":"StopServiceDeployment","error":"ConflictException","message":"too late"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
			w.fault(rule)
			w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
			if n := w.count("UpdateService"); n != 3 {
				t.Errorf("UpdateService was called %d times, want 3: deploy, rollback, the breaker's setting", n)
			}
		})
	}
}

func TestFailedRollbackIsExit5(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.fault(`{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"not authorized"}`)
	w.fault(`{"when":"UpdateService","after":1,"error":"AccessDeniedException","message":"not authorized"}`)
	s := w.settings("good")
	s.Backstop = false
	res := w.release(s)
	if res.ExitCode != 5 || res.Outcome != event.FailedRun || res.Failure.Code != "EXIT_139_SIGSEGV" {
		t.Errorf("result = exit %d, %s, %v\n%s", res.ExitCode, res.Outcome, res.Failure, w.story())
	}
	if !strings.Contains(strings.Join(res.Failure.Evidence, "\n"), "rollback failed") {
		t.Errorf("evidence = %q, want it to say that the rollback failed", res.Failure.Evidence)
	}
}

func TestLostAnswerOfUpdateServiceIsLookedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.fault(`{"when":"UpdateService","dropAnswer":true}`)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if n := w.count("UpdateService"); n != 2 {
		t.Errorf("UpdateService was called %d times, want 2: it must not be sent again", n)
	}
}

func TestDeniedUpdateServiceIsARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.fault(`{"when":"UpdateService","error":"AccessDeniedException","message":"User is not authorized to perform: ecs:UpdateService"}`)
	w.want(w.release(w.settings("good")), 4, event.Refused, "ACCESS_DENIED", "27")
	if s := w.status("38"); s != "INACTIVE" {
		t.Errorf("38 is %s, want INACTIVE: it was registered and never deployed", s)
	}
}

func TestSupersededReleaseTouchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: 5 * time.Second}})
	var once sync.Once
	w.onEvent = func(r event.Record) {
		if s, ok := r.Event.(event.Stage); ok && s.Name == "deploy" && s.Status == event.Done {
			once.Do(func() {
				_, err := w.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName), TaskDefinition: aws.String("backend:27")})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	res := w.release(w.settings("good"))
	if res.ExitCode != 6 || res.Failure == nil || res.Failure.Code != event.CodeSuperseded {
		t.Errorf("result = exit %d, %v, want 6\n%s", res.ExitCode, res.Failure, w.story())
	}
	if n := w.count("StopServiceDeployment"); n != 0 {
		t.Errorf("StopServiceDeployment was called")
	}
}

func TestNothingProvenAsksForNoRollback(t *testing.T) {
	t.Parallel()
	first := base + `
services:
  - {cluster: weelocluster, name: backend, family: backend, desiredCount: 1, deployments: [{revision: 37, outcome: IN_PROGRESS, createdAt: -1h}]}
`
	w := newWorld(t, first, map[string]scripted.Script{"backend:37": segfault})
	s := w.settings("good")
	s.Supersede = true
	res := w.release(s)
	w.want(res, 4, event.Refused, event.CodeNoRollbackTarget, history.Revision(res.Serving))
	s.NoRollback = true
	w.want(w.release(s), 0, event.Released, "", "38")
}

const stuck = base + `
services:
  - cluster: weelocluster
    name: backend
    family: backend
    desiredCount: 1
    settings: {deploymentConfiguration: {minimumHealthyPercent: 100, maximumPercent: 200, deploymentCircuitBreaker: {enable: false, rollback: false, thresholdConfiguration: {type: COUNT, value: 50}}}}
    deployments:
      - {revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}
      - {revision: 36, outcome: STOPPED, createdAt: -48h}
      - {revision: 37, outcome: IN_PROGRESS, createdAt: -2h}
`

// The incident's own state: 37 is stuck, ECS's breaker is off, 27 was proven.
func TestStuckDeploymentIsReleasedOverAndRolledBackTo27(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stuck, map[string]scripted.Script{"backend:37": segfault, "backend:38": segfault})
	res := w.release(w.settings("good"))
	if res.ExitCode != 4 || res.Failure.Code != event.CodeDeploymentInProgress {
		t.Fatalf("result = exit %d, %v, want a refusal", res.ExitCode, res.Failure)
	}
	s := w.settings("good")
	s.Supersede = true
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
}

func TestStuckDeploymentIsRolledBackByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stuck, map[string]scripted.Script{"backend:37": segfault})
	s := w.settings("good")
	s.Command = "rollback"
	w.want(w.run(s).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
	w.wantTag("37", history.Failed, "ROLLED_BACK_BY_HAND")
	w.want(w.run(s).Rollback(t.Context(), "27", false), 0, event.Unchanged, "", "27")
}

func TestRollbackByHandNeverGoesForward(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.release(w.settings("good"))
	s := w.settings("")
	s.Command, s.Image = "rollback", ""
	w.want(w.run(s).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
	w.wantTag("38", history.Left, "")
	w.want(w.run(s).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "26")
	res := w.run(s).Rollback(t.Context(), "", false)
	w.want(res, 4, event.Refused, event.CodeNoRollbackTarget, "26")
	w.want(w.run(s).Rollback(t.Context(), "38", false), 0, event.RolledBack, "", "38")
	w.want(w.run(s).Rollback(t.Context(), "37", false), 4, event.Refused, event.CodeNoRollbackTarget, "38")
}

func TestDeregisteredTargetIsCopied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:39": segfault})
	if _, err := w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("backend:27")}); err != nil {
		t.Fatal(err)
	}
	w.fault(`{"when":"StopServiceDeployment","error":"UnsupportedFeatureException","message":"no"}`)
	res := w.release(w.settings("good"))
	if res.ExitCode != 3 {
		t.Fatalf("result = exit %d, %v, want 3\n%s", res.ExitCode, res.Failure, w.story())
	}
	if got := w.tags(history.Revision(res.Serving)).CopyOf; got != "backend:27" {
		t.Errorf("%s serves, a copy of %q, want a copy of backend:27", res.Serving, got)
	}
}

func TestSettingsThatCannotBeReleased(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		service string
		code    event.Code
	}{
		"CodeDeploy":            {`desiredCount: 1, settings: {deploymentController: {type: CODE_DEPLOY}}`, event.CodeUnsupportedController},
		"no tasks wanted":       {`desiredCount: 0`, event.CodeServiceNotReady},
		"100/100 with one task": {`desiredCount: 1, settings: {deploymentConfiguration: {minimumHealthyPercent: 100, maximumPercent: 100}}`, event.CodeServiceNotReady},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, base+`
services:
  - {cluster: weelocluster, name: backend, family: backend, deployments: [{revision: 27, outcome: SUCCESSFUL, createdAt: -72h}], `+c.service+`}
`, nil)
			res := w.release(w.settings("good"))
			if res.ExitCode != 4 || res.Failure == nil || res.Failure.Code != c.code {
				t.Errorf("result = exit %d, %v, want %s", res.ExitCode, res.Failure, c.code)
			}
			if n := w.count("RegisterTaskDefinition") + w.count("UpdateService"); n != 0 {
				t.Errorf("%d calls changed something", n)
			}
		})
	}
}

func TestAllFindingsOfPreflightAreReportedTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	s := w.settings("good")
	s.Service, s.Repository, s.Image = "backends", "weelo-backnd", ""
	res := w.release(s)
	if res.ExitCode != 4 || res.Failure == nil {
		t.Fatalf("result = exit %d, %v", res.ExitCode, res.Failure)
	}
	found := []event.Code{res.Failure.Code}
	text := res.Failure.Message + fmt.Sprint(res.Failure.Hints)
	for _, f := range res.Failure.Also {
		found = append(found, f.Code)
		text += f.Message + fmt.Sprint(f.Hints)
	}
	if !slices.Equal(found, []event.Code{event.CodeNotFound, event.CodeNotFound, event.CodeNoEngine}) {
		t.Errorf("findings = %v", found)
	}
	for _, want := range []string{"did you mean backend?", "weelo-backend"} {
		if !strings.Contains(text, want) {
			t.Errorf("findings say %q, want %q in them", text, want)
		}
	}
}

func TestWrongAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	s := w.settings("good")
	s.Account = "111111111111"
	res := w.release(s)
	if res.ExitCode != 4 || res.Failure.Code != event.CodeWrongAccount {
		t.Errorf("result = exit %d, %v", res.ExitCode, res.Failure)
	}
}

// A crash after the deployment completed is a crash all the same, and the way back
// is a deployment of 27: what has finished cannot be stopped.
func TestCrashInBakeIsRolledBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {Exits: true, ExitAfter: 700 * time.Millisecond, ExitCode: 139}})
	s := w.settings("good")
	s.Bake = 10 * time.Second
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if n := w.count("StopServiceDeployment"); n != 0 {
		t.Errorf("StopServiceDeployment was called %d times for a deployment that had finished", n)
	}
	w.wantTag("38", history.Failed, "EXIT_139_SIGSEGV")
	if st := w.status("38"); st != "ACTIVE" {
		t.Errorf("38 is %s, want ACTIVE: its deployment completed, so it may be named again", st)
	}
	res := w.run(release.Settings{Command: "rollback", Cluster: clusterName, Service: serviceName, Pace: fast}).Rollback(t.Context(), "", false)
	w.want(res, 0, event.RolledBack, "", "26")
}

// What was verified is what runs: somebody moves the tag between verify and
// register, and the release deploys the digest that it verified.
func TestMovedTagDoesNotChangeWhatIsDeployed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	good, err := w.server.Images().Resolve("weelo-backend", "good", "linux", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.server.Images().Resolve("weelo-backend", "v1", "linux", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	w.onEvent = func(r event.Record) {
		if s, ok := r.Event.(event.Stage); ok && s.Name == "verify" && s.Status == event.Done {
			if err := w.server.Images().Retag("weelo-backend", other.Digest, []string{"good"}, time.Now()); err != nil {
				t.Error(err)
			}
		}
	}
	res := w.release(w.settings("good"))
	w.want(res, 0, event.Released, "", "38")
	if !strings.HasSuffix(res.Image, "@"+good.Digest) {
		t.Errorf("released %s, want the verified %s", res.Image, good.Digest)
	}
	if pin, err := w.server.Images().Resolve("weelo-backend", image.PinTag(good.Digest), "linux", "amd64"); err != nil || pin.Digest != good.Digest {
		t.Errorf("the tag that never moves is %+v, %v", pin, err)
	}
}
