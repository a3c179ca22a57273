package health

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

func TestWatch_stallsSayWhatIsAwaited(t *testing.T) {
	for _, c := range []struct {
		name    string
		happens func(f *fakeECS)
		says    []string
	}{
		{"pulling", func(f *fakeECS) { f.start("new1", "ecs-svc/2", 38); f.pulling("new1") },
			[]string{"no progress for 10m: 0/1 running, 1 pending for 10m: pulling image", "task new1 is pending for 10m: pulling image"}},
		{"one of two", func(f *fakeECS) {
			f.deployment("ecs-svc/2").DesiredCount = 2
			f.start("new1", "ecs-svc/2", 38)
			f.up("new1")
			f.start("new2", "ecs-svc/2", 38)
		}, []string{"1/2 running, 1 pending for 10m: waiting to be started on its host"}},
		{"no task at all", func(f *fakeECS) {
			f.say("(service backend) was unable to place a task because no container instance met all of its requirements.")
		}, []string{"0/1 running, 1 not started: (service backend) was unable to place a task because no container instance met all of its requirements."}},
		{"the network", func(f *fakeECS) {
			for _, n := range []string{"a", "b"} {
				f.start(n, "ecs-svc/2", 38)
				f.stop(n, types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: dial tcp 1.2.3.4:443: i/o timeout", types.Container{})
			}
		}, []string{"0/1 running, 1 not started", "2 × CANNOT_PULL_NETWORK: container app: the registry cannot be reached (CannotPullContainerError: dial tcp", "NAT gateway"}},
		{"the deployment before", func(f *fakeECS) { f.start("new1", "ecs-svc/2", 38); f.up("new1") },
			[]string{"1/1 running, 1 of the deployment before still to stop"}},
		{"the completion", func(f *fakeECS) { f.start("new1", "ecs-svc/2", 38); f.up("new1"); f.scaleIn("old1", "ecs-svc/1") },
			[]string{"1/1 running, waiting for ECS to call the deployment completed"}},
		{"nobody wants tasks", func(f *fakeECS) { f.deployment("ecs-svc/2").DesiredCount = 0 },
			[]string{"0/0 running: the desired count is 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(3*time.Second, func() { c.happens(f) })
				got := watch(f, Policy{})
				got.want(t, Stalled, event.CodeTimeout)
				says(t, got.Failure, c.says...)
				if got.took < 10*time.Minute || got.took > 10*time.Minute+20*time.Second {
					t.Errorf("it took %s, want 10m after the last progress", got.took)
				}
				beats := of[event.Heartbeat](got.told)
				if len(beats) < 15 || !strings.Contains(beats[len(beats)-1].Text, "running") {
					t.Errorf("%d heartbeats, the last %+v", len(beats), beats[max(0, len(beats)-1):])
				}
			})
		})
	}
}

func TestWatch_timeoutCountsFromTheLastProgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deployment("ecs-svc/2").DesiredCount = 3
		for i, id := range []string{"a", "b", "c"} { // each step takes 8 of the 10 minutes
			f.at(time.Duration(16*i)*time.Minute+8*time.Minute, func() { f.start(id, "ecs-svc/2", 38) })
			f.at(time.Duration(16*i)*time.Minute+16*time.Minute, func() { f.up(id) })
		}
		f.at(49*time.Minute, func() { f.complete("ecs-svc/2"); f.drop("ecs-svc/1") })
		got := watch(f, Policy{})
		got.want(t, Serving, "")
	})
}

func TestWatch_anOldTaskGoneIsProgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.start("old2", "ecs-svc/1", 27)
		f.up("old2")
		f.at(time.Minute, func() { f.start("new1", "ecs-svc/2", 38); f.up("new1") })
		f.at(9*time.Minute, func() { f.scaleIn("old1", "ecs-svc/1") })
		f.at(17*time.Minute, func() { f.scaleIn("old2", "ecs-svc/1") })
		f.at(25*time.Minute, func() { f.complete("ecs-svc/2"); f.drop("ecs-svc/1") })
		watch(f, Policy{}).want(t, Serving, "")
	})
}

// A crash loop starts a task again and again; that is no progress.
func TestWatch_aLoopIsNoProgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		names := strings.Split("abcdefghijklmnopqrstuvwxyz", "")
		for i, n := range names {
			f.at(time.Duration(i)*50*time.Second, func() { f.start(n, "ecs-svc/2", 38) })
			f.at(time.Duration(i)*50*time.Second+20*time.Second, func() { f.up(n) })
			f.at(time.Duration(i)*50*time.Second+30*time.Second, func() { f.exit(n, 1) })
		}
		tolerate, _ := ParseTolerance("50")
		got := watch(f, Policy{Tolerate: tolerate})
		got.want(t, Stalled, event.CodeTimeout)
		if got.took > 11*time.Minute {
			t.Errorf("it took %s", got.took)
		}
		says(t, got.Failure, "× EXIT_1: container app exited with 1, 10s after it started")
	})
}

// An autoscaler that cannot make up its mind must not keep a watch going for ever.
func TestWatch_scalingBackAndForthIsNoProgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		for i := range 12 {
			f.at(time.Duration(i+1)*5*time.Minute, func() { f.deployment("ecs-svc/2").DesiredCount = int32(2 - i%2) })
		}
		got := watch(f, Policy{})
		got.want(t, Stalled, event.CodeTimeout)
		if got.took > 16*time.Minute {
			t.Errorf("it took %s", got.took)
		}
	})
}
