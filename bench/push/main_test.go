package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func seconds(all ...float64) []time.Duration {
	var out []time.Duration
	for _, s := range all {
		out = append(out, time.Duration(s*float64(time.Second)))
	}
	return out
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		all  []time.Duration
		want time.Duration
	}{{seconds(3, 1, 2), 2 * time.Second}, {seconds(4, 1, 3, 2), 2500 * time.Millisecond}, {seconds(1), time.Second}} {
		if got := median(c.all); got != c.want {
			t.Errorf("median(%v) = %s, want %s", c.all, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name       string
		ours, them *times
		met        bool
		says       string
	}{
		{"as fast", &times{seconds(2), seconds(0.1)}, &times{seconds(2), seconds(0.1)}, true, "ratio 1.00"},
		{"within the goal", &times{seconds(2.39), seconds(0.3)}, &times{seconds(2), seconds(0.1)}, true, "difference +0.390 s"},
		{"too slow when cold", &times{seconds(2.41), seconds(0.1)}, &times{seconds(2), seconds(0.1)}, false, "MISSED"},
		{"too slow when warm", &times{seconds(2), seconds(0.32)}, &times{seconds(2), seconds(0.1)}, false, "MISSED"},
		{"nothing to compare with", &times{seconds(2), seconds(0.1)}, nil, true, "median: cold 2.000 s, warm 0.100 s"},
	} {
		took := map[string]*times{ourName: c.ours}
		if c.them != nil {
			took[theirName] = c.them
		}
		var out bytes.Buffer
		if met := report(&out, took); met != c.met || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: report = %v, want %v and %q:\n%s", c.name, met, c.met, c.says, out.String())
		}
	}
}
