package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// lasted is a release that was rolled back and healthy so many seconds after its
// first task stopped.
func lasted(rollback, healthy float64) times {
	var t times
	t.stopped = time.Unix(1000, 0)
	t.rollback = t.stopped.Add(time.Duration(rollback * float64(time.Second)))
	t.healthy = t.stopped.Add(time.Duration(healthy * float64(time.Second)))
	return t
}

func TestReportSaysWhetherTheGoalsAreMet(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b times
		met  bool
		says string
	}{
		{"fast", lasted(1, 5), lasted(20, 30), true, "within 1.5s: met; healthy 6.0 times faster than the default breaker (goal 3): met"},
		{"called late", lasted(1.6, 5), lasted(20, 30), false, "within 1.5s: MISSED"},
		{"healthy late", lasted(1, 11), lasted(20, 30), false, "(goal 3): MISSED"},
	} {
		var out bytes.Buffer
		took := [][]times{{c.a, c.b, lasted(2, 8)}, {lasted(1, 5), lasted(20, 30), lasted(2, 8)}, {lasted(1, 5), lasted(20, 30), lasted(2, 8)}}
		if met := report(&out, took); met != c.met || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: report() = %t\n%s\nwant %t and %q", c.name, met, out.String(), c.met, c.says)
		}
		if n := strings.Count(out.String(), "\n"); n != 1+len(cases)*(len(sides)+1) {
			t.Errorf("%s: %d lines", c.name, n)
		}
	}
}

// At a high speed a release is over in seconds, and every moment is seen in its
// order.
func TestEverySideIsMeasured(t *testing.T) {
	for _, s := range sides {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			got, err := measure(t.Context(), 100, cases[0], s)
			if err != nil {
				t.Fatal(err)
			}
			if got.stopped.IsZero() || got.rollback.Before(got.stopped) || got.healthy.Before(got.rollback) {
				t.Errorf("measure() = %+v, want stopped, rollback and healthy in this order", got)
			}
		})
	}
}
