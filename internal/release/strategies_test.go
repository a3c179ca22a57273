package release_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// withConfig is the incident whose service has these members in its deployment
// configuration too.
func withConfig(members string) string {
	return strings.Replace(incident, "{deploymentConfiguration: {", "{deploymentConfiguration: {"+members+", ", 1)
}

// goOn ends pauses as they come, and counts them.
func (w *world) goOn(action types.DeploymentLifecycleHookAction) (stages func() []string) {
	var mu sync.Mutex
	var seen []string
	done := make(map[string]bool)
	w.onEvent = func(event.Record) {
		mu.Lock()
		defer mu.Unlock()
		d := w.current()
		for _, h := range d.LifecycleHookDetails {
			if h.Status != types.DeploymentLifecycleHookStatusAwaitingAction || done[*h.HookId] || !strings.Contains(w.story(), *h.HookId) {
				continue // what is told is told before anybody goes on
			}
			done[*h.HookId] = true
			seen = append(seen, string(d.LifecycleStage))
			if _, err := w.ecs.ContinueServiceDeployment(w.t.Context(), &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, HookId: h.HookId, Action: action}); err != nil {
				w.t.Error(err)
			}
		}
	}
	return func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(seen) }
}

// current is the service's newest service deployment.
func (w *world) current() types.ServiceDeployment {
	w.t.Helper()
	out, err := w.ecs.DescribeServiceDeployments(w.t.Context(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{aws.ToString(w.service().CurrentServiceDeployment)}})
	if err != nil || len(out.ServiceDeployments) != 1 {
		w.t.Fatalf("the current service deployment: %v, %v", out, err)
	}
	return out.ServiceDeployments[0]
}

func (w *world) deployOther(revision string) {
	w.t.Helper()
	if _, err := w.ecs.UpdateService(w.t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName), TaskDefinition: aws.String("backend:" + revision)}); err != nil {
		w.t.Fatal(err)
	}
}

const pausing = "lifecycleHooks: [{targetType: PAUSE, lifecycleStages: [PRE_SCALE_UP, POST_SCALE_UP]}]"

func TestReleaseGoesThroughPauseHooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withConfig(pausing), nil)
	stages := w.goOn(types.DeploymentLifecycleHookActionContinue)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if got := stages(); !slices.Equal(got, []string{"PRE_SCALE_UP", "POST_SCALE_UP"}) {
		t.Errorf("somebody had to go on at %q", got)
	}
	if n := strings.Count(w.story(), "ECS waits at P"); n != 2 {
		t.Errorf("it is told %d times that somebody has to go on, want 2", n)
	}
	w.wantTag("38", history.Proven, "")
}

func TestReleaseThatSomebodyRollsBackAtAPauseHook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withConfig(pausing), nil)
	w.goOn(types.DeploymentLifecycleHookActionRollback)
	res := w.release(w.settings("good"))
	w.want(res, 3, event.RolledBack, "ECS_ROLLED_BACK", "27")
	if text := fmt.Sprint(res.Failure, res.Failure.Evidence); !strings.Contains(text, "PRE_SCALE_UP pause hook was rolled back") {
		t.Errorf("the failure is %s", text)
	}
}

func TestReleaseWhoseLambdaHookFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withConfig(`lifecycleHooks: [{hookTargetArn: "arn:aws:lambda:ap-south-1:318774499084:function:approve", roleArn: "arn:aws:iam::318774499084:role/r", lifecycleStages: [POST_SCALE_UP]}]`)+
		"\nhooks: [{function: approve, after: 1, callBackDelay: 10, status: FAILED}]\n", nil)
	res := w.release(w.settings("good"))
	w.want(res, 3, event.RolledBack, "ECS_ROLLED_BACK", "27")
	if text := fmt.Sprint(res.Failure, res.Failure.Evidence); !strings.Contains(text, "POST_SCALE_UP lifecycle hook(s) failed") || !strings.Contains(text, "function:approve returned FAILED status") {
		t.Errorf("the failure is %s", text)
	}
}

const alarming = "alarms: {alarmNames: [web-5xx, latency], enable: true, rollback: true}"

func TestReleaseThatAnAlarmEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withConfig(alarming)+"\nalarms: [{name: web-5xx}, {name: latency}]\n", nil)
	w.fault(`{"when":"UpdateService","alarm":"web-5xx","state":"ALARM","in":"1s"}`)
	res := w.release(w.settings("good"))
	w.want(res, 3, event.RolledBack, event.CodeECSRolledBack, "27")
	if also := res.Failure.Also; len(also) != 1 || also[0].Code != event.CodeAlarm {
		t.Errorf("the cause is %+v, want %s", also, event.CodeAlarm)
	}
	if text := fmt.Sprint(res.Failure); !strings.Contains(text, "the CloudWatch alarm web-5xx went off") {
		t.Errorf("the failure is %s, want it to name the alarm", text)
	}
}

func TestReleaseWithAlarmsThatStayQuiet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withConfig(alarming)+"\nalarms: [{name: web-5xx}, {name: latency}]\n", nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
}

func TestReleaseWithAnAlarmThatWasThereBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withConfig(alarming+", bakeTimeInMinutes: 8")+"\nalarms: [{name: web-5xx, state: ALARM}, {name: latency}]\n", nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if !strings.Contains(w.story(), "ECS does not use the alarms web-5xx, latency in this deployment") {
		t.Errorf("nobody is told that the alarms are ignored:\n%s", w.story())
	}
}

const (
	blueGreen = "strategy: BLUE_GREEN, bakeTimeInMinutes: 1"
	canary    = "strategy: CANARY, bakeTimeInMinutes: 1, canaryConfiguration: {canaryPercent: 10, canaryBakeTimeInMinutes: 1}"
	linear    = "strategy: LINEAR, bakeTimeInMinutes: 1, linearConfiguration: {stepPercent: 50, stepBakeTimeInMinutes: 1}"
)

func TestOtherStrategiesAreRefusedBeforeAnythingHappens(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]string{"BLUE_GREEN": blueGreen, "CANARY": canary, "LINEAR": linear} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, withConfig(members), nil)
			res := w.release(w.settings("good"))
			w.want(res, 4, event.Refused, event.CodeUnsupported, "")
			if !strings.Contains(res.Failure.Message, name) {
				t.Errorf("the refusal is %q", res.Failure.Message)
			}
			if n := w.count("RegisterTaskDefinition") + w.count("UpdateService"); n != 0 {
				t.Errorf("%d calls changed something", n)
			}
		})
	}
}

func TestWatchFollowsADeploymentOfAnotherStrategy(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]string{"BLUE_GREEN": blueGreen, "CANARY": canary, "LINEAR": linear} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, withConfig(members), nil)
			w.deployOther("37")
			w.want(w.run(w.watchSettings()).Resume(t.Context(), false), 0, event.Watched, "", "37")
		})
	}
	t.Run("one that is undone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, withConfig(blueGreen), map[string]scripted.Script{"backend:37": segfault})
		w.deployOther("37")
		res := w.run(w.watchSettings()).Resume(t.Context(), false)
		if res.ExitCode != 5 || res.Failure == nil || res.Failure.Code != "EXIT_139_SIGSEGV" {
			t.Errorf("result = exit %d, %s, %v\n%s", res.ExitCode, res.Outcome, res.Failure, w.story())
		}
	})
}

// watchSettings are those of `watch`.
func (w *world) watchSettings() release.Settings {
	s := w.settings("")
	s.Command, s.Image = "watch", ""
	return s
}

// A rollback by hand of what shifts traffic is ECS's own, and named.
func TestRollbackOfAnotherStrategyNamesTheWayBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withConfig(canary), nil)
	w.deployOther("37")
	s := w.watchSettings()
	s.Command = "rollback"
	res := w.run(s).Rollback(t.Context(), "", false)
	w.want(res, 4, event.Refused, event.CodeUnsupported, "27")
	arn := aws.ToString(w.service().CurrentServiceDeployment)
	if want := "aws ecs stop-service-deployment --service-deployment-arn " + arn + " --stop-type ROLLBACK --region ap-south-1"; !slices.Contains(res.Failure.Next, want) {
		t.Errorf("next commands are %q, want %q", res.Failure.Next, want)
	}
}
