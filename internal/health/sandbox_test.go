package health_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// These tests watch the sandbox's ECS through the real SDK clients: what the
// fakes of the others say of AWS is held against a second opinion.

const past = `
clusters: [{name: weelocluster}]
repositories:
  - name: weelo-backend
    images:
      - {name: v1, tags: [v1], builtin: {program: idle}}
logGroups: [{name: /ecs/backend}]
taskDefinitions:
  - {family: backend, revision: 27, definition: &v1 {networkMode: bridge, containerDefinitions: [{name: app, image: "${REGISTRY}/weelo-backend:v1", memory: 64, essential: true,
      healthCheck: {command: [CMD-SHELL, "true"], interval: 5, timeout: 2, retries: 1},
      logConfiguration: {logDriver: awslogs, options: {awslogs-group: /ecs/backend, awslogs-region: ap-south-1, awslogs-stream-prefix: ecs}}}]}}
  - {family: backend, revision: 38, definition: *v1}
services:
  - cluster: weelocluster
    name: backend
    family: backend
    desiredCount: 1
    deployments:
      - {revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}
`

// fast polls often, so that a test waits for the sandbox and not for the poll.
func fast() health.Pace {
	r := health.Rhythm{Stopped: 20 * time.Millisecond, Service: 40 * time.Millisecond, Deployment: 80 * time.Millisecond, Tasks: 60 * time.Millisecond}
	return health.Pace{Early: r, Later: r, Bake: r, GiveUp: 300 * time.Millisecond}
}

type world struct {
	t    *testing.T
	url  string
	ecs  *ecs.Client
	logs *cloudwatchlogs.Client
}

func newWorld(t *testing.T, script scripted.Script) *world {
	t.Helper()
	return newWorldOf(t, past, script)
}

// newWorldOf is a sandbox with another past, whose revision 38 does what script says
// and whose revision 27 answers HTTP.
func newWorldOf(t *testing.T, past string, script scripted.Script) *world {
	t.Helper()
	records, err := seed.Parse("past.yaml", []byte(past))
	if err != nil {
		t.Fatal(err)
	}
	runtime := scripted.New()
	runtime.Set("backend:27", scripted.Script{Serve: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	runtime.Set("backend:38", script)
	server, err := sandbox.Start(t.Context(), sandbox.Config{Listen: "127.0.0.1:0", Region: "ap-south-1", Speed: 400, Runtime: runtime, Seed: records})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(server.URL()), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	return &world{t: t, url: server.URL(), ecs: ecs.NewFromConfig(cfg), logs: cloudwatchlogs.NewFromConfig(cfg)}
}

func (w *world) fault(rule string) {
	w.t.Helper()
	res, err := http.Post(w.url+"/_sandbox/faults", "application/json", strings.NewReader(rule))
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		w.t.Fatalf("fault %s: %s", rule, res.Status)
	}
}

// watch deploys revision 38 and watches it.
func (w *world) watch(p health.Policy, emit event.Emit) (health.Verdict, *health.Watcher, health.Subject, error) {
	w.t.Helper()
	up, err := w.ecs.UpdateService(w.t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("weelocluster"), Service: aws.String("backend"), TaskDefinition: aws.String("backend:38")})
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := (taskdef.Client{API: w.ecs}).Describe(w.t.Context(), "backend:38")
	if err != nil {
		w.t.Fatal(err)
	}
	first := up.Service.Deployments[0]
	s := health.Subject{Cluster: "weelocluster", Service: "backend", Deployment: *first.Id, TaskDefinition: *first.TaskDefinition, CreatedAt: *first.CreatedAt, Definition: d}
	if p.Timeout == 0 {
		p.Timeout = 20 * time.Second
	}
	watcher := &health.Watcher{ECS: w.ecs, Logs: w.logs, Emit: emit, Pace: fast()}
	v, err := watcher.Watch(w.t.Context(), s, p)
	return v, watcher, s, err
}

