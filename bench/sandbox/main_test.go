package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		all  []float64
		want float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 3}, {[]float64{1}, 1}} {
		if got := median(c.all); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.all, got, c.want)
		}
	}
}

func TestReportRegistries(t *testing.T) {
	measured := func(name, user string, push, pull float64, peak int64) *side {
		return &side{name: name, user: user, pushes: []float64{push}, pulls: []float64{pull}, highest: peak, process: new(exec.Cmd)}
	}
	for _, c := range []struct {
		name  string
		sides []*side
		met   bool
		says  string
	}{
		{"as fast", []*side{measured("ours", "AWS", 100, 100, 1), measured("peer", "", 100, 100, 1)}, true, "push ratio 1.00; goal (at least 1.0): met; pull ratio 1.00"},
		{"slower to push", []*side{measured("ours", "AWS", 99, 100, 1), measured("peer", "", 100, 100, 1)}, false, "push ratio 0.99"},
		{"slower to pull", []*side{measured("ours", "AWS", 100, 50, 1), measured("peer", "", 100, 100, 1)}, true, "pull ratio 0.50"},
		{"large", []*side{measured("ours", "AWS", 200, 200, mostResident), measured("peer", "", 100, 100, 1)}, false, "MISSED"},
		{"alone", []*side{measured("ours", "AWS", 1, 1, 1)}, true, "push 1 MB/s"},
	} {
		var out bytes.Buffer
		if met := reportRegistries(&out, c.sides); met != c.met || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: reportRegistries = %v, want %v and %q:\n%s", c.name, met, c.met, c.says, out.String())
		}
	}
}

func TestNewLayers_areWhatTheirDigestSays(t *testing.T) {
	layers, err := newLayers(options{mb: 1, layers: 2}, 1)
	if err != nil || len(layers) != 2 || layers[0].digest == layers[1].digest {
		t.Fatalf("newLayers = %+v, %v", layers, err)
	}
	content, err := io.ReadAll(layers[1].open())
	if err != nil || len(content) != 500_000 || layers[1].digest != fmt.Sprintf("sha256:%x", sha256.Sum256(content)) {
		t.Errorf("%d bytes, %v, are not what %s says", len(content), err, layers[1].digest)
	}
}
