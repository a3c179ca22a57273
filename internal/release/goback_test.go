package release_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// --- ECS goes back as well

func TestECSsBreakerFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eager, map[string]scripted.Script{"backend:38": atOnce})
	s := w.settings("good")
	s.Tolerate = tolerance(t, "100") // leave it to ECS
	res := w.release(s)
	w.want(res, 3, event.RolledBack, event.CodeECSRolledBack, "27")
	w.wantWords(res, "EXIT_139_SIGSEGV")
	if n := w.count("StopServiceDeployment"); n != 0 {
		t.Errorf("StopServiceDeployment was called %d times, want 0: ECS had gone back", n)
	}
	if n := w.count("UpdateService"); n != 2 {
		t.Errorf("UpdateService was called %d times, want 2: deploy, and the breaker's setting", n)
	}
}

// meddling does something just before a StopServiceDeployment arrives.
type meddling struct {
	release.ECS
	first func()
}

func (m meddling) StopServiceDeployment(ctx context.Context, in *ecs.StopServiceDeploymentInput, o ...func(*ecs.Options)) (*ecs.StopServiceDeploymentOutput, error) {
	m.first()
	return m.ECS.StopServiceDeployment(ctx, in, o...)
}

func TestECSGoesBackInTheSameMoment(t *testing.T) {
	t.Parallel()
	for name, until := range map[string]func(types.Service) bool{
		"it has just been asked to": func(types.Service) bool { return true },
		"it is on its way": func(s types.Service) bool {
			return history.Revision(aws.ToString(s.TaskDefinition)) == "27"
		},
		"it has come back already": completedOn("27"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
			w.clients.ECS = meddling{w.ecs, func() { w.stopDeployment(); w.until(until) }}
			w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
			if n := w.count("UpdateService"); n != 2 {
				t.Errorf("UpdateService was called %d times, want 2: deploy, and the breaker's setting", n)
			}
			if n := len(w.attempts("27")); n != 1 {
				t.Errorf("27 was deployed %d times, want once, long ago", n)
			}
		})
	}
}

// --- the way back is no way

// A rollback whose target does not come up is no success: exit 5, what serves, and
// what to do.
func TestRollbackToATargetThatCrashesIsExit5(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.onEvent = func(r event.Record) {
		if n, ok := r.Event.(event.Note); ok && strings.HasPrefix(n.Text, "rolling back") {
			w.runtime.Set("backend:27", atOnce)
			w.stopTasks("27")
		}
	}
	s := w.settings("good")
	s.Timeout = 2 * time.Second
	res := w.release(s)
	if res.ExitCode != 5 || res.Outcome != event.FailedRun {
		t.Errorf("result = exit %d, %s, want exit 5, failed\n%s", res.ExitCode, res.Outcome, w.story())
	}
	w.wantWords(res, "the rollback to backend:27 did not complete", "weelo-deploy status", "weelo-deploy watch")
	if res.ServingNow == "" || strings.Contains(res.ServingNow, "serves, 1/1") {
		t.Errorf("serving now = %q", res.ServingNow)
	}
}

// stopTasks stops the tasks of a revision.
func (w *world) stopTasks(revision string) {
	ctx := context.Background()
	list, err := w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String(clusterName), ServiceName: aws.String(serviceName)})
	if err != nil || len(list.TaskArns) == 0 {
		w.t.Errorf("list tasks: %v", err)
		return
	}
	out, err := w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(clusterName), Tasks: list.TaskArns})
	if err != nil {
		w.t.Error(err)
		return
	}
	for _, task := range out.Tasks {
		if history.Revision(aws.ToString(task.TaskDefinitionArn)) == revision {
			if _, err := w.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String(clusterName), Task: task.TaskArn}); err != nil {
				w.t.Error(err)
			}
		}
	}
}

