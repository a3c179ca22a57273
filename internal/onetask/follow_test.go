package onetask

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

func wantFailure(t *testing.T, f *event.Failure, code event.Code, said ...string) {
	t.Helper()
	if f == nil {
		t.Fatalf("it ended well, want %s", code)
	}
	if f.Code != code {
		t.Errorf("code %s, want %s", f.Code, code)
	}
	text := strings.Join(append([]string{f.Error()}, f.Evidence...), "\n")
	for _, want := range said {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

func TestFollow_handsLinesOnAsTheyComeAndOnlyOnce(t *testing.T) {
	a := &account{state: after(20*time.Second, ended(0)), lines: func(since time.Duration) int { return int(since / (4 * time.Second)) }}
	inAccount(t, a, func(t *testing.T, r Runner) {
		failed, err := r.Follow(t.Context(), migrate, running())
		if err != nil || failed != nil {
			t.Fatalf("Follow = %v, %v, want a good end", failed, err)
		}
		lines, notes, statuses := a.told()
		if d := cmp.Diff([]string{"line 1", "line 2", "line 3", "line 4", "line 5"}, lines); d != "" {
			t.Errorf("lines (-want +got):\n%s", d)
		}
		if len(notes) != 0 {
			t.Errorf("notes: %q", notes)
		}
		if d := cmp.Diff([]string{"RUNNING", "STOPPED"}, statuses); d != "" {
			t.Errorf("statuses (-want +got):\n%s", d)
		}
	})
}

func TestFollow_boundsWhatAChattyContainerWrites(t *testing.T) {
	a := &account{state: after(4*time.Second, ended(1)), lines: always(30_000)}
	inAccount(t, a, func(t *testing.T, r Runner) {
		failed, err := r.Follow(t.Context(), migrate, running())
		if err != nil {
			t.Fatal(err)
		}
		wantFailure(t, failed, "EXIT_1")
		lines, notes, _ := a.told()
		if len(lines) != shownLines {
			t.Errorf("%d lines were told, want %d", len(lines), shownLines)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "log group /ecs/backend, stream ecs/app/0123456789abcdef") {
			t.Errorf("notes = %q, want one that says where the rest is", notes)
		}
		if n := len(failed.Logs); n != keptLines || failed.Logs[n-1] != "line 30000" {
			t.Errorf("the failure has %d lines, the last %q", n, failed.Logs[len(failed.Logs)-1])
		}
	})
}

func TestFollow_waitsForTheLogOfAContainerThatHasEnded(t *testing.T) {
	a := &account{state: after(0, ended(1)), lines: func(since time.Duration) int {
		if since < 4*time.Second {
			return 0
		}
		return 1
	}}
	inAccount(t, a, func(t *testing.T, r Runner) {
		failed, err := r.Follow(t.Context(), migrate, running())
		if err != nil || len(failed.Logs) != 1 {
			t.Errorf("Follow = %+v, %v, want the line that came late", failed, err)
		}
	})
}

func TestFollow_toldOnceWhereTheLogCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		driver string
		err    error
		want   string
	}{
		"denied":         {"awslogs", refused("AccessDeniedException"), "cannot be read (logs:GetLogEvents on /ecs/backend): AccessDeniedException"},
		"another driver": {"awsfirelens", nil, "awsfirelens"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{state: after(20*time.Second, ended(0)), lines: always(3), logErr: c.err}
			inAccount(t, a, func(t *testing.T, r Runner) {
				m := migrate
				m.Definition = definition{c.driver}
				if failed, err := r.Follow(t.Context(), m, running()); err != nil || failed != nil {
					t.Errorf("Follow = %v, %v: a log that cannot be read is no failure", failed, err)
				}
				if _, notes, _ := a.told(); len(notes) != 1 || !strings.Contains(notes[0], c.want) {
					t.Errorf("notes = %q, want one with %q", notes, c.want)
				}
			})
		})
	}
}

