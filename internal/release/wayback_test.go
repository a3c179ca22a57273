package release_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// said is all that a failure says.
func said(f *event.Failure) string {
	if f == nil {
		return ""
	}
	return strings.Join(append(append(append([]string{f.Message}, f.Evidence...), f.Hints...), f.Next...), "\n")
}

func (w *world) wantWords(res event.Result, words ...string) {
	w.t.Helper()
	for _, s := range words {
		if !strings.Contains(said(res.Failure), s) {
			w.t.Errorf("it says\n%s\nwant %q in it", said(res.Failure), s)
		}
	}
}

func (w *world) digest(tag string) string {
	w.t.Helper()
	d, err := w.server.Images().Resolve("weelo-backend", tag, "linux", "amd64")
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Digest
}

// --- the target: is it there, and is it what was proven?

func TestPreflightShowsTheTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.release(w.settings("good"))
	if !strings.Contains(w.story(), "{Name:rollback target Status:done Detail:backend:27: it serves now: PRIMARY and COMPLETED") {
		t.Errorf("preflight does not show the target\n%s", w.story())
	}
}

func TestTargetWhoseImageIsGoneOrArchivedIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(w *world)
		said    string
	}{
		"expired": {func(w *world) {
			if n := w.server.Images().DeleteImage("weelo-backend@" + w.digest("v1")); n == 0 {
				w.t.Error("no image was deleted")
			}
		}, "its image is gone from the registry"},
		"archived": {func(w *world) { w.clients.ECR = archived{w.clients.ECR} }, "its image is archived"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, nil)
			c.arrange(w)
			res := w.release(w.settings("good"))
			w.want(res, 4, event.Refused, event.CodeNoRollbackTarget, "27")
			w.wantWords(res, "the rollback target backend:27 cannot be used: "+c.said, "--no-rollback")
			byHand := w.run(w.bare("rollback")).Rollback(t.Context(), "27", false)
			if byHand.Outcome != event.Unchanged { // it serves: there is nothing to deploy
				t.Errorf("rollback 27 = %s, %v", byHand.Outcome, byHand.Failure)
			}
			s := w.settings("good")
			s.NoRollback = true
			w.want(w.release(s), 0, event.Released, "", "38")
			res = w.run(w.bare("rollback")).Rollback(t.Context(), "27", false)
			w.want(res, 4, event.Refused, event.CodeNoRollbackTarget, "38")
			w.wantWords(res, "backend:27 cannot be deployed: "+c.said)
		})
	}
}

// archived is an ECR whose old images were archived, which only a look for images in
// any state shows.
type archived struct{ image.ECRAPI }

func (a archived) DescribeImages(ctx context.Context, in *ecr.DescribeImagesInput, o ...func(*ecr.Options)) (*ecr.DescribeImagesOutput, error) {
	out, err := a.ECRAPI.DescribeImages(ctx, in, o...)
	if err == nil && in.Filter != nil {
		for i := range out.ImageDetails {
			out.ImageDetails[i].ImageStatus = ecrtypes.ImageStatusArchived
		}
	}
	return out, err
}

// blind is an ECR that does not tell whether images are there.
type blind struct{ image.ECRAPI }

func (b blind) DescribeImages(ctx context.Context, in *ecr.DescribeImagesInput, o ...func(*ecr.Options)) (*ecr.DescribeImagesOutput, error) {
	if in.Filter != nil {
		return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}
	}
	return b.ECRAPI.DescribeImages(ctx, in, o...)
}

func TestTargetWhoseImageCannotBeLookedUpIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
	w.clients.ECR = blind{w.clients.ECR}
	w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
}