// A service that is failing already: what serves had completed, and dies now.
func TestReleaseOverAServiceThatIsFailing(t *testing.T) {
	t.Parallel()
	failing := func(t *testing.T, scripts map[string]scripted.Script) *world {
		scripts["backend:27"] = scripted.Script{Exits: true, ExitAfter: 50 * time.Millisecond, ExitCode: 1}
		w := newWorld(t, incident, scripts)
		w.until(func(s types.Service) bool { return s.Deployments[0].FailedTasks > 0 || s.RunningCount == 0 })
		return w
	}
	t.Run("mends it", func(t *testing.T) {
		t.Parallel()
		w := failing(t, map[string]scripted.Script{})
		w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	})
	t.Run("and fails too: nothing is called healthy", func(t *testing.T) {
		t.Parallel()
		w := failing(t, map[string]scripted.Script{"backend:38": atOnce})
		s := w.settings("good")
		s.Timeout = 2 * time.Second
		res := w.release(s)
		if res.ExitCode != 5 {
			t.Errorf("result = exit %d, %s, %v, want 5: 27 fails as well\n%s", res.ExitCode, res.Outcome, res.Failure, w.story())
		}
	})
	t.Run("which is the only one that was ever proven, has no way back by hand", func(t *testing.T) {
		t.Parallel()
		only := strings.Replace(incident, "      - {revision: 26, outcome: SUCCESSFUL, createdAt: -80h, digests: {app: v1}}\n", "", 1)
		w := newWorld(t, only, map[string]scripted.Script{"backend:27": {Exits: true, ExitAfter: 50 * time.Millisecond, ExitCode: 1}})
		res := w.run(w.bare("rollback")).Rollback(t.Context(), "", false)
		if res.ExitCode != 4 || res.Failure.Code != event.CodeNoRollbackTarget {
			t.Errorf("result = exit %d, %v, want a refusal", res.ExitCode, res.Failure)
		}
		w.wantWords(res, "no revision was proven on service backend before backend:27", "backend:36: was stopped before it completed")
		if n := w.count("UpdateService"); n != 0 {
			t.Errorf("UpdateService was called %d times", n)
		}
	})
}

// --- by hand

func TestRollbackByHandSaysHowToUndoIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.release(w.settings("good"))
	res := w.run(w.bare("rollback")).Rollback(t.Context(), "", false)
	if len(res.Next) != 1 || res.Next[0] != "weelo-deploy rollback 38 --cluster weelocluster --service backend" {
		t.Errorf("next = %q, want the way to undo it", res.Next)
	}
}

func TestRollbackByHandToWhatNeverSucceededWantsForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	res := w.run(w.bare("rollback")).Rollback(t.Context(), "36", false)
	w.want(res, 4, event.Refused, event.CodeNoRollbackTarget, "27")
	w.wantWords(res, "backend:36 never succeeded on service backend", "backend:36 was stopped before it completed", "CannotPullContainerError", "--force deploys it all the same")
	if n := w.count("UpdateService"); n != 0 {
		t.Errorf("UpdateService was called %d times", n)
	}
	w.want(w.run(w.bare("rollback")).Rollback(t.Context(), "36", true), 0, event.RolledBack, "", "36")
	w.wantTag("36", history.Proven, "")
	w.want(w.run(w.bare("rollback")).Rollback(t.Context(), "99", true), 4, event.Refused, event.CodeNotFound, "36")
}

// --- StopServiceDeployment and its errors; see also TestRollbackFallsBackToUpdateService

func TestEveryRefusalOfStopServiceDeploymentFallsBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ServiceDeploymentNotFoundException", "UnsupportedFeatureException", "InvalidParameterException", "ServerException"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
			w.fault(fmt.Sprintf(`{"when":"StopServiceDeployment","error":%q,"message":"no"}`, name))
			w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
			if !strings.Contains(w.story(), "ECS does not roll the deployment back itself ("+name+"): deploying backend:27 instead") {
				t.Errorf("the fallback is not told\n%s", w.story())
			}
		})
	}
}

// GitHub kills a cancelled step after 10 s, and its SIGTERM comes after 7.5 s: the way
// back fits before that also where every answer takes its time.
func TestOneCallBackFitsWhereAWSIsSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var began time.Time
	w.at("deploy", event.Done, func() {
		for _, call := range []string{"DescribeServices", "StopServiceDeployment", "ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions"} {
			w.fault(fmt.Sprintf(`{"when":%q,"delay":"900ms"}`, call))
		}
		began = time.Now()
		cancel(sigint)
	})
	w.wantInterrupted(w.run(w.settings("good")).Execute(ctx), 130, "the rollback to backend:27 was started")
	if took := time.Since(began); took > 7500*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

