package taskdef

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

// revision27 is the incident's stable revision, with the spellings that a
// round trip through a Go struct would lose.
const revision27 = `{
  "taskDefinitionArn": "arn:aws:ecs:ap-south-1:318774499084:task-definition/weelobackendtask:27",
  "containerDefinitions": [
    {"name":"weelo-backend","image":"318774499084.dkr.ecr.ap-south-1.amazonaws.com/weelo-backend:v1.0.8","cpu":0,
     "portMappings":[{"containerPort":3000,"hostPort":3000,"protocol":"tcp","appProtocol":"http"}],"essential":true,
     "environment":[{"name":"NODE_ENV","value":"production"},{"name":"EMPTY","value":""},{"name":"REDIS_URL","value":"redis://:hunter2@cache:6379"}],
     "secrets":[{"name":"DATABASE_URL","valueFrom":"arn:aws:secretsmanager:ap-south-1:318774499084:secret:db-AbCdEf"}],
     "mountPoints":[],"volumesFrom":[],"stopTimeout":3.0e1,
     "logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"/ecs/weelobackendtask","awslogs-region":"ap-south-1","awslogs-stream-prefix":"ecs"}},
     "gpuSharing":{"strategy":"MPS","slices":1.50}},
    {"name":"proxy","image":"envoyproxy/envoy:v1.30","essential":false,"command":["--token=abc"],"healthCheck":{"command":["CMD","true"]}}
  ],
  "family": "weelobackendtask", "revision": 27, "status": "ACTIVE",
  "networkMode": "awsvpc", "volumes": [], "placementConstraints": [],
  "requiresAttributes": [{"name":"ecs.capability.task-eni"}],
  "compatibilities": ["EC2","FARGATE"], "requiresCompatibilities": ["FARGATE"],
  "runtimePlatform": {"cpuArchitecture":"X86_64","operatingSystemFamily":"LINUX"},
  "cpu": "256", "memory": "512", "registeredAt": 1764841712.263, "registeredBy": "arn:aws:iam::318774499084:root",
  "deregisteredAt": null, "deleteRequestedAt": null,
  "futureTop": {"n": 1e400}
}`

func parse(t *testing.T, raw string, tags ...Tag) *Definition {
	t.Helper()
	d, err := Parse(json.RawMessage(raw), tags)
	if err != nil {
		t.Fatalf("Parse() = %v", err)
	}
	return d
}

func next(t *testing.T, d *Definition, c Change) *Definition {
	t.Helper()
	n, err := d.Next(c)
	if err != nil {
		t.Fatalf("Next(%+v) = %v", c, err)
	}
	return n
}

func TestParse_readsTheHead(t *testing.T) {
	d := parse(t, revision27, Tag{"team", "core"}, Tag{"app", "weelo"})
	if d.Name() != "weelobackendtask:27" || d.Revision() != 27 || d.Status() != "ACTIVE" {
		t.Errorf("Name, Revision, Status = %q, %d, %q", d.Name(), d.Revision(), d.Status())
	}
	if want := time.Date(2025, 12, 4, 9, 48, 32, 263e6, time.UTC); !d.RegisteredAt().Equal(want) {
		t.Errorf("RegisteredAt() = %v, want %v", d.RegisteredAt(), want)
	}
	if got := d.Tags(); got[0].Key != "app" {
		t.Errorf("Tags() = %v, want them sorted", got)
	}
	if string(d.Raw()) != revision27 {
		t.Error("Raw() is not what was parsed")
	}
	os, arch, set := d.Platform()
	if os != "linux" || arch != "amd64" || !set {
		t.Errorf("Platform() = %q, %q, %v", os, arch, set)
	}
}

func TestParse_refuses(t *testing.T) {
	for name, raw := range map[string]string{
		"no JSON": "{", "an array": "[]", "no family": `{"cpu":"1"}`, "a null": "null",
		"another type": `{"family":"a","containerDefinitions":"x"}`, "a time that is none": `{"family":"a","registeredAt":1e300}`,
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := Parse(json.RawMessage(raw), nil); err == nil {
				t.Errorf("Parse(%s) = %v, want an error", raw, d)
			}
		})
	}
}

