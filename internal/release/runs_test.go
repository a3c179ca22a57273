package release_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/health"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// shared is the incident with a second service of the same family.
const shared = incident + `  - cluster: weelocluster
    name: worker
    family: backend
    desiredCount: 1
    deployments: [{revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}]
`

// detached runs a release and leaves it while its deployment is in progress, as a
// process does that is killed.
func (w *world) detached(s release.Settings) {
	w.t.Helper()
	ctx := w.interruptAt("deploy", event.Done, sighup)
	w.wantInterrupted(w.run(s).Execute(ctx), 130, "goes on in ECS")
	w.onEvent = nil
}

func TestARunIsTheServicesOwnWhereTwoServicesShareAFamily(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, nil)
	w.detached(w.settings("good"))
	// The other service is brought to the very revision by somebody else.
	worker := w.bare("watch")
	worker.Service = "worker"
	w.deployTo("worker", "38")
	res := w.run(worker).Resume(t.Context(), false)
	if res.Outcome != event.Watched || res.ExitCode != 0 {
		t.Errorf("watch of the other service = exit %d, %s, want 0, watched\n%s", res.ExitCode, res.Outcome, w.story())
	}
	if o := w.tags("38").Outcome; o.Kind != "" {
		t.Errorf("38 is tagged %q for the service that nobody watched", o.Kind)
	}
	w.want(w.run(w.bare("watch")).Resume(t.Context(), false), 0, event.Released, "", "38")
	w.wantTag("38", history.Proven, "")
	if b := w.breaker(); b.Enable {
		t.Errorf("the circuit breaker stayed on: %+v", b)
	}
}

func TestFailureOnOneServiceSaysNothingOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, map[string]scripted.Script{"backend:38": segfault})
	s := w.settings("good")
	s.KeepFailed = true
	w.want(w.release(s), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	l, err := history.Read(t.Context(), w.ecs, clusterName, "worker", "backend")
	if err != nil {
		t.Fatal(err)
	}
	for arn, tags := range l.Tags {
		if tags.Run+tags.By+tags.Code+tags.Backstop != "" || tags.Outcome.Kind != "" {
			t.Errorf("%s has, for the other service, %+v", history.Name(arn), tags)
		}
	}
}

func TestWatchHonoursWhatTheReleaseThatDiedWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: time.Second, Exits: true, ExitCode: 139}})
	s := w.settings("good")
	s.NoRollback = true
	w.detached(s)
	before := w.count("UpdateService")
	res := w.run(w.bare("watch")).Resume(t.Context(), false)
	if res.ExitCode != 5 || res.Failure == nil || !strings.Contains(strings.Join(res.Failure.Evidence, "\n"), "rolling back is switched off") {
		t.Errorf("watch of a --no-rollback release = exit %d, %v, want 5 and nothing rolled back\n%s", res.ExitCode, res.Failure, w.story())
	}
	if n := w.count("UpdateService") + w.count("StopServiceDeployment") - before; n != 0 {
		t.Errorf("the service was changed by %d calls", n)
	}
	w.wantTag("38", history.Failed, "EXIT_139_SIGSEGV")
	// Who asks for it gets it.
	w.want(w.run(w.bare("rollback")).Rollback(t.Context(), "", false), 0, event.RolledBack, "", "27")
}

func TestWatchKeepsTheFailedRevisionOfAReleaseThatWasToKeepIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: time.Second, Exits: true, ExitCode: 139}})
	s := w.settings("good")
	s.KeepFailed = true
	w.detached(s)
	w.want(w.run(w.bare("watch")).Resume(t.Context(), false), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
	if st := w.status("38"); st != "ACTIVE" {
		t.Errorf("38 is %s, want ACTIVE", st)
	}
}

func TestWatchBakesAsLongAsTheReleaseThatDiedWasToldTo(t *testing.T) {
	for name, c := range map[string]struct {
		of, own        release.Given
		bake, recorded string
	}{
		"as the release was told":       {release.Given{What: flags("--bake", "--timeout", "--tolerate")}, release.Given{}, "UsualSeconds:180.3}", "bake=300ms timeout=19s tolerate=10/100"},
		"its own flag goes before":      {release.Given{What: flags("--bake")}, release.Given{What: flags("--bake")}, "UsualSeconds:180.1}", "bake=300ms"},
		"what nobody asked for by flag": {release.Given{}, release.Given{}, "UsualSeconds:180.1}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
			s := w.settings("good")
			s.Bake, s.Timeout, s.Given = 300*time.Millisecond, 19*time.Second, c.of
			s.Tolerate, _ = health.ParseTolerance("10%")
			w.detached(s)
			watch := w.bare("watch")
			watch.Bake, watch.Timeout, watch.Given = 100*time.Millisecond, 20*time.Second, c.own
			w.want(w.run(watch).Resume(t.Context(), false), 0, event.Released, "", "38")
			if !w.told(c.bake) {
				t.Errorf("want %q:\n%s", c.bake, w.story())
			}
			l, err := history.Read(t.Context(), w.ecs, clusterName, serviceName, "backend")
			if err != nil {
				t.Fatal(err)
			}
			for arn, tags := range l.Tags {
				if got := strings.Join(tags.Wishes, " "); strings.HasSuffix(arn, ":38") && got != c.recorded {
					t.Errorf("recorded: %q, want %q", got, c.recorded)
				}
			}
		})
	}
}

