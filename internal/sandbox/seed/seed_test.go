package seed

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoad_examples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/incident/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found the examples %v, %v", files, err)
	}
	for _, file := range files {
		s, err := Load(file)
		if err != nil {
			t.Errorf("Load: %v", err)
			continue
		}
		service := s.Services[0]
		if i := service.Serves(); i < 0 || service.Deployments[i].Revision != 27 {
			t.Errorf("%s: deployment %d serves, want that of revision 27", file, i)
		}
		if stuck := strings.HasSuffix(file, "stuck.yaml"); stuck != (service.Running() >= 0) {
			t.Errorf("%s: deployment in progress is %d", file, service.Running())
		}
	}
}

// small is a file with everything once; tests break it in one place each.
const small = `breakerCountsCrashes: false
clusters: [{name: c, tags: {team: a}}]
logGroups: [{name: /ecs/app}]
repositories:
  - name: app
    immutable: true
    images:
      - {name: one, tags: [v1], builtin: {program: serve, port: 80}}
      - {tags: [v0], digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", pushedAt: 2026-01-02T03:04:05Z}
taskDefinitions:
  - family: app
    revision: 3
    status: INACTIVE
    registeredAt: -72h
    definition:
      cpu: "256"
      newer: {n: 1.50, list: [true, ~, 0x10]}
      containerDefinitions: [{name: app, image: "${REGISTRY}/app:v1"}]
services:
  - cluster: c
    name: web
    family: app
    desiredCount: 2
    settings: {launchType: FARGATE}
    deployments:
      - {revision: 3, outcome: SUCCESSFUL, createdAt: -48h, digests: {app: one}}
`

