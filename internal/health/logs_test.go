package health

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

const stream1 = "/ecs/weelo ecs/app/new1"

// withLogs gives a watch logs and a definition that points to them.
func withLogs(l *fakeLogs) func(*Watcher, *Subject) {
	return func(w *Watcher, s *Subject) { w.Logs, s.Definition = l, fakeDefinition{"awslogs", false} }
}

// explain explains a verdict as its caller would.
func explain(f *fakeECS, l *fakeLogs, d Definition, v Verdict) (Verdict, *told) {
	o := &told{}
	w := &Watcher{ECS: f, Emit: o.emit(f.began)}
	if l != nil {
		w.Logs = l
	}
	return w.Explain(context.Background(), Subject{Definition: d}, v), o
}

func TestExplain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.crash("new1", 139) })
		l := &fakeLogs{lines: map[string][]string{stream1: {"booting", "\x1b[31mred\x1b[0m \x07alert\rover"}}}
		got := watch(f, Policy{}, withLogs(l))
		got.want(t, Failing, "EXIT_139_SIGSEGV")
		if len(l.asked) != 0 || len(got.Failure.Logs) != 0 {
			t.Errorf("logs were read before the verdict: %q", l.asked)
		}
		v, o := explain(f, l, fakeDefinition{"awslogs", false}, got.Verdict)
		if s := strings.Join(v.Failure.Logs, "|"); s != "booting|red alert over" {
			t.Errorf("Logs = %q", s)
		}
		if e := of[event.Log](o); len(e) != 2 || e[0].Task != "new1" || e[0].Container != "app" || e[0].At.IsZero() {
			t.Errorf("log events = %+v", e)
		}
		if len(got.Failure.Logs) != 0 {
			t.Error("Explain changed the verdict that it was given")
		}
	})
}

func TestExplain_refines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.crash("new1", 1) })
		f.at(8*time.Second, func() { f.crash("new2", 1) })
		l := &fakeLogs{lines: map[string][]string{stream1: {"exec /app/server: exec format error"}}, after: f.began.Add(20 * time.Second)}
		got := watch(f, Policy{}, withLogs(l))
		got.want(t, Failing, "EXIT_1")   // the log came too late
		now := &fakeLogs{lines: l.lines} // the watch may still be asking the other one
		v, _ := explain(f, now, fakeDefinition{"awslogs", false}, got.Verdict)
		if v.Failure.Code != event.CodeExecFormat || v.Failure.Tasks != 2 {
			t.Errorf("failure = %+v, want it refined", v.Failure)
		}
		says(t, v.Failure, "exec format error", "runtimePlatform")
	})
}

func TestExplain_withoutALog(t *testing.T) {
	for _, c := range []struct {
		name       string
		definition Definition
		logs       *fakeLogs
		evidence   string
		note       string
	}{
		{"another driver", fakeDefinition{"awsfirelens", false}, &fakeLogs{}, "container app: its log cannot be read here: it goes to FireLens to datadog", ""},
		{"no driver", fakeDefinition{"", false}, &fakeLogs{}, "it has no log configuration", ""},
		{"no definition", nil, &fakeLogs{}, "its task definition is not known", ""},
		{"denied", fakeDefinition{"awslogs", false}, &fakeLogs{err: apiError("AccessDeniedException")}, "", "cannot read the log of container app (logs:GetLogEvents on /ecs/weelo): AccessDeniedException"},
		{"no stream yet", fakeDefinition{"awslogs", false}, &fakeLogs{}, "", ""},
		{"no client", fakeDefinition{"awslogs", false}, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(5*time.Second, func() { f.crash("new1", 139) })
				got := watch(f, Policy{})
				began := time.Now()
				v, o := explain(f, c.logs, c.definition, got.Verdict)
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("Explain took %s, want 3s at most", took)
				}
				says(t, v.Failure, c.evidence)
				notes := of[event.Note](o)
				if (len(notes) == 1) != (c.note != "") || (c.note != "" && !strings.Contains(notes[0].Text, c.note)) {
					t.Errorf("notes = %+v, want %q", notes, c.note)
				}
			})
		})
	}
}

