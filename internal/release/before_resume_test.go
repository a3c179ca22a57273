package release_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestAnInterruptLeavesABeforeTaskRunning(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": {}})
	res := w.run(w.withBefore(migrate)).Execute(w.interruptInTask(sigterm))
	w.wantInterrupted(res, 143, "before-task migrate goes on: arn:aws:ecs:ap-south-1:"+accountID+":task/weelocluster/")
	w.wantSaid(res, "the service was not touched; data may have been", "release again")
	if n := w.count("StopTask") + w.count("UpdateService"); n != 0 {
		t.Errorf("%d calls stopped or deployed something", n)
	}

	// The next release of the same follows it, and runs nothing twice.
	task := w.runtime.Started()[len(w.runtime.Started())-1]
	w.onEvent = func(r event.Record) {
		if n, ok := r.Event.(event.Note); ok && strings.Contains(n.Text, "following it") {
			go w.runtime.Exit(task.ID, "app", 0)
		}
	}
	again := w.withBefore(migrate)
	again.RunID = "run2"
	w.want(w.release(again), 0, event.Released, "", "38")
	w.wantRan("migrate up")
	w.wantTag("38", history.Proven, "")
	if !w.told("is running already: following it") {
		t.Errorf("it was not told\n%s", w.story())
	}
}

func TestAnInterruptStopsABeforeTaskWhereThatIsConfigured(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": {}})
	m := migrate
	m.StopOnInterrupt = true
	w.wantInterrupted(w.run(w.withBefore(m)).Execute(w.interruptInTask(sigint)), 130, "before-task migrate was stopped: arn:")
	if n := w.count("StopTask"); n != 1 {
		t.Errorf("StopTask was called %d times, want 1", n)
	}
	if s := w.status("38"); s != "INACTIVE" {
		t.Errorf("38 is %s, want INACTIVE", s)
	}
}

// interruptInTask ends the context once a before-task runs.
func (w *world) interruptInTask(sig *release.Interrupt) context.Context {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	w.t.Cleanup(func() { cancel(nil) })
	w.onEvent = func(r event.Record) {
		if k, ok := r.Event.(event.Task); ok && r.Stage == "before-tasks" && k.Status == "RUNNING" {
			cancel(sig)
		}
	}
	return ctx
}

func TestAReleaseGoesOnWithOneThatDiedAfterItsBeforeTasks(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0), "$ seed": exits(0)})
	// The process dies before UpdateService is sent: nothing cleans up.
	w.die(migrate, plant)
	watch := w.settings("")
	watch.Command, watch.Image = "watch", ""
	if res := w.run(watch).Resume(t.Context(), false); res.Outcome != event.Unchanged || !w.told("registered backend:38 and did not come to deploy it; its before-tasks (migrate / seed) may have run") {
		t.Errorf("watch = %s\n%s", res.Outcome, w.story())
	}
	s := w.withBefore(migrate, plant)
	s.RunID = "run2"
	res := w.release(s)
	w.want(res, 0, event.Released, "", "38")
	w.wantRan("migrate up", "seed")
	if !w.told("before-task migrate has run already") || !w.told("backend:38 was registered by a release by ana@laptop that did not finish") {
		t.Errorf("it was not told\n%s", w.story())
	}
	if tags := w.tags("38"); tags.Run != "run1" || tags.Outcome.Run != "run1" {
		t.Errorf("the release was concluded as another run: %+v", tags)
	}
}

// die runs a release until its first before-task has ended, and leaves what a killed
// process leaves.
func (w *world) die(tasks ...release.BeforeTask) {
	w.t.Helper()
	s := w.withBefore(tasks...)
	s.KeepFailed = true // what a killed process cannot do
	ctx, cancel := context.WithCancelCause(w.t.Context())
	defer cancel(nil)
	w.onEvent = func(r event.Record) {
		if n, ok := r.Event.(event.Note); ok && strings.HasSuffix(n.Text, "migrate ended well") {
			cancel(sigterm)
		}
	}
	res := w.run(s).Execute(ctx)
	w.onEvent = nil
	w.wantInterrupted(res, 143, "the service was not touched")
}

func TestABeforeTaskThatFailedInTheRunThatDiedIsRunAgain(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": {}})
	w.run(w.withBefore(migrate)).Execute(w.interruptInTask(sigterm))
	w.onEvent = nil
	task := w.runtime.Started()[len(w.runtime.Started())-1]
	w.runtime.Exit(task.ID, "app", 1)
	w.untilStopped(task.ARN)
	w.runtime.Set("$ migrate up", exits(0))
	s := w.withBefore(migrate)
	s.RunID = "run2"
	w.want(w.release(s), 0, event.Released, "", "38")
	w.wantRan("migrate up", "migrate up")
	if !w.told("running it again") {
		t.Errorf("it was not told\n%s", w.story())
	}
}

func (w *world) untilStopped(arn string) {
	w.t.Helper()
	limit := time.Now().Add(10 * time.Second)
	for time.Now().Before(limit) {
		out, err := w.ecs.DescribeTasks(w.t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String(clusterName), Tasks: []string{arn}})
		if err != nil {
			w.t.Fatal(err)
		}
		if aws.ToString(out.Tasks[0].LastStatus) == "STOPPED" {
			return
		}
	}
	w.t.Fatalf("%s did not stop", arn)
}

func TestAnotherReleaseDoesNotGoOnWithAnothersRevision(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0), "$ migrate all": exits(0)})
	w.die(migrate, plant)
	s := w.withBefore(migrate)
	s.RunID, s.Environment = "run2", map[string]string{"LOG_LEVEL": "debug"}
	w.want(w.release(s), 0, event.Released, "", "39")
	w.wantRan("migrate up", "migrate up")
}

func TestAChangedCommandIsAnotherBeforeTask(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": exits(0), "$ migrate all": exits(0)})
	w.die(migrate, plant)
	s := w.withBefore(release.BeforeTask{Name: "migrate", Command: []string{"migrate", "all"}})
	s.RunID = "run2"
	w.want(w.release(s), 0, event.Released, "", "38")
	w.wantRan("migrate up", "migrate all")
}

func TestAnInterruptInRunTaskLearnsItsAnswer(t *testing.T) {
	w := newWorld(t, incident, map[string]scripted.Script{"$ migrate up": {}})
	w.fault(`{"when":"RunTask","times":1,"delay":"400ms"}`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan event.Result)
	go func() { done <- w.run(w.withBefore(migrate)).Execute(ctx) }()
	w.untilCalled("RunTask")
	cancel(sigterm)
	w.wantInterrupted(<-done, 143, "before-task migrate goes on: arn:")
	if n := w.count("RunTask"); n != 1 {
		t.Errorf("RunTask was called %d times", n)
	}
}