// --- registering

func TestRegistrationThatIsDeniedBecauseOfTagsNamesThePermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.fault(`{"when":"RegisterTaskDefinition","error":"AccessDeniedException","message":"User is not authorized to perform: ecs:TagResource"}`)
	res := w.release(w.settings("good"))
	w.want(res, 4, event.Refused, event.CodeAccessDenied, "27")
	w.wantWords(res, "ecs:TagResource")
}

// A cancelled step has one moment: where the service cannot be read, the call that
// names our own deployment is made all the same.
func TestACancelledStepGoesBackThoughTheServiceCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.at("deploy", event.Done, func() {
		w.fault(`{"when":"DescribeServices","error":"AccessDeniedException","message":"no"}`)
		cancel(sigint)
	})
	w.wantInterrupted(w.run(w.settings("good")).Execute(ctx), 130, "the rollback to backend:27 was started and goes on in ECS")
	if n := w.count("StopServiceDeployment"); n != 1 {
		t.Errorf("StopServiceDeployment was called %d times, want 1", n)
	}
}

// deaf is an ECS that carries out the second UpdateService, answers that it failed,
// and shows for a while the service of before.
type deaf struct {
	release.ECS
	mu      sync.Mutex
	updates int
	hidden  int
	before  *ecs.DescribeServicesOutput
}

func (d *deaf) UpdateService(ctx context.Context, in *ecs.UpdateServiceInput, o ...func(*ecs.Options)) (*ecs.UpdateServiceOutput, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.updates++; d.updates != 2 {
		return d.ECS.UpdateService(ctx, in, o...)
	}
	var err error
	if d.before, err = d.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: in.Cluster, Services: []string{*in.Service}}); err != nil {
		return nil, err
	}
	if _, err := d.ECS.UpdateService(ctx, in, o...); err != nil {
		return nil, err
	}
	d.hidden = 8
	return nil, errors.New("the connection was reset")
}

func (d *deaf) DescribeServices(ctx context.Context, in *ecs.DescribeServicesInput, o ...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hidden > 0 {
		d.hidden--
		return d.before, nil
	}
	return d.ECS.DescribeServices(ctx, in, o...)
}

// A rollback that shows only after it was given up for lost is ours, and nobody's who
// took over.
func TestARollbackThatShowsLateIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.fault(`{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"no"}`)
	w.clients.ECS = &deaf{ECS: w.ecs}
	s := w.settings("good")
	s.Backstop = false
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if n := w.count("UpdateService"); n != 2 {
		t.Errorf("UpdateService was called %d times, want 2: deploy, and the way back once", n)
	}
}

// A revision that another service was released to stays in use, whatever it did here.
func TestAFailedRevisionThatAnotherServiceUsesIsNotDeregistered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, map[string]scripted.Script{"backend:38": slow})
	w.at("deploy", event.Done, func() {
		w.runtime.Set("backend:38", atOnce)
		out, err := w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:38")})
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := w.ecs.TagResource(t.Context(), &ecs.TagResourceInput{ResourceArn: out.TaskDefinition.TaskDefinitionArn, Tags: []types.Tag{
			{Key: aws.String(history.KeysOf(clusterName, "worker").Run), Value: aws.String("run9")}}}); err != nil {
			t.Error(err)
		}
		w.stopDeployment()
	})
	res := w.release(w.settings("good"))
	if res.ExitCode != 3 {
		t.Fatalf("result = exit %d, %v\n%s", res.ExitCode, res.Failure, w.story())
	}
	if st := w.status("38"); st != "ACTIVE" {
		t.Errorf("38 is %s, want ACTIVE: the worker was released to it", st)
	}
}

// Going back is worth more than one try: an account that is throttled for a while, or
// a read that ECS has no answer to, does not leave a crash loop behind.
func TestARollbackOutlastsTroubleWithTheAPI(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"throttled for long":         `{"when":"UpdateService","times":6,"error":"ThrottlingException"}`,
		"the service cannot be read": `{"when":"DescribeServices","times":4,"status":503}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
			w.fault(`{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"no"}`)
			w.clients.ECS = meddling{w.ecs, func() { w.fault(rule) }}
			s := w.settings("good")
			s.Backstop = false // ECS would be faster
			w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
		})
	}
}
