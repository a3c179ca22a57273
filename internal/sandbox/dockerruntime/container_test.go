package dockerruntime_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

func TestMetadataIsReachedFromInside(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.container("app", probe(t))
	c.Command = []string{"metadata"}
	c.Env = []string{"ECS_CONTAINER_METADATA_URI_V4=http://" + task.MetadataHost + "/v4/me"}
	for _, isolated := range []bool{false, true} {
		s := spec(c)
		s.Isolated = isolated
		s.Metadata = func(path string, stats func(string) ([]byte, error)) (int, []byte) {
			if path != "/v4/me/stats" {
				return 200, []byte(strings.Repeat(path+" ", 20_000))
			}
			body, err := stats("app")
			if err != nil {
				return 500, []byte(err.Error())
			}
			return 200, body
		}
		r := b.start(s)
		r.rest()
		lines := r.find(task.LogLine, "app")
		if e := r.exit("app"); *e.ExitCode != 0 || len(lines) < 2 || !strings.HasPrefix(lines[0].Line, "200 /v4/me ") {
			t.Fatalf("isolated %v: %s", isolated, r)
		}
		var stats map[string]any
		answer := lines[len(lines)-1].Line // the engine's has an end of its own, which is an empty line
		if answer == "" {
			answer = lines[len(lines)-2].Line
		}
		body, ok := strings.CutPrefix(answer, "200 ")
		if err := json.Unmarshal([]byte(body), &stats); !ok || err != nil || stats["memory_stats"] == nil {
			t.Errorf("isolated %v: statistics %q: %v", isolated, answer, err)
		}
	}
}

// harmlessCaps are the engine's own capabilities without NET_RAW and with
// SYS_PTRACE: SYS_ADMIN is not given.
const harmlessCaps = 0xa80425fb&^(1<<13) | 1<<19

func TestContainerHasWhatItsDefinitionSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	program := probe(t)
	writer := b.container("writer", program)
	writer.Command, writer.Mounts = []string{"write", "/data/seen"}, []task.Mount{{Volume: "disk", Path: "/data"}}
	reader := b.container("reader", program)
	reader.Command = []string{"kernel"}
	reader.DependsOn = []task.Dependency{{Container: "writer", Condition: task.DependSuccess}}
	reader.VolumesFrom = []task.VolumesFrom{{Container: "writer", ReadOnly: true}}
	reader.Linux = task.Linux{
		Ulimits: []task.Ulimit{{Name: "nofile", Soft: 100, Hard: 200}}, Sysctls: map[string]string{"net.core.somaxconn": "77"}, SharedMemoryMiB: 7,
		Tmpfs: []task.Tmpfs{{Path: "/memory", SizeMiB: 1, Options: []string{"ro"}}}, ExtraHosts: []string{"db:10.1.2.3"},
		CapAdd: []string{"SYS_PTRACE", "SYS_ADMIN"}, CapDrop: []string{"NET_RAW"}, SecurityOptions: []string{"seccomp=unconfined"}, Labels: map[string]string{"team": "orders"},
	}
	s := spec(writer, reader)
	s.Volumes = []task.Volume{{Name: "disk", Key: "host /srv/data"}}
	r := b.start(s)
	r.rest()
	lines := r.find(task.LogLine, "reader")
	if len(lines) != 1 {
		t.Fatalf("the reader said nothing\n%s", r)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[0].Line), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"files": 200.0, "shm": float64(7 << 20), "caps": fmt.Sprintf("%016x", harmlessCaps), "backlog": "77", "db": []any{"10.1.2.3"}, "seen": true,
		"mounts": map[string]any{"/memory": "tmpfs ro", "/data": got["mounts"].(map[string]any)["/data"]},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("inside the container (-want +got):\n%s", d)
	}
	if data, _ := want["mounts"].(map[string]any)["/data"].(string); !strings.HasSuffix(data, " ro") {
		t.Errorf("the volume is mounted %q, want it read-only", data)
	}

	// The disk outlives the task; a volume of the task's own does not.
	again := b.container("again", program)
	again.Command, again.Mounts = []string{"kernel"}, []task.Mount{{Volume: "disk", Path: "/data"}}
	for key, want := range map[string]bool{"host /srv/data": true, "": false} {
		s := spec(again)
		s.Volumes = []task.Volume{{Name: "disk", Key: key}}
		r := b.start(s)
		r.rest()
		if lines := r.find(task.LogLine, "again"); len(lines) != 1 || strings.Contains(lines[0].Line, `"seen":true`) != want {
			t.Errorf("volume with the key %q: the file is there: want %v\n%s", key, want, r)
		}
	}
	volumes, err := b.engine.Volumes(t.Context(), "weelo-deploy.sandbox="+b.ID())
	if err != nil || len(volumes) != 1 {
		t.Errorf("volumes after the tasks: %v, %v; want the disk alone", volumes, err)
	}
}

