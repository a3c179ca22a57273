package release_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/onetask"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

var (
	migrate = release.BeforeTask{Name: "migrate", Command: []string{"migrate", "up"}}
	plant   = release.BeforeTask{Command: []string{"seed"}}
	exits   = func(code int, lines ...string) scripted.Script {
		s := scripted.Script{Exits: true, ExitAfter: 20 * time.Millisecond, ExitCode: code}
		for _, l := range lines {
			s.Lines = append(s.Lines, scripted.Line{Text: l})
		}
		return s
	}
	quick = onetask.Pace{
		Poll: 15 * time.Millisecond, Retry: 10 * time.Millisecond, Slowest: 40 * time.Millisecond, Capacity: 200 * time.Millisecond,
		LastLog: 300 * time.Millisecond, GiveUp: 100 * time.Millisecond,
	}
)

// withBefore releases the good image after before-tasks.
func (w *world) withBefore(tasks ...release.BeforeTask) release.Settings {
	s := w.settings("good")
	s.BeforeTasks, s.TaskPace = tasks, quick
	return s
}

// ran lists the commands of the tasks that were started by themselves.
func (w *world) ran() []string {
	var out []string
	for _, s := range w.runtime.Started() {
		if s.Service == "" {
			out = append(out, strings.Join(s.Containers[0].Command, " "))
		}
	}
	return out
}

func (w *world) wantRan(want ...string) {
	w.t.Helper()
	if got := w.ran(); !slices.Equal(got, want) {
		w.t.Errorf("before-tasks that ran: %q, want %q\n%s", got, want, w.story())
	}
}

// wantStopped checks that the release stopped before the service was touched.
func (w *world) wantStopped(res event.Result, code event.Code, said ...string) {
	w.t.Helper()
	w.want(res, 7, event.Stopped, code, "27")
	if n := w.count("UpdateService"); n != 0 {
		w.t.Errorf("UpdateService was called %d times", n)
	}
	w.wantSaid(res, append(said, "the service was not touched; data may have been")...)
}

func (w *world) wantSaid(res event.Result, said ...string) {
	w.t.Helper()
	if res.Failure == nil {
		w.t.Fatalf("there is no failure\n%s", w.story())
	}
	f := res.Failure
	text := strings.Join(slices.Concat([]string{f.Error()}, f.Evidence, f.Logs, f.Hints), "\n")
	for _, want := range said {
		if !strings.Contains(text, want) {
			w.t.Errorf("the failure does not say %q:\n%s\n%s", want, text, w.story())
		}
	}
}

func (w *world) told(text string) bool { return strings.Contains(w.story(), text) }

func TestBeforeTasksRunInOrderOnTheNewRevisionBeforeTheServiceChanges(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0, "migrated \x1b[31mto 42"), "$ seed": exits(0)})
	m := migrate
	m.Environment = map[string]string{"STEP": "1", "LOG_LEVEL": "debug"}
	deployed := -1
	w.onEvent = func(r event.Record) {
		if s, ok := r.Event.(event.Stage); ok && s.Name == "deploy" && s.Status == event.Started {
			deployed = len(w.ran())
		}
	}
	w.want(w.release(w.withBefore(m, plant)), 0, event.Released, "", "38")
	w.wantRan("migrate up", "seed")
	if deployed != 2 {
		t.Errorf("%d before-tasks had run when the deployment began, want 2", deployed)
	}
	for _, s := range w.runtime.Started() {
		if s.Service != "" {
			continue
		}
		if s.Revision != 38 || s.Group != "family:backend" {
			t.Errorf("a before-task ran on revision %d in group %s, want 38 in family:backend", s.Revision, s.Group)
		}
		if s.Containers[0].Command[0] == "migrate" && !(slices.Contains(s.Containers[0].Env, "STEP=1") && slices.Contains(s.Containers[0].Env, "LOG_LEVEL=debug")) {
			t.Errorf("environment of migrate = %q", s.Containers[0].Env)
		}
	}
	if !w.told("Text:migrated to 42") {
		t.Errorf("its log was not told, or with control characters\n%s", w.story())
	}
	if names := w.tags("38").Before; names != "migrate / seed" {
		t.Errorf("the revision's tag names the before-tasks %q", names)
	}
}

