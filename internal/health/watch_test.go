package health

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// bubble runs a test on virtual time.
func bubble(t *testing.T, f func(*testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestWatch_serves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(40 * time.Second)
		got := watch(f, Policy{Bake: 30 * time.Second})
		got.want(t, Serving, "")
		if got.Running != 1 || got.Desired != 1 || !got.HealthySeen || !got.Completed || got.ServiceDeployment != ownSD {
			t.Errorf("Verdict = %+v", got.Verdict)
		}
		if got.took < 70*time.Second || got.took > 80*time.Second {
			t.Errorf("it took %s, want 40s and 30s of bake", got.took)
		}
	})
}

func TestWatch_crashOfTheFirstTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(3*time.Second, func() { f.start("new1", "ecs-svc/2", 38) })
		f.at(10*time.Second, func() { f.up("new1") })
		f.at(11500*time.Millisecond, func() { f.exit("new1", 139) })
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		says(t, got.Failure, "container app exited with 139 (SIGSEGV), 1.5s after it started", "new1 (weelo:38)", "emulation")
		shown := got.DetectedAt.Sub(f.began) - 11500*time.Millisecond
		if shown < 0 || shown > time.Second {
			t.Errorf("detected %s after the crash, want within the sentinel's second", shown)
		}
		if late := f.began.Add(got.took).Sub(got.DetectedAt); late > lookAgain {
			t.Errorf("the verdict came %s after the detection", late)
		}
		if n := len(of[event.Log](got.told)); n != 0 {
			t.Errorf("%d log lines were read before the verdict", n)
		}
		tasks := of[event.Task](got.told)
		last := tasks[len(tasks)-1]
		if last.Code != "EXIT_139_SIGSEGV" || !last.Fatal || !last.Counted || *last.ExitCode != 139 || last.Container != "app" || last.Revision != "weelo:38" {
			t.Errorf("last task event = %+v", last)
		}
	})
}

func TestWatch_crashBetweenTwoPolls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(4100*time.Millisecond, func() { f.crash("new1", 139) })
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		if got.took > 6*time.Second {
			t.Errorf("it took %s", got.took)
		}
	})
}

// A task that is on its way down shows its exit code before it is STOPPED.
func TestWatch_doesNotWaitForStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(4*time.Second, func() {
			f.crash("new1", 139)
			f.task("new1").LastStatus = aws.String("DEPROVISIONING")
		})
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		if got.took > 6*time.Second {
			t.Errorf("it took %s", got.took)
		}
	})
}

func TestWatch_cannotPull(t *testing.T) {
	const text = "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'"
	for where, stop := range map[string]func(f *fakeECS){
		"Fargate": func(f *fakeECS) { f.stop("new1", types.TaskStopCodeTaskFailedToStart, text, types.Container{}) },
		"EC2": func(f *fakeECS) {
			f.stop("new1", types.TaskStopCodeTaskFailedToStart, "Task failed to start", types.Container{Reason: aws.String(text)})
		},
	} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(2*time.Second, func() { f.start("new1", "ecs-svc/2", 38); f.pulling("new1") })
				f.at(7*time.Second, func() { stop(f) })
				got := watch(f, Policy{})
				got.want(t, Failing, event.CodeCannotPullPlatform)
				says(t, got.Failure, text, "runtimePlatform", "never reached RUNNING")
			})
		})
	}
}

func TestWatch_countsOtherExits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.crash("new1", 1) })
		f.at(55*time.Second, func() { f.crash("new2", 2) })
		f.at(105*time.Second, func() { f.crash("new3", 1) })
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_1")
		if got.Failure.Tasks != 2 || got.took < 105*time.Second {
			t.Errorf("%d tasks after %s, want the two that are alike", got.Failure.Tasks, got.took)
		}
		says(t, got.Failure, "2 × EXIT_1; the first: container app exited with 1", "1 × EXIT_2: container app exited with 2")
	})
}

