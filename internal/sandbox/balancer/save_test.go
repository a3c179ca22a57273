package balancer

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestALoadBalancerLivesThroughARestart(t *testing.T) {
	w := newWorld(t)
	must[Rule](t)(w.CreateRule(Rule{Listener: w.listener.ARN, Priority: 7, Conditions: []Condition{{Field: pathPattern, Values: []string{"/x"}}},
		Actions: []Action{{Type: FixedResponse, Status: "418"}}}))
	if err := w.SetAttributes(w.group.ARN, map[string]string{DeregistrationDelay: "7"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Register(w.group.ARN, Target{ID: "127.0.0.1", Port: 1}); err != nil {
		t.Fatal(err)
	}
	task, _ := w.target(w.group.ARN, 1, says("task"))
	raw := must[json.RawMessage](t)(w.Save())
	next := New(Config{})
	t.Cleanup(func() { _ = next.Close() })
	if err := next.Load(raw); err != nil {
		t.Fatal(err)
	}
	again := must[json.RawMessage](t)(next.Save())
	if diff := cmp.Diff(string(raw), string(again)); diff != "" {
		t.Errorf("what is kept (-before +after):\n%s", diff)
	}
	if s := next.Status(); len(s) != 1 || len(s[0].Listeners) != 1 || s[0].DNSName != w.lb.DNSName {
		t.Errorf("after the restart there is %+v", s)
	}
	if h, err := next.Target(w.group.ARN, task.ID, task.Port); err != nil || h.State != Unused {
		t.Errorf("the target of a task that is gone is %+v, %v", h, err)
	}
	if next.group(w.group.ARN).delay().Seconds() != 7 || next.rule(w.listener.ARN).Priority != 0 {
		t.Error("attributes or rules were lost")
	}
	if next.Load(json.RawMessage("[]")) == nil {
		t.Error("a damaged state was taken")
	}
}
