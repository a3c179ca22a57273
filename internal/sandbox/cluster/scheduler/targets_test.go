package scheduler

import (
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// balanced is a task that its target group calls healthy after a while.
func balanced(after time.Duration) behaviour {
	return behaviour{groups: []string{"tg"}, target: TargetHealthy, targetAfter: after, drains: 300 * time.Second}
}

// sick is a task that its target group calls unhealthy.
func sick(after time.Duration) behaviour {
	b := balanced(after)
	b.target, b.targetWhy = TargetUnhealthy, "Health checks failed with these codes: [500]"
	return b
}

var atMostTwice = Limits{MinimumHealthyPercent: 100, MaximumPercent: 200}

func TestADeploymentWaitsForItsTargetGroups(t *testing.T) {
	m := newSim(t, 1, atMostTwice, Breaker{})
	m.deploy("a", balanced(10*time.Second))
	m.run(2 * time.Minute)
	m.want("a COMPLETED 1/1")
	m.deploy("b", balanced(10*time.Minute))
	m.run(9 * time.Minute)
	m.want("b IN_PROGRESS 1/1, a COMPLETED 1/1")
}

func TestTheOldTaskIsStoppedAfterItsDeregistrationDelay(t *testing.T) {
	m := newSim(t, 1, atMostTwice, Breaker{})
	m.deploy("a", balanced(10*time.Second))
	m.run(2 * time.Minute)
	from := len(m.s.Events)
	m.deploy("b", balanced(10*time.Second))
	m.run(time.Minute)
	old := m.s.Task("t1")
	if old.Status != Deactivating || old.Targets[0].State != TargetDraining {
		t.Errorf("while its target group drains it the task is %s, its target %s", old.Status, old.Targets[0].State)
	}
	m.run(250 * time.Second)
	if old.Status != Deactivating {
		t.Errorf("before the deregistration delay is over the task is %s", old.Status)
	}
	m.run(3 * time.Minute)
	m.want("b COMPLETED 1/1")
	m.wantEvents(from,
		"has started 1 tasks: (task t2).",
		"registered 1 targets in (target-group tg)",
		"has stopped 1 running tasks: (task t1).",
		"deregistered 1 targets in (target-group tg)",
		"(service web, taskSet a) has begun draining connections on 1 tasks.",
		"(deployment b) deployment completed.",
		"has reached a steady state.",
	)
}

func TestATaskThatItsTargetGroupCallsUnhealthyIsReplacedAndCounted(t *testing.T) {
	m := newSim(t, 1, atMostTwice, Breaker{Enable: true, Rollback: true, Type: ThresholdCount, Value: 3})
	m.deploy("a", balanced(10*time.Second))
	m.run(2 * time.Minute)
	from := len(m.s.Events)
	sd := m.deploy("b", sick(30*time.Second))
	m.run(2 * time.Minute)
	failed := m.s.Task("t2")
	const reason = "Task failed ELB health checks in (target-group tg)"
	if failed.StopCode != StopScheduler || failed.StopReason != reason {
		t.Errorf("the task was stopped as %s, %q", failed.StopCode, failed.StopReason)
	}
	text := strings.Join(m.events()[from:], "\n")
	for _, want := range []string{
		"(task t2) (port 8080) is unhealthy in (target-group tg) due to (reason Health checks failed with these codes: [500])",
		"deregistered 1 targets in (target-group tg)\n",
		"Amazon ECS replaced 1 tasks due to an unhealthy status.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no event says %q:\n%s", want, text)
		}
	}
	m.run(20 * time.Minute)
	m.wantStatus(sd, SDRollbackSuccessful)
	m.want("a COMPLETED 1/1")
}

func TestTheGracePeriodHoldsBackTheLoadBalancersVerdict(t *testing.T) {
	m := newSim(t, 1, atMostTwice, Breaker{})
	m.s.Grace = 2 * time.Minute
	m.deploy("a", sick(10*time.Second))
	m.run(2 * time.Minute)
	if first := m.s.Task("t1"); !first.Live() || first.Healthy() {
		t.Errorf("in the grace period the task is %s, healthy %v", first.Status, first.Healthy())
	}
	m.run(time.Minute)
	if first := m.s.Task("t1"); first.Live() {
		t.Errorf("after the grace period the task is %s", first.Status)
	}
}

