package page

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPage_states(t *testing.T) {
	golden(t, "empty", body(draw(t, &world{}, look{})))
	golden(t, "rolled-back", body(draw(t, incident(), look{})))
	closed := look{shut: []string{"weelocluster/web"}}
	golden(t, "closed", body(draw(t, incident(), closed)))
}

func TestPage_allowsNothingButItsOwnScriptAndStyle(t *testing.T) {
	page := draw(t, incident(), look{})
	scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(page, -1)
	styles := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(page, -1)
	if len(scripts) != 1 || len(styles) != 1 {
		t.Fatalf("%d scripts and %d styles, want one of each", len(scripts), len(styles))
	}
	want := "default-src 'none'; script-src '" + hash(scripts[0][1]) + "'; style-src '" + hash(styles[0][1]) +
		"'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if policy != want {
		t.Errorf("policy is %q, want %q", policy, want)
	}
	rest := strings.NewReplacer(scripts[0][1], "", styles[0][1], "").Replace(page)
	if bad := regexp.MustCompile(`(?i)<[^>]*\s(style|on[a-z]+)=`).FindString(rest); bad != "" {
		t.Errorf("the policy forbids %s", bad)
	}
	if strings.Contains(script, "</") || strings.Contains(style, "</") || strings.Contains(style, "url(") {
		t.Error("the script or the style would end early, or wants something from elsewhere")
	}
	for _, src := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(rest, -1) {
		if u, err := url.Parse(src[1]); err != nil || u.Host != "" && !strings.HasPrefix(u.Host, "127.0.0.1:") {
			t.Errorf("the page leads to %s", src[1])
		}
	}
}

func TestPage_escapesWhatOthersWrote(t *testing.T) {
	const evil = `"><img src=x onerror=alert(1)><script>alert(2)</script>`
	w := incident()
	s := &w.clusters[0].Services[0]
	w.clusters[0].Name, s.Revision = evil, evil
	d := w.details["weelocluster/web"]
	d.Deployments[0].ID, d.Deployments[0].Reason, d.Deployments[0].Rollout, d.Deployments[0].Digests = evil, evil, evil, []string{evil}
	d.Attempts[1].Revision, d.Attempts[1].Stage, d.Attempts[1].Weights = evil, evil, []Weight{{evil, 1}}
	d.Tasks[0].ID, d.Tasks[0].Reason, d.Tasks[0].Status, d.Tasks[0].Containers[0].Name, d.Tasks[0].Containers[0].Reason = evil, evil, evil, evil, evil
	d.Events[0].Text, d.Events[0].ID = evil, evil
	w.details["weelocluster/web"] = d
	w.lines = []Line{{Key: evil, Who: evil, Text: evil}}
	w.repos[0].Name, w.repos[0].Images[0].Tags = evil, []string{evil}
	w.calls[0].Operation, w.calls[1].Error = evil, evil
	w.faults[0].Rule, w.faults[0].ID = evil, evil
	w.traffic[0].Name, w.traffic[0].Groups[0].Name, w.traffic[0].Groups[0].Revision = evil, evil, evil
	page := draw(t, w, look{find: evil})
	page += draw(t, w, look{source: Source{"weelocluster", "web", evil, evil}, open: []string{evil}})
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts in two pages", n)
	}
	if strings.Contains(page, "<img") {
		t.Error("foreign text has made an element")
	}
	if strings.Count(page, "&lt;script&gt;alert(2)") < 20 {
		t.Error("foreign text is not all shown")
	}
}

func TestClean_showsWhatIsHidden(t *testing.T) {
	for given, want := range map[string]string{
		"plain ünicode":                      "plain ünicode",
		"\x1b[32mok\x1b[0m\tdone":            "ok done",
		"a\x00b\rc":                          "a·b·c",
		"abc\u202egnp.exe":                   "abc·gnp.exe",
		"\x1b[":                              "",
		strings.Repeat("é", longest/2) + "é": strings.Repeat("é", longest/2) + "…",
		"broken \xff":                        "broken \ufffd",
	} {
		if got := clean(given); got != want {
			t.Errorf("clean(%q) = %q, want %q", given, got, want)
		}
	}
}

