package taskdef

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	base := parse(t, revision27)
	for _, c := range []struct {
		name string
		to   *Definition
		want []string
	}{
		{"nothing", base, nil},
		{"the image", next(t, base, Change{Image: pinned}), []string{
			"~ containerDefinitions[weelo-backend].image: 318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend:v1.0.8 -> " + pinned}},
		{"environment is masked", next(t, base, Change{Environment: map[string]string{"NODE_ENV": "hunter3", "NEW": "hunter4"}}), []string{
			"+ containerDefinitions[weelo-backend].environment[NEW]: (masked)",
			"~ containerDefinitions[weelo-backend].environment[NODE_ENV]: (changed, masked)"}},
		{"from a value to a secret", next(t, base, Change{Secrets: map[string]string{"REDIS_URL": "arn:aws:ssm:::parameter/r"}}), []string{
			"+ containerDefinitions[weelo-backend].secrets[REDIS_URL].valueFrom: arn:aws:ssm:::parameter/r",
			"- containerDefinitions[weelo-backend].environment[REDIS_URL]: (masked)"}},
		{"an unknown member", parse(t, strings.Replace(revision27, `"slices":1.50`, `"slices":2`, 1)), []string{
			"~ containerDefinitions[weelo-backend].gpuSharing.slices: 1.5 -> 2"}},
		{"a credential in a command", parse(t, strings.Replace(revision27, "--token=abc", "--token=abd", 1)), []string{
			"~ containerDefinitions[proxy].command: (changed, masked)"}},
		{"a sidecar gone", parse(t, revision27[:strings.Index(revision27, ",\n    {\"name\":\"proxy\"")]+revision27[strings.Index(revision27, "\n  ],"):]), []string{
			"- containerDefinitions[proxy].command: [\"--token=***\"]",
			"- containerDefinitions[proxy].essential: false",
			"- containerDefinitions[proxy].healthCheck.command: [\"CMD\",\"true\"]",
			"- containerDefinitions[proxy].image: envoyproxy/envoy:v1.30"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Diff(base, c.to)
			if diff := cmp.Diff(sortedLines(c.want), sortedLines(got)); diff != "" {
				t.Errorf("Diff() (-want +got):\n%s", diff)
			}
			if equal := Equal(base, c.to); equal != (len(c.want) == 0) {
				t.Errorf("Equal() = %v with diff %q", equal, got)
			}
			for _, l := range got {
				if strings.Contains(l, "hunter") || strings.Contains(l, "=ab") {
					t.Errorf("Diff() shows a secret: %s", l)
				}
			}
		})
	}
}

// sortedLines sorts by path, so that a table can list lines in any order.
func sortedLines(l []string) map[string]string {
	out := map[string]string{}
	for _, s := range l {
		path, _, _ := strings.Cut(s[2:], ": ")
		out[path] = s
	}
	return out
}