func TestWatch_ignores(t *testing.T) {
	for what, happens := range map[string]func(f *fakeECS){
		"scaling in of the deployment before": func(f *fakeECS) { f.scaleIn("old1", "ecs-svc/1") },
		"a crash of the deployment before":    func(f *fakeECS) { f.exit("old1", 139) },
		"tasks of somebody else": func(f *fakeECS) {
			f.start("run1", "somebody", 38)
			f.exit("run1", 139)
		},
		"a user's stop": func(f *fakeECS) {
			f.start("x1", "ecs-svc/2", 38)
			f.stop("x1", types.TaskStopCodeUserInitiated, "Task stopped by user", exited(139))
			f.start("x2", "ecs-svc/2", 38)
			f.stop("x2", types.TaskStopCodeSpotInterruption, "Your Spot Task was interrupted.", exited(137))
		},
		"an older task without startedBy": func(f *fakeECS) {
			f.start("x1", "", 38)
			f.task("x1").StartedBy = nil
			f.task("x1").CreatedAt = aws.Time(f.now().Add(-time.Hour))
			f.exit("x1", 139)
		},
		"network trouble that passes": func(f *fakeECS) {
			for i := range 3 {
				f.start(fmt.Sprint("x", i), "ecs-svc/2", 38)
				f.stop(fmt.Sprint("x", i), types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: dial tcp: i/o timeout", types.Container{})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(7*time.Second, func() { happens(f) })
				f.serve(60 * time.Second)
				watch(f, Policy{}).want(t, Serving, "")
			})
		})
	}
}

func TestWatch_ownTaskWithoutStartedBy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.crash("new1", 139); f.task("new1").StartedBy = nil })
		watch(f, Policy{}).want(t, Failing, "EXIT_139_SIGSEGV")
	})
}

func TestWatch_workThatEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(40 * time.Second)
		f.at(50*time.Second, func() { f.exit("new1", 0); f.start("new2", "ecs-svc/2", 38); f.up("new2") })
		f.at(60*time.Second, func() { f.exit("new2", 0); f.start("new3", "ecs-svc/2", 38); f.up("new3") })
		watch(f, Policy{Bake: time.Minute}).want(t, Serving, "")
	})
	bubble(t, func(t *testing.T) { // before anything was healthy it is a failure
		f := newFake()
		f.at(5*time.Second, func() { f.crash("new1", 0) })
		f.at(15*time.Second, func() { f.crash("new2", 0) })
		watch(f, Policy{}).want(t, Failing, "EXIT_0")
	})
}

func TestWatch_tolerance(t *testing.T) {
	for _, c := range []struct {
		tolerate         string
		desired, crashes int
		exit             int32
		want             Outcome
	}{
		{"0", 1, 1, 139, Failing},
		{"1", 1, 1, 139, Serving},
		{"1", 1, 2, 139, Failing},
		{"2", 1, 2, 1, Serving},
		{"2", 1, 3, 1, Failing},
		{"10%", 1, 1, 139, Failing},
		{"10%", 20, 2, 139, Serving},
		{"10%", 20, 3, 139, Failing},
		{"1%", 100, 1, 139, Serving}, // a fleet with one bad host
	} {
		t.Run(fmt.Sprintf("%s of %d, %d times %d", c.tolerate, c.desired, c.crashes, c.exit), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.deployment("ecs-svc/2").DesiredCount = int32(c.desired)
				f.serve(40 * time.Second)
				f.at(20*time.Second, func() {
					for i := range c.desired - 1 {
						f.start(fmt.Sprint("more", i), "ecs-svc/2", 38)
						f.up(fmt.Sprint("more", i))
					}
				})
				for i := range c.crashes {
					f.at(time.Duration(5+i)*time.Second, func() { f.crash(fmt.Sprint("bad", i), c.exit) })
				}
				tolerate, err := ParseTolerance(c.tolerate)
				if err != nil {
					t.Fatal(err)
				}
				got := watch(f, Policy{Tolerate: tolerate})
				if got.err != nil || got.Outcome != c.want {
					t.Errorf("Watch() = %s (%v), %v; want %s", got.Outcome, got.Failure, got.err, c.want)
				}
			})
		})
	}
}

