package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWay_tellsWhereAServiceHasBeen(t *testing.T) {
	for _, c := range []struct {
		name     string
		attempts []Attempt
		want     string
	}{
		{"nothing", nil, ""},
		{"first", []Attempt{{Status: "SUCCESSFUL", Revision: "w:27"}}, "27 deployed good"},
		{"under way", []Attempt{{Status: "SUCCESSFUL", Revision: "w:27"}, {Status: "IN_PROGRESS", Revision: "w:37", From: "w:27"}}, "27 deployed good, 37 deploying busy"},
		{"from a revision without a record", []Attempt{{Status: "IN_PROGRESS", Revision: "w:37", From: "w:27"}}, "27 before quiet, 37 deploying busy"},
		{"failing", []Attempt{{Status: "IN_PROGRESS", Revision: "w:37", Failures: 2, Threshold: 3}}, "37 failing, 2/3 bad"},
		{"failing without a breaker", []Attempt{{Status: "IN_PROGRESS", Revision: "w:37", Failures: 2}}, "37 failing, 2 bad"},
		{"rolled back", []Attempt{{Status: "ROLLBACK_SUCCESSFUL", Revision: "w:37", Back: "w:27", Failures: 3}}, "37 failed bad, 27 rolled back good"},
		{"rolled back by hand", []Attempt{{Status: "ROLLBACK_IN_PROGRESS", Revision: "w:37", Back: "w:27"}}, "37 given up bad, 27 rolling back busy"},
		{"rollback failed", []Attempt{{Status: "ROLLBACK_FAILED", Revision: "w:37", Back: "w:27", Failures: 3}}, "37 failed bad, 27 failed too bad"},
		{"overtaken", []Attempt{{Status: "STOPPED", Revision: "w:37"}, {Status: "SUCCESSFUL", Revision: "w:38"}}, "37 stopped warn, 38 deployed good"},
	} {
		var got []string
		for _, s := range way(c.attempts) {
			got = append(got, fmt.Sprintf("%s %s %s", number(s.Revision), s.Word, s.Tone))
		}
		if d := cmp.Diff(c.want, strings.Join(got, ", ")); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestWay_endsWithTheLatest(t *testing.T) {
	var long []Attempt
	for i := range 40 {
		long = append(long, Attempt{Status: "SUCCESSFUL", Revision: fmt.Sprint("w:", i)})
	}
	stops := way(long)
	if len(stops) != mostStops || stops[mostStops-1].Revision != "w:39" || !stops[mostStops-1].Now {
		t.Errorf("the way is %+v", stops)
	}
}

func TestLanes_newerRevisionsAreHigher(t *testing.T) {
	var stops []stop
	for _, r := range []string{"w:9", "w:10", "w:9", "v:10"} {
		stops = append(stops, stop{Revision: r})
	}
	if d := cmp.Diff([]string{"w:9", "v:10", "w:10"}, lanesOf(stops)); d != "" {
		t.Error(d)
	}
}

func TestTraffic_countsBySecond(t *testing.T) {
	b := incident().traffic[0]
	if n := most(b); n != 19 {
		t.Errorf("most requests in a second: %d, want 12+1+1+2+3", n)
	}
	if got := told(b); got != "blue: 22 requests answered and 1 failed in the last minute; green: 1 request answered and 2 failed in the last minute; green: no target took 3 requests in the last minute" {
		t.Errorf("told %q", got)
	}
	if s := b.Groups[0].second(mostSeconds - 1); s != (Second{12, 1}) {
		t.Errorf("the last second is %+v", s)
	}
}

func TestPath_ofManyRevisionsIsNoTallerThanOfThree(t *testing.T) {
	var tall, three []stop
	for i := range mostStops {
		tall = append(tall, stop{Revision: fmt.Sprint("w:", i), Tone: good})
	}
	three = append(three, tall[:3]...)
	height := func(stops []stop) string {
		var b strings.Builder
		if err := path(stops, Service{}, nil).Render(&b); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(b.String(), ` height="`)
		h, _, _ := strings.Cut(rest, `"`)
		return h
	}
	if a, b := height(three), height(tall); a != "166" || b != "162" {
		t.Errorf("three lanes are %s high, %d are %s", a, mostStops, b)
	}
}
