package balancer

import "testing"

func TestBalancer_Look(t *testing.T) {
	w := newWorld(t)
	green := w.newGroup("green")
	if err := w.SetWeights(w.listener.ARN, map[string]int{w.group.ARN: 90, green.ARN: 10}); err != nil {
		t.Fatal(err)
	}
	if err := w.Register(w.group.ARN, Target{ID: "127.0.0.1", Port: 1}); err != nil {
		t.Fatal(err)
	}
	all := w.Look()
	if len(all) != 1 || all[0].Name != "web" || all[0].Address != w.Status()[0].Listeners[0].Address {
		t.Fatalf("load balancers are %+v", all)
	}
	want := []GroupSummary{{ARN: w.group.ARN, Name: "blue", Weight: 90, Shared: true, Targets: 1}, {ARN: green.ARN, Name: "green", Weight: 10, Shared: true}}
	if g := all[0].Groups; len(g) != 2 || g[0] != want[0] || g[1] != want[1] {
		t.Errorf("groups are %+v, want %+v", g, want)
	}
}
