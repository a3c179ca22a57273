package health

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// noted counts the notes that contain all of want.
func noted(o *told, want ...string) int {
	n := 0
notes:
	for _, e := range of[event.Note](o) {
		for _, s := range want {
			if !strings.Contains(e.Text, s) {
				continue notes
			}
		}
		n++
	}
	return n
}

func pause(f *fakeECS, status types.DeploymentLifecycleHookStatus) {
	f.own.LifecycleStage = types.ServiceDeploymentLifecycleStagePostScaleUp
	f.own.LifecycleHookDetails = []types.DeploymentLifecycleHookDetail{{
		HookId: aws.String("hook-7"), Status: status, TargetType: types.DeploymentLifecycleHookTargetTypePause,
		ExpiresAt: aws.Time(f.began.Add(24 * time.Hour)), TimeoutAction: types.DeploymentLifecycleHookActionRollback,
	}}
}

func TestWatch_aPauseHookWaitsForSomebodyAndNotForTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.start("new1", "ecs-svc/2", 38); f.up("new1") })
		f.at(20*time.Second, func() { pause(f, types.DeploymentLifecycleHookStatusAwaitingAction) })
		f.at(3*time.Hour, func() {
			pause(f, types.DeploymentLifecycleHookStatusSucceeded)
			f.scaleIn("old1", "ecs-svc/1")
			f.complete("ecs-svc/2")
			f.drop("ecs-svc/1")
		})
		got := watch(f, Policy{})
		got.want(t, Serving, "")
		if n := noted(got.told, "ECS waits at POST_SCALE_UP", "aws ecs continue-service-deployment --service-deployment-arn "+ownSD+" --hook-id hook-7 --region ap-south-1 --action CONTINUE", "it ends with ROLLBACK"); n != 1 {
			t.Errorf("what to do was told %d times, want once", n)
		}
		beats := of[event.Heartbeat](got.told)
		if last := beats[len(beats)-1].Text; !strings.Contains(last, "paused at POST_SCALE_UP by hook hook-7 until somebody continues it") {
			t.Errorf("the last heartbeat says %q", last)
		}
	})
}

func TestWatch_aPauseHookThatEndsWithARollback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.start("new1", "ecs-svc/2", 38); f.up("new1") })
		f.at(20*time.Second, func() { pause(f, types.DeploymentLifecycleHookStatusAwaitingAction) })
		f.at(time.Hour, func() { pause(f, types.DeploymentLifecycleHookStatusTimedOut); f.breakerBack("ecs-svc/2", "ecs-svc/1") })
		watch(f, Policy{}).want(t, RolledBackByECS, event.CodeECSRolledBack)
	})
}

func TestWatch_aHookThatRunsIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.start("new1", "ecs-svc/2", 38); f.up("new1") })
		f.at(20*time.Second, func() {
			pause(f, types.DeploymentLifecycleHookStatusInProgress)
			f.own.LifecycleHookDetails[0].TargetArn = aws.String("arn:aws:lambda:r:1:function/smoke-test")
		})
		got := watch(f, Policy{})
		got.want(t, Stalled, event.CodeTimeout)
		says(t, got.Failure, "1/1 running, hook smoke-test runs at POST_SCALE_UP")
	})
}

func alarms(f *fakeECS, status types.ServiceDeploymentRollbackMonitorsStatus, triggered ...string) {
	f.settings = &types.DeploymentConfiguration{Alarms: &types.DeploymentAlarms{AlarmNames: []string{"5xx", "latency"}, Enable: true, Rollback: true}}
	f.own.Alarms = &types.ServiceDeploymentAlarms{AlarmNames: []string{"5xx", "latency"}, Status: status, TriggeredAlarmNames: triggered}
}

