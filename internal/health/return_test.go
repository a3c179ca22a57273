package health

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// goBack watches a return in f; Began is the time of the call.
func goBack(t *testing.T, f *fakeECS, ret Return) watched {
	t.Helper()
	o := &told{}
	ret.Cluster, ret.Service, ret.Target = "weelocluster", "backend", definition(27)
	w := &Watcher{ECS: f, Emit: o.emit(f.began)}
	began := time.Now()
	v, err := w.WatchReturn(t.Context(), ret, Policy{Timeout: 5 * time.Minute})
	return watched{v, err, o, time.Since(began)}
}

// stopServiceDeployment is ECS's own way back: the old deployment is PRIMARY again.
func (f *fakeECS) stopServiceDeployment() {
	f.deployment("ecs-svc/2").Status = aws.String("ACTIVE")
	d := f.deployment("ecs-svc/1")
	d.Status, d.RolloutState = aws.String("PRIMARY"), types.DeploymentRolloutStateInProgress
	f.own.Status = types.ServiceDeploymentStatusRollbackInProgress
}

func (f *fakeECS) settle(id string) {
	f.complete(id)
	f.drop("ecs-svc/2")
	f.own.Status = types.ServiceDeploymentStatusRollbackSuccessful
}

func TestWatchReturn_native(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.start("new1", "ecs-svc/2", 38)
		f.up("new1")
		f.at(3*time.Second, f.stopServiceDeployment)
		f.at(12*time.Second, func() { f.exit("new1", 139) })
		f.at(20*time.Second, func() { f.settle("ecs-svc/1") })
		got := goBack(t, f, Return{Abandoned: "ecs-svc/2", ServiceDeployment: ownSD, Began: f.now()})
		got.want(t, Serving, "")
		if got.Running != 1 || got.Desired != 1 || !got.HealthySeen || got.took > 27*time.Second {
			t.Errorf("Verdict = %+v after %s", got.Verdict, got.took)
		}
		for _, e := range of[event.Task](got.told) {
			if e.Fatal || e.Counted {
				t.Errorf("a task was judged: %+v", e)
			}
		}
	})
}

// Who follows a rollback that he did not begin does not know the failed one's id.
func TestWatchReturn_nativeOfUnknownDeployment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(3*time.Second, f.stopServiceDeployment)
		f.at(20*time.Second, func() { f.settle("ecs-svc/1") })
		got := goBack(t, f, Return{ServiceDeployment: ownSD, Began: f.now().Add(-time.Hour)})
		got.want(t, Serving, "")
		if got.took < 20*time.Second {
			t.Errorf("it took %s", got.took)
		}
	})
}

// The old deployment shows as completed until ECS looks at it again.
func TestWatchReturn_waitsForTheAbandonedTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.start("new1", "ecs-svc/2", 38)
		f.up("new1")
		f.at(3*time.Second, func() {
			f.stopServiceDeployment()
			f.complete("ecs-svc/1")
		})
		f.at(30*time.Second, func() { f.scaleIn("new1", "ecs-svc/2") })
		got := goBack(t, f, Return{Abandoned: "ecs-svc/2", ServiceDeployment: ownSD, Began: f.now()})
		got.want(t, Serving, "")
		if got.took < 30*time.Second {
			t.Errorf("it took %s: tasks of the abandoned deployment still ran", got.took)
		}
	})
}

func TestWatchReturn_byUpdateService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deploy("ecs-svc/3", 27, 1)
		f.deployment("ecs-svc/3").CreatedAt = aws.Time(f.now())
		f.at(5*time.Second, func() { f.start("back1", "ecs-svc/3", 27) })
		f.at(10*time.Second, func() { f.up("back1") })
		f.at(50*time.Second, func() { f.scaleIn("old1", "ecs-svc/1"); f.drop("ecs-svc/1"); f.settle("ecs-svc/3") })
		got := goBack(t, f, Return{Deployment: "ecs-svc/3", Abandoned: "ecs-svc/2", Began: f.now()})
		got.want(t, Serving, "")
		var tasks []string
		for _, e := range of[event.Task](got.told) {
			tasks = append(tasks, e.ID+" "+e.Status)
		}
		if s := strings.Join(tasks, ", "); s != "back1 PENDING, back1 RUNNING" {
			t.Errorf("tasks told = %s, want those of the rollback", s)
		}
	})
}

