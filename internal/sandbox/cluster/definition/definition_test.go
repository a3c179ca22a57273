package definition

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func newStore() *Store { return NewStore("000000000000", "us-east-1") }

const app = `{"name":"app","image":"web:1","memory":64}`

func request(members string) []byte {
	return []byte(`{"family":"web","containerDefinitions":[` + app + `]` + members + `}`)
}

func register(t *testing.T, s *Store, body []byte) *Definition {
	t.Helper()
	d, err := s.Register(body, now)
	if err != nil {
		t.Fatalf("Register(%s): %v", body, err)
	}
	return d
}

func TestDefinition_JSON_keeps_what_was_registered(t *testing.T) {
	s := newStore()
	d := register(t, s, []byte(`{"family":"web","zeta":{"b":1.50,"a":1e3},"tags":[{"key":"k","value":"v"}],"networkMode":"awsvpc","cpu":"256","memory":"512",
		"containerDefinitions":[{"name":"app","image":"web:1","essential":true,"portMappings":[{"containerPort":80,"appProtocol":"http"}],"newMember":null}],"volumes":null}`))
	want := `{"family":"web","zeta":{"b":1.50,"a":1e3},"networkMode":"awsvpc","cpu":"256","memory":"512",` +
		`"containerDefinitions":[{"name":"app","image":"web:1","essential":true,` +
		`"portMappings":[{"containerPort":80,"appProtocol":"http","hostPort":80,"protocol":"tcp"}],"newMember":null,` +
		`"cpu":0,"environment":[],"mountPoints":[],"volumesFrom":[],"systemControls":[]}],` +
		`"volumes":[],"placementConstraints":[],` +
		`"taskDefinitionArn":"arn:aws:ecs:us-east-1:000000000000:task-definition/web:1","revision":1,"status":"ACTIVE","compatibilities":["EC2","FARGATE"],` +
		`"requiresAttributes":[{"name":"ecs.capability.task-eni"},{"name":"com.amazonaws.ecs.capability.docker-remote-api.1.18"}],` +
		`"registeredAt":1793534400,"registeredBy":"arn:aws:iam::000000000000:root"}`
	if diff := cmp.Diff(want, string(d.JSON())); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if len(d.Tags) != 1 || *d.Tags[0].Key != "k" {
		t.Errorf("tags are %v", d.Tags)
	}
	if again := string(d.JSON()); again != want {
		t.Error("a second call of JSON gives another answer")
	}
	s.Deregister(d, now.Add(time.Hour))
	var told struct {
		Status         string
		DeregisteredAt float64
	}
	if err := json.Unmarshal(d.JSON(), &told); err != nil || told.Status != "INACTIVE" || told.DeregisteredAt != 1793538000 {
		t.Errorf("deregistered revision is %+v (%v)", told, err)
	}
}

func TestStore_Get(t *testing.T) {
	s := newStore()
	for range 3 {
		register(t, s, request(""))
	}
	s.Deregister(s.Get("web:3"), now)
	prefix := "arn:aws:ecs:us-east-1:000000000000:task-definition/"
	for ref, want := range map[string]int{
		"web": 2, "web:1": 1, "web:3": 3, prefix + "web:1": 1, prefix + "web": 2,
		"web:4": 0, "web:0": 0, "web:x": 0, "other": 0, "": 0,
		"arn:aws:ecs:eu-west-1:000000000000:task-definition/web:1": 0,
	} {
		got := 0
		if d := s.Get(ref); d != nil {
			got = d.Revision
		}
		if got != want {
			t.Errorf("Get(%q) is revision %d, want %d", ref, got, want)
		}
	}
	for ref, want := range map[string]bool{"web": false, "web:1": true, prefix + "web:1": true, prefix + "web": false} {
		if got := s.Pinned(ref); got != want {
			t.Errorf("Pinned(%q) is %v, want %v", ref, got, want)
		}
	}
}

func TestStore_Put_leaves_gaps(t *testing.T) {
	s := newStore()
	for _, n := range []int{27, 36} {
		if _, err := s.Put(request(""), n, now); err != nil {
			t.Fatalf("Put %d: %v", n, err)
		}
	}
	if _, err := s.Put(request(""), 36, now); err == nil {
		t.Error("a number was given twice")
	}
	if d := register(t, s, request("")); d.Revision != 37 {
		t.Errorf("the next revision is %d, want 37", d.Revision)
	}
	var got []int
	for _, d := range s.List("web", true) {
		got = append(got, d.Revision)
	}
	if !slices.Equal(got, []int{27, 36, 37}) {
		t.Errorf("List has revisions %v", got)
	}
	names, active := s.Families("w")
	if !slices.Equal(names, []string{"web"}) || !active["web"] {
		t.Errorf("Families: %v, %v", names, active)
	}
}