func TestFollow_toleratesWhatPasses(t *testing.T) {
	within := func(from, to time.Duration) func(time.Duration) bool {
		return func(since time.Duration) bool { return since > from && since < to }
	}
	for name, a := range map[string]*account{
		"a task that ECS does not show yet": {missing: within(0, 50*time.Second)},
		"throttling": {describeErr: func(since time.Duration) error {
			if within(5*time.Second, 3*time.Minute)(since) {
				return refused("ThrottlingException")
			}
			return nil
		}},
		"a lost connection": {describeErr: func(since time.Duration) error {
			if within(5*time.Second, 3*time.Minute)(since) {
				return errors.New("connection reset")
			}
			return nil
		}},
		"credentials that are refreshed": {describeErr: func(since time.Duration) error {
			if within(5*time.Second, 20*time.Second)(since) {
				return refused("ExpiredTokenException")
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a.state = after(4*time.Minute, ended(0))
			inAccount(t, a, func(t *testing.T, r Runner) {
				if failed, err := r.Follow(t.Context(), migrate, running()); err != nil || failed != nil {
					t.Errorf("Follow = %v, %v", failed, err)
				}
				if a.looks > 130 {
					t.Errorf("%d calls in 4 minutes", a.looks)
				}
			})
		})
	}
}

func TestFollow_givesUpWhatItMayNotSee(t *testing.T) {
	a := &account{state: after(time.Hour, ended(0)), describeErr: func(time.Duration) error { return refused("AccessDeniedException") }}
	inAccount(t, a, func(t *testing.T, r Runner) {
		failed, err := r.Follow(t.Context(), migrate, running())
		if failed != nil || code(err) != "AccessDeniedException" {
			t.Errorf("Follow = %v, %v, want the error: the task goes on", failed, err)
		}
		if took := time.Since(a.began); took > 2*time.Minute {
			t.Errorf("it took %s", took)
		}
	})
	a = &account{state: after(time.Hour, ended(0)), missing: func(time.Duration) bool { return true }}
	inAccount(t, a, func(t *testing.T, r Runner) {
		failed, err := r.Follow(t.Context(), migrate, running())
		if failed != nil || err == nil || !strings.Contains(err.Error(), "ECS does not know the task any more") {
			t.Errorf("Follow = %v, %v", failed, err)
		}
	})
}

func TestFollow_namesAStopThatSaysNothingAboutAService(t *testing.T) {
	user := ended(143)
	user.StopCode, user.StoppedReason = types.TaskStopCodeUserInitiated, aws.String("enough")
	spot := ended(137)
	spot.StopCode, spot.StoppedReason = types.TaskStopCodeSpotInterruption, aws.String("Your Spot Task was interrupted.")
	sidecar := ended(143)
	sidecar.Containers = append(sidecar.Containers, types.Container{Name: aws.String("proxy"), ExitCode: aws.Int32(139)})
	early := ended(0)
	early.Containers[0].ExitCode = nil
	early.Containers = append(early.Containers, types.Container{Name: aws.String("proxy"), ExitCode: aws.Int32(0)})
	for name, c := range map[string]struct {
		task types.Task
		code event.Code
		said string
	}{
		"by a user":                     {user, "STOPPED_BY_USER", "stopped by a user"},
		"by a Spot interruption":        {spot, "SPOT_INTERRUPTION", "Spot"},
		"by a sidecar that crashed":     {sidecar, "EXIT_139_SIGSEGV", "container app exited with 143"},
		"by a sidecar that had its end": {early, event.CodeTaskFailed, "the task ended before container app did"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{state: after(10*time.Second, c.task)}
			inAccount(t, a, func(t *testing.T, r Runner) {
				failed, err := r.Follow(t.Context(), migrate, running())
				if err != nil {
					t.Fatal(err)
				}
				wantFailure(t, failed, c.code, c.said)
			})
		})
	}
}

func TestFollow_stopsATaskThatOutlastsItsTimeout(t *testing.T) {
	waiting := running()
	waiting.LastStatus, waiting.StartedAt = aws.String("PROVISIONING"), nil
	for name, c := range map[string]struct {
		task    types.Task
		stopErr error
		said    []string
	}{
		"that runs":               {running(), nil, []string{"it did not end within 1m0s", "was stopped, and its container exited with 143"}},
		"that waits for a place":  {waiting, nil, []string{"it never reached RUNNING; its last status is PROVISIONING"}},
		"that may not be stopped": {running(), refused("AccessDeniedException"), []string{"could not be stopped and goes on: AccessDeniedException", taskARN}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &account{state: after(time.Hour, ended(0)), stopErr: c.stopErr}
			a.state = func(time.Duration) types.Task { return c.task }
			inAccount(t, a, func(t *testing.T, r Runner) {
				m := migrate
				m.Timeout = time.Minute
				failed, err := r.Follow(t.Context(), m, c.task)
				if err != nil {
					t.Fatal(err)
				}
				wantFailure(t, failed, event.CodeTimeout, c.said...)
				if hint := "--task " + taskARN + " --region ap-south-1"; c.stopErr != nil && (len(failed.Hints) != 1 || !strings.HasSuffix(failed.Hints[0], hint)) {
					t.Errorf("the hints are %q, want a command with %s", failed.Hints, hint)
				}
			})
		})
	}
}

func TestFollow_endsWithItsContext(t *testing.T) {
	a := &account{state: after(time.Hour, ended(0))}
	inAccount(t, a, func(t *testing.T, r Runner) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("a signal")
		time.AfterFunc(30*time.Second, func() { cancel(why) })
		failed, err := r.Follow(ctx, migrate, running())
		if failed != nil || !errors.Is(err, why) || !a.stopped.IsZero() {
			t.Errorf("Follow = %v, %v, stopped %v, want the cause, and the task left alone", failed, err, a.stopped)
		}
	})
}
