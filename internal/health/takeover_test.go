package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestWatch_breakerFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(10*time.Second, func() { f.crash("new1", 1) })
		f.at(11*time.Second, func() { f.breakerBack("ecs-svc/2", "ecs-svc/1") }) // COUNT 1
		got := watch(f, Policy{})
		got.want(t, RolledBackByECS, event.CodeECSRolledBack)
		says(t, got.Failure, "ECS rolled deployment ecs-svc/2 back to weelo:27 (ecs-svc/1): container app exited with 1", "circuit breaker")
		if got.TakenBy.Deployment != "ecs-svc/1" || got.TakenBy.TaskDefinition != definition(27) {
			t.Errorf("TakenBy = %+v", got.TakenBy)
		}
		if len(got.Failure.Also) != 1 || got.Failure.Also[0].Code != "EXIT_1" || *got.Failure.ExitCode != 1 {
			t.Errorf("Failure = %+v, want its cause", got.Failure)
		}
	})
}

func TestWatch_breakerAndOursGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(30*time.Second, func() { f.breakerBack("ecs-svc/2", "ecs-svc/1"); f.drop("ecs-svc/2"); f.complete("ecs-svc/1") })
		watch(f, Policy{}).want(t, RolledBackByECS, event.CodeECSRolledBack)
	})
}

// Should ECS go back by a deployment with an id of its own, it says so.
func TestWatch_breakerWithANewID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(30*time.Second, func() {
			f.deploy("ecs-svc/3", 27, 1)
			f.deployment("ecs-svc/3").RolloutStateReason = aws.String("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.")
		})
		watch(f, Policy{}).want(t, RolledBackByECS, event.CodeECSRolledBack)
	})
	bubble(t, func(t *testing.T) { // only the service deployment knows
		f := newFake()
		f.at(30*time.Second, func() {
			f.deploy("ecs-svc/3", 27, 1)
			f.own.Status = types.ServiceDeploymentStatusRollbackInProgress
		})
		watch(f, Policy{}).want(t, RolledBackByECS, event.CodeECSRolledBack)
	})
}

func TestWatch_superseded(t *testing.T) {
	for name, happens := range map[string]func(f *fakeECS){
		"by another revision":  func(f *fakeECS) { f.deploy("ecs-svc/3", 39, 1) },
		"by the same revision": func(f *fakeECS) { f.deploy("ecs-svc/3", 38, 1) },
		"by the revision of before": func(f *fakeECS) {
			f.deploy("ecs-svc/3", 27, 1)
			f.own.Status = types.ServiceDeploymentStatusStopRequested
		},
		"and ours is gone":   func(f *fakeECS) { f.deploy("ecs-svc/3", 39, 1); f.drop("ecs-svc/2") },
		"while ours crashes": func(f *fakeECS) { f.crash("new1", 139); f.deploy("ecs-svc/3", 39, 1) },
		"while ECS rolls ours back": func(f *fakeECS) {
			f.own.Status = types.ServiceDeploymentStatusRollbackInProgress
			f.deploy("ecs-svc/3", 39, 1)
		},
		"without service deployments": func(f *fakeECS) { f.own = nil; f.deploy("ecs-svc/3", 39, 1) },
		"in the same moment as a read": func(f *fakeECS) {
			f.deploy("ecs-svc/3", 39, 1)
			f.deployment("ecs-svc/3").CreatedAt = f.deployment("ecs-svc/2").CreatedAt
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(22*time.Second, func() { happens(f) }) // between two looks at the service
				got := watch(f, Policy{})
				got.want(t, Superseded, event.CodeSuperseded)
				if got.TakenBy.Deployment != "ecs-svc/3" {
					t.Errorf("TakenBy = %+v", got.TakenBy)
				}
				if got.took > 30*time.Second {
					t.Errorf("it took %s", got.took)
				}
			})
		})
	}
}

