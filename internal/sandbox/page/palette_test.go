package page

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTraffic_aSeriesKeepsItsColour(t *testing.T) {
	w := &world{}
	p := &painted{View: w}
	colours := func(groups ...Group) []int {
		w.change(func() { w.traffic = []Balancer{{Name: "web", Groups: groups}} })
		var got []int
		for _, g := range p.Traffic()[0].Groups {
			got = append(got, g.Colour)
		}
		return got
	}
	one, two, three := Group{Name: "shop", Revision: "shop:1"}, Group{Name: "shop", Revision: "shop:2"}, Group{Name: "shop", Revision: "shop:3"}
	for i, c := range []struct {
		groups []Group
		want   []int
	}{
		{[]Group{two}, []int{0}},
		{[]Group{one, two}, []int{1, 0}},
		{[]Group{{Name: "shop", Untaken: true}, two, three}, []int{0, 0, 1}},
		{[]Group{one, two}, []int{1, 0}},
		{[]Group{three, two, {Name: "other"}, {Name: "another"}}, []int{1, 0, 2, 3}},
	} {
		if d := cmp.Diff(c.want, colours(c.groups...)); d != "" {
			t.Errorf("step %d: %s", i, d)
		}
	}
}

func TestTraffic_saysWhatNoTargetTook(t *testing.T) {
	b := Balancer{Name: "web", Groups: []Group{{Name: "shop", Revision: "shop:2", Weight: 1, Healthy: 2, Targets: 2, Draining: 4}, {Name: "shop", Untaken: true, Seconds: []Second{{0, 229}}}}}
	var got string
	for _, n := range legend(b) {
		var s strings.Builder
		if err := n.Render(&s); err != nil {
			t.Fatal(err)
		}
		got += s.String()
	}
	want := `<li><i class="key g0" aria-hidden="true"></i><b>shop</b><span class="revision">shop:2</span><span class="soft">2 of 2 healthy, 4 draining, 0 requests/min</span></li>` +
		`<li><i class="key failed" aria-hidden="true"></i><b>shop</b><span class="bad">no target took them: 229</span></li>`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
