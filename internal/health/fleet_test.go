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

// fleetOf starts n tasks of the watched deployment on ten hosts, and lets them run.
func fleetOf(f *fakeECS, n int) {
	for i := range n {
		id := fmt.Sprintf("new%03d", i)
		f.start(id, "ecs-svc/2", 38)
		f.task(id).ContainerInstanceArn = aws.String(fmt.Sprint("arn:aws:ecs:r:1:container-instance/weelocluster/host", i%10))
		f.up(id)
	}
}

// crashOn lets a task die on a host after it ran for a second.
func crashOn(f *fakeECS, id, host string, code int32) {
	f.crash(id, code)
	t := f.task(id)
	t.StartedAt = aws.Time(t.StartedAt.Add(-time.Second))
	if host != "" {
		t.ContainerInstanceArn = aws.String("arn:aws:ecs:r:1:container-instance/weelocluster/" + host)
	}
}

func TestWatch_oneBadHostInAFleet(t *testing.T) {
	for _, c := range []struct {
		name     string
		hosts    []string // of three tasks that die
		exit     int32
		tolerate string
		want     Outcome
		code     event.Code
	}{
		{"what dies on one host alone counts once", []string{"bad", "bad", "bad"}, 1, "", Serving, ""},
		{"the same on three hosts is the image's fault", []string{"bad", "worse", "worst"}, 1, "", Failing, "EXIT_1"},
		{"where hosts are not known, two alike are too many", []string{"", "", ""}, 1, "", Failing, "EXIT_1"},
		{"a share of the fleet may be lost on any host", []string{"bad", "worse", "worst"}, 1, "3%", Serving, ""},
		{"and by a crash that is fatal otherwise", []string{"bad", "bad", "bad"}, 139, "3%", Serving, ""},
		{"a crash is fatal on whatever host", []string{"bad", "bad", "bad"}, 139, "", Failing, "EXIT_139_SIGSEGV"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.deployment("ecs-svc/2").DesiredCount = 100
				f.at(5*time.Second, func() { fleetOf(f, 99) })
				for i, host := range c.hosts {
					f.at(time.Duration(10+20*i)*time.Second, func() { crashOn(f, fmt.Sprint("dead", i), host, c.exit) })
				}
				f.at(90*time.Second, func() {
					f.start("last", "ecs-svc/2", 38)
					f.up("last")
					f.scaleIn("old1", "ecs-svc/1")
					f.complete("ecs-svc/2")
					f.drop("ecs-svc/1")
				})
				tolerate, err := ParseTolerance(c.tolerate)
				if err != nil {
					t.Fatal(err)
				}
				got := watch(f, Policy{Tolerate: tolerate})
				got.want(t, c.want, c.code)
				blamed := 0
				for _, n := range of[event.Note](got.told) {
					if strings.Contains(n.Text, "only on container instance bad") && strings.Contains(n.Text, "--container-instances bad --status DRAINING --region r") {
						blamed++
					}
				}
				if want := map[bool]int{true: 1}[c.want == Serving && c.tolerate == ""]; blamed != want {
					t.Errorf("the host was blamed %d times, want %d", blamed, want)
				}
			})
		})
	}
}

// A host that is to blame is named when nothing else ends the deployment.
func TestWatch_oneBadHostForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deployment("ecs-svc/2").DesiredCount = 20
		f.at(5*time.Second, func() { fleetOf(f, 19) })
		for i := range 6 {
			f.at(time.Duration(10+60*i)*time.Second, func() { crashOn(f, fmt.Sprint("dead", i), "bad", 1) })
		}
		got := watch(f, Policy{Timeout: 5 * time.Minute})
		got.want(t, Stalled, event.CodeTimeout)
		says(t, got.Failure, "19/20 running", "× EXIT_1: container app exited with 1", "only on container instance bad, while tasks on others run")
	})
}

func TestWatch_repeatedFailuresAreGrouped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(3*time.Second, func() { f.crash("bad1", 139); f.crash("bad2", 139); f.crash("bad3", 139); f.crash("odd", 2) })
		got := watch(f, Policy{})
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		says(t, got.Failure, "3 × EXIT_139_SIGSEGV; the first: container app exited with 139 (SIGSEGV)", "task bad1 (weelo:38) stopped", "1 × EXIT_2: container app exited with 2")
		if got.Failure.Tasks != 3 {
			t.Errorf("Tasks = %d, want 3", got.Failure.Tasks)
		}
		var alike []int
		for _, e := range of[event.Task](got.told) {
			if e.Code == "EXIT_139_SIGSEGV" {
				alike = append(alike, e.Alike)
			}
		}
		if fmt.Sprint(alike) != "[1 2 3]" {
			t.Errorf("the events counted %v, want 1, 2, 3", alike)
		}
	})
}

