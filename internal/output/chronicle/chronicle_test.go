package chronicle

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func record(r *Run, second int, stage string, e event.Event) {
	r.Record(event.Record{Time: start.Add(time.Duration(second) * time.Second), Stage: stage, Event: e})
}

// A run that does not end does not fill the memory, and what failed is kept.
func TestRun_isBounded(t *testing.T) {
	var r Run
	record(&r, 0, "watch", event.Task{ID: "bad", Status: "STOPPED", Code: "EXIT_1"})
	for i := range 5000 {
		id := fmt.Sprint(i)
		record(&r, i, "watch", event.Task{ID: id, Status: "RUNNING"})
		record(&r, i, "watch", event.Task{ID: id, Status: "STOPPED"})
		record(&r, i, "watch", event.Log{Task: id, Text: "line"})
		record(&r, i, "watch", event.Note{Level: event.Warn, Text: "note"})
		record(&r, i, "build", event.Build{Step: id, Status: event.Done})
		record(&r, i, "register", event.Diff{From: "a", To: "b"})
	}
	for name, n := range map[string]int{"tasks": len(r.Tasks), "lines": len(r.Lines), "findings": len(r.Findings), "steps": len(r.Steps), "diffs": len(r.Diffs), "samples": len(r.Health)} {
		if n > mostSamples || n == 0 {
			t.Errorf("%d %s are kept", n, name)
		}
	}
	if first := r.Watched()[0]; first.ID != "bad" {
		t.Errorf("the first task is %s, want the one that failed", first.ID)
	}
}

func TestRun_healthy(t *testing.T) {
	for name, c := range map[string]struct {
		tasks []event.Task
		want  int
	}{
		"running is enough without health checks": {[]event.Task{{ID: "a", Status: "RUNNING"}, {ID: "b", Status: "PENDING"}}, 1},
		"with them it is not":                     {[]event.Task{{ID: "a", Status: "RUNNING"}, {ID: "b", Status: "RUNNING", Health: "HEALTHY"}}, 1},
		"unhealthy is not":                        {[]event.Task{{ID: "a", Status: "RUNNING", Health: "UNHEALTHY"}}, 0},
		"one that stopped is not":                 {[]event.Task{{ID: "a", Status: "RUNNING"}, {ID: "a", Status: "STOPPED"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var r Run
			for i, e := range c.tasks {
				record(&r, i, "watch", e)
			}
			if got := r.Healthy(); got != c.want {
				t.Errorf("Healthy() = %d, want %d", got, c.want)
			}
		})
	}
}

func TestRun_watchedBegin(t *testing.T) {
	var r Run
	for i, e := range []event.Task{
		{ID: "old", Status: "RUNNING"}, {ID: "gone", Status: "STOPPED"}, {ID: "new", Status: "RUNNING"}, {ID: "way", Status: "PENDING"}, {ID: "bad", Status: "STOPPED", Code: "EXIT_1"},
	} {
		record(&r, i, "watch", e)
	}
	var got []string
	for _, task := range r.Watched() {
		got = append(got, task.ID)
	}
	if want := "bad way new old gone"; strings.Join(got, " ") != want {
		t.Errorf("tasks = %v, want %s", got, want)
	}
}

func TestStage_took(t *testing.T) {
	var r Run
	record(&r, 0, "build", event.Stage{Name: "build", Status: event.Started, UsualSeconds: 9})
	if got := r.Stage().Took(start.Add(4 * time.Second)); got != 4*time.Second {
		t.Errorf("under way it took %s, want 4s", got)
	}
	record(&r, 7, "build", event.Stage{Name: "build", Status: event.Done, Seconds: 6.5})
	if s := r.Stages[0]; s.Took(r.Now) != 6500*time.Millisecond || s.UsualSeconds != 9 || r.Stage() != nil {
		t.Errorf("the stage is %+v", s)
	}
}