func TestSandbox_whateverKillsTheTasks(t *testing.T) {
	for name, c := range map[string]struct {
		script scripted.Script
		code   event.Code
		says   string
	}{
		"a container health check": {scripted.Script{Health: []scripted.Change{{After: 5 * time.Millisecond, Status: task.Unhealthy}}}, event.CodeUnhealthyContainer,
			"× UNHEALTHY_CONTAINER; the first: container app: failed its container health check"},
		"a wrapper that hides a crash": {scripted.Script{Exits: true, ExitCode: 1, ExitAfter: 5 * time.Millisecond, Lines: []scripted.Line{{Text: "npm start"}, {Text: "Segmentation fault (core dumped)"}}},
			"EXIT_139_SIGSEGV", "container app exited with 1 after a process in it died by SIGSEGV"},
		"the wrong platform": {scripted.Script{PullError: "image Manifest does not contain descriptor matching platform 'linux/amd64'"}, event.CodeCannotPullPlatform, "(linux/amd64)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.script)
			v, watcher, s, err := w.watch(health.Policy{}, nil)
			if err != nil || v.Outcome != health.Failing {
				t.Fatalf("Watch() = %s (%v), %v", v.Outcome, v.Failure, err)
			}
			v = watcher.Explain(t.Context(), s, v)
			if v.Failure.Code != c.code || !strings.Contains(v.Failure.Message, c.says) {
				t.Errorf("failure = %s, %q; want %s, %q", v.Failure.Code, v.Failure.Message, c.code, c.says)
			}
		})
	}
}

func TestSandbox_aHealthCheckThatSucceedsServes(t *testing.T) {
	w := newWorld(t, scripted.Script{})
	v, _, _, err := w.watch(health.Policy{Bake: 50 * time.Millisecond}, nil)
	if err != nil || v.Outcome != health.Serving || !v.HealthySeen {
		t.Errorf("Watch() = %+v (%v), %v; want it to serve, seen healthy", v, v.Failure, err)
	}
}

// Credentials that expire in the middle: refused ones are tried again for a while;
// then the message says what runs, that it goes on, and how to go on watching.
func TestSandbox_credentialsThatExpire(t *testing.T) {
	expired := `"error":"ExpiredTokenException","message":"The security token included in the request is expired"}`
	t.Run("for a moment", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, scripted.Script{})
		for _, op := range []string{"DescribeServices", "ListTasks", "DescribeTasks"} {
			w.fault(`{"when":"` + op + `","after":2,"times":3,` + expired)
		}
		if v, _, _, err := w.watch(health.Policy{}, nil); err != nil || v.Outcome != health.Serving {
			t.Errorf("Watch() = %s (%v), %v; want it to serve", v.Outcome, v.Failure, err)
		}
	})
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, scripted.Script{PullTakes: time.Minute})
		for _, op := range []string{"DescribeServices", "ListTasks", "DescribeTasks"} {
			w.fault(`{"when":"` + op + `","after":2,` + expired)
		}
		_, _, _, err := w.watch(health.Policy{}, nil)
		fails := event.FailuresOf(err)
		if len(fails) != 1 || fails[0].Code != event.CodeCredentials {
			t.Fatalf("Watch() error = %v, want %s", err, event.CodeCredentials)
		}
		text := strings.Join(append(fails[0].Evidence, fails[0].Hints...), "\n")
		for _, s := range []string{"backend:38) was PRIMARY, in_progress, 0/1 running; it goes on in ECS by itself", "then run `weelo-deploy watch`"} {
			if !strings.Contains(text, s) {
				t.Errorf("it says\n%s\nwant %q", text, s)
			}
		}
	})
}

// AWS throttles everything for a while: it is said once, and the deployment is
// still followed to its end.
func TestSandbox_throttled(t *testing.T) {
	w := newWorld(t, scripted.Script{})
	for _, op := range []string{"DescribeServices", "ListTasks", "DescribeTasks"} {
		w.fault(`{"when":"` + op + `","times":3,"error":"ThrottlingException","message":"Rate exceeded"}`)
	}
	said := 0
	v, _, _, err := w.watch(health.Policy{}, func(e event.Event) {
		if n, ok := e.(event.Note); ok && strings.Contains(n.Text, "AWS throttles") {
			said++
		}
	})
	if err != nil || v.Outcome != health.Serving || said != 1 {
		t.Errorf("Watch() = %s (%v), %v, said %d times; want it to serve, and the throttling said once", v.Outcome, v.Failure, err, said)
	}
}