// What the revision before died of within the hour is no news: also when only the
// logs of both tell.
func TestWatch_aNativeLibraryThatCrashedBefore(t *testing.T) {
	segfault := []string{"Segmentation fault (core dumped)"}
	for _, c := range []struct {
		name   string
		before time.Duration // that the old task died before the deployment
		exit   int32
		old    []string // the log of the old task
		want   Outcome
		code   event.Code
	}{
		{"59 minutes before", 59 * time.Minute, 139, nil, Serving, ""},
		{"61 minutes before", 61 * time.Minute, 139, nil, Failing, "EXIT_139_SIGSEGV"},
		{"behind a wrapper's exit, in both", 30 * time.Minute, 1, segfault, Serving, ""},
		{"behind a wrapper's exit, now only", 30 * time.Minute, 1, []string{"Error: no database"}, Failing, "EXIT_139_SIGSEGV"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.start("gone", "ecs-svc/1", 27)
				f.exit("gone", c.exit)
				gone := f.task("gone")
				gone.CreatedAt, gone.StoppedAt = aws.Time(f.now().Add(-2*time.Hour)), aws.Time(f.now().Add(-c.before))
				f.at(5*time.Second, func() { f.crash("bad1", c.exit) })
				f.serve(60 * time.Second)
				logs := &fakeLogs{lines: map[string][]string{
					"/ecs/weelo ecs/app/gone": c.old, "/ecs/weelo ecs/app/bad1": segfault,
				}}
				got := watch(f, Policy{}, func(w *Watcher, s *Subject) { w.Logs, s.Definition = logs, fakeDefinition{driver: "awslogs"} })
				got.want(t, c.want, c.code)
			})
		})
	}
}

// A restart policy hides a crash from the list of tasks, but not the container's
// new id.
func TestWatch_containersThatAreRestartedInPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(30 * time.Second)
		f.at(20*time.Second, func() { f.task("new1").Containers[0].RuntimeId = aws.String("first") })
		f.at(6*time.Minute, func() { f.task("new1").Containers[0].RuntimeId = aws.String("second") })
		got := watch(f, Policy{Bake: 10 * time.Minute})
		got.want(t, Serving, "")
		if n := noted(got.told, "container app of task new1 ended and was restarted in place"); n != 1 {
			t.Errorf("the restart was told %d times, want once", n)
		}
	})
}

// ECS does not know the health of a container while the agent of its host is not
// connected. That is no restart when there is no policy that restarts it.
func TestWatch_aHealthThatIsLostIsNoRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.serve(30 * time.Second)
		says := func(after time.Duration, h types.HealthStatus) {
			f.at(after, func() { f.task("new1").HealthStatus, f.task("new1").Containers[0].HealthStatus = h, h })
		}
		says(40*time.Second, types.HealthStatusHealthy)
		says(6*time.Minute, types.HealthStatusUnknown)
		says(8*time.Minute, types.HealthStatusHealthy)
		got := watch(f, Policy{Bake: 10 * time.Minute}, func(_ *Watcher, s *Subject) { s.Definition = fakeDefinition{"awslogs", true} })
		got.want(t, Serving, "")
		if n := noted(got.told, "restarted in place"); n != 0 {
			t.Errorf("a restart was told %d times, and there was none", n)
		}
	})
}

func TestExplain_refinesWhatECSFound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.crash("bad1", 1); f.breakerBack("ecs-svc/2", "ecs-svc/1") })
		got := watch(f, Policy{})
		got.want(t, RolledBackByECS, event.CodeECSRolledBack)
		w := &Watcher{Logs: &fakeLogs{lines: map[string][]string{"/ecs/weelo ecs/app/bad1": {"Segmentation fault"}}}}
		v := w.Explain(t.Context(), Subject{Definition: fakeDefinition{driver: "awslogs"}}, got.Verdict)
		if v.Failure.Code != event.CodeECSRolledBack || len(v.Failure.Also) != 1 || v.Failure.Also[0].Code != "EXIT_139_SIGSEGV" {
			t.Fatalf("failure = %+v, also %+v; want the crash within it", v.Failure, v.Failure.Also)
		}
		says(t, v.Failure, "ECS rolled deployment ecs-svc/2 back", "after a process in it died by SIGSEGV", "its log says: Segmentation fault", hintNative)
	})
}
