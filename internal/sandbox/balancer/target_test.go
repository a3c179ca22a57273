package balancer

import (
	"fmt"
	"testing"
)

func TestRegister_takesAThousandTargetsAndNoMore(t *testing.T) {
	b := New(Config{})
	defer b.Close()
	g := must[TargetGroup](t)(b.CreateTargetGroup(TargetGroup{Name: "g", Protocol: "HTTP", Port: 80, TargetType: "ip"}))
	for n := range maxTargets {
		if err := b.Register(g.ARN, Target{ID: fmt.Sprintf("10.0.%d.%d", n/250, n%250), Port: 80}); err != nil {
			t.Fatalf("target %d: %v", n, err)
		}
	}
	if err := b.Register(g.ARN, Target{ID: "10.9.0.1", Port: 80}); err == nil {
		t.Error("one more was taken")
	}
	if err := b.Register(g.ARN, Target{ID: "10.0.0.0", Port: 80}); err != nil {
		t.Errorf("one that is there already is refused: %v", err)
	}
	if err := b.Deregister(g.ARN, Target{ID: "10.0.0.0", Port: 80}); err != nil {
		t.Fatal(err)
	}
	if err := b.Register(g.ARN, Target{ID: "10.9.0.1", Port: 80}); err != nil {
		t.Errorf("one that comes for one that leaves is refused: %v", err)
	}
}