func TestDefinition_Platform(t *testing.T) {
	for _, c := range []struct {
		name, members, os, arch string
		set                     bool
	}{
		{"nothing said", ``, "", "", false},
		{"arm", `,"runtimePlatform":{"cpuArchitecture":"ARM64","operatingSystemFamily":"LINUX"}`, "linux", "arm64", true},
		{"windows stays as it is", `,"runtimePlatform":{"cpuArchitecture":"X86_64","operatingSystemFamily":"WINDOWS_SERVER_2022_CORE"}`, "WINDOWS_SERVER_2022_CORE", "amd64", true},
		{"fargate default", `,"requiresCompatibilities":["FARGATE"],"runtimePlatform":{"operatingSystemFamily":"LINUX"}`, "linux", "amd64", true},
		{"on EC2 the instance decides", `,"runtimePlatform":{"operatingSystemFamily":"LINUX"}`, "", "", false},
		{"a future word", `,"runtimePlatform":{"cpuArchitecture":"RISCV64"}`, "linux", "RISCV64", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			os, arch, set := parse(t, `{"family":"a"`+c.members+`}`).Platform()
			if os != c.os || arch != c.arch || set != c.set {
				t.Errorf("Platform() = %q, %q, %v; want %q, %q, %v", os, arch, set, c.os, c.arch, c.set)
			}
		})
	}
}

func TestDefinition_Containers(t *testing.T) {
	got := parse(t, revision27).Containers()
	if got[0].Environment["EMPTY"] != "" || len(got[0].Environment) != 3 || !got[0].Essential || got[1].Essential {
		t.Errorf("Containers() = %+v", got)
	}
	if l := got[0].Log; l.Driver != "awslogs" || l.Group != "/ecs/weelobackendtask" || l.StreamPrefix != "ecs" || l.Region != "ap-south-1" {
		t.Errorf("Log = %+v", l)
	}
	if got[0].HealthCheck || !got[1].HealthCheck {
		t.Errorf("HealthCheck = %v, %v; want false, true", got[0].HealthCheck, got[1].HealthCheck)
	}
	unsaid := parse(t, `{"family":"a","containerDefinitions":[{"name":"x","memory":5.12e2}]}`).Containers()[0]
	if !unsaid.Essential || unsaid.MemoryMiB != 512 {
		t.Errorf("container = %+v, want it essential, with 512 MiB", unsaid)
	}
}

func TestDefinition_Containers_areCopies(t *testing.T) {
	d := parse(t, revision27)
	c := d.Containers()
	c[0].Environment["NODE_ENV"], c[1].Command[0], c[0].Log.Options["awslogs-group"] = "x", "x", "x"
	if diff := cmp.Diff(parse(t, revision27).Containers(), d.Containers()); diff != "" {
		t.Errorf("changing the result changed the definition:\n%s", diff)
	}
}

func TestDefinition_Released(t *testing.T) {
	two := `{"family":"a","containerDefinitions":[{"name":"backend"},{"name":"worker"}]}`
	for _, c := range []struct {
		name, raw, ask, want string
		code                 event.Code
		says                 []string
	}{
		{"the only essential one", revision27, "", "weelo-backend", "", nil},
		{"a named one that is not essential", revision27, "proxy", "proxy", "", nil},
		{"two essential ones", two, "", "", event.CodeConfig, []string{"2 of its containers are essential", "backend, worker", "task.container"}},
		{"a mistyped one", two, "bakend", "", event.CodeNotFound, []string{`"bakend"`, "backend, worker", `did you mean "backend"?`}},
		{"no container at all", `{"family":"a"}`, "", "", event.CodeConfig, []string{"0 of its containers"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(t, c.raw).Released(c.ask)
			if c.code == "" {
				if err != nil || got.Name != c.want {
					t.Errorf("Released(%q) = %q, %v; want %q", c.ask, got.Name, err, c.want)
				}
				return
			}
			var f *event.Failure
			if !errors.As(err, &f) || f.Code != c.code {
				t.Fatalf("Released(%q) error = %v, want a failure %s", c.ask, err, c.code)
			}
			text := f.Message + strings.Join(slices.Concat(f.Evidence, f.Hints), "\n")
			for _, s := range c.says {
				if !strings.Contains(text, s) {
					t.Errorf("the failure says %q, want it to contain %q", text, s)
				}
			}
		})
	}
}