func TestWatch_alarmsOfTheService(t *testing.T) {
	const monitoring, triggered = types.ServiceDeploymentRollbackMonitorsStatusMonitoring, types.ServiceDeploymentRollbackMonitorsStatusTriggered
	run := func(f *fakeECS) {
		f.at(5*time.Second, func() { f.start("new1", "ecs-svc/2", 38); f.up("new1"); alarms(f, monitoring) })
		f.at(30*time.Second, func() { f.scaleIn("old1", "ecs-svc/1") })
	}
	t.Run("one goes off, and ECS goes back", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			run(f)
			f.at(2*time.Minute, func() { f.breakerBack("ecs-svc/2", "ecs-svc/1"); alarms(f, triggered, "5xx") })
			got := watch(f, Policy{})
			got.want(t, RolledBackByECS, event.CodeECSRolledBack)
			says(t, got.Failure, "the CloudWatch alarm 5xx went off", "describe-alarm-history --alarm-name 5xx")
			if also := got.Failure.Also; len(also) != 1 || also[0].Code != event.CodeAlarm {
				t.Errorf("also = %+v, want the alarm", also)
			}
		})
	})
	t.Run("one goes off, and ECS does not go back", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			run(f)
			f.at(2*time.Minute, func() {
				f.deployment("ecs-svc/2").RolloutState = types.DeploymentRolloutStateFailed
				alarms(f, triggered, "5xx,latency")
			})
			got := watch(f, Policy{})
			got.want(t, Failing, event.CodeAlarm)
			says(t, got.Failure, "did not go back: the CloudWatch alarms 5xx, latency went off")
		})
	})
	t.Run("service deployments cannot be read", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			run(f)
			f.fault = func(op string, _ int, _ time.Duration) error {
				if op == "ListServiceDeployments" {
					return apiError("AccessDeniedException")
				}
				return nil
			}
			f.at(2*time.Minute, func() {
				f.deployment("ecs-svc/2").RolloutState = types.DeploymentRolloutStateFailed
				f.say("(service backend) (deployment ecs-svc/2) deployment failed: alarm detected.")
			})
			got := watch(f, Policy{})
			got.want(t, Failing, event.CodeAlarm)
			says(t, got.Failure, "the CloudWatch alarms 5xx, latency went off")
		})
	})
	t.Run("what ECS waits for is said", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			run(f)
			f.at(8*time.Minute, func() { f.complete("ecs-svc/2"); f.drop("ecs-svc/1") })
			got := watch(f, Policy{})
			got.want(t, Serving, "")
			beats := of[event.Heartbeat](got.told)
			if last := beats[len(beats)-1].Text; last != "1/1 running, ECS watches alarms 5xx, latency before it calls the deployment completed" {
				t.Errorf("the last heartbeat says %q", last)
			}
		})
	})
	t.Run("those that ECS ignores are told", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			f := newFake()
			alarms(f, types.ServiceDeploymentRollbackMonitorsStatusDisabled)
			f.serve(time.Minute)
			got := watch(f, Policy{})
			got.want(t, Serving, "")
			if n := noted(got.told, "ECS does not use the alarms 5xx, latency in this deployment"); n != 1 {
				t.Errorf("told %d times, want once", n)
			}
		})
	})
}