// The tag of the target was moved: going back by UpdateService would start whatever
// it names now, so a copy is there that names what was proven.
func TestTargetWhoseTagHasMovedIsPinned(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]string{
		"by UpdateService": `{"when":"StopServiceDeployment","error":"AccessDeniedException","message":"no"}`,
		"by ECS":           "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"backend:39": segfault})
			proven := w.digest("v1")
			if err := w.server.Images().Retag("weelo-backend", w.digest("good"), []string{"v1"}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if rule != "" {
				w.fault(rule)
			}
			res := w.release(w.settings("good"))
			if res.ExitCode != 3 {
				t.Fatalf("result = exit %d, %v\n%s", res.ExitCode, res.Failure, w.story())
			}
			def, err := w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("backend:38")})
			if err != nil {
				t.Fatal(err)
			}
			if got := aws.ToString(def.TaskDefinition.ContainerDefinitions[0].Image); !strings.HasSuffix(got, "@"+proven) || w.tags("38").CopyOf != "backend:27" {
				t.Errorf("38 runs %s and is a copy of %q, want %s of backend:27", got, w.tags("38").CopyOf, proven)
			}
			tasks, err := w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String(clusterName), ServiceName: aws.String(serviceName)})
			if err != nil || len(tasks.TaskArns) == 0 {
				t.Fatalf("tasks = %v, %v", tasks, err)
			}
			out, err := w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String(clusterName), Tasks: tasks.TaskArns})
			if err != nil {
				t.Fatal(err)
			}
			for _, task := range out.Tasks {
				if got := aws.ToString(task.Containers[0].ImageDigest); got != proven {
					t.Errorf("a task runs %s, want the proven %s", got, proven)
				}
			}
		})
	}
}

// Terraform deregisters the revision that serves when it makes the next one. ECS can
// still go back to it by itself.
func TestDeregisteredTargetIsGoneBackToByECS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:39": segfault})
	if _, err := w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("backend:27")}); err != nil {
		t.Fatal(err)
	}
	w.want(w.release(w.settings("good")), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if n := w.count("StopServiceDeployment"); n != 1 {
		t.Errorf("StopServiceDeployment was called %d times, want 1", n)
	}
}

// --- the history: what if it cannot be read?

// forgetful is an ECS that remembers no deployments, as after 90 days.
type forgetful struct{ release.ECS }

func (forgetful) ListServiceDeployments(context.Context, *ecs.ListServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error) {
	return &ecs.ListServiceDeploymentsOutput{}, nil
}

func TestGoesBackWithoutTheServiceDeploymentsAPI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(w *world)
		said    string
	}{
		"denied": {func(w *world) {
			w.fault(`{"when":"ListServiceDeployments","error":"AccessDeniedException","message":"not authorized"}`)
		}, "the service's deployments cannot be read (AccessDeniedException): the outcomes that releases recorded as tags are used instead"},
		"empty": {func(w *world) { w.clients.ECS = forgetful{w.ecs} }, "backend:27: it serves now: PRIMARY and COMPLETED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"backend:38": segfault})
			c.arrange(w)
			s := w.settings("good")
			s.Backstop = false // without its history, nobody could tell that ECS itself went back
			w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
			if !strings.Contains(w.story(), c.said) {
				t.Errorf("it does not say %q\n%s", c.said, w.story())
			}
			if n := w.count("UpdateService"); n != 2 {
				t.Errorf("UpdateService was called %d times, want 2: deploy, and the way back", n)
			}
			w.wantTag("27", history.Proven, "")
			// The tags are now all that is known: 27 is found by them.
			w.runtime.Set("backend:37", segfault)
			w.deploy("37", nil)
			w.want(w.run(w.bare("rollback")).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
		})
	}
}

// A deployment that completed because no task was wanted proves nothing.
func TestADeploymentWithoutTasksIsNoProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:36": {PullTakes: time.Minute}, "backend:38": segfault})
	scale := func(n int32, revision string) {
		in := &ecs.UpdateServiceInput{Cluster: aws.String(clusterName), Service: aws.String(serviceName), DesiredCount: &n, TaskDefinition: aws.String("backend:" + revision)}
		if _, err := w.ecs.UpdateService(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	scale(0, "37")
	w.until(func(s types.Service) bool {
		return s.Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted && len(s.Deployments) == 1
	})
	scale(1, "36")
	s := w.settings("good")
	s.Supersede = true
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if !strings.Contains(w.story(), "passed over backend:37: completed without a task, which proves nothing") {
		t.Errorf("it does not say why 37 was passed over\n%s", w.story())
	}
}