func TestAFailingBeforeTaskEndsTheReleaseBeforeTheServiceChanges(t *testing.T) {
	for name, c := range map[string]struct {
		script scripted.Script
		code   event.Code
		said   string
	}{
		"exit 1":                {exits(1, "duplicate column"), "EXIT_1", "duplicate column"},
		"exit 139":              {exits(139), "EXIT_139_SIGSEGV", "exited with 139 (SIGSEGV)"},
		"a hidden crash":        {exits(1, "Segmentation fault (core dumped)"), "EXIT_139_SIGSEGV", "died by SIGSEGV"},
		"an image that is gone": {scripted.Script{PullError: "pull image manifest has been retried 5 time(s): failed to resolve ref x: not found"}, "CANNOT_PULL_NOT_FOUND", "the image does not exist"},
		"a command that is not": {scripted.Script{StartError: `exec: "migrate": executable file not found in $PATH`}, "CANNOT_START", "its command is not in the image"},
		"out of memory":         {scripted.Script{Exits: true, OOM: true}, "OUT_OF_MEMORY", "out of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": c.script})
			res := w.release(w.withBefore(migrate, plant))
			w.wantStopped(res, c.code, "before-task migrate: ", c.said)
			w.wantRan("migrate up")
			if s := w.status("38"); s != "INACTIVE" {
				t.Errorf("38 is %s, want INACTIVE: it was never deployed", s)
			}
			if res.Failure.Stage != "before-tasks" {
				t.Errorf("stage = %s", res.Failure.Stage)
			}
		})
	}
}

func TestASecondBeforeTaskThatFailsSaysWhatTheFirstLeaves(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0), "$ seed": exits(3)})
	w.wantStopped(w.release(w.withBefore(migrate, plant)), "EXIT_3", "before-task seed: ", "whose effects stay: migrate")
}

func TestABeforeTaskThatOutlastsItsTimeoutIsStopped(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": {StopCode: 143, Lines: []scripted.Line{{Text: "waiting for a lock"}}}})
	m := migrate
	m.Timeout = 300 * time.Millisecond
	w.wantStopped(w.release(w.withBefore(m)), event.CodeTimeout, "did not end within 300ms", "was stopped", "exited with 143", "waiting for a lock")
	if n := w.count("StopTask"); n != 1 {
		t.Errorf("StopTask was called %d times, want 1", n)
	}
}

func TestOnlyTheNamedContainersExitDecides(t *testing.T) {
	sidecar := strings.Replace(incident, `containerDefinitions: [{name: app,`, `containerDefinitions: [{name: proxy, essential: true, memory: 64, image: "${REGISTRY}/weelo-backend:v1"}, {name: tool, essential: false, memory: 64, image: "${REGISTRY}/weelo-backend:v1"}, {name: app,`, 1)
	for name, c := range map[string]struct {
		container string
		scripts   map[string]scripted.Script
		exit      int
	}{
		"a sidecar that dies with the task says nothing":    {"app", map[string]scripted.Script{"$ migrate up": exits(0), "backend:38/proxy": {StopCode: 137}}, 0},
		"a task that would go on is stopped":                {"tool", map[string]scripted.Script{"$ migrate up": exits(0)}, 0},
		"and so is one whose optional container has failed": {"tool", map[string]scripted.Script{"$ migrate up": exits(5)}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, strings.ReplaceAll(sidecar, "digests: {app: v1}", "digests: {app: v1, proxy: v1, tool: v1}"), c.scripts)
			s := w.withBefore(release.BeforeTask{Name: "migrate", Container: c.container, Command: migrate.Command})
			s.Container = "app"
			res := w.release(s)
			if res.ExitCode != c.exit {
				t.Fatalf("exit %d, want %d: %+v\n%s", res.ExitCode, c.exit, res.Failure, w.story())
			}
			want := 0
			if c.container == "tool" {
				want = 1
			}
			if n := w.count("StopTask"); n != want {
				t.Errorf("StopTask was called %d times, want %d", n, want)
			}
		})
	}
}

func TestABeforeTaskIsFollowedThroughThrottlingAndFaults(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": {Exits: true, ExitAfter: 200 * time.Millisecond, Lines: []scripted.Line{{Text: "one"}}}})
	w.fault(`{"when":"DescribeTasks","contains":"tasks","after":1,"times":6,"error":"ThrottlingException"}`)
	w.fault(`{"when":"GetLogEvents","times":2,"error":"ThrottlingException"}`)
	w.want(w.release(w.withBefore(migrate)), 0, event.Released, "", "38")
	w.wantRan("migrate up")
	if !w.told("Text:one") {
		t.Errorf("its log was not told\n%s", w.story())
	}
}

