package dockerruntime

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// specOf is a container as the engine would be asked to make it.
func specOf(isolated bool, taskMiB int, c task.Container, volumes ...task.Volume) engine.ContainerSpec {
	rt := &Runtime{id: "1234", labels: map[string]string{LabelSandbox: "1234"}}
	s := task.Spec{ID: "1", ARN: "arn", Isolated: isolated, MemoryMiB: taskMiB, Volumes: volumes, Containers: []task.Container{c}}
	return newRunning(rt, s, nil).containerSpec(c)
}

func TestContainerSpec_GivesNothingThatReachesTheMachine(t *testing.T) {
	c := task.Container{
		Name: "app", Mounts: []task.Mount{{Volume: "docker", Path: "/var/run/docker.sock"}},
		Linux: task.Linux{
			CapAdd: []string{"SYS_ADMIN", "CAP_SYS_PTRACE", "SYS_MODULE", "ALL", "NET_ADMIN"}, SecurityOptions: []string{"seccomp=unconfined", "apparmor:unconfined", "no-new-privileges:true"},
			Labels: map[string]string{LabelSandbox: "other", "team": "orders"}, Sysctls: map[string]string{"net.ipv4.ip_forward": "1", "kernel.msgmax": "9"},
		},
	}
	disk := task.Volume{Name: "docker", Key: "host /var/run/docker.sock"}
	open, isolated := specOf(false, 0, c, disk), specOf(true, 0, c, disk)
	if want := []string{"CAP_SYS_PTRACE", "NET_ADMIN"}; !slices.Equal(open.CapAdd, want) || len(isolated.CapAdd) != 0 {
		t.Errorf("capabilities %q and in a rehearsal %q, want %q and none", open.CapAdd, isolated.CapAdd, want)
	}
	if !slices.Equal(open.SecurityOptions, []string{"no-new-privileges"}) {
		t.Errorf("security options %q", open.SecurityOptions)
	}
	if open.Labels[LabelSandbox] != "1234" || open.Labels["team"] != "orders" {
		t.Errorf("labels %v: the sandbox's own must stay", open.Labels)
	}
	if want := map[string]string{"kernel.msgmax": "9"}; !reflect.DeepEqual(open.Sysctls, want) {
		t.Errorf("kernel parameters %v, want %v: those of the network are the pause container's", open.Sysctls, want)
	}
	for _, s := range []engine.ContainerSpec{open, isolated} {
		if len(s.Mounts) != 1 || !strings.HasPrefix(s.Mounts[0].Volume, "weelo-sandbox-1234-") || !s.Mounts[0].Empty {
			t.Errorf("mounts %+v; want an empty volume of the sandbox", s.Mounts)
		}
	}
}

func TestContainerSpec_MemoryIsTheSmallerLimit(t *testing.T) {
	for _, c := range []struct{ task, own, want int }{{0, 0, 0}, {512, 0, 512}, {0, 128, 128}, {512, 128, 128}, {128, 512, 128}} {
		if got := specOf(false, c.task, task.Container{Name: "app", MemoryMiB: c.own}).MemoryBytes; got != int64(c.want)<<20 {
			t.Errorf("task %d MiB, container %d MiB: %d bytes, want %d MiB", c.task, c.own, got, c.want)
		}
	}
}

func TestAnswer_ToWhatIsNoGET(t *testing.T) {
	r := newRunning(&Runtime{}, task.Spec{Metadata: func(path string, _ func(string) ([]byte, error)) (int, []byte) { return 200, []byte(path) }}, nil)
	for request, want := range map[string]string{
		"GET /v4/x/task HTTP/1.1\r\nHost: a\r\n\r\n": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 10\r\n\r\n/v4/x/task",
		"PUT /v4/x HTTP/1.1\r\nHost: a\r\n\r\n":      "HTTP/1.1 405 ",
		"GET /v4/x HTTP/1.1\r\nHo":                   "HTTP/1.1 400 ",
		"\x00\x01\x02":                               "HTTP/1.1 400 ",
	} {
		if got := string(r.answer([]byte(request))); !strings.HasPrefix(got, want) {
			t.Errorf("answer to %q = %q, want %q", request, got, want)
		}
	}
}
