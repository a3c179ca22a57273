package output

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
)

// lines are the lines of the story, without their stamps.
func lines(t *testing.T, steps ...step) []string {
	t.Helper()
	var out []string
	for _, l := range strings.Split(strings.TrimSuffix(draw(t, Plain, nil, steps...).stderr.String(), "\n"), "\n") {
		_, text, _ := strings.Cut(l, " ")
		out = append(out, text)
	}
	return out
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
}

func TestStory_tasksAlikeAreGrouped(t *testing.T) {
	var steps []step
	for i := range 100 {
		steps = append(steps, step{float64(i) / 10, "watch", event.Task{
			ID: fmt.Sprintf("%032d", i), Revision: "web:7", Status: "STOPPED", Container: "web", ExitCode: exitCode(1), Code: "EXIT_1", Reason: "Essential container in task exited",
		}})
	}
	const end = " of web:7 STOPPED: EXIT_1, web exited with 1, Essential container in task exited"
	latest := func(n int) string { return fmt.Sprintf("[watch] %d tasks%s, 00000000 the latest", n, end) }
	want(t, lines(t, steps...), "[watch] task 00000000"+end, "[watch] task 00000000"+end, latest(4), latest(8), latest(16), latest(32), latest(64))
}

func TestStory_tasksOnTheirWayAreNotTold(t *testing.T) {
	var steps []step
	for _, s := range []string{"PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"} {
		steps = append(steps, step{0, "watch", event.Task{ID: "abc", Revision: "web:7", Status: s}})
	}
	steps = append(steps, step{0, "watch", event.Task{ID: "def", Revision: "web:7", Status: "STOPPING", Code: "OUT_OF_MEMORY"}})
	want(t, lines(t, steps...), "[watch] task abc of web:7 RUNNING", "[watch] task def of web:7 STOPPING: OUT_OF_MEMORY")
}

func TestStory_deploymentsOnlyWhenTheyChange(t *testing.T) {
	at := func(s float64, running, failed int, rollout string, ours bool) step {
		d := deployment("x/web:7", ours, "PRIMARY", rollout, running, 0, failed)
		d.ID, d.Desired = fmt.Sprintf("d-%v", ours), 20
		return step{s, "watch", d}
	}
	want(t, lines(t,
		at(0, 0, 0, "IN_PROGRESS", true), at(0, 9, 0, "COMPLETED", false),
		at(1, 0, 0, "IN_PROGRESS", true),                                   // nothing new
		at(2, 3, 0, "IN_PROGRESS", true), at(3, 7, 0, "IN_PROGRESS", true), // too soon
		at(11, 8, 0, "IN_PROGRESS", true), at(12, 8, 1, "IN_PROGRESS", true),
		at(13, 8, 0, "COMPLETED", false), // counters of somebody else
		at(14, 20, 1, "IN_PROGRESS", true), at(15, 20, 1, "COMPLETED", true)),
		"[watch] deployment d-true of web:7: PRIMARY, IN_PROGRESS, 0/20 running",
		"[watch] deployment d-false of web:7 (not ours): PRIMARY, COMPLETED, 9/20 running",
		"[watch] deployment d-true of web:7: PRIMARY, IN_PROGRESS, 8/20 running",
		"[watch] deployment d-true of web:7: PRIMARY, IN_PROGRESS, 8/20 running, 1 failed",
		"[watch] deployment d-true of web:7: PRIMARY, IN_PROGRESS, 20/20 running, 1 failed",
		"[watch] deployment d-true of web:7: PRIMARY, COMPLETED, 20/20 running, 1 failed",
	)
}

func TestStory_routineServiceEventsAreLeftOut(t *testing.T) {
	const s = "(service web) "
	var steps []step
	for _, m := range []string{
		s + "has started 1 tasks: (task a1).", s + "has stopped 2 running tasks: (task a) (task b).", s + "registered 1 targets in (target-group x)",
		s + "deregistered 1 targets in (target-group x)", s + "has begun draining connections on 1 tasks.", s + "has reached a steady state.",
		s + "(deployment ecs-svc/1) deployment completed.",
		s + "was unable to place a task because no container instance met all of its requirements.",
		s + "(deployment ecs-svc/1) deployment failed: tasks failed to start.",
		s + "rolling back to deployment ecs-svc/0.",
	} {
		steps = append(steps, step{0, "watch", event.ServiceEvent{Message: m}})
	}
	want(t, lines(t, steps...),
		"[watch] ECS: (service web) was unable to place a task because no container instance met all of its requirements.",
		"[watch] ECS: (service web) (deployment ecs-svc/1) deployment failed: tasks failed to start.",
		"[watch] ECS: (service web) rolling back to deployment ecs-svc/0.")
}

func TestStory_longThingsAreCut(t *testing.T) {
	var steps []step
	for i := range 30 {
		steps = append(steps,
			step{0, "a", event.Check{Name: fmt.Sprintf("check %d", i), Status: event.Done}},
			step{0, "b", event.Log{Task: "t", Container: "web", Text: fmt.Sprint(i)}},
			step{0, "c", event.Build{Step: fmt.Sprint(i), Status: event.Done, Seconds: 2}},
			step{0, "d", event.ServiceEvent{Message: fmt.Sprint(i)}})
	}
	var diff []string
	for i := range 30 {
		diff = append(diff, fmt.Sprint(i))
	}
	steps = append(steps, step{0, "e", event.Diff{From: "a:1", To: "next", Lines: diff}}, step{0, "f", event.Note{Text: strings.Repeat("x", 10)}},
		step{0, "g", event.Log{Task: "t", Text: strings.Repeat("y", 5000)}})
	count := map[string]int{}
	for _, l := range lines(t, steps...) {
		count[l[:3]]++
		if len(l) > words.Longest+20 {
			t.Errorf("a line has %d bytes: %s…", len(l), l[:50])
		}
	}
	if d := cmp.Diff(map[string]int{"[a]": 4, "[b]": 11, "[c]": 6, "[d]": 11, "[e]": 14, "[f]": 1, "[g]": 1}, count); d != "" {
		t.Errorf("lines of each stage (-want +got):\n%s", d)
	}
}