func TestContainerHealthAndTargetsMustBothBeHealthy(t *testing.T) {
	m := newSim(t, 1, atMostTwice, Breaker{})
	b := balanced(10 * time.Second)
	b.healthy, b.healthAt = true, time.Minute
	m.deploy("a", b)
	m.run(50 * time.Second)
	if m.s.Task("t1").Healthy() {
		t.Error("the task counts as healthy before its container does")
	}
	m.run(time.Minute)
	m.want("a COMPLETED 1/1")
	if got := m.s.Task("t1").Health(); got != task.Healthy {
		t.Errorf("healthStatus is %s", got)
	}
}

func TestATargetGroupThatRefusesATaskIsAnEvent(t *testing.T) {
	m := newSim(t, 1, atMostTwice, Breaker{})
	m.deploy("a", behaviour{groups: []string{"tg"}, cannotRegister: "Target groups 'tg' not found"})
	m.run(5 * time.Minute)
	m.want("a IN_PROGRESS 1/1")
	m.wantEvents(1, "failed to register targets in (target-group tg) with (error Target groups 'tg' not found)")
}

func TestATaskThatDiesLeavesItsTargetGroup(t *testing.T) {
	m := newSim(t, 1, atMostTwice, Breaker{})
	b := balanced(time.Second)
	b.crash, b.crashAfter = true, 30*time.Second
	m.deploy("a", b)
	m.run(100 * time.Second)
	if got := m.s.Task("t1").Status; got != Stopped {
		t.Errorf("a task that died is %s: it waits for nobody", got)
	}
	if text := strings.Join(m.events(), "\n"); !strings.Contains(text, "deregistered 1 targets in (target-group tg)") {
		t.Errorf("it was not taken out of the target group:\n%s", text)
	}
}

func TestTasksThatDieBeforeTheirTargetsAreHealthyReplaceNothing(t *testing.T) {
	m := newSim(t, 2, atMostTwice, Breaker{Enable: true, Rollback: true})
	m.deploy("a", balanced(10*time.Second))
	m.run(2 * time.Minute)
	b := balanced(10 * time.Second)
	b.crash, b.crashAfter = true, 9*time.Second
	sd := m.deploy("b", b)
	m.watch()
	m.run(20 * time.Minute)
	m.want("a COMPLETED 2/2")
	m.wantStatus(sd, SDRollbackSuccessful)
	if m.fewest != 2 || !sd.BreakerFired {
		t.Errorf("%d tasks were healthy at some time, want 2; the breaker fired: %v", m.fewest, sd.BreakerFired)
	}
}

func TestTasksThatWereHealthyAndDieCountWhileTheDeploymentIsInProgress(t *testing.T) {
	m := newSim(t, 2, atMostTwice, Breaker{Enable: true, Rollback: true, KeepCount: true})
	m.deploy("a", balanced(10*time.Second))
	m.run(2 * time.Minute)
	b := balanced(10 * time.Second)
	b.crash, b.crashAfter = true, 30*time.Second
	sd := m.deploy("b", b) // the old tasks drain for 300 s
	m.run(20 * time.Minute)
	m.want("a COMPLETED 2/2")
	m.wantStatus(sd, SDRollbackSuccessful)
	if !sd.BreakerFired || sd.Failures < 3 {
		t.Errorf("the breaker fired: %v, after %d failures", sd.BreakerFired, sd.Failures)
	}
}

func TestADeploymentCompletesOnlyWhileAllItsTasksAreHealthy(t *testing.T) {
	m := newSim(t, 2, atMostTwice, Breaker{})
	m.deploy("a", balanced(10*time.Second))
	m.run(2 * time.Minute)
	b := balanced(10 * time.Second)
	b.drains = 0
	m.deploy("b", b)
	m.run(2 * time.Minute) // the old tasks drain
	m.exit(m.s.liveTasks(func(t *Task) bool { return t.Deployment == "b" })[0], 139)
	m.does["b"] = sick(time.Hour)
	m.run(10 * time.Minute)
	m.want("b IN_PROGRESS 2/2 f1")
}