func TestExplain_nothingToExplain(t *testing.T) {
	v, _ := explain(&fakeECS{}, &fakeLogs{}, nil, Verdict{Outcome: Serving})
	if v.Failure != nil {
		t.Errorf("Explain() = %+v", v)
	}
	bubble(t, func(t *testing.T) { // a container that was never there has no log
		f := newFake()
		l := &fakeLogs{}
		f.at(5*time.Second, func() {
			f.start("new1", "ecs-svc/2", 38)
			f.stop("new1", types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: x: not found", types.Container{})
		})
		got := watch(f, Policy{}, withLogs(l))
		explain(f, l, fakeDefinition{"awslogs", false}, got.Verdict)
		if len(l.asked) != 0 {
			t.Errorf("asked for %q", l.asked)
		}
	})
}

// A plain exit 1 is counted; what its log says can make it fatal at once.
func TestWatch_readsTheLogOfACountedExit(t *testing.T) {
	for line, code := range map[string]event.Code{
		"exec /usr/local/bin/node: exec format error": event.CodeExecFormat,
		"Segmentation fault (core dumped)":            "EXIT_139_SIGSEGV",
	} {
		t.Run(line, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFake()
				f.at(5*time.Second, func() { f.crash("new1", 1) })
				l := &fakeLogs{lines: map[string][]string{stream1: {"", line}}, after: f.began.Add(7 * time.Second)}
				got := watch(f, Policy{}, withLogs(l))
				got.want(t, Failing, code)
				if got.took > 10*time.Second {
					t.Errorf("it took %s", got.took)
				}
				if len(got.Failure.Logs) == 0 || *got.Failure.ExitCode != 1 {
					t.Errorf("failure = %+v, want its log lines", got.Failure)
				}
				if late := got.DetectedAt.Sub(f.began); late < 7*time.Second {
					t.Errorf("DetectedAt = %s, before the log could be read", late)
				}
			})
		})
	}
}

func TestWatch_logsNeverStopAWatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFake()
		f.at(5*time.Second, func() { f.crash("new1", 1) })
		f.serve(40 * time.Second)
		f.at(10*time.Second, func() { f.start("new2", "ecs-svc/2", 38) })
		f.at(20*time.Second, func() { f.up("new2") })
		l := &fakeLogs{err: apiError("AccessDeniedException")}
		got := watch(f, Policy{}, withLogs(l))
		if got.Outcome == Failing || got.err != nil {
			t.Errorf("Watch() = %s (%v), %v", got.Outcome, got.Failure, got.err)
		}
		if n := of[event.Note](got.told); len(n) != 1 || !strings.Contains(n[0].Text, "logs:GetLogEvents") {
			t.Errorf("notes = %+v, want one", n)
		}
	})
}

func TestStreamOf(t *testing.T) {
	task := types.Task{TaskArn: aws.String(taskARN), Containers: []types.Container{{Name: aws.String("app"), RuntimeId: aws.String("rt-1")}}}
	got, err := streamOf(fakeDefinition{"awslogs", false}, task, "app")
	if want := (stream{"/ecs/weelo", "ecs/app/0123456789abcdef0123456789abcdef", "ap-south-1"}); err != nil || got != want {
		t.Errorf("streamOf() = %+v, %v; want %+v", got, err, want)
	}
	got, err = streamOf(noPrefix{}, task, "app")
	if err != nil || got.name != "rt-1" {
		t.Errorf("streamOf() without a prefix = %+v, %v; want the runtime id", got, err)
	}
	if _, err := streamOf(noPrefix{}, types.Task{}, "app"); err == nil {
		t.Error("streamOf() without prefix and runtime id = nil error")
	}
}

// noPrefix is a definition whose awslogs has no stream prefix, as on EC2.
type noPrefix struct{ fakeDefinition }

func (noPrefix) Log(string) (driver, group, prefix, region string) { return "awslogs", "g", "", "" }

func TestBounded(t *testing.T) {
	var lines []logLine
	for i := range 50 {
		lines = append(lines, logLine{text: fmt.Sprint(i)})
	}
	if got := bounded(lines); len(got) != tailLines || got[tailLines-1].text != "49" {
		t.Errorf("bounded() = %d lines up to %q", len(got), got[len(got)-1].text)
	}
	long := []logLine{{text: strings.Repeat("x", tailBytes)}, {text: "end"}}
	if got := bounded(long); len(got) != 1 || got[0].text != "end" {
		t.Errorf("bounded() = %d lines, want what fits", len(got))
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b]0;title\x07text\x1b[2J\u009b31m\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if strings.ContainsAny(got, "\x1b\n\r\x07\u009b") || len(got) > 2*lineBytes {
			t.Errorf("clean(%q) = %q", s, got)
		}
	})
}