func TestWatch_settingsThatLetNothingHappen(t *testing.T) {
	for _, c := range []struct {
		desired, least, most int32
		stuck                bool
	}{
		{1, 100, 100, true}, {1, 100, 199, true}, {1, 1, 100, true}, {1, 100, 200, false}, {1, 0, 100, false},
		{2, 100, 149, true}, {2, 100, 150, false}, {2, 51, 100, true}, {2, 50, 100, false}, {3, 67, 100, true}, {10, 91, 109, true}, {10, 90, 109, false},
	} {
		t.Run(fmt.Sprintf("%d of %d to %d percent", c.desired, c.least, c.most), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.settings = &types.DeploymentConfiguration{MinimumHealthyPercent: &c.least, MaximumPercent: &c.most}
				f.deployment("ecs-svc/2").DesiredCount = c.desired
				if !c.stuck {
					f.at(time.Second, func() {
						for i := range c.desired {
							f.start(fmt.Sprint("new", i), "ecs-svc/2", 38)
							f.up(fmt.Sprint("new", i))
						}
						f.scaleIn("old1", "ecs-svc/1")
						f.complete("ecs-svc/2")
						f.drop("ecs-svc/1")
					})
				}
				got := watch(f, Policy{Timeout: time.Minute})
				notes := noted(got.told, "let ECS neither start nor stop a task", "--deployment-configuration minimumHealthyPercent=100,maximumPercent=200")
				if !c.stuck {
					if got.want(t, Serving, ""); notes > 0 {
						t.Errorf("it was told %d times that nothing can happen", notes)
					}
					return
				}
				got.want(t, Stalled, event.CodeTimeout)
				says(t, got.Failure, fmt.Sprintf("0/%d running: with %d wanted, minimumHealthyPercent %d and maximumPercent %d let ECS neither start nor stop a task", c.desired, c.desired, c.least, c.most),
					"aws ecs update-service --cluster weelocluster --service backend --region ap-south-1 --deployment-configuration")
				if notes != 1 {
					t.Errorf("it was told %d times, want once, at the beginning", notes)
				}
			})
		})
	}
}

func TestWatch_nobodyWantsTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deployment("ecs-svc/2").DesiredCount = 0
		f.at(2*time.Second, func() {
			f.complete("ecs-svc/2")
			f.drop("ecs-svc/1")
			f.own.Status = types.ServiceDeploymentStatusSuccessful
		})
		got := watch(f, Policy{Timeout: time.Minute})
		got.want(t, Stalled, event.CodeTimeout)
		if n := noted(got.told, "the desired count of backend is 0: ECS starts no task, and nothing can be proven"); n != 1 {
			t.Errorf("told %d times, want once", n)
		}
	})
}

// Rebalancing stops tasks of ours while others start: that is no failure, neither
// before completion nor in bake, and what counts is who runs in the end.
func TestWatch_availabilityZonesAreRebalanced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deployment("ecs-svc/2").DesiredCount = 2
		f.at(2*time.Second, func() {
			for _, id := range []string{"new1", "new2"} {
				f.start(id, "ecs-svc/2", 38)
				f.up(id)
			}
		})
		f.at(30*time.Second, func() { f.scaleIn("old1", "ecs-svc/1"); f.complete("ecs-svc/2"); f.drop("ecs-svc/1") })
		f.at(40*time.Second, func() {
			f.say("(service backend) AZ Rebalancing in progress.")
			f.start("new3", "ecs-svc/2", 38)
			f.stop("new1", types.TaskStopCodeServiceSchedulerInitiated, "Task stopped for Availability Zone rebalancing", exited(143))
		})
		f.at(100*time.Second, func() { f.up("new3"); f.say("(service backend) is AZ balanced with 1 tasks in a, 1 tasks in b.") })
		got := watch(f, Policy{Bake: 30 * time.Second})
		got.want(t, Serving, "")
		if got.took < 100*time.Second {
			t.Errorf("it served after %s, want only once two tasks run again", got.took)
		}
		ignored := 0
		for _, e := range of[event.Task](got.told) {
			if e.Ignored == event.CodeRescheduled && e.Code == "" && !e.Counted {
				ignored++
			}
		}
		if ignored != 1 {
			t.Errorf("%d tasks were told as rescheduled, want one", ignored)
		}
	})
}

// What no task tells, the events may: without a task, a stall is explained by
// them, and stays a stall.
func TestWatch_aStallIsExplainedByEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(3*time.Second, func() {
			f.say("(service backend) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.")
		})
		got := watch(f, Policy{})
		got.want(t, Stalled, event.CodeTimeout)
		says(t, got.Failure, "Service Quotas")
		if also := got.Failure.Also; len(also) != 1 || also[0].Code != event.CodeQuota {
			t.Errorf("also = %+v, want the quota", also)
		}
	})
}
