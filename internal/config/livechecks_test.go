package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLiveChecks_mistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a method that writes, unsaid": {`{name: a, url: "https://x", method: POST}`, "weelo-deploy.yaml:2:29: checks.http[0]: POST may change what the service keeps, and it would run on the live service with every release"},
		"a write that is tried again":  {`{name: a, url: "https://x", method: PUT, writes: true, retries: 2}`, "a PUT is not sent again by itself: retries is for GET and HEAD"},
		"a write that may fail before": {`{name: a, url: "https://x", method: PUT, writes: true, expectFailingBefore: true}`, "a PUT never runs before the release"},
		"an unknown method":            {`{name: a, url: "https://x", method: FETCH}`, "want one of GET, HEAD, POST"},
		"two bodies":                   {`{name: a, url: "https://x", body: a, bodyFile: b}`, `takes one of the keys "body" and "bodyFile"`},
		"a header twice":               {`{name: a, url: "https://x", headers: {X-Key: a}, headerFiles: {x-key: b}}`, "x-key is in headers and in headerFiles"},
		"a header's name":              {`{name: a, url: "https://x", headers: {"X Key": a}}`, "want a header's name"},
		"a header of two lines":        {`{name: a, url: "https://x", headers: {X-Key: "hunter2\nX: y"}}`, "a header's value cannot hold line breaks"},
		"a body of HEAD":               {`{name: a, url: "https://x", method: HEAD, expect: {json: {a: b}}}`, "the answer to HEAD has no body, which json looks at"},
		"repeat and parallel":          {`{name: a, url: "https://x", repeat: 2, parallel: 2}`, `takes one of the keys "repeat" and "parallel"`},
		"same without repeat":          {`{name: a, url: "https://x", same: body}`, `"same" compares the answers of "repeat"`},
		"same of something else":       {`{name: a, url: "https://x", repeat: 2, same: status}`, "want one of body"},
		"statuses without parallel":    {`{name: a, url: "https://x", statuses: {200: 1}}`, `"statuses" counts the answers of "parallel"`},
		"statuses that do not add up":  {`{name: a, url: "https://x", parallel: 5, statuses: {200: 1, 409: 3}}`, "statuses are 4 in all, and parallel is 5"},
		"statuses and a status":        {`{name: a, url: "https://x", parallel: 2, statuses: {200: 2}, expect: {status: 200}}`, `of "expect" only "within" goes with it, not "status"`},
		"a status that is none":        {`{name: a, url: "https://x", parallel: 2, statuses: {ok: 2}}`, "want a status such as 200"},
		"a pattern that is none":       {`{name: a, url: "https://x", expect: {matches: "("}}`, "want a regular expression (RE2)"},
		"a path that is none":          {`{name: a, url: "https://x", expect: {json: {"a..b": 1}}}`, `"a..b" is no path into JSON`},
		"an unknown placeholder":       {`{name: a, url: "https://x/{{.Randm}}"}`, "{{.Randm}} is no placeholder of a check"},
		"a URL without host":           {`{name: a, url: "https://{{.Number}}:hunter2@/"}`, "want a URL that begins with http:// or https:// and names a host"},
		"a duration without unit":      {`{name: a, url: "https://x", expect: {within: 500}}`, "say the unit: 500s or 500m"},
		"an unknown key":               {`{name: a, url: "https://x", expect: {statuss: 200}}`, `did you mean "status"?`},
		"the same name":                {`{name: a, url: "https://x"}, {name: a, url: "https://y"}`, "checks.http[1] has the same name as checks.http[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			got := refuse(t, "checks: {http: [\n"+c.text+"]}\n", Options{})
			if !strings.Contains(got, c.want) || strings.Contains(got, "hunter2") {
				t.Errorf("got:\n%swant %q and no secret", got, c.want)
			}
		})
	}
	for text, want := range map[string]string{
		`{contains: a}`:                     `checks.logs[0] needs the key "name"`,
		`{name: a}`:                         `needs exactly one of the keys "contains", "matches" and "absent"`,
		`{name: a, contains: b, absent: c}`: `needs exactly one of the keys "contains", "matches" and "absent"`,
		`{name: a, matches: "["}`:           "want a regular expression (RE2)",
	} {
		if got := refuse(t, "checks: {logs: ["+text+"]}\n", Options{}); !strings.Contains(got, want) {
			t.Errorf("%s: got:\n%swant %q", text, got, want)
		}
	}
}

func TestLiveChecks_defaults(t *testing.T) {
	c := load(t, `checks:
  http:
    - {name: a, url: "https://x", expect: {status: [200, 204]}}
    - {name: b, url: "https://x", retries: 0, pause: 0s, timeout: 1s}
    - {name: c, url: "https://x", method: POST, writes: true, bodyFile: order.json, headerFiles: {X-Key: ~/key}}
  logs: [{name: d, contains: x}, {name: e, absent: x}]
`, Options{Environ: []string{"HOME=/home/ana"}})
	a, b, p := c.Checks.HTTP[0], c.Checks.HTTP[1], c.Checks.HTTP[2]
	if a.Method != "GET" || a.Retries != 2 || a.Pause != 2*time.Second || a.Timeout != 10*time.Second || !slices.Equal(a.Expect.Status, []int{200, 204}) {
		t.Errorf("a = %+v", a)
	}
	if b.Retries != 0 || b.Pause != 0 || b.Timeout != time.Second {
		t.Errorf("b = %+v, want what was chosen", b)
	}
	if p.Retries != 0 || p.BodyFile != filepath.Join(c.Dir, "order.json") || p.HeaderFiles["X-Key"] != "/home/ana/key" {
		t.Errorf("c = %+v, want no retries and absolute paths", p)
	}
	if c.Checks.Logs[0].Within != time.Minute || c.Checks.Logs[1].Within != 10*time.Second {
		t.Errorf("logs = %+v", c.Checks.Logs)
	}
}

func TestLiveChecks_secrets(t *testing.T) {
	c := load(t, `checks:
  http:
    - name: a
      url: "https://ana:password1@x/?api_key=querykey&page=second"
      headers: {Authorization: "Bearer ${WHATEVER}", Accept: application/json, X-Idempotency-Key: "check-{{.Random}}", X-Sign: "longer-secret{{.Number}}"}
`, Options{Environ: []string{"WHATEVER=hunter2"}})
	want := []string{"Bearer hunter2", "hunter2", "longer-secret", "password1", "querykey"}
	if d := cmp.Diff(want, c.SecretValues()); d != "" {
		t.Errorf("SecretValues (-want +got):\n%s", d)
	}
}

// The example in the docs is one that loads.
func TestDocs_liveChecks(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "\n## Live checks\n\n```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	c := load(t, example, Options{Environ: []string{"CHECK_TOKEN=hunter2"}})
	if len(c.Checks.HTTP) != 3 || len(c.Checks.Logs) != 2 {
		t.Errorf("checks of the example: %+v", c.Checks)
	}
}