func TestABeforeTaskThatCannotBeStartedRefusesTheRelease(t *testing.T) {
	t.Run("denied", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, nil)
		w.fault(`{"when":"RunTask","error":"AccessDeniedException","message":"not authorized to perform: ecs:RunTask"}`)
		res := w.release(w.withBefore(migrate))
		w.want(res, 4, event.Refused, event.CodeAccessDenied, "27")
		w.wantSaid(res, "ecs:RunTask")
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, nil)
		w.fault(`{"when":"RunTask","error":"InvalidParameterException","message":"no"}`)
		w.want(w.release(w.withBefore(migrate)), 4, event.Refused, event.CodeInvalidDefinition, "27")
	})
	t.Run("no place for it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, strings.ReplaceAll(incident, "memory: 64, essential: true", "memory: 999999, essential: true"), nil)
		res := w.release(w.withBefore(migrate))
		w.want(res, 4, event.Refused, event.CodeCapacity, "27")
		w.wantSaid(res, "RESOURCE:MEMORY")
		if n := w.count("RunTask"); n < 2 {
			t.Errorf("RunTask was called %d times: a place was not waited for", n)
		}
	})
	t.Run("a container that is not there", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, nil)
		w.want(w.release(w.withBefore(release.BeforeTask{Container: "ap", Command: []string{"x"}})), 4, event.Refused, event.CodeNotFound, "27")
		if n := w.count("RegisterTaskDefinition"); n != 0 {
			t.Error("a revision was registered before that was seen")
		}
	})
}