func TestRestartedContainerRunsOnAndItsLogGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.container("app", tinyelf.Exit(3, 300*time.Millisecond, tinyelf.Output{Stdout: "hello\n"}))
	c.Restart = &task.Restart{Period: 200 * time.Millisecond}
	r := b.start(spec(c))
	for range 2 {
		if e := r.next(task.ContainerRestarted); e.ExitCode == nil || *e.ExitCode != 3 {
			t.Errorf("restarted after %+v, want the exit code 3", e)
		}
	}
	r.next(task.LogLine)
	b.Stop(r.spec.ID)
	r.rest()
	starts, lines := 1+len(r.find(task.ContainerRestarted, "app")), len(r.find(task.LogLine, "app"))
	if len(r.find(task.ContainerStarted, "app")) != 1 || lines != starts {
		t.Errorf("%d starts, %d lines, want one line each\n%s", starts, lines, r)
	}
	if e := r.exit("app"); *e.ExitCode != 0 {
		t.Errorf("exit code %d after the stop, want 0", *e.ExitCode)
	}

	c.Restart = &task.Restart{Period: time.Hour}
	r = b.start(spec(c))
	r.rest()
	if e := r.exit("app"); *e.ExitCode != 3 || len(r.find(task.ContainerRestarted, "app")) != 0 {
		t.Errorf("a container that ended within the period:\n%s", r)
	}
}

func TestDependencyThatIsLateFailsTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	slow := b.container("slow", tinyelf.Idle())
	slow.StartTimeout = 200 * time.Millisecond
	app := b.container("app", tinyelf.Idle())
	app.DependsOn = []task.Dependency{{Container: "slow", Condition: task.DependComplete}}
	r := b.start(spec(slow, app))
	r.rest()
	if failed := r.find(task.StartFailed, "app"); len(failed) != 1 || !strings.Contains(failed[0].Reason, "TaskDependencyError: container app: slow was not so far (COMPLETE) within its startTimeout of 200ms") {
		t.Errorf("start failed: %v\n%s", failed, r)
	}
}

func TestLogOfManyLinesArrivesWholeAndInOrder(t *testing.T) {
	t.Parallel()
	const count = 20_000
	b := newBench(t)
	c := b.container("app", probe(t))
	c.Command = []string{"lines", strconv.Itoa(count)}
	r := b.start(spec(c))
	r.rest()
	lines := r.find(task.LogLine, "app")
	if len(lines) != count+3 {
		t.Fatalf("%d lines, want %d", len(lines), count+3)
	}
	for i, l := range lines[:count] {
		if l.Line != strconv.Itoa(i) {
			t.Fatalf("line %d is %q", i, l.Line)
		}
	}
	for i, want := range []string{strings.Repeat("x", 20_000), "\ufffd\x00\ufffd", "unfinished"} {
		if got := lines[count+i].Line; got != want {
			t.Errorf("line %d of the end is %d bytes %.20q, want %.20q", i, len(got), got, want)
		}
	}
}

func TestTaskThatIsTooHeavyAsAWholeLosesItsHeaviestContainer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := spec(b.container("light", tinyelf.Hog(20<<20)), b.container("heavy", tinyelf.Hog(30<<20)))
	s.MemoryMiB = 40
	r := b.start(s)
	r.next(task.ContainerExited)
	b.Stop(s.ID)
	r.rest()
	if e := r.exit("heavy"); *e.ExitCode != 137 || e.Reason != task.ReasonOutOfMemory {
		t.Errorf("heavy: got %d %q, want 137 and %q\n%s", *e.ExitCode, e.Reason, task.ReasonOutOfMemory, r)
	}
	if e := r.exit("light"); *e.ExitCode != 0 {
		t.Errorf("light: got exit code %d, want 0", *e.ExitCode)
	}
}