func TestStore_Register_refuses(t *testing.T) {
	fargate := `,"requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc"`
	containers := func(list string) string { return `{"family":"web","containerDefinitions":[` + list + `]}` }
	for _, c := range []struct{ body, want string }{
		{`{"containerDefinitions":[` + app + `]}`, "Family"},
		{`{"family":"a b","containerDefinitions":[` + app + `]}`, "Family contains invalid characters."},
		{`{"family":"web"}`, "Container list cannot be empty."},
		{containers(`{"image":"x","memory":1}`), "Container.name should not be null or empty."},
		{containers(`{"name":"a","memory":1}`), "Container.image should not be null or empty."},
		{containers(`{"name":"a","image":"x"}`), "Invalid setting for container 'a'. At least one of 'memory' or 'memoryReservation' must be specified."},
		{containers(app + "," + app), "app is used more than once"},
		{containers(`{"name":"a","image":"x","memory":1,"mountPoints":[{"sourceVolume":"v","containerPath":"/v"}]}`), "Unknown volume 'v'."},
		{containers(`{"name":"a","image":"x","memory":1,"volumesFrom":[{"sourceContainer":"b"}]}`), "Unknown container 'b'"},
		{containers(`{"name":"a","image":"x","memory":1,"restartPolicy":{"enabled":true,"restartAttemptPeriod":59}}`), "between 60 and 1800"},
		{containers(`{"name":"a","image":"x","memory":1,"restartPolicy":{}}`), "'restartPolicy.enabled' must be specified"},
		{`{"family":"web","cpu":"256","memory":"512","containerDefinitions":[` + app + `],"volumes":[{"name":"v","host":{"sourcePath":"/srv"}}]` + fargate + `}`, "host.sourcePath should not be set for volumes in Fargate."},
		{`{"family":"web","cpu":"256","memory":"512","containerDefinitions":[` + app + `],"volumes":[{"name":"v","dockerVolumeConfiguration":{"scope":"task"}}]` + fargate + `}`, "dockerVolumeConfiguration"},
		{`{"family":"web","cpu":"256","memory":"512","containerDefinitions":[{"name":"a","image":"x","privileged":true}]` + fargate + `}`, "privileged"},
		{containers(`{"name":"a","image":"x","memory":1,"essential":false}`), "essential"},
		{containers(`{"name":"a","image":"x","memory":1,"dependsOn":[{"containerName":"b","condition":"START"}]}`), "depends on"},
		{containers(`{"name":"a","image":"x","memory":1,"healthCheck":{"command":["CMD"]}}`), "health check"},
		{containers(strings.Repeat(app+",", 10) + app), "more than 10"},
		{containers(`{"name":"a","image":"x","memory":1,"logConfiguration":{"logDriver":"awslogs"}}`), "awslogs-group"},
		{string(request(`,"requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512"`)), "Fargate only supports network mode"},
		{string(request(fargate)), "Fargate requires that 'cpu' be defined at the task level."},
		{string(request(fargate + `,"cpu":"256"`)), "Fargate requires that 'memory' be defined at the task level."},
		{string(request(fargate + `,"cpu":"256","memory":"256"`)), "No Fargate configuration exists for given values: 256 CPU, 256 memory."},
		{string(request(`,"x":"` + strings.Repeat("a", 64<<10) + `"`)), "Max allowed length is '65536' bytes."},
	} {
		_, err := newStore().Register([]byte(c.body), now)
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != "ClientException" || !strings.Contains(e.ErrorMessage(), c.want) {
			t.Errorf("Register(%.80s): %v, want a ClientException with %q", c.body, err, c.want)
		}
	}
}

func TestStore_Register_takes_Fargate_sizes(t *testing.T) {
	for _, size := range [][2]string{{"256", "512"}, {"256", "2048"}, {".25 vCPU", "1 GB"}, {"1 vCPU", "8GB"}, {"1024", "3072"}, {"16384", "122880"}} {
		body := request(fmt.Sprintf(`,"requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc","cpu":%q,"memory":%q`, size[0], size[1]))
		if _, err := newStore().Register(body, now); err != nil {
			t.Errorf("%v: %v", size, err)
		}
	}
}

func FuzzStore_Register(f *testing.F) {
	f.Add(request(""))
	f.Add([]byte(`{"family":"web","containerDefinitions":[{"name":"a","image":"b","memory":1,"portMappings":[{},null,3]}]}`))
	f.Add([]byte(`{"family":"web","containerDefinitions":[` + app + `],"containerDefinitions":[` + app + `]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := newStore().Register(body, now)
		if err == nil && !json.Valid(d.JSON()) {
			t.Errorf("Register(%q) gives JSON %s", body, d.JSON())
		}
	})
}
