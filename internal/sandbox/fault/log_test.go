package fault

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLog(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := NewLog(func() time.Time { return now })
	end := l.Begin("ecs", "UpdateService")
	now = now.Add(1500 * time.Millisecond)
	end(400, "ClientException")
	l.Begin("ecs", "DescribeServices") // still runs
	h := Handler(newSet(&registry{}, nil), l)
	_, body := ask(t, h, "GET", "/_sandbox/calls", "")
	want := `{"calls":[{"time":"2026-01-02T03:04:05Z","service":"ecs","operation":"UpdateService","status":400,"error":"ClientException","milliseconds":1500},` +
		`{"time":"2026-01-02T03:04:06.5Z","service":"ecs","operation":"DescribeServices","status":0,"milliseconds":0}],` +
		`"totals":{"ecs.DescribeServices":1,"ecs.UpdateService":1}}`
	if body != want {
		t.Errorf("calls are %s\nwant %s", body, want)
	}
	if status, _ := ask(t, h, "DELETE", "/_sandbox/calls", ""); status != 204 {
		t.Errorf("DELETE answers %d", status)
	}
	if _, body := ask(t, h, "GET", "/_sandbox/calls", ""); body != `{"calls":[],"totals":{}}` {
		t.Errorf("after DELETE calls are %s", body)
	}
}

func TestLog_bounded(t *testing.T) {
	l := NewLog(nil)
	for i := range keptCalls + 10 {
		l.Begin("s", "op")(i, "")
	}
	for i := range maxTotals + 10 {
		l.Begin("s", strings.Repeat("x", i))
	}
	calls, totals := l.Calls()
	if len(calls) != keptCalls || calls[0].Operation != "op" || len(calls[len(calls)-1].Operation) != maxTotals+9 {
		t.Errorf("log keeps %d calls", len(calls))
	}
	if len(totals) > maxTotals+1 || totals["s.op"] != keptCalls+10 || totals["other"] < 10 {
		t.Errorf("log counts %d operations, %d others", len(totals), totals["other"])
	}
}

func TestLog_Latest_beginsWithTheNewest(t *testing.T) {
	l := NewLog(nil)
	if got := l.Latest(3); len(got) != 0 {
		t.Errorf("an empty log has %+v", got)
	}
	for i := range keptCalls + 5 {
		l.Begin("ecs", fmt.Sprint("Call", i))(200, "")
	}
	got := l.Latest(2)
	if len(got) != 2 || got[0].Operation != fmt.Sprint("Call", keptCalls+4) || got[1].Operation != fmt.Sprint("Call", keptCalls+3) {
		t.Errorf("the latest are %+v", got)
	}
	if got := l.Latest(1 << 20); len(got) != keptCalls {
		t.Errorf("%d calls are kept, want %d", len(got), keptCalls)
	}
}
