package page

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with testdata/NAME.golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// world is a View and a Hand of what a test puts there.
type world struct {
	mu       sync.Mutex
	clusters []Cluster
	details  map[string]Detail
	lines    []Line
	repos    []Repository
	calls    []Call
	faults   []Fault
	traffic  []Balancer
	pressed  []Press
	refuse   error
}

func (w *world) Place() Place {
	return Place{Instance: "FIRST", Account: "000000000000", Region: "ap-south-1", Address: "http://127.0.0.1:8477", Speed: 20, Env: []string{"AWS_ENDPOINT_URL=http://127.0.0.1:8477", "AWS_REGION=ap-south-1"}}
}

func read[T any](w *world, v *T) T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *v
}

func (w *world) Clusters() []Cluster        { return read(w, &w.clusters) }
func (w *world) Repositories() []Repository { return read(w, &w.repos) }
func (w *world) Faults() []Fault            { return read(w, &w.faults) }
func (w *world) Traffic() []Balancer        { return read(w, &w.traffic) }
func (w *world) Calls(int) []Call           { return read(w, &w.calls) }
func (w *world) Lines(Source, int) []Line   { return read(w, &w.lines) }

func (w *world) Service(cluster, name string) (Detail, bool) {
	d, ok := read(w, &w.details)[cluster+"/"+name]
	return d, ok
}

func (w *world) Press(_ context.Context, p Press) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pressed = append(w.pressed, p)
	return w.refuse
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

var begin = time.Date(2026, 11, 22, 9, 14, 0, 0, time.UTC)

func after(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }

// incident is a service that was rolled back from 37 to 27.
func incident() *world {
	crashed := 139
	task := func(id, revision string, live bool) Task {
		t := Task{ID: id, Revision: revision, Status: "RUNNING", Health: "HEALTHY", Live: live, Created: after(0), Started: after(2),
			Containers: []Container{{Name: "app", Status: "RUNNING", Health: "HEALTHY", Checked: true, Ports: []string{"0.0.0.0:49153"}}}}
		if !live {
			t.Status, t.Health, t.StopCode, t.Reason, t.Failed, t.Stopped = "STOPPED", "UNKNOWN", "EssentialContainerExited", "Essential container in task exited", true, after(9)
			t.Containers[0].Status, t.Containers[0].Exit = "STOPPED", &crashed
		}
		return t
	}
	return &world{
		clusters: []Cluster{{Name: "weelocluster", Services: []Service{{
			Cluster: "weelocluster", Name: "web", Status: "ACTIVE", Revision: "web:27", Rollout: "COMPLETED", Desired: 1, Running: 1, Threshold: 3, Strategy: "ROLLING",
			Dots: []Dot{DotOf("web:27", "RUNNING", "HEALTHY", true)},
		}}}},
		details: map[string]Detail{"weelocluster/web": {
			Deployments: []Deployment{{ID: "ecs-svc/4661147431073097440", Status: "PRIMARY", Revision: "web:27", Rollout: "COMPLETED", Reason: "ECS deployment ecs-svc/4661147431073097440 completed.",
				Digests: []string{"sha256:9f2c000000000000000000000000000000000000000000000000000000000e1a"}, Desired: 1, Running: 1, Created: after(-600)}},
			Attempts: []Attempt{
				{Status: "SUCCESSFUL", Revision: "web:27", Created: after(-600)},
				{Status: "ROLLBACK_SUCCESSFUL", Revision: "web:37", From: "web:27", Back: "web:27", Created: after(0), Failures: 3, Threshold: 3},
			},
			Tasks:  []Task{task("6891fa398c34c5fbffe28a048693cd98", "web:37", false), task("503b103db0a54ac0b3e2a2c9b52b7a10", "web:27", true)},
			Events: []Event{{ID: "a1", Text: "(service web) has reached a steady state.", At: after(30)}, {ID: "a0", Text: "(service web) rolling back to deployment ecs-svc/4661147431073097440.", At: after(10)}},
		}},
		lines:  []Line{{Key: "503b-0", Who: "503b103d", Text: "listening on 8080", At: after(3)}},
		repos:  []Repository{{Name: "weelo-backend", Immutable: true, Images: []Image{{Digest: "sha256:9f2c000000000000000000000000000000000000000000000000000000000e1a", Tags: []string{"v1.0.8"}, Size: 90 << 20, Pushed: after(-700)}}}},
		calls:  []Call{{At: after(31), Service: "ecs", Operation: "DescribeServices", Status: 200}, {At: after(30), Service: "ecs", Operation: "DescribeServices", Status: 200}, {At: after(29), Service: "ecs", Operation: "UpdateService", Status: 400, Error: "ThrottlingException"}},
		faults: []Fault{{ID: "1", Rule: `{"task":"web","delay":"2s","exit":139}`, Acted: 3}},
		traffic: []Balancer{{Name: "web", Address: "http://127.0.0.1:49200", Groups: []Group{
			{Name: "blue", Revision: "web:27", Shared: true, Weight: 90, Healthy: 1, Targets: 1, Seconds: []Second{{10, 0}, {12, 1}}},
			{Name: "green", Revision: "web:37", Shared: true, Weight: 10, Targets: 1, Draining: 2, Colour: 1, Seconds: []Second{{0, 0}, {1, 2}}},
			{Name: "green", Untaken: true, Targets: 1, Seconds: []Second{{0, 3}}},
		}}},
	}
}

// crowd is so many services of ten tasks each.
func crowd(services int) *world {
	w := &world{clusters: []Cluster{{Name: "prod"}}, details: make(map[string]Detail)}
	for i := range services {
		s := Service{Cluster: "prod", Name: fmt.Sprintf("service-%03d", i), Status: "ACTIVE", Revision: "web:1", Rollout: "COMPLETED", Desired: 10, Running: 10}
		d := Detail{}
		for k := range 10 {
			s.Dots = append(s.Dots, Dot{good, "web:1"})
			d.Tasks = append(d.Tasks, Task{ID: fmt.Sprintf("%032d", i*100+k), Revision: "web:1", Status: "RUNNING", Live: true})
		}
		w.clusters[0].Services = append(w.clusters[0].Services, s)
		w.details[s.key()] = d
	}
	return w
}

func draw(t *testing.T, w *world, l look) string {
	t.Helper()
	var b bytes.Buffer
	if err := render(&b, w, l); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// body is a page without its head and script, an element a line.
func body(page string) string {
	_, rest, _ := strings.Cut(page, "<main>")
	rest, _, _ = strings.Cut(rest, "</main>")
	return strings.ReplaceAll(rest, "><", ">\n<") + "\n"
}
