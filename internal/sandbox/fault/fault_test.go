package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// registry is a registry that notes what was done to it.
type registry struct {
	mu    sync.Mutex
	story []string
}

func (r *registry) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.story = append(r.story, what)
}

func (r *registry) DeleteImage(ref string) int {
	r.note("delete " + ref)
	return 1
}

func (r *registry) Hold() func() {
	r.note("hold")
	return func() { r.note("release") }
}

// newSet is a set for the operations A and B of the service svc.
func newSet(images Images, closing <-chan struct{}) *Set {
	return NewSet(images, func(service, operation string) bool {
		return (service == "" || service == "svc") && (operation == "A" || operation == "B")
	}, closing)
}

func mustAdd(t *testing.T, s *Set, rules ...Rule) {
	t.Helper()
	if _, err := s.Add(rules...); err != nil {
		t.Fatal(err)
	}
}

// call does one call of an operation that succeeds, or fails with a code.
func call(s *Set, operation, fails string) (answer awsjson.Answer, done bool) {
	c := awsjson.Call{Service: "svc", Operation: operation, Body: []byte(`{"service":"web"}`), Refuse: awsjson.ErrorAnswer}
	answer = s.Intercept(context.Background(), c, func(context.Context) awsjson.Answer {
		done = true
		if fails != "" {
			return awsjson.ErrorAnswer(awsjson.Errorf(fails, 400, "no"))
		}
		return awsjson.Answer{Status: 200}
	})
	return answer, done
}

// codes does n calls and returns their statuses.
func codes(s *Set, operation string, n int) []int {
	var got []int
	for range n {
		a, _ := call(s, operation, "")
		got = append(got, a.Status)
	}
	return got
}

func TestSet_errors(t *testing.T) {
	for name, test := range map[string]struct {
		rule Rule
		want []int // of four calls of A
	}{
		"another operation":     {Rule{When: "B", Error: "X"}, []int{200, 200, 200, 200}},
		"another service":       {Rule{When: "A", Service: "svc", Error: "X"}, []int{400, 400, 400, 400}},
		"three times":           {Rule{When: "A", Error: "X", Times: 3}, []int{400, 400, 400, 200}},
		"after two":             {Rule{When: "A", Error: "X", After: 2, Times: 1}, []int{200, 200, 400, 200}},
		"a status":              {Rule{When: "A", Status: 503}, []int{503, 503, 503, 503}},
		"a fault of the server": {Rule{When: "A", Error: "ServerException"}, []int{500, 500, 500, 500}},
		"requests with a text":  {Rule{When: "A", Error: "X", Contains: `"web"`}, []int{400, 400, 400, 400}},
		"requests without it":   {Rule{When: "A", Error: "X", Contains: `"api"`}, []int{200, 200, 200, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSet(&registry{}, nil)
			mustAdd(t, s, test.rule)
			if d := cmp.Diff(test.want, codes(s, "A", 4)); d != "" {
				t.Errorf("statuses (-want +got):\n%s", d)
			}
		})
	}
}

func TestSet_refusesInsteadOfTheOperation(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{When: "A", Error: "ThrottlingException"})
	a, done := call(s, "A", "")
	if done || string(a.Body) != `{"__type":"ThrottlingException","message":"Rate exceeded"}` {
		t.Errorf("answer is %s, operation done: %v", a.Body, done)
	}
}

func TestSet_firstRuleThatIsLeftActs(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{When: "A", Status: 500, Times: 1}, Rule{When: "A", Status: 503, Times: 1})
	if d := cmp.Diff([]int{500, 503, 200}, codes(s, "A", 3)); d != "" {
		t.Errorf("statuses (-want +got):\n%s", d)
	}
}

func TestSet_deleteImage(t *testing.T) {
	images := &registry{}
	s := newSet(images, nil)
	mustAdd(t, s, Rule{When: "A", DeleteImage: "app:v1"})
	call(s, "A", "ClientException") // fails: nothing is deleted, and the rule waits on
	call(s, "A", "")
	call(s, "A", "") // the rule acts once
	want := []string{"hold", "release", "hold", "delete app:v1", "release"}
	if d := cmp.Diff(want, images.story); d != "" {
		t.Errorf("what happened (-want +got):\n%s", d)
	}
	if list := s.List(); list[0].Acted != 1 {
		t.Errorf("the rule has acted %d times, want once", list[0].Acted)
	}
}

func TestSet_dropAnswer(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{When: "A", DropAnswer: true})
	if a, done := call(s, "A", ""); !a.Cut || !done {
		t.Errorf("answer cut: %v, operation done: %v; want both", a.Cut, done)
	}
	if a, _ := call(s, "A", ""); a.Cut {
		t.Error("the second answer is cut too")
	}
}

