package fault

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

func TestSet_everyOperationIsMeant(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{When: "*", Error: "ThrottlingException", Times: 2})
	for _, operation := range []string{"A", "B"} {
		if a, _ := call(s, operation, ""); a.ErrorCode != "ThrottlingException" {
			t.Errorf("%s answers %q", operation, a.ErrorCode)
		}
	}
	if a, _ := call(s, "A", ""); a.Status != http.StatusOK {
		t.Errorf("the third call answers %d", a.Status)
	}
}

func TestSet_garbageComesInsteadOfTheOperation(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{When: "A", Garbage: true, Times: 1}, Rule{When: "A", Garbage: true, Status: 502})
	for _, want := range []int{200, 502} {
		a, done := call(s, "A", "")
		if done || a.Status != want || !strings.HasPrefix(string(a.Body), "<!DOCTYPE html>") {
			t.Errorf("answer is %d %s, done %v; want a page with %d", a.Status, a.Body, done, want)
		}
	}
}

func TestSet_cutsTheConnection(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{When: "A", Cut: Before})
	if a, done := call(s, "A", ""); done || !a.Cut {
		t.Errorf("before: %+v, done %v", a, done)
	}
	s.Remove("")
	mustAdd(t, s, Rule{When: "A", Cut: Middle})
	if a, done := call(s, "A", "ClientException"); !done || a.Half || s.List()[0].Acted != 0 {
		t.Errorf("an operation that fails: %+v", a)
	}
	if a, done := call(s, "A", ""); !done || !a.Half || a.Cut {
		t.Errorf("middle: %+v, done %v", a, done)
	}
	if a, _ := call(s, "A", ""); a.Half {
		t.Error("it is cut more than once")
	}
}

func TestSet_TaskPull(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{Pull: PullRateLimit, Repository: "app", Times: 1}, Rule{Pull: PullOther, Message: "because", Repository: "app"})
	if kind, _ := s.TaskPull("other", "r/other:1"); kind != "" {
		t.Errorf("another repository cannot be pulled: %s", kind)
	}
	for _, want := range []string{"toomanyrequests", "because"} {
		if _, text := s.TaskPull("app", "r/app:1"); !strings.Contains(text, want) {
			t.Errorf("text is %q, want %s", text, want)
		}
	}
	if got := s.Pull("app"); got != "" {
		t.Errorf("a client's pull is %s as well", got)
	}
}

func TestSet_meansTasksByEachOfTheirNames(t *testing.T) {
	spec := task.Spec{ID: "t1", ARN: "arn:t1", Family: "web", Revision: 3, Service: "front", Containers: []task.Container{{Name: "app", Essential: true}}}
	code := 1
	for name, want := range map[string]int{
		"*": 1, "front": 1, "web": 1, "web:3": 1, "t1": 1, "arn:t1": 1, "web:4": 0, "app": 0,
	} {
		s := newSet(&registry{}, nil)
		mustAdd(t, s, Rule{Task: name, Exit: &code})
		if got := len(s.TaskFaults(spec, nil, false)); got != want {
			t.Errorf("%q acts %d times, want %d", name, got, want)
		}
		if got := len(s.TaskFaults(spec, nil, true)); got != 0 {
			t.Errorf("%q acts on a task that runs already", name)
		}
	}
}

func TestSet_removesWhatHasLasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(&registry{}, nil)
		var changes atomic.Int32 // the last comes from a timer
		s.OnChange(func() { changes.Add(1) })
		mustAdd(t, s, Rule{When: "A", Error: "X", Lasts: Duration(time.Minute)})
		mustAdd(t, s, Rule{When: "B", Error: "X", Lasts: Duration(time.Minute)})
		s.Remove("2")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if left := s.List(); len(left) != 0 || changes.Load() != 4 {
			t.Errorf("%d rules are left after %d changes, want none after 4", len(left), changes.Load())
		}
	})
}

func TestSet_AddRefusesWhatMakesNoSense(t *testing.T) {
	code := 256
	one := 1
	for want, rule := range map[string]Rule{
		"exactly one of exit, signal, oom, health and capacity": {Task: "web"},
		"of exit, signal, oom, health and capacity":             {Task: "web", Exit: &one, OOM: true},
		"exit is a code from 0 to 255, not 256":                 {Task: "web", Exit: &code},
		`there is no signal "SEGV"`:                             {Task: "web", Signal: "SEGV"},
		`health is "slow" or "failing", not "bad"`:              {Task: "web", Health: "bad"},
		"slow health needs a delay":                             {Task: "web", Health: Slow},
		"task takes container, delay":                           {Task: "web", OOM: true, Hang: true},
		"capacity is a number of tasks, and takes":              {Task: "web", Capacity: &one, Running: true},
		`host is "ec2", "fargate" or "spot"`:                    {Host: "rack"},
		"share is a percentage":                                 {Host: HostEC2, Share: 101},
		"share goes with host only":                             {When: "A", Hang: true, Share: 1},
		"host takes share, and clock takes lasts":               {Clock: Offset(time.Hour), Hang: true},
		"go with task only":                                     {When: "A", Exit: &one},
		`cut is "before" or "middle", not "late"`:               {When: "A", Cut: "late", Hang: true},
		"garbage takes a status, and no error":                  {When: "A", Garbage: true, Error: "X"},
		"need the operation to succeed":                         {When: "A", Garbage: true, DropAnswer: true},
		`message goes with pull "other", which needs it`:        {Pull: PullOther},
	} {
		s := newSet(&registry{}, nil)
		if _, err := s.Add(rule); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Add(%+v) = %v, want %q", rule, err, want)
		}
	}
}
