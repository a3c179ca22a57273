package hooks

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const function = "arn:aws:lambda:us-east-1:000000000000:function:approve"

func TestStore_Invoke(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || !strings.Contains(string(b), "PRE_SCALE_UP") {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		io.WriteString(w, `{"hookStatus":"FAILED"}`)
	}))
	defer backend.Close()
	for _, c := range []struct {
		name    string
		scripts []Script
		stage   string
		want    []string // of calls one after the other
		by      string
	}{
		{"without a script it succeeds", nil, "PRE_SCALE_UP", []string{`{"hookStatus":"SUCCEEDED"}`}, "nobody"},
		{"by name", []Script{{Function: "approve", Status: Failed}}, "PRE_SCALE_UP", []string{`{"hookStatus":"FAILED"}`}, "script"},
		{"by ARN", []Script{{Function: function, Status: Failed}}, "PRE_SCALE_UP", []string{`{"hookStatus":"FAILED"}`}, "script"},
		{"another function", []Script{{Function: "deny", Status: Failed}}, "PRE_SCALE_UP", []string{`{"hookStatus":"SUCCEEDED"}`}, "nobody"},
		{"another stage", []Script{{Function: "approve", Stage: "POST_SCALE_UP", Status: Failed}}, "PRE_SCALE_UP", []string{`{"hookStatus":"SUCCEEDED"}`}, "nobody"},
		{"after two calls", []Script{{Function: "approve", After: 2, Delay: 10}}, "PRE_SCALE_UP",
			[]string{`{"callBackDelay":10,"hookStatus":"IN_PROGRESS"}`, `{"callBackDelay":10,"hookStatus":"IN_PROGRESS"}`, `{"hookStatus":"SUCCEEDED"}`}, "script"},
		{"never", []Script{{Function: "approve", Status: InProgress}}, "PRE_SCALE_UP", []string{`{"hookStatus":"IN_PROGRESS"}`, `{"hookStatus":"IN_PROGRESS"}`}, "script"},
		{"an answer as it is", []Script{{Function: "approve", Answer: json.RawMessage(`{"status":1}`)}}, "PRE_SCALE_UP", []string{`{"status":1}`}, "script"},
		{"an error", []Script{{Function: "approve", Error: "Rate Exceeded."}}, "PRE_SCALE_UP", []string{`error: Rate Exceeded.`}, "script"},
		{"the latest script counts", []Script{{Function: "approve", Status: Failed}, {Function: "approve", Status: Succeeded}}, "PRE_SCALE_UP", []string{`{"hookStatus":"SUCCEEDED"}`}, "script"},
		{"a program of this machine", []Script{{Function: "approve", URL: backend.URL}}, "PRE_SCALE_UP", []string{`{"hookStatus":"FAILED"}`}, "url"},
		{"one that answers an error", []Script{{Function: "approve", URL: backend.URL}}, "POST_SCALE_UP", []string{"error: " + backend.URL + " answered 418 I'm a teapot"}, "url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(time.Now)
			if err := s.Add(c.scripts...); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				b, err := s.Invoke(context.Background(), function, []byte(`{"lifecycleStage":"`+c.stage+`"}`))
				got := string(b)
				if err != nil {
					got = "error: " + err.Error()
				}
				if got != want {
					t.Errorf("call %d is answered %s, want %s", i+1, got, want)
				}
			}
			if _, calls := s.List(); len(calls) != len(c.want) || calls[0].By != c.by || calls[0].Function != function {
				t.Errorf("calls are %+v, want %d by %s", calls, len(c.want), c.by)
			}
		})
	}
}

func TestHandler(t *testing.T) {
	s := New(time.Now)
	do := func(method, body string) (int, string) {
		rec := httptest.NewRecorder()
		s.Handler(true).ServeHTTP(rec, httptest.NewRequest(method, "/_sandbox/hooks", strings.NewReader(body)))
		return rec.Code, rec.Body.String()
	}
	for _, body := range []string{
		``, `{`, `{"status":"FAILED"}`, `{"function":"f","status":"MAYBE"}`, `{"function":"f","after":-1}`, `{"function":"f","colour":1}`,
		`{"function":"f","status":"FAILED","url":"http://127.0.0.1:1/"}`, `{"function":"f"} {}`,
		`{"function":"f","url":"http://example.com/"}`, `{"function":"f","url":"https://127.0.0.1/"}`, `{"function":"f","url":"http://10.0.0.1/"}`, `{"function":"f","url":"::"}`,
		`[{"function":"f"},{}]`,
	} {
		if code, text := do("POST", body); code != http.StatusBadRequest || !strings.Contains(text, "error") {
			t.Errorf("POST %s is answered %d %s, want 400", body, code, text)
		}
	}
	if code, _ := do("POST", `[{"function":"f","status":"FAILED"},{"function":"g"}]`); code != http.StatusCreated {
		t.Errorf("POST is answered %d", code)
	}
	if _, err := s.Invoke(context.Background(), "f", []byte(`{}`)); err != nil {
		t.Error(err)
	}
	if _, text := do("GET", ""); !strings.Contains(text, `{"function":"f","status":"FAILED","calls":1}`) || !strings.Contains(text, `"by":"script"`) {
		t.Errorf("GET is answered %s", text)
	}
	if code, _ := do("DELETE", ""); code != http.StatusNoContent {
		t.Errorf("DELETE is answered %d", code)
	}
	if _, text := do("GET", ""); strings.TrimSpace(text) != `{"calls":[],"hooks":[]}` {
		t.Errorf("after DELETE there is %s", text)
	}
}

func TestStore_asks_nobody_else(t *testing.T) {
	s := New(time.Now)
	if _, err := s.ask(context.Background(), "http://192.0.2.1/", nil); err == nil || !strings.Contains(err.Error(), "is not this machine") {
		t.Errorf("asking another machine gives %v", err)
	}
}

func TestStore_scripts_live_through_a_restart(t *testing.T) {
	s := New(time.Now)
	if err := s.Add(Script{Function: "f", After: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Invoke(context.Background(), "f", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	raw, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	next := New(time.Now)
	if err := next.Load(raw); err != nil {
		t.Fatal(err)
	}
	if scripts, _ := next.List(); len(scripts) != 1 || scripts[0].After != 2 || scripts[0].Calls != 1 {
		t.Errorf("after a restart there is %+v", scripts)
	}
}