// An answer from before the release shows the target as completed.
func TestWatchReturn_oldAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		late := f.deployments
		f.drop("ecs-svc/2")
		f.deployments[0].Status = aws.String("PRIMARY")
		f.at(8*time.Second, func() {
			f.deployments = late
			f.deploy("ecs-svc/3", 27, 1)
		})
		f.at(60*time.Second, func() { f.start("back1", "ecs-svc/3", 27); f.up("back1"); f.settle("ecs-svc/3") })
		got := goBack(t, f, Return{Deployment: "ecs-svc/3", Abandoned: "ecs-svc/2", Began: f.now()})
		got.want(t, Serving, "")
		if got.took < 60*time.Second {
			t.Errorf("it took %s, before the rollback was done", got.took)
		}
	})
}

func TestWatchReturn_isNeverFailedByExits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deploy("ecs-svc/3", 27, 1)
		f.at(5*time.Second, func() { f.start("back1", "ecs-svc/3", 27); f.up("back1"); f.exit("back1", 139) })
		f.at(15*time.Second, func() { f.start("back2", "ecs-svc/3", 27); f.up("back2"); f.exit("back2", 139) })
		f.at(25*time.Second, func() { f.start("back3", "ecs-svc/3", 27); f.up("back3") })
		f.at(60*time.Second, func() { f.settle("ecs-svc/3") })
		got := goBack(t, f, Return{Deployment: "ecs-svc/3", Abandoned: "ecs-svc/2", Began: f.now()})
		got.want(t, Serving, "")
		notes := of[event.Note](got.told)
		if len(notes) != 2 || !strings.Contains(notes[0].Text, "task back1 of weelo:27, started for the rollback, failed: container app exited with 139") {
			t.Errorf("notes = %+v, want a warning of each", notes)
		}
	})
}

func TestWatchReturn_superseded(t *testing.T) {
	for name, ret := range map[string]Return{
		"native":           {Abandoned: "ecs-svc/2", ServiceDeployment: ownSD},
		"by UpdateService": {Deployment: "ecs-svc/3", Abandoned: "ecs-svc/2"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				if ret.Deployment != "" {
					f.deploy(ret.Deployment, 27, 1)
				}
				ret.Began = f.now()
				f.at(20*time.Second, func() { f.deploy("ecs-svc/9", 40, 1) })
				got := goBack(t, f, ret)
				got.want(t, Superseded, event.CodeSuperseded)
				if got.TakenBy.Deployment != "ecs-svc/9" || got.took > 35*time.Second {
					t.Errorf("TakenBy = %+v after %s", got.TakenBy, got.took)
				}
			})
		})
	}
}

func TestWatchReturn_fails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(10*time.Second, func() {
			f.own.Status, f.own.StatusReason = types.ServiceDeploymentStatusRollbackFailed, aws.String("no healthy task")
		})
		got := goBack(t, f, Return{Abandoned: "ecs-svc/2", ServiceDeployment: ownSD, Began: f.now()})
		got.want(t, Failing, event.CodeECSGaveUp)
		says(t, got.Failure, "ECS could not roll back to weelo:27", "no healthy task")
	})
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deploy("ecs-svc/3", 27, 1)
		f.at(10*time.Second, func() {
			f.deployment("ecs-svc/3").RolloutState = types.DeploymentRolloutStateFailed
		})
		got := goBack(t, f, Return{Deployment: "ecs-svc/3", Abandoned: "ecs-svc/2", Began: f.now()})
		got.want(t, Failing, event.CodeECSGaveUp)
	})
}

func TestWatchReturn_stalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.deploy("ecs-svc/3", 27, 1)
		f.at(10*time.Second, func() { f.start("back1", "ecs-svc/3", 27); f.pulling("back1") })
		got := goBack(t, f, Return{Deployment: "ecs-svc/3", Abandoned: "ecs-svc/2", Began: f.now()})
		got.want(t, Stalled, event.CodeTimeout)
		says(t, got.Failure, "the rollback to weelo:27 made no progress for 5m: 0/1 running, 1 pending for 5m: pulling image")
	})
}
