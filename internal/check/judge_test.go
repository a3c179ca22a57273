package check

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/jsonpath"
)

func answer(status int, contentType, body string) Answer {
	return Answer{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body), Took: 35 * time.Millisecond}
}

func field(t *testing.T, path, want string) Field {
	t.Helper()
	p, err := jsonpath.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	return Field{Path: p, Want: want}
}

func TestJudge(t *testing.T) {
	health := answer(200, "application/json; charset=utf-8", `{"status":"ok","version":"v1.0.9","items":[{"id":1}]}`)
	cut := answer(200, "text/plain", strings.Repeat("a", 100))
	cut.Cut = true
	for name, c := range map[string]struct {
		expect Expect
		answer Answer
		want   []string
	}{
		"any 2xx is well when nothing is expected": {Expect{}, answer(204, "", ""), nil},
		"a 5xx is not":                       {Expect{}, answer(503, "", ""), []string{"status 503, want 200 to 299"}},
		"a redirect is not":                  {Expect{}, answer(302, "", ""), []string{"status 302, want 200 to 299"}},
		"one of the statuses":                {Expect{Status: []int{200, 503}}, answer(503, "", ""), nil},
		"none of the statuses":               {Expect{Status: []int{200, 503}}, answer(404, "", ""), []string{"status 404, want 200 or 503"}},
		"JSON fields as they should be":      {Expect{JSON: []Field{field(t, "status", "ok"), field(t, "items.0.id", "1")}}, health, nil},
		"a JSON field of another value":      {Expect{JSON: []Field{field(t, "version", "v1.1.0")}}, health, []string{`JSON: version is "v1.0.9", want "v1.1.0"`}},
		"a JSON field that is missing":       {Expect{JSON: []Field{field(t, "items.1.id", "1")}}, health, []string{`JSON: items is a list of 1, and has no entry "1"`}},
		"HTML where JSON is wanted":          {Expect{JSON: []Field{field(t, "status", "ok")}}, answer(200, "text/html", "<html>"), []string{"the body is not JSON but text/html: invalid character '<' looking for beginning of value"}},
		"JSON that is too large":             {Expect{JSON: []Field{field(t, "status", "ok")}}, cut, []string{"the body's first 1 MiB is too large to be read as JSON"}},
		"a text that is there":               {Expect{Contains: `"status":"ok"`}, health, nil},
		"a text that is not there":           {Expect{Contains: "ready"}, health, []string{`the body does not contain "ready"`}},
		"a text that may come after the cut": {Expect{Contains: "ready"}, cut, []string{`the body's first 1 MiB does not contain "ready"`}},
		"a pattern that matches":             {Expect{Matches: regexp.MustCompile(`v1\.\d+`)}, health, nil},
		"a pattern that does not":            {Expect{Matches: regexp.MustCompile(`v2\.\d+`)}, health, []string{`the body does not match "v2\\.\\d+"`}},
		"a media type with more parameters":  {Expect{Header: map[string]string{"content-type": "application/json"}}, health, nil},
		"a media type with other parameters": {Expect{Header: map[string]string{"Content-Type": "application/json; charset=latin1"}}, health, []string{`header Content-Type is "application/json; charset=utf-8", want "application/json; charset=latin1"`}},
		"a header that is missing":           {Expect{Header: map[string]string{"X-Version": "v1"}}, health, []string{`no header X-Version, want "v1"`}},
		"in time":                            {Expect{Within: 35 * time.Millisecond}, health, nil},
		"too slow":                           {Expect{Within: 34 * time.Millisecond}, health, []string{"took 35ms, want at most 34ms"}},
		"everything that is wrong is said": {Expect{Status: []int{201}, Contains: "x!", Within: time.Millisecond}, health,
			[]string{"status 200, want 201", `the body does not contain "x!"`, "took 35ms, want at most 1ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, c.expect.Judge(c.answer)); d != "" {
				t.Errorf("Judge (-want +got):\n%s", d)
			}
		})
	}
}

func TestAnswerIsShownByItsBeginning(t *testing.T) {
	a := answer(500, "text/plain", "\xff"+strings.Repeat("é", 1000))
	if s := a.String(); len(s) > 600 || !strings.HasPrefix(s, "500 in 35ms, text/plain: \uFFFDéé") || !strings.HasSuffix(s, "…") {
		t.Errorf("answer = %s", s)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("status", "ok", []byte(`{"status":"ok"}`), "application/json")
	f.Fuzz(func(t *testing.T, path, want string, body []byte, contentType string) {
		p, err := jsonpath.Parse(path)
		if err != nil {
			return
		}
		a := Answer{Status: 200, Header: http.Header{"Content-Type": {contentType}}, Body: body}
		e := Expect{JSON: []Field{{p, want}}, Contains: want, Header: map[string]string{"Content-Type": contentType}}
		for _, w := range e.Judge(a) {
			if len(w) > 4000 || strings.HasPrefix(w, "header") {
				t.Errorf("%d characters: %.200s", len(w), w)
			}
		}
		_ = a.String()
	})
}