func TestWatch_oldAnswersRightAfterUpdateService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		ours := f.deployments[0]
		f.drop("ecs-svc/2")
		f.deployments[0].Status = aws.String("PRIMARY")
		f.at(8*time.Second, func() {
			f.deployments[0].Status = aws.String("ACTIVE")
			f.deployments = append([]types.Deployment{ours}, f.deployments...)
		})
		f.serve(60 * time.Second)
		w := &Watcher{ECS: f}
		v, err := w.Watch(t.Context(), Subject{Service: "backend", Deployment: "ecs-svc/2", TaskDefinition: definition(38), CreatedAt: *ours.CreatedAt}, Policy{})
		if err != nil || v.Outcome != Serving {
			t.Errorf("Watch() = %s (%v), %v; want %s", v.Outcome, v.Failure, err, Serving)
		}
	})
}

// One answer alone may be an old one, at any time.
func TestWatch_oneOldAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.latency = func(op string, _ int) time.Duration {
			if op == "DescribeServices" {
				return 300 * time.Millisecond
			}
			return 0
		}
		f.stale = func(n int) bool { return n == 6 }
		f.serve(60 * time.Second)
		watch(f, Policy{}).want(t, Serving, "")
	})
}

func TestWatch_aDeploymentThatNeverShows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		at := f.deployments[0].CreatedAt
		f.drop("ecs-svc/2")
		f.deployments[0].Status = aws.String("PRIMARY")
		w := &Watcher{ECS: f}
		v, err := w.Watch(t.Context(), Subject{Service: "backend", Deployment: "ecs-svc/2", TaskDefinition: definition(38), CreatedAt: *at}, Policy{})
		if err != nil || v.Outcome != RolledBackByECS {
			t.Errorf("Watch() = %s, %v; want %s", v.Outcome, err, RolledBackByECS)
		}
		if d := time.Since(f.began); d < 15*time.Second || d > 30*time.Second {
			t.Errorf("it took %s, want some more than the 15s that ECS may take to show it", d)
		}
	})
}

// The breaker without rollback, or without a deployment to go back to.
func TestWatch_somebodyAsksForARollback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.start("new1", "ecs-svc/2", 38) })
		f.at(20*time.Second, func() {
			f.breakerBack("ecs-svc/2", "ecs-svc/1")
			f.own.Status, f.own.StatusReason = types.ServiceDeploymentStatusRollbackInProgress, aws.String("Service deployment rolled back because of a StopServiceDeployment request.")
		})
		got := watch(f, Policy{})
		got.want(t, RolledBackByECS, event.CodeECSRolledBack)
		says(t, got.Failure, "somebody had ECS roll deployment ecs-svc/2 back to weelo:27 (ecs-svc/1)", "ECS says: Service deployment rolled back because of a StopServiceDeployment request.")
	})
}

func TestWatch_ECSGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.crash("new1", 1) })
		f.at(30*time.Second, func() {
			d := f.deployment("ecs-svc/2")
			d.RolloutState, d.RolloutStateReason = types.DeploymentRolloutStateFailed, aws.String("ECS deployment circuit breaker: tasks failed to start.")
		})
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_1")
		says(t, got.Failure, "ECS gave deployment ecs-svc/2 up and did not go back: container app exited with 1", "tasks failed to start")
	})
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(30*time.Second, func() {
			f.own.Status, f.own.StatusReason = types.ServiceDeploymentStatusStopped, aws.String("alarm")
			f.say("(service backend) (deployment ecs-svc/2) deployment failed: alarm detected.")
		})
		got := watch(f, Policy{})
		got.want(t, Failing, event.CodeAlarm)
		says(t, got.Failure, "ECS says: alarm", "alarm detected")
	})
}

func TestWatch_serviceIsDeleted(t *testing.T) {
	for status, code := range map[string]event.Code{"DRAINING": event.CodeServiceNotReady, "INACTIVE": event.CodeServiceNotReady, "": event.CodeNotFound} {
		t.Run(fmt.Sprintf("%q", status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(20*time.Second, func() { f.status = status })
				got := watch(f, Policy{})
				if got.err == nil || event.FailuresOf(got.err)[0].Code != code {
					t.Errorf("Watch() error = %v, want %s", got.err, code)
				}
			})
		})
	}
}