func TestDiff_isTheSameOnEveryRun(t *testing.T) {
	a := parse(t, revision27)
	b := parse(t, `{"family":"b","containerDefinitions":[{"name":"x","dockerLabels":{"a.b":"1","c":"2"},"ulimits":[{"name":"nofile","softLimit":1}]}]}`)
	first := strings.Join(Diff(a, b), "\n")
	for range 50 {
		if got := strings.Join(Diff(a, b), "\n"); got != first {
			t.Fatalf("Diff() changed:\n%s\n---\n%s", first, got)
		}
	}
	if !strings.Contains(first, `+ containerDefinitions[x].dockerLabels["a.b"]: 1`) {
		t.Errorf("Diff() =\n%s\nwant the label's name in quotes", first)
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"order of members", `{"family":"a","cpu":"1"}`, `{"cpu":"1","family":"a"}`, true},
		{"spelling of numbers", `{"family":"a","n":[1,100,0.5,-0]}`, `{"family":"a","n":[1.0,1e2,5E-1,0.0]}`, true},
		{"numbers", `{"family":"a","n":1e400}`, `{"family":"a","n":1e401}`, false},
		{"a number and its text", `{"family":"a","n":1}`, `{"family":"a","n":"1"}`, false},
		{"huge exponents", `{"family":"a","n":1e99999999999999999999}`, `{"family":"a","n":1e99999999999999999999}`, true},
		{"order of environment", `{"family":"a","containerDefinitions":[{"name":"c","environment":[{"name":"A","value":"1"},{"name":"B","value":"2"}]}]}`,
			`{"family":"a","containerDefinitions":[{"name":"c","environment":[{"name":"B","value":"2"},{"name":"A","value":"1"}]}]}`, true},
		{"an empty value is a value", `{"family":"a","containerDefinitions":[{"name":"c","environment":[{"name":"A","value":""}]}]}`,
			`{"family":"a","containerDefinitions":[{"name":"c","environment":[]}]}`, false},
		{"an entry with nothing but its name", `{"family":"a","volumes":[{"name":"v"}]}`, `{"family":"a","volumes":[]}`, false},
		{"empty and absent lists", `{"family":"a","volumes":[]}`, `{"family":"a","placementConstraints":null}`, true},
		{"an empty object is something", `{"family":"a","x":{}}`, `{"family":"a"}`, false},
		{"read-only members", `{"family":"a","revision":1,"status":"ACTIVE"}`, `{"family":"a","revision":2}`, true},
		{"order of a command", `{"family":"a","command":["x","y"]}`, `{"family":"a","command":["y","x"]}`, false},
		{"two ports", `{"family":"a","portMappings":[{"containerPort":53,"protocol":"tcp"},{"containerPort":53,"protocol":"udp"}]}`,
			`{"family":"a","portMappings":[{"containerPort":53,"protocol":"udp"},{"containerPort":53,"protocol":"tcp"}]}`, true},
		{"a name that stands twice", `{"family":"a","ulimits":[{"name":"n","softLimit":1},{"name":"n","softLimit":2}]}`,
			`{"family":"a","ulimits":[{"name":"n","softLimit":2},{"name":"n","softLimit":1}]}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Equal(parse(t, c.a), parse(t, c.b)); got != c.want {
				t.Errorf("Equal() = %v, want %v; Diff: %q", got, c.want, Diff(parse(t, c.a), parse(t, c.b)))
			}
		})
	}
}

func TestEqual_tags(t *testing.T) {
	a := parse(t, `{"family":"a"}`, Tag{"weelo-deploy:run", "1"}, Tag{"team", "core"})
	if b := parse(t, `{"family":"a"}`, Tag{"team", "core"}); !Equal(a, b) {
		t.Errorf("our own tags count: %q", Diff(a, b))
	}
	if b := parse(t, `{"family":"a"}`, Tag{"team", "other"}); Equal(a, b) {
		t.Error("other people's tags do not count")
	}
}

func TestDiff_masksCredentials(t *testing.T) {
	to := parse(t, `{"family":"a","containerDefinitions":[{"name":"c",
		"command":["--db","postgres://u:hunter2@h/db","password: hunter2"],
		"dockerLabels":{"x.auth.users":"hunter2"},
		"repositoryCredentials":{"credentialsParameter":"arn:aws:secretsmanager:r:1:secret:s"},
		"note":"two\nlines",
		"logConfiguration":{"logDriver":"splunk","options":{"splunk-token":"hunter2","splunk-url":"https://s"}}}]}`)
	got := strings.Join(Diff(parse(t, `{"family":"a"}`), to), "\n")
	if strings.Contains(got, "hunter2") {
		t.Errorf("Diff() shows a credential:\n%s", got)
	}
	for _, s := range []string{"credentialsParameter: arn:aws:secretsmanager:r:1:secret:s", "splunk-url: https://s", `note: "two\nlines"`} {
		if !strings.Contains(got, s) {
			t.Errorf("Diff() =\n%s\nwant it to contain %q", got, s)
		}
	}
}

func FuzzDiff(f *testing.F) {
	f.Add(revision27, `{"family":"a"}`)
	f.Add(`{"family":"a","n":1e-9223372036854775808}`, `{"family":"a","x":[{"name":"","value":null}]}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		da, err := Parse([]byte(a), nil)
		if err != nil {
			return
		}
		if d := Diff(da, da); len(d) > 0 || !Equal(da, da) {
			t.Errorf("a definition differs from itself: %q", d)
		}
		n, err := da.Next(Change{})
		if err == nil && !Equal(da, n) {
			t.Errorf("an empty change makes a difference: %q", Diff(da, n))
		}
		db, err := Parse([]byte(b), nil)
		if err == nil && Equal(da, db) != (len(Diff(da, db)) == 0) {
			t.Errorf("Equal and Diff disagree: %q", Diff(da, db))
		}
	})
}