func TestParse(t *testing.T) {
	s, err := Parse("seed.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	r := s.TaskDefinitions[0]
	want := `{"cpu":"256","newer":{"n":1.50,"list":[true,null,16]},"containerDefinitions":[{"name":"app","image":"${REGISTRY}/app:v1"}]}`
	if string(r.Definition.Raw) != want {
		t.Errorf("definition is %s\nwant %s", r.Definition.Raw, want)
	}
	if at := r.RegisteredAt.At(now); !at.Equal(now.Add(-72 * time.Hour)) {
		t.Errorf("registered at %s", at)
	}
	if at := s.Repositories[0].Images[1].PushedAt.At(now); at.Format(time.RFC3339) != "2026-01-02T03:04:05Z" {
		t.Errorf("pushed at %s", at)
	}
	in, err := s.Services[0].Create()
	if err != nil || *in.Cluster != "c" || *in.ServiceName != "web" || *in.DesiredCount != 2 || in.LaunchType != "FARGATE" {
		t.Errorf("Create = %+v, %v", in, err)
	}
	if *s.BreakerCountsCrashes {
		t.Error("breakerCountsCrashes is true")
	}
}

func TestParse_JSON(t *testing.T) {
	s, err := Parse("seed.json", []byte(`{"clusters": [{"name": "c"}], "taskDefinitions": [
		{"family": "f", "revision": 1, "definition": {"containerDefinitions": [{"name": "a", "image": "b", "environment": [{"name": "N", "value": "1"}]}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.TaskDefinitions[0].Definition.Raw); !strings.Contains(got, `"value":"1"`) {
		t.Errorf("definition is %s, want the value to stay a string", got)
	}
	if s, err := Parse("empty.yaml", nil); err != nil || len(s.Clusters) != 0 {
		t.Errorf("an empty file is %+v, %v", s, err)
	}
}

func TestParse_refuses(t *testing.T) {
	tests := map[string]struct {
		from, to string // what to replace in small
		want     string // with file and line
	}{
		"unknown key":            {"immutable: true", "imutable: true", `seed.yaml:6: unknown key "imutable"`},
		"wrong type":             {"desiredCount: 2", "desiredCount: two", "seed.yaml:23: cannot construct !!str `two` into int"},
		"unknown cluster":        {"cluster: c", "cluster: d", `seed.yaml:20: there is no cluster "d" in this file (there is c)`},
		"unknown revision":       {"{revision: 3,", "{revision: 4,", `seed.yaml:26: there is no task definition app:4 in this file`},
		"unknown image":          {"{app: one}", "{app: two}", `seed.yaml:26: "two" is neither a digest nor the name of an image in this file (there is one)`},
		"unknown outcome":        {"SUCCESSFUL", "FAILED", `seed.yaml:26: "FAILED" is no outcome; they are SUCCESSFUL, STOPPED, ROLLBACK_SUCCESSFUL, ROLLBACK_FAILED, IN_PROGRESS`},
		"nothing serves":         {"SUCCESSFUL", "STOPPED", `seed.yaml:26: service "web" needs a deployment that is SUCCESSFUL or IN_PROGRESS`},
		"bad age":                {"-48h", "yesterday", `seed.yaml:26: "yesterday" is neither an age like -72h nor an RFC 3339 time`},
		"bad status":             {"INACTIVE", "GONE", `seed.yaml:13: a revision's status is ACTIVE or INACTIVE, not "GONE"`},
		"bad number":             {"revision: 3\n", "revision: 0\n", `seed.yaml:12: a revision's number must be 1 or more, not 0`},
		"two sources":            {"builtin: {program: serve, port: 80}", "from: x, builtin: {program: serve}", `seed.yaml:8: an image needs exactly one of digest, from and builtin`},
		"unknown program":        {"program: serve", "program: emacs", `seed.yaml:8: "emacs" is no built-in program; they are serve, idle, ignore-term, exit, segfault, hog`},
		"bad digest":             {"sha256:00", "sha256:zz", `is no digest (sha256: and 64 hexadecimal digits)`},
		"bad repository name":    {"name: app\n    immutable", "name: App\n    immutable", `seed.yaml:5: "App" is no name for a repository`},
		"a value of wrong type":  {`cpu: "256"`, `cpu: 256`, `seed.yaml:16: definition: NUMBER_VALUE can not be converted to a String`},
		"settings of wrong type": {"launchType: FARGATE", "launchType: [FARGATE]", `seed.yaml:24: settings: START_ARRAY can not be converted to a String`},
		"no containers":          {"containerDefinitions:", "containers:", `seed.yaml:16: the definition of app:3 has no containerDefinitions`},
		"a hook that may be":     {"clusters:", "hooks: [{function: f, status: MAYBE}]\nclusters:", "seed.yaml:2: function f: status is SUCCEEDED, FAILED or IN_PROGRESS, not \"MAYBE\""},
		"a hook's unknown key":   {"clusters:", "hooks: [{function: f, colour: 1}]\nclusters:", `seed.yaml:2: unknown key "colour"`},
		"a group with no name":   {"clusters:", "targetGroups: [{name: '', port: 80}]\nclusters:", `seed.yaml:2: "" is no name for a target group`},
		"a listener's mistake":   {"clusters:", "loadBalancers: [{name: a, listeners: [{port: 80, targetGroup: b}]}]\nclusters:", `seed.yaml:2: there is no target group "b" in this file`},
		"a listener to nowhere":  {"clusters:", "loadBalancers: [{name: a, listeners: [{port: 0}]}]\nclusters:", `seed.yaml:2: requests go to a targetGroup, or to several by weights`},
		"a service's mistake":    {"{launchType: FARGATE}", "{launchType: FARGATE, loadBalancers: [{targetGroupArn: \"${TARGET_GROUP:x}\"}]}", `${TARGET_GROUP:x} is nothing in this file`},
		"the same tag twice":     {"tags: [v0]", "tags: [v1]", `seed.yaml:9: tag "v1" is there twice`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if strings.Count(small, test.from) == 0 {
				t.Fatalf("%q is not in the file", test.from)
			}
			_, err := Parse("seed.yaml", []byte(strings.Replace(small, test.from, test.to, 1)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Parse = %v\nwant %s", err, test.want)
			}
			var p *Problem
			if !errors.As(err, &p) {
				t.Errorf("Parse = %T, want a *Problem in it", err)
			}
		})
	}
}

func TestParse_allAtOnce(t *testing.T) {
	broken := strings.NewReplacer("cluster: c", "cluster: d", "{revision: 3,", "{revision: 4,", "{app: one}", "{app: two}").Replace(small)
	_, err := Parse("seed.yaml", []byte(broken))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Parse = %v, want three problems in three lines", err)
	}
}

func TestParse_order(t *testing.T) {
	broken := strings.Replace(small, "      - {revision: 3,", "      - {revision: 3, outcome: STOPPED, createdAt: -1h}\n      - {revision: 3,", 1)
	_, err := Parse("seed.yaml", []byte(broken))
	if want := "seed.yaml:27: deployments must be in the order of their times, oldest first"; err == nil || err.Error() != want {
		t.Errorf("Parse = %v, want %s", err, want)
	}
}

func TestJSON_merges(t *testing.T) {
	s, err := Parse("seed.yaml", []byte(`
taskDefinitions:
  - family: f
    revision: 1
    definition: &d {cpu: "1", memory: "2", containerDefinitions: [{name: a, image: b}]}
  - family: f
    revision: 2
    definition: {<<: *d, cpu: "9"}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"cpu":"9","memory":"2","containerDefinitions":[{"name":"a","image":"b"}]}`
	if got := string(s.TaskDefinitions[1].Definition.Raw); got != want {
		t.Errorf("merged definition is %s, want %s", got, want)
	}
}

func TestParse_bombs(t *testing.T) {
	merges := "taskDefinitions:\n  - family: f\n    revision: 1\n    definition:\n      m0: &m0 {x: 1}\n"
	for i := range 12 {
		merges += fmt.Sprintf("      m%d: &m%d {<<: [%s*m%d]}\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*m%d, ", i), 9), i)
	}
	if _, err := Parse("merges.yaml", []byte(merges)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a file whose merges blow up is %v", err)
	}
	bomb := "taskDefinitions:\n  - family: f\n    revision: 1\n    definition:\n      a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		prev, next := "*a"+string(rune('a'+i-2)), "a"+string(rune('a'+i-1))
		if i == 1 {
			prev = "*a0"
		}
		bomb += "      " + next + ": &" + next + " [" + strings.Repeat(prev+", ", 9) + prev + "]\n"
	}
	if _, err := Parse("bomb.yaml", []byte(bomb)); err == nil {
		t.Error("a file that blows up is taken")
	}
}

