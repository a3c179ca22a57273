package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// phase is a part of a watch with the most calls that any minute of it may have.
type phase struct {
	name     string
	from, to time.Duration
	most     int
}

// within counts the calls of every minute that lies within a phase, wherever it
// begins.
func (f *fakeECS) within(t *testing.T, phases ...phase) {
	t.Helper()
	for _, p := range phases {
		worst, seen := 0, 0
		for i, c := range f.calls {
			if c.at < p.from || c.at >= p.to {
				continue
			}
			seen++
			n := 0
			for _, d := range f.calls[i:] {
				if d.at < c.at+time.Minute && d.at < p.to {
					n++
				}
			}
			worst = max(worst, n)
		}
		if worst > p.most || seen == 0 {
			t.Errorf("%s: %d calls in the worst minute, want at most %d", p.name, worst, p.most)
		}
		t.Logf("%s: %d calls in the worst minute, %d in %s", p.name, worst, seen, p.to-p.from)
	}
}

// Whatever happens in a service, its watch stays within 90 calls a minute in the two
// minutes after its first task was seen, 45 afterwards, and 20 in bake.
func TestWatch_callsAMinute(t *testing.T) {
	const first, bake, end = 2 * time.Second, 10 * time.Minute, 20 * time.Minute
	phases := []phase{
		{"early", 0, first + 2*time.Minute, 90},
		{"later", first + 2*time.Minute + 5*time.Second, bake, 45},
		{"bake", bake + 10*time.Second, end, 20},
	}
	done := func(f *fakeECS, at time.Duration) {
		f.at(at, func() {
			for _, task := range f.tasks {
				if str(task.StartedBy) == "ecs-svc/1" && str(task.LastStatus) == "RUNNING" {
					f.scaleIn(name(*task.TaskArn), "ecs-svc/1")
				}
			}
			f.complete("ecs-svc/2")
			f.drop("ecs-svc/1")
		})
	}
	for _, c := range []struct {
		name string
		plan func(*fakeECS)
	}{
		{"one task that is slow to pull", func(f *fakeECS) {
			f.at(first, func() { f.start("new1", "ecs-svc/2", 38); f.pulling("new1") })
			f.at(bake-10*time.Second, func() { f.up("new1") })
			done(f, bake-8*time.Second)
		}},
		{"a crash loop", func(f *fakeECS) {
			for i := range 19 {
				f.at(first+time.Duration(30*i)*time.Second, func() { f.crash(fmt.Sprint("bad", i), 1) })
			}
			f.at(bake-10*time.Second, func() { f.start("new1", "ecs-svc/2", 38); f.up("new1") })
			done(f, bake-8*time.Second)
		}},
		{"a fleet of which a task dies every second", func(f *fakeECS) {
			f.deployment("ecs-svc/2").DesiredCount = 100
			f.at(first, func() { fleetOf(f, 99) })
			for i := range int(bake/time.Second) - 20 {
				f.at(first+time.Duration(i)*time.Second, func() {
					f.crash(fmt.Sprint("bad", i), 1)
					f.say(fmt.Sprintf("(service backend) has started 1 tasks: (task %032x).", i))
				})
			}
			f.at(bake-10*time.Second, func() { f.start("last", "ecs-svc/2", 38); f.up("last") })
			done(f, bake-8*time.Second)
		}},
		{"tasks that come and go in bake", func(f *fakeECS) {
			f.at(first, func() { f.start("new1", "ecs-svc/2", 38); f.up("new1") })
			done(f, bake-8*time.Second)
			for i := range 60 {
				f.at(bake+time.Duration(10*i)*time.Second, func() {
					f.start(fmt.Sprint("more", i), "ecs-svc/2", 38)
					f.stop(fmt.Sprint("more", i), types.TaskStopCodeSpotInterruption, "Your Spot Task was interrupted.", exited(137))
				})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				c.plan(f)
				tolerate, err := ParseTolerance("10000")
				if err != nil {
					t.Fatal(err)
				}
				got := watch(f, Policy{Tolerate: tolerate, Timeout: 30 * time.Minute, Bake: end - bake})
				got.want(t, Serving, "")
				f.within(t, phases...)
			})
		})
	}
}

// The bounds do not delay what matters: in the middle of all that, a crash that is
// fatal is found as fast as ever.
func TestWatch_boundsDoNotDelayAFatalFailure(t *testing.T) {
	for _, at := range []time.Duration{500 * time.Millisecond, 3 * time.Second, 5 * time.Second, 7 * time.Second, 20 * time.Second, 100 * time.Second, 5 * time.Minute} {
		t.Run(at.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.deployment("ecs-svc/2").DesiredCount = 20
				f.at(100*time.Millisecond, func() { fleetOf(f, 19) })
				for i := range 40 {
					f.at(time.Duration(10*i)*time.Second, func() {
						f.start(fmt.Sprint("spot", i), "ecs-svc/2", 38)
						f.stop(fmt.Sprint("spot", i), types.TaskStopCodeSpotInterruption, "Your Spot Task was interrupted.", exited(137))
					})
				}
				f.at(at, func() { f.crash("bad", 139) })
				got := watch(f, Policy{})
				got.want(t, Failing, event.Code("EXIT_139_SIGSEGV"))
				if late, most := got.took-at, 1500*time.Millisecond; at < 2*time.Minute && late > most || late > 2500*time.Millisecond {
					t.Errorf("found %s after it happened, want %s (later 2.5s)", late, most)
				}
			})
		})
	}
}

// A rollback looks at the service itself as often as a release looks for dead tasks.
func TestWatchReturn_callsAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(2*time.Second, func() { f.breakerBack("ecs-svc/2", "ecs-svc/1") })
		f.at(10*time.Minute, func() { f.complete("ecs-svc/1"); f.drop("ecs-svc/2") })
		w := &Watcher{ECS: f, Pace: Pace{Jitter: func() float64 { return 0.5 }}}
		f.task("old1").LastStatus = aws.String("PENDING")
		f.at(10*time.Minute, func() { f.up("old1") })
		v, err := w.WatchReturn(t.Context(), Return{Cluster: "weelocluster", Service: "backend", Target: definition(27), Abandoned: "ecs-svc/2", ServiceDeployment: ownSD}, Policy{Timeout: time.Hour})
		if err != nil || v.Outcome != Serving {
			t.Fatalf("WatchReturn() = %s (%v), %v", v.Outcome, v.Failure, err)
		}
		if late := time.Since(f.began) - 10*time.Minute; late > 5*time.Second {
			t.Errorf("seen %s after it served again", late)
		}
		f.within(t, phase{"early", 0, 2 * time.Minute, 90}, phase{"later", 2*time.Minute + 10*time.Second, 10 * time.Minute, 45})
	})
}