func TestALostAnswerOfRunTaskRunsNothingTwice(t *testing.T) {
	for name, faults := range map[string][]string{
		"the answer is lost":        {`{"when":"RunTask","dropAnswer":true,"times":3}`},
		"ECS is down for a moment":  {`{"when":"RunTask","times":4,"error":"ServerException"}`},
		"the account is throttled":  {`{"when":"RunTask","times":4,"error":"ThrottlingException"}`},
		"no answer comes, it shows": {`{"when":"RunTask","dropAnswer":true}`, `{"when":"RunTask","after":1,"times":40,"status":503}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
			for _, f := range faults {
				w.fault(f)
			}
			w.want(w.release(w.withBefore(migrate)), 0, event.Released, "", "38")
			w.wantRan("migrate up")
		})
	}
	t.Run("nobody can tell", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
		w.fault(`{"when":"RunTask","status":503}`)
		res := w.release(w.withBefore(migrate))
		w.wantStopped(res, event.CodeUnavailable, "the task may run all the same", "aws ecs list-tasks")
		if s := w.status("38"); s != "ACTIVE" {
			t.Errorf("38 is %s, want ACTIVE: its task may run, and another release goes on with it", s)
		}
	})
}

func TestARollbackSaysThatTheEffectsOfBeforeTasksStay(t *testing.T) {
	const says = "what the before-tasks did stays, a rollback does not undo it: migrate"
	t.Run("of a release", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0), "backend:38": segfault})
		res := w.release(w.withBefore(migrate))
		w.want(res, 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
		w.wantSaid(res, says)
	})
	t.Run("by one call", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0), "backend:38": {PullTakes: time.Second}})
		ctx := w.interruptAt("deploy", event.Done, sigint)
		res := w.run(w.withBefore(migrate)).Execute(ctx)
		w.wantInterrupted(res, 130, "the rollback to backend:27 was started")
		w.wantSaid(res, says)
		// And the watch that brings it to its end, which did not run the task.
		w.onEvent = nil
		s := w.settings("")
		s.Command, s.Image = "watch", ""
		res = w.run(s).Resume(t.Context(), false)
		w.want(res, 3, event.RolledBack, event.CodeECSRolledBack, "27")
		w.wantSaid(res, says)
	})
	t.Run("by hand", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
		w.want(w.release(w.withBefore(migrate)), 0, event.Released, "", "38")
		s := w.settings("")
		s.Command, s.Image = "rollback", ""
		w.want(w.run(s).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
		if !w.told("what the before-tasks of backend:38 did stays") {
			t.Errorf("it was not told\n%s", w.story())
		}
	})
}

func TestAnUnchangedReleaseAndAPlanRunNoBeforeTask(t *testing.T) {
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	w.want(w.release(w.withBefore(migrate)), 0, event.Unchanged, "", "38")
	w = newWorld(t, incident, nil)
	res := w.run(w.withBefore(migrate)).Plan(t.Context(), false)
	if res.Outcome != event.Planned || !w.told(`before-task migrate: runs ["migrate" "up"] in container app of the new revision, for at most 1h0m0s`) {
		t.Errorf("plan = %s\n%s", res.Outcome, w.story())
	}
	w.wantRan()
}

func TestRightsAreLookedAtBeforeDataIsChanged(t *testing.T) {
	t.Run("the simulator denies UpdateService", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, nil)
		w.clients.IAM, w.clients.WhoAmI = w.iam(), func(context.Context) (string, string, error) {
			return accountID, "arn:aws:iam::" + accountID + ":user/sandbox", nil
		}
		w.fault(`{"deny":"ecs:UpdateService"}`)
		res := w.release(w.withBefore(migrate))
		w.want(res, 4, event.Refused, event.CodeAccessDenied, "27")
		w.wantSaid(res, "ecs:UpdateService", "no before-task was run")
		w.wantRan()
	})
	t.Run("what is read may not be read", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, nil)
		w.fault(`{"when":"ListTasks","error":"AccessDeniedException"}`)
		w.want(w.release(w.withBefore(migrate)), 4, event.Refused, event.CodeAccessDenied, "27")
		w.wantRan()
	})
	t.Run("a simulator that cannot tell refuses nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
		w.clients.IAM = w.iam()
		w.fault(`{"when":"SimulatePrincipalPolicy","error":"AccessDenied"}`)
		w.want(w.release(w.withBefore(migrate)), 0, event.Released, "", "38")
	})
	t.Run("somebody has deployed since preflight", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, nil)
		w.onEvent = func(r event.Record) {
			if s, ok := r.Event.(event.Stage); ok && s.Name == "register" && s.Status == event.Done {
				if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName), ForceNewDeployment: true}); err != nil {
					t.Error(err)
				}
			}
		}
		if res := w.release(w.withBefore(migrate)); res.ExitCode != 4 || res.Failure.Code != event.CodeChanged {
			t.Errorf("result = %d, %+v\n%s", res.ExitCode, res.Failure, w.story())
		}
		w.wantRan()
	})
}

func TestADeploymentThatIsRefusedAfterABeforeTaskIsExit7(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0)})
	w.fault(`{"when":"UpdateService","error":"AccessDeniedException"}`)
	res := w.release(w.withBefore(migrate))
	w.want(res, 7, event.Stopped, event.CodeAccessDenied, "27")
	w.wantSaid(res, "the service was not touched; data may have been", "whose effects stay: migrate")
}

func TestBeforeTasksRunWhereTheServicesOwnTasksRun(t *testing.T) {
	fargate := strings.ReplaceAll(strings.ReplaceAll(incident, "networkMode: bridge,", `networkMode: awsvpc, requiresCompatibilities: [FARGATE], cpu: "256", memory: "512",`),
		"    settings: {", "    settings: {platformVersion: 1.4.0, capacityProviderStrategy: [{capacityProvider: FARGATE_SPOT, weight: 1}], networkConfiguration: {awsvpcConfiguration: {subnets: [subnet-1], securityGroups: [sg-1]}}, ")
	w := newWorld(t, fargate, map[string]scripted.Script{"$ migrate up": exits(0)})
	w.want(w.release(w.withBefore(migrate)), 0, event.Released, "", "38")
	out, err := w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String(clusterName), Family: aws.String("backend"), DesiredStatus: types.DesiredStatusStopped})
	if err != nil {
		t.Fatal(err)
	}
	found, err := w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String(clusterName), Tasks: out.TaskArns})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(found.Tasks, func(k types.Task) bool { return strings.HasPrefix(aws.ToString(k.StartedBy), "weelo-deploy/run1/0-") })
	if i < 0 {
		t.Fatalf("no stopped task was started by the release: %+v", found.Tasks)
	}
	if k := found.Tasks[i]; k.LaunchType != types.LaunchTypeFargate || aws.ToString(k.PlatformVersion) != "1.4.0" || len(k.Attachments) != 1 {
		t.Errorf("the task ran with launch type %s, platform version %s, attachments %+v", k.LaunchType, aws.ToString(k.PlatformVersion), k.Attachments)
	}
}

func (w *world) iam() *iam.Client {
	return iam.NewFromConfig(aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(w.server.URL()), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
}