func TestPage_isBoundedAndFast(t *testing.T) {
	w := crowd(100)
	page, took := "", time.Hour
	for range 5 { // the fastest: others share the machine
		began := time.Now()
		page = draw(t, w, look{})
		took = min(took, time.Since(began))
	}
	if took > 100*time.Millisecond {
		t.Errorf("100 services took %s to draw", took)
	}
	if n := strings.Count(page, "<article"); n != 100 {
		t.Errorf("%d services, want 100", n)
	}
	if strings.Contains(page, "000000000000000000000000000105") {
		t.Error("tasks of closed services are in the page")
	}
	page = draw(t, crowd(1000), look{})
	if n := strings.Count(page, "<article"); n != mostServices || !strings.Contains(page, "880 more services are not shown") {
		t.Errorf("of 1000 services %d are drawn, want %d and a word on the others", n, mostServices)
	}
	if len(page) > 400<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestPage_findsServicesByName(t *testing.T) {
	page := draw(t, crowd(1000), look{find: "ICE-99"})
	if n := strings.Count(page, "<article"); n != 10 {
		t.Errorf("%d services, want service-990 to 999", n)
	}
	if page = draw(t, crowd(9), look{find: "nobody"}); !strings.Contains(page, `No service is called like &#34;nobody&#34;.`) {
		t.Error("the page does not say that nothing was found")
	}
}

func TestLook_isWhollyInTheAddress(t *testing.T) {
	l := look{open: []string{"c/a", "c/b"}, shut: []string{"c/d e"}, find: "x&y", source: Source{"c", "a", "0123", "app"}}
	q, err := url.ParseQuery(strings.TrimPrefix(l.query(), "?"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l, parseLook(q), cmp.AllowUnexported(look{})); d != "" {
		t.Error(d)
	}
}

func TestLook_opensAndCloses(t *testing.T) {
	var l look
	if !l.shows("c/a", openByItself) || l.shows("c/a", openByItself+1) {
		t.Errorf("of few services each is open by itself, of many none")
	}
	opened := l.turned("c/a", false)
	if !opened.shows("c/a", 100) || opened.shows("c/b", 100) {
		t.Errorf("opening c/a shows %+v", opened)
	}
	if closed := opened.turned("c/a", true); closed.shows("c/a", 1) || len(closed.open) != 0 {
		t.Errorf("closing c/a leaves %+v", closed)
	}
	for i := range 20 {
		l = l.turned(strings.Repeat("x", i+1), false)
	}
	if len(l.open) != mostOpen || l.open[mostOpen-1] != strings.Repeat("x", 20) {
		t.Errorf("%d services are open at once", len(l.open))
	}
}

func TestService_state(t *testing.T) {
	for _, c := range []struct {
		s    Service
		tone tone
		word string
	}{
		{Service{Status: "ACTIVE", Rollout: "COMPLETED", Desired: 2, Running: 2}, good, "steady"},
		{Service{Status: "ACTIVE", Rollout: "COMPLETED", Desired: 2, Running: 1}, warn, "short of tasks"},
		{Service{Status: "ACTIVE", Rollout: "COMPLETED", Desired: 2, Running: 2, Failed: 1}, bad, "tasks fail"},
		{Service{Status: "ACTIVE", Rollout: "IN_PROGRESS"}, busy, "deploying"},
		{Service{Status: "ACTIVE", Rollout: "IN_PROGRESS", Failed: 1}, bad, "failing"},
		{Service{Status: "ACTIVE", Rollout: "IN_PROGRESS", Back: true, Failed: 1}, warn, "rolling back"},
		{Service{Status: "ACTIVE", Rollout: "FAILED"}, bad, "failed"},
		{Service{Status: "DRAINING", Rollout: "COMPLETED"}, quiet, "draining"},
		{Service{Status: "ACTIVE"}, quiet, "not deployed by ECS"},
	} {
		if tone, word := c.s.state(); tone != c.tone || word != c.word {
			t.Errorf("%+v is %s %q, want %s %q", c.s, tone, word, c.tone, c.word)
		}
	}
}

func TestCalls_alikeAreOneRow(t *testing.T) {
	describe := Call{Service: "ecs", Operation: "DescribeServices", Status: 200}
	failed := describe
	failed.Error = "ThrottlingException"
	var got []string
	for _, r := range rows([]Call{describe, describe, failed, describe, {Service: "ecs", Operation: "UpdateService"}}) {
		got = append(got, r.Operation+" "+r.outcome()+strings.Repeat("+", r.times-1))
	}
	want := []string{"DescribeServices 0 ms+", "DescribeServices ThrottlingException", "DescribeServices 0 ms", "UpdateService no answer"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