// A native library that crashes now and then did so an hour before as well.
func TestWatch_baseline(t *testing.T) {
	for _, c := range []struct {
		name   string
		before time.Duration
		exit   int32
		want   Outcome
	}{
		{"known", 50 * time.Minute, 139, Serving},
		{"too long ago", 70 * time.Minute, 139, Failing},
		{"another failure", 50 * time.Minute, 1, Failing},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.start("before", "ecs-svc/1", 27)
				f.exit("before", c.exit)
				f.task("before").StoppedAt = aws.Time(f.now().Add(-c.before))
				f.crash("new0", 139) // there in the very first answer
				f.serve(40 * time.Second)
				got := watch(f, Policy{})
				if got.Outcome != c.want {
					t.Fatalf("Watch() = %s (%v), want %s", got.Outcome, got.Failure, c.want)
				}
				var known bool
				for _, n := range of[event.Note](got.told) {
					known = known || n.Text == "task new0 failed with EXIT_139_SIGSEGV; weelo:27 failed alike once in the last hour, so this does not end the deployment"
				}
				if known != (c.want == Serving) {
					t.Errorf("notes = %v", of[event.Note](got.told))
				}
			})
		})
	}
}

// What failed before must be known before anything is judged.
func TestWatch_baselineIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.start("before", "ecs-svc/1", 27)
		f.exit("before", 139)
		f.crash("00000000-dead", 139)
		f.latency = func(op string, n int) time.Duration {
			if op == "ListTasks STOPPED" && n == 1 {
				return 4 * time.Second
			}
			return 0
		}
		f.say("(service backend) has started 1 tasks: (task 00000000-dead).")
		f.serve(60 * time.Second)
		watch(f, Policy{}).want(t, Serving, "")
	})
}

func TestWatch_bake(t *testing.T) {
	for _, c := range []struct {
		name     string
		at       time.Duration
		replaced bool
	}{
		{"in the middle", 55 * time.Second, false},
		{"in its last moment", 69900 * time.Millisecond, false},
		{"in its last moment, replaced at once", 69900 * time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.serve(40 * time.Second)
				f.latency = func(string, int) time.Duration { return 20 * time.Millisecond }
				f.at(c.at, func() {
					f.exit("new1", 139)
					if c.replaced {
						f.start("new2", "ecs-svc/2", 38)
						f.up("new2")
					}
				})
				got := watch(f, Policy{Bake: 30 * time.Second})
				got.want(t, Failing, "EXIT_139_SIGSEGV")
				if !got.Completed || !got.HealthySeen {
					t.Errorf("Completed, HealthySeen = %v, %v; want true", got.Completed, got.HealthySeen)
				}
			})
		})
	}
}

// A counted crash in bake is replaced, and the deployment serves again.
func TestWatch_bakeGoesOnAfterOneLostTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(40 * time.Second)
		f.at(65*time.Second, func() { f.exit("new1", 1) })
		f.at(100*time.Second, func() { f.start("new2", "ecs-svc/2", 38); f.up("new2") })
		got := watch(f, Policy{Bake: 30 * time.Second})
		got.want(t, Serving, "")
		if got.took < 100*time.Second {
			t.Errorf("it took %s: it was called serving with no task running", got.took)
		}
	})
}

func TestWatch_successNeedsMore(t *testing.T) {
	for what, lacks := range map[string]func(f *fakeECS){
		"all desired tasks": func(f *fakeECS) { f.deployment("ecs-svc/2").DesiredCount = 2 },
		"a desired task":    func(f *fakeECS) { f.deployment("ecs-svc/2").DesiredCount = 0; f.scaleIn("new1", "ecs-svc/2") },
		"a running task":    func(f *fakeECS) { f.scaleIn("new1", "ecs-svc/2") },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.serve(40 * time.Second)
				f.at(40*time.Second, func() { lacks(f) })
				watch(f, Policy{Timeout: 5 * time.Minute}).want(t, Stalled, event.CodeTimeout)
			})
		})
	}
}

