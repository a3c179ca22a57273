package output

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/redact"
)

func TestJSON_agreesWithTheStructs(t *testing.T) {
	steps := append(goodRun(), crashRun()...)
	steps = append(steps, step{0, "build", event.Build{Step: "x", Line: "tab\t \"quote\" <&> é 👩‍💻 \u2028"}})
	lines := strings.Split(strings.TrimSpace(draw(t, JSON, nil, steps...).stdout.String()), "\n")
	if len(lines) != len(steps) {
		t.Fatalf("%d lines for %d events", len(lines), len(steps))
	}
	for i, line := range lines {
		got := reflect.New(reflect.TypeOf(steps[i].event))
		if err := json.Unmarshal([]byte(line), got.Interface()); err != nil {
			t.Fatalf("line %d: %v\n%s", i+1, err, line)
		}
		want := sanitizer{}.record(event.Record{Event: steps[i].event}).Event
		if d := cmp.Diff(want, got.Elem().Interface(), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("line %d (-event +decoded):\n%s", i+1, d)
		}
	}
}

func TestJSON_leavesOutAndNeverNull(t *testing.T) {
	s := draw(t, JSON, nil,
		step{0, "", event.Diff{From: "a", To: "b"}},
		step{0.0015, "watch", event.ServiceEvent{ID: "e", Message: "m"}},
		step{0, "", event.Result{Outcome: event.Refused, Failure: event.Fail(event.CodeUsage, "m")}})
	want := `{"v":1,"seq":1,"time":"2026-11-22T09:14:00.000Z","type":"diff","from":"a","to":"b","lines":[]}
{"v":1,"seq":2,"time":"2026-11-22T09:14:00.001Z","type":"serviceEvent","stage":"watch","id":"e","message":"m"}
{"v":1,"seq":3,"time":"2026-11-22T09:14:00.000Z","type":"result","outcome":"refused","exitCode":0,"command":"","failure":{"code":"USAGE","message":"m","evidence":[],"logs":[],"hints":[],"next":[]},"stages":[],"timings":{"totalSeconds":0}}
`
	if d := cmp.Diff(want, s.stdout.String()); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	if s.stderr.Len() > 0 {
		t.Errorf("stderr = %q, want nothing", s.stderr.String())
	}
}

func TestWriteObject(t *testing.T) {
	type part struct {
		At time.Time `json:"at,omitzero"`
		N  int32     `json:"n"`
	}
	type answer struct {
		Name  string            `json:"name"`
		Parts []part            `json:"parts"`
		Tags  map[string]string `json:"tags"`
		None  map[string]string `json:"none,omitempty"`
		inner string
	}
	var b bytes.Buffer
	a := answer{Name: "a\x1b[31m secret1", Tags: map[string]string{"b": "secret1", "a": "1"}, inner: "x"}
	if err := WriteObject(&b, redact.New("secret1"), &a); err != nil {
		t.Fatal(err)
	}
	a.Parts, a.Tags = []part{{At: begin, N: 3}}, nil
	if err := WriteObject(&b, nil, a); err != nil {
		t.Fatal(err)
	}
	want := `{"name":"a\u001b[31m ***","parts":[],"tags":{"a":"1","b":"***"}}
{"name":"a\u001b[31m secret1","parts":[{"at":"2026-11-22T09:14:00.000Z","n":3}],"tags":{}}
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("objects (-want +got):\n%s", d)
	}
	if err := WriteObject(&b, nil, 3); err == nil {
		t.Error("WriteObject(3) = nil, want an error")
	}
}