func flags(names ...string) []release.Flag {
	var list []release.Flag
	for _, n := range names {
		list = append(list, release.Flag{Name: n, Text: n})
	}
	return list
}

func TestWatchRollbackOverridesTheWish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": {PullTakes: time.Second, Exits: true, ExitCode: 139}})
	s := w.settings("good")
	s.NoRollback = true
	w.detached(s)
	w.want(w.run(w.bare("watch")).Resume(t.Context(), true), 3, event.RolledBack, "EXIT_139_SIGSEGV", "27")
}

// A run that was superseded is over: whoever deploys its revision later is somebody
// else, and watch neither judges nor rolls that back.
func TestASupersededRunIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	w.at("deploy", event.Done, func() { w.deploy("27", nil) })
	if res := w.release(w.settings("good")); res.ExitCode != 6 {
		t.Fatalf("result = exit %d, %v, want 6", res.ExitCode, res.Failure)
	}
	w.wantTag("38", history.Superseded, "")
	w.runtime.Set("backend:38", segfault)
	w.deploy("38", nil)
	res := w.run(w.bare("watch")).Resume(t.Context(), false)
	if n := w.count("StopServiceDeployment"); n != 0 {
		t.Errorf("somebody else's deployment was rolled back: exit %d, %v", res.ExitCode, res.Failure)
	}
}

// The same where the run was killed before it could record that.
func TestWhoDeploysTheRevisionOfADeadRunAgainIsSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
	w.detached(w.settings("good"))
	w.deploy("27", nil)
	w.until(func(s types.Service) bool { return history.Completed(s) && len(s.Deployments) == 1 })
	w.runtime.Set("backend:38", segfault)
	w.deploy("38", nil)
	tagged := w.count("TagResource")
	res := w.run(w.bare("watch")).Resume(t.Context(), false)
	if n := w.count("StopServiceDeployment"); n != 0 {
		t.Errorf("somebody else's deployment was rolled back: exit %d, %v", res.ExitCode, res.Failure)
	}
	if n := w.count("TagResource") - tagged; n != 0 {
		t.Errorf("%d tags were written about somebody else's deployment", n)
	}
}

// Another release does for one that died what watch would have done.
func TestAnotherReleaseConcludesOneThatDied(t *testing.T) {
	t.Run("that came to serve", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, nil)
		w.detached(w.settings("good"))
		s := w.settings("good")
		s.RunID, s.Wait = "run2", true
		w.want(w.release(s), 0, event.Unchanged, "", "38")
		w.wantTag("38", history.Proven, "")
		if b := w.breaker(); b.Enable || w.tags("38").Backstop != "" {
			t.Errorf("circuit breaker = %+v, noted %q; want it off as before, with nothing noted", b, w.tags("38").Backstop)
		}
	})
	t.Run("that ECS rolled back", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, eager, map[string]scripted.Script{"backend:38": {PullTakes: 300 * time.Millisecond, Exits: true, ExitCode: 139}})
		w.detached(w.settings("good"))
		s := w.settings("good")
		s.RunID, s.Wait = "run2", true
		w.want(w.release(s), 0, event.Released, "", "39")
		w.wantTag("38", history.Failed, "ECS_ROLLED_BACK")
		if st := w.status("38"); st != "INACTIVE" {
			t.Errorf("38 is %s, want INACTIVE: it never succeeded", st)
		}
		if b := w.breaker(); b.Enable || w.tags("38").Backstop != "" || w.tags("39").Backstop != "" {
			t.Errorf("circuit breaker = %+v, noted %q and %q; want it off as before, with nothing noted", b, w.tags("38").Backstop, w.tags("39").Backstop)
		}
	})
	t.Run("and that it replaces, without a circuit breaker", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, incident, map[string]scripted.Script{"backend:38": slow})
		w.detached(w.settings("good"))
		s := w.settings("good")
		s.RunID, s.Supersede, s.Backstop = "run2", true, false
		w.want(w.release(s), 0, event.Released, "", "39")
		if b := w.breaker(); b.Enable {
			t.Errorf("circuit breaker = %+v, want it off, as it was before the release that died", b)
		}
		w.want(w.run(w.bare("watch")).Resume(t.Context(), false), 0, event.Unchanged, "", "39")
	})
}

// A redeploy whose process died between its record and UpdateService was never
// deployed: watch says so, and whoever deploys the revision later is somebody else.
func TestARedeployThatNeverCameIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t, incident, nil)
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	s := w.settings("good")
	s.RunID, s.Redeploy = "run2", true
	if calls, killed := w.killedAfterOf(s, 1); !killed || strings.Join(calls, " ") != "TagResource" {
		t.Fatalf("killed = %t after %q", killed, calls)
	}
	w.want(w.run(w.bare("watch")).Resume(t.Context(), false), 0, event.Unchanged, "", "38")
	if tags := w.tags("38"); tags.Outcome.Kind != history.Proven || tags.Outcome.Run != "run2" || tags.Backstop != "" {
		t.Errorf("tags of 38 = %+v, want run2 over, still proven, no circuit breaker noted", tags)
	}
}

// deployTo is somebody else's UpdateService of a service.
func (w *world) deployTo(service, revision string) {
	w.t.Helper()
	_, err := w.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{
		Cluster: aws.String(clusterName), Service: &service, TaskDefinition: aws.String("backend:" + revision), ForceNewDeployment: true})
	if err != nil {
		w.t.Error(err)
	}
}