// siren notes what alarms are told.
type siren struct {
	mu   sync.Mutex
	said []string
}

// heard is what was said so far.
func (s *siren) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}

func (s *siren) Set(name, state, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, name+" "+state)
	return nil
}

func TestSet_alarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := newSet(&registry{}, nil), new(siren)
		s.Alarms = told
		mustAdd(t, s, Rule{When: "A", Alarm: "now", State: "OK"}, Rule{When: "A", Alarm: "late", State: "ALARM", In: Duration(10 * time.Second)})
		call(s, "A", "ClientException") // fails: no alarm
		call(s, "A", "")
		call(s, "A", "")
		call(s, "A", "") // each acts once
		if d := cmp.Diff([]string{"now OK"}, told.heard()); d != "" {
			t.Errorf("at once (-want +got):\n%s", d)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if d := cmp.Diff([]string{"now OK", "late ALARM"}, told.heard()); d != "" {
			t.Errorf("later on (-want +got):\n%s", d)
		}
	})
}

func TestSet_delay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(&registry{}, nil)
		mustAdd(t, s, Rule{When: "A", Delay: Duration(2 * time.Second)})
		began := time.Now()
		a, done := call(s, "A", "")
		if took := time.Since(began); took != 2*time.Second || !done || a.Status != 200 {
			t.Errorf("the call took %s and answered %d", took, a.Status)
		}
	})
}

func TestSet_hang(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(s *Set, cancel func(), closing chan struct{})
		done bool
	}{
		"until the rule is removed":   {func(s *Set, _ func(), _ chan struct{}) { s.Remove("") }, true},
		"until the client leaves":     {func(_ *Set, cancel func(), _ chan struct{}) { cancel() }, false},
		"until the sandbox is closed": {func(_ *Set, _ func(), closing chan struct{}) { close(closing) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closing := make(chan struct{})
				s := newSet(&registry{}, closing)
				mustAdd(t, s, Rule{When: "A", Hang: true})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan awsjson.Answer, 1)
				done := false
				go func() {
					ended <- s.Intercept(ctx, awsjson.Call{Service: "svc", Operation: "A"}, func(context.Context) awsjson.Answer {
						done = true
						return awsjson.Answer{Status: 200}
					})
				}()
				synctest.Wait()
				if len(ended) > 0 {
					t.Fatal("the call did not hang")
				}
				test.end(s, cancel, closing)
				if a := <-ended; done != test.done || a.Cut == test.done {
					t.Errorf("operation done: %v, answer cut: %v; want done: %v", done, a.Cut, test.done)
				}
			})
		})
	}
}

func TestSet_pushAndPull(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{Push: NoSpace, Repository: "app", Times: 1}, Rule{Push: Denied, Repository: "app"}, Rule{Pull: Denied})
	got := []string{s.Push("other"), s.Push("app"), s.Push("app"), s.Pull("app"), s.Pull("other")}
	if d := cmp.Diff([]string{"", NoSpace, Denied, Denied, Denied}, got); d != "" {
		t.Errorf("verdicts (-want +got):\n%s", d)
	}
}

func TestSet_denyTakesAPermissionAway(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{Deny: "SVC:a"}, Rule{Deny: "ecr:Put*"})
	if a, done := call(s, "A", ""); done || a.ErrorCode != "AccessDeniedException" {
		t.Errorf("a denied call answers %+v, operation done: %v", a, done)
	}
	if a, done := call(s, "B", ""); !done || a.Status != 200 {
		t.Errorf("another call answers %+v, operation done: %v", a, done)
	}
	got := []bool{s.Denies("svc:A"), s.Denies("svc:B"), s.Push("app") == Denied, s.Pull("app") == Denied}
	if d := cmp.Diff([]bool{true, false, true, false}, got); d != "" {
		t.Errorf("denied (-want +got):\n%s", d)
	}
	s.Remove("")
	if a, _ := call(s, "A", ""); a.Status != 200 {
		t.Errorf("after the rule is gone the call answers %+v", a)
	}
}

func TestSet_denyOfPassRoleActsOnRegistration(t *testing.T) {
	s := newSet(&registry{}, nil)
	mustAdd(t, s, Rule{Deny: "iam:PassRole"})
	for body, want := range map[string]bool{`{"executionRoleArn":"arn:x"}`: true, `{"family":"web"}`: false} {
		_, denied := s.forbids(awsjson.Call{Service: "ecs", Operation: "RegisterTaskDefinition", Body: []byte(body)})
		if denied != want {
			t.Errorf("registration of %s denied: %v, want %v", body, denied, want)
		}
	}
}

