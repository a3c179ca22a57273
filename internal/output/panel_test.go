package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/chronicle"
	"github.com/weelo/weelo-deploy/internal/output/panel"
)

// viewOf is what there is to draw so many seconds into a run.
func viewOf(seconds float64, steps []step) panel.View {
	run := &chronicle.Run{}
	for _, s := range steps {
		if s.at <= seconds {
			run.Record(event.Record{Time: begin.Add(time.Duration(s.at * float64(time.Second))), Stage: s.stage, Event: s.event})
		}
	}
	return panel.View{
		Run: run, Now: begin.Add(time.Duration(seconds * float64(time.Second))), Title: "release weelobackendtask-service-joxh3c0r",
		Hint: "Ctrl-C: stop, nothing is deployed yet", Then: "Ctrl-C: stop watching (it goes on) · twice: roll back",
	}
}

// moments are runs at moments worth looking at.
func moments() map[string]panel.View {
	push := append(upToDeploy(), step{34, "push", event.Build{Step: "push " + repo + ":v1.0.9", Status: event.Started}},
		step{35, "push", event.Build{Step: "push " + repo + ":v1.0.9", Bytes: 12_300_000, TotalBytes: 87_000_000}})
	slices.SortStableFunc(push, func(a, b step) int { return int(1000*a.at) - int(1000*b.at) })
	usual := crashRun()
	for i, s := range usual {
		if e, ok := s.event.(event.Stage); ok && e.Name == "watch" && e.Status == event.Started {
			e.UsualSeconds = 110
			usual[i].event = e
		}
	}
	interrupted := viewOf(61.5, usual)
	interrupted.Notice = "interrupted by SIGINT: bringing the run to an end"
	final := viewOf(131, goodRun())
	final.Final = true
	wide := append(upToDeploy(), step{61, "watch", event.Heartbeat{Text: "waiting for 注文サービス 👩‍💻👩‍💻👩‍💻 to be healthy 🏳️‍🌈 …"}})
	for i := range 100 {
		e := event.Task{ID: fmt.Sprintf("%032x", i), Revision: "weelobackendtask:38", Status: "RUNNING", Health: "HEALTHY"}
		switch {
		case i%25 == 3:
			e.Status, e.Health, e.Code, e.Container, e.Reason = "STOPPED", "", "EXIT_1", "注文サービス", "終了しました 💥💥 重要なコンテナが終了しました、もう一度お試しください"
		case i%10 == 0:
			e.Status, e.Health = "PENDING", ""
		}
		wide = append(wide, step{61 + float64(i)/10, "watch", e})
	}
	var build []step // as the command build tells it
	for _, s := range upToDeploy() {
		if _, ok := s.event.(event.Build); ok {
			build = append(build, s)
		}
	}
	return map[string]panel.View{
		"stageless": viewOf(32.05, build),
		"build":     viewOf(32.05, upToDeploy()), "before": viewOf(9.1, upToDeploy()), "push": viewOf(36, push), "watch": viewOf(61.5, usual),
		"crash": viewOf(72, crashRun()), "interrupted": interrupted, "final": final, "wide": viewOf(75, wide), "nothing": viewOf(0, nil),
	}
}

func TestPanel_frames(t *testing.T) {
	for name, v := range moments() {
		for _, columns := range []int{60, 80, 120} {
			t.Run(fmt.Sprint(name, " at ", columns), func(t *testing.T) {
				frame := panel.Frame(v, columns, 30)
				golden(t, fmt.Sprintf("panel-%s-%d", name, columns), strings.Join(frame, "\n")+"\n")
			})
		}
	}
}

func TestPanel_theLastFrameOfAnInterruptedRunHasNoCountsOlderThanItsVerdict(t *testing.T) {
	v := moments()["interrupted"]
	v.Final, v.Notice = true, ""
	v.Run.Record(event.Record{Time: v.Now, Event: event.Result{Outcome: event.InterruptedO, ServingNow: "web:1 serves, 1/1 running"}})
	frame := strings.Join(panel.Frame(v, 80, 30), "\n")
	if strings.Contains(frame, "running") || strings.Contains(frame, "healthy") || !strings.Contains(frame, "release weelobackendtask") {
		t.Errorf("the last frame is\n%s", frame)
	}
}

func TestTerminal_afterAnInterruptOnlyTheVerdictCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		out, err := New(Options{Mode: "tty", Stdout: io.Discard, Stderr: &w, StderrTerminal: true, Size: func() (int, int) { return 80, 24 }})
		if err != nil {
			t.Fatal(err)
		}
		stream := event.NewStream(nil, out)
		stream.In("watch")(stageEvent("watch", event.Started))
		stream.In("watch")(event.Deployment{ID: "ecs-svc/1", TaskDefinition: "a:2", Status: "PRIMARY", Desired: 1, Pending: 1, Ours: true})
		synctest.Wait()
		n := len(w.list)
		stream.In("")(event.Result{Outcome: event.InterruptedO, ExitCode: event.ExitInterrupt, ServingNow: "a:2 serves, 1/1 running"})
		if end := strings.Join(w.list[n:], ""); strings.Contains(end, "0/1 running") || !strings.Contains(end, "a:2 serves, 1/1 running") {
			t.Errorf("the run ends with\n%s", end)
		}
	})
}

// Whatever there is to draw and whatever the size: no line reaches the last column,
// and there are never more lines than the terminal has, or than fourteen.
func TestPanel_fits(t *testing.T) {
	for name, v := range moments() {
		for _, colour := range []bool{false, true} {
			v.Colour = colour
			for columns := 1; columns < 200; columns += 23 {
				for _, lines := range []int{1, 2, 5, 13, 14, 50} {
					frame := panel.Frame(v, columns, lines)
					if len(frame) > min(lines, panel.Most) {
						t.Fatalf("%s at %dx%d has %d lines", name, columns, lines, len(frame))
					}
					for _, l := range frame {
						if w := panel.Width(sgr.ReplaceAllString(l, "")); w >= max(columns, 2) {
							t.Fatalf("%s at %d columns has a line of %d: %q", name, columns, w, l)
						}
					}
				}
			}
		}
	}
}

// A live run draws at most ten times a second, and nothing after its result but
// the report.
func TestPanel_isDrawnAtMostTenTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		out, err := New(Options{Mode: "tty", Stdout: io.Discard, Stderr: &w, StderrTerminal: true, Size: func() (int, int) { return 80, 24 }})
		if err != nil {
			t.Fatal(err)
		}
		stream := event.NewStream(nil, out)
		stream.In("watch")(stageEvent("watch", event.Started))
		for i := range 1000 {
			stream.In("watch")(event.Task{ID: fmt.Sprint(i), Revision: "a:1", Status: "RUNNING"})
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(w.list); n > 101 || n < 90 {
			t.Errorf("10 s of changes were drawn by %d writes, want about 100", n)
		}
		for _, s := range w.list {
			if !strings.HasPrefix(s, "\x1b[?2026h") || !strings.HasSuffix(s, "\x1b[?2026l") {
				t.Fatalf("a frame is not written at once: %q", s)
			}
		}
		before := len(w.list)
		out.Say("interrupted")
		if len(w.list) != before+1 || !strings.Contains(w.list[before], "interrupted") {
			t.Errorf("a notice is not shown at once")
		}
		stream.In("")(released())
		n := len(w.list)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(w.list) != n {
			t.Errorf("%d writes came after the result", len(w.list)-n)
		}
	})
}

type writes struct{ list []string }

func (w *writes) Write(p []byte) (int, error) {
	w.list = append(w.list, string(p))
	return len(p), nil
}