func TestStory_heartbeatWhenNothingIsShown(t *testing.T) {
	steps := []step{{0, "build", event.Build{Step: "RUN npm ci", Status: event.Started}}}
	for i := range 70 {
		steps = append(steps, step{float64(i), "build", event.Build{Step: "RUN npm ci", Line: "…"}})
	}
	want(t, lines(t, steps...), "[build] still running: RUN npm ci", "[build] still running: RUN npm ci")
}

func TestStory_commandsAreToldWhenTheyBegin(t *testing.T) {
	want(t, lines(t,
		step{0, "build", event.Build{Step: "before: npm run build", Status: event.Started}},
		step{1, "build", event.Build{Step: "[1/5] FROM node:22", Status: event.Started}}),
		"[build] running: npm run build")
}

func TestStory_oneHeartbeatASilence(t *testing.T) {
	beat := func(at float64, text string) step { return step{at, "watch", event.Heartbeat{Text: text, Seconds: at}} }
	want(t, lines(t, began(0, "watch"), beat(10, "a"), beat(11.9, "b"), beat(12, "c"), step{12.1, "watch", event.Note{Text: "n"}}, beat(12.2, "d")),
		"[8/10 watch] a (10s)", "[8/10 watch] c (12s)", "[8/10 watch] note: n", "[8/10 watch] d (12s)")
}

func TestStory_whatFailedIsSaidOnce(t *testing.T) {
	why := "the engine is away: connection refused"
	want(t, lines(t,
		step{0, "preflight", event.Check{Name: "engine", Status: event.Failed, Detail: why}},
		ended(2, "preflight", event.Failed, 2, why+" (and 1 more)"),
		step{2, "build", event.Build{Step: "before: npm ci", Status: event.Failed, Error: "exit status 1"}},
		ended(3, "build", event.Failed, 1, `build.before command "npm ci" failed: exit status 1`),
		step{3, "verify", event.Check{Name: "platform", Status: event.Failed, Detail: why}},
		ended(4, "verify", event.Failed, 1, "something else")),
		"[preflight] failed: engine", "[1/10 preflight] failed after 2.0s",
		"[build] failed: before: npm ci: exit status 1", "[2/10 build] failed after 1.0s",
		"[verify] failed: platform: "+why, "[3/10 verify] failed after 1.0s: something else")
}

func TestStory_oneMoreCheck(t *testing.T) {
	var steps []step
	for i := range 5 {
		steps = append(steps, step{0, "verify", event.Check{Name: fmt.Sprint(i), Status: event.Done}})
	}
	got := lines(t, append(steps, ended(1, "verify", event.Done, 1, ""))...)
	want(t, got[len(got)-1:], "[3/10 verify] done in 1.0s (1 more check passed)")
}

func TestStory_stagesComeBack(t *testing.T) {
	want(t, lines(t, began(0, "watch"),
		step{1, "watch", event.Note{Text: "a"}}, step{2, "", event.Note{Text: "b"}}, step{3, "watch", event.Note{Text: "c"}},
		ended(4, "watch", event.Interrupted, 4, "")),
		"[8/10 watch] note: a", "note: b", "[8/10 watch] note: c", "[8/10 watch] interrupted after 4.0s")
}

func TestStory_checksAndDiffs(t *testing.T) {
	want(t, lines(t,
		step{0, "preflight", event.Check{Name: "target", Status: event.Warned, Detail: "none"}},
		step{0, "preflight", event.Check{Name: "engine", Status: event.Failed, Detail: "away", Code: event.CodeNoEngine, Hint: "start it"}},
		step{0, "preflight", event.Check{Name: "trial", Status: event.Skipped, Detail: "not configured"}},
		step{0, "verify", event.Check{Name: "trial run", Status: event.Skipped, Detail: "nothing to try"}},
		step{0, "verify", event.Check{Name: "trial run", Status: event.Failed, Detail: "trial run: app cannot run"}},
		step{0, "register", event.Diff{From: "arn:x/web:1", To: "arn:x/web:2"}},
		step{75, "watch", event.Heartbeat{Text: "waiting for 1 of 2 tasks", Seconds: 75}}),
		"[preflight] warning: target: none", "[preflight] failed: engine", "[verify] skipped: trial run: nothing to try", "[verify] failed: trial run: app cannot run", "[register] task definition web:1 → web:2: no difference",
		"[watch] waiting for 1 of 2 tasks (1m15s)")
}

func TestStamp(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "+00:00", 59 * time.Second: "+00:59", 61 * time.Minute: "+61:00"} {
		if got := words.Stamp(d); got != want {
			t.Errorf("words.Stamp(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTook(t *testing.T) {
	for s, want := range map[float64]string{0: "0.0s", 9.94: "9.9s", 41.2: "41s", 59.2: "59s", 134: "2m14s", 3700: "61m40s"} {
		if got := words.Took(s); got != want {
			t.Errorf("words.Took(%v) = %q, want %q", s, got, want)
		}
	}
}