func TestSet_AddRefuses(t *testing.T) {
	for want, rule := range map[string]Rule{
		"exactly one of when, push, pull, deny, task, host and clock": {},
		"of when, push, pull, deny, task, host and clock":             {When: "A", Push: Denied},
		`deny is an action such as "ecs:UpdateService", not "A"`:      {Deny: "A"},
		"deny stands alone":                                          {Deny: "svc:A", Times: 1},
		"there is no operation C":                                    {When: "C", Error: "X"},
		"there is no operation other.A":                              {When: "A", Service: "other", Error: "X"},
		"the fault does nothing":                                     {When: "A"},
		`push is "denied", "enospc" or "unavailable", not "refused"`: {Push: "refused"},
		`pull is one of denied, connection, no-space, not-found, other, platform, rate-limit, timeout, unavailable, not "enospc"`: {Pull: NoSpace},
		"push and pull take repository":                        {Push: Denied, Hang: true},
		"repository goes with push and pull":                   {When: "A", Error: "X", Repository: "r"},
		"times and after must not be negative":                 {When: "A", Error: "X", Times: -1},
		"status must be from 400 to 599, not 200":              {When: "A", Status: 200},
		"dropAnswer, deleteImage and alarm need the operation": {When: "A", Status: 500, DropAnswer: true},
		"state is OK, ALARM or INSUFFICIENT_DATA, not":         {When: "A", Alarm: "x", State: "RED"},
		"state and in go with alarm only":                      {When: "A", Error: "X", State: "OK"},
		"push and pull take repository, times":                 {Push: Denied, Alarm: "x", State: "OK"},
	} {
		s := newSet(&registry{}, nil)
		if _, err := s.Add(Rule{When: "A", Error: "X"}, rule); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Add(%+v) = %v, want %q", rule, err, want)
		}
		if len(s.List()) != 0 {
			t.Error("one of two rules was taken")
		}
	}
}

// ask does one request to the control endpoints.
func ask(t *testing.T, h http.Handler, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(bytes.TrimSpace(text))
}

func TestHandler_faults(t *testing.T) {
	s := newSet(&registry{}, nil)
	h := Handler(s, NewLog(nil))
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/_sandbox/faults", `{"when":"A","times":3,"error":"ThrottlingException","delay":"2s"}`, 201, `{"ids":["1"]}`},
		{"POST", "/_sandbox/faults", `[{"push":"denied"},{"pull":"denied","repository":"app"}]`, 201, `{"ids":["2","3"]}`},
		{"POST", "/_sandbox/faults", `{"when":"A","eror":"X"}`, 400, `{"error":"there is no member \"eror\""}`},
		{"POST", "/_sandbox/faults", `{"when":"A"`, 400, `{"error":"unexpected EOF"}`},
		{"POST", "/_sandbox/faults", `{"when":"A","error":"X","delay":"soon"}`, 400, `{"error":"\"soon\" is no duration, such as 2s"}`},
		{"POST", "/_sandbox/faults", `{"when":"A","times":"3"}`, 400, `{"error":"times is a whole number, not string"}`},
		{"POST", "/_sandbox/faults", `{"when":"A","delay":3}`, 400, `{"error":"delay is a duration such as \"2s\", not number"}`},
		{"POST", "/_sandbox/faults", `["A"]`, 400, `{"error":"a rule is an object, not string"}`},
		{"POST", "/_sandbox/faults", `{"push":"x"}`, 400, `{"error":"push is \"denied\", \"enospc\" or \"unavailable\", not \"x\""}`},
		{"GET", "/_sandbox/faults", "", 200, `{"faults":[{"id":"1","when":"A","times":3,"error":"ThrottlingException","delay":"2s","acted":0},{"id":"2","push":"denied","acted":0},{"id":"3","pull":"denied","repository":"app","acted":0}]}`},
		{"DELETE", "/_sandbox/faults/2", "", 204, ""},
		{"DELETE", "/_sandbox/faults/2", "", 404, `{"error":"there is no fault \"2\""}`},
		{"DELETE", "/_sandbox/faults", "", 204, ""},
		{"GET", "/_sandbox/faults", "", 200, `{"faults":[]}`},
		{"PUT", "/_sandbox/faults", "", 405, "Method Not Allowed"},
		{"GET", "/_sandbox/other", "", 404, "404 page not found"},
	} {
		if status, body := ask(t, h, step.method, step.path, step.body); status != step.status || body != step.want {
			t.Errorf("%s %s %s = %d %s\nwant %d %s", step.method, step.path, step.body, status, body, step.status, step.want)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add([]byte(`{"when":"A","times":3,"error":"ThrottlingException","delay":"2s"}`))
	f.Add([]byte(`[{"push":"denied"},{"pull":"denied","repository":"app"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		rules, err := Parse(body)
		if err != nil {
			return
		}
		if _, err := json.Marshal(rules); err != nil {
			t.Errorf("rules of %s cannot be shown: %v", body, err)
		}
	})
}