func TestSeed_Resolve(t *testing.T) {
	s, err := Parse("seed.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(s.Services)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Resolve("127.0.0.1:5", map[string]string{"one": "sha256:1"})
	if got := string(r.TaskDefinitions[0].Definition.Raw); !strings.Contains(got, `"image":"127.0.0.1:5/app:v1"`) {
		t.Errorf("definition is %s", got)
	}
	if d := cmp.Diff(map[string]string{"app": "sha256:1"}, r.Services[0].Deployments[0].Digests); d != "" {
		t.Errorf("digests (-want +got):\n%s", d)
	}
	after, err := json.Marshal(s.Services)
	if err != nil || string(after) != string(before) || !strings.Contains(string(s.TaskDefinitions[0].Definition.Raw), Registry) {
		t.Errorf("Resolve changed the seed itself: %s, %v", after, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	for _, file := range []string{"seed.yaml", "stuck.yaml"} {
		data, err := os.ReadFile("../../../examples/incident/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("seed.yaml", data)
		if err != nil {
			return
		}
		for _, r := range s.Resolve("127.0.0.1:1", nil).TaskDefinitions {
			if !json.Valid(r.Definition.Raw) {
				t.Errorf("definition is not JSON: %s", r.Definition.Raw)
			}
		}
	})
}

func TestLoadFaults(t *testing.T) {
	for text, want := range map[string]int{
		"task: web\nexit: 139\n":                            1,
		"- {when: ListTasks, hang: true}\n- pull: denied\n": 2,
		`[{"pull":"denied"}]`:                               1,
		"":                                                  0,
	} {
		path := filepath.Join(t.TempDir(), "faults.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadFaults(path); err != nil || len(got) != want {
			t.Errorf("LoadFaults of %q gives %d rules, %v; want %d", text, len(got), err, want)
		}
	}
	text := filepath.Join(t.TempDir(), "text.yaml")
	if err := os.WriteFile(text, []byte("\nhello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFaults(text); err == nil || err.Error() != text+":2: a file of faults is a rule or a list of rules" {
		t.Errorf("LoadFaults of a text: %v", err)
	}
	if _, err := LoadFaults(filepath.Join(t.TempDir(), "none.yaml")); err == nil {
		t.Error("a file that is not there is read")
	}
}