func TestWatch_healthCheckMustHaveSucceeded(t *testing.T) {
	checked := func(_ *Watcher, s *Subject) { s.Definition = fakeDefinition{"awslogs", true} }
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(40 * time.Second)
		f.at(90*time.Second, func() { f.healthy("new1") })
		got := watch(f, Policy{}, checked)
		got.want(t, Serving, "")
		if got.took < 90*time.Second || got.took > 105*time.Second {
			t.Errorf("it took %s, want it to wait for HEALTHY at 90s", got.took)
		}
	})
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(40 * time.Second)
		f.at(40*time.Second, func() { f.task("new1").HealthStatus = types.HealthStatusUnhealthy })
		got := watch(f, Policy{Timeout: 3 * time.Minute}, checked)
		got.want(t, Stalled, event.CodeTimeout)
		says(t, got.Failure, "1/1 running, not healthy for", "health check says UNHEALTHY")
	})
}

// Behind a Classic Load Balancer there is no rollout state.
func TestWatch_servesByItsServiceDeployment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deployment("ecs-svc/2").RolloutState = ""
		f.serve(40 * time.Second)
		f.at(40*time.Second, func() { f.deployment("ecs-svc/2").RolloutState = "" })
		got := watch(f, Policy{})
		got.want(t, Serving, "")
	})
}

func TestWatch_cancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(time.Hour)
		why := errors.New("Ctrl-C")
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(7*time.Second, func() { cancel(why) })
		w := &Watcher{ECS: f}
		v, err := w.Watch(ctx, Subject{Service: "backend", Deployment: "ecs-svc/2", TaskDefinition: definition(38)}, Policy{})
		if !errors.Is(err, why) || v.Outcome != "" || v.Desired != 1 {
			t.Errorf("Watch() = %+v, %v; want no outcome, and the cause of the context", v, err)
		}
		if d := time.Since(f.began); d != 7*time.Second {
			t.Errorf("it returned after %s, want at once", d)
		}
	})
}

func TestWatch_checksItsSubject(t *testing.T) {
	if _, err := (&Watcher{}).Watch(context.Background(), Subject{Service: "backend"}, Policy{}); err == nil {
		t.Error("Watch() without a deployment = nil error")
	}
	if _, err := (&Watcher{}).WatchReturn(context.Background(), Return{Service: "backend"}, Policy{}); err == nil {
		t.Error("WatchReturn() without a target = nil error")
	}
}

func TestParseTolerance(t *testing.T) {
	for in, want := range map[string][3]int{"": {0, 0, 0}, "0": {0, 0, 0}, "2": {2, 2, 2}, "10%": {0, 1, 10}, " 50% ": {0, 5, 50}, "100%": {1, 10, 100}} {
		got, err := ParseTolerance(in)
		if err != nil || got.Of(1) != want[0] || got.Of(10) != want[1] || got.Of(100) != want[2] {
			t.Errorf("ParseTolerance(%q) = %v, %v: of 1, 10, 100 %d, %d, %d; want %v", in, got, err, got.Of(1), got.Of(10), got.Of(100), want)
		}
		if again, err := ParseTolerance(got.String()); err != nil || again != got {
			t.Errorf("ParseTolerance(%q) = %v, %v; want %v", got.String(), again, err, got)
		}
	}
	for _, in := range []string{"-1", "x", "101%", "%", "1.5", "1 %", "10%%"} {
		if got, err := ParseTolerance(in); err == nil {
			t.Errorf("ParseTolerance(%q) = %v, want an error", in, got)
		}
	}
}
