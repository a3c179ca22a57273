package trial

import (
	"net"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
)

func TestRun_EnvironmentIsPlaceholders(t *testing.T) {
	t.Parallel()
	w := open(t)
	r := probe(t, w, v1.Config{Env: []string{"PATH=/bin:/usr/bin", "FROM_IMAGE=kept", "MODE=image"}}, "environ")
	r.Container.Environment = []string{"MODE", "PATH", "NODE_OPTIONS", "QUEUE"}
	r.Container.Secrets = []string{"DATABASE_URL", "GIVEN"}
	r.Env = map[string]string{"GIVEN": "a value", "EXTRA": "x"}
	res, err := Run(t.Context(), w, r, event.Discard)
	if err != nil || len(res.Logs) == 0 {
		t.Fatalf("Run = %+v, %v", res, err)
	}
	got := res.Logs[0] + " "
	for _, want := range []string{"FROM_IMAGE=kept", "MODE=placeholder", "QUEUE=placeholder", "DATABASE_URL=placeholder", "GIVEN=a value", "EXTRA=x", "PATH=/bin:/usr/bin"} {
		if !strings.Contains(got, want+" ") {
			t.Errorf("the environment lacks %q: %s", want, got)
		}
	}
	if strings.Contains(got, "NODE_OPTIONS") {
		t.Errorf("the environment has NODE_OPTIONS: %s", got)
	}
	if !slices.Equal(res.Placeholders, []string{"DATABASE_URL", "MODE", "QUEUE"}) || !slices.Equal(res.Withheld, []string{"NODE_OPTIONS", "PATH"}) {
		t.Errorf("Result = %+v, want the names of both kinds", res)
	}
}

func TestRun_CommandFoundByWithheldPath(t *testing.T) {
	t.Parallel()
	w := open(t)
	r := probe(t, w, v1.Config{Entrypoint: []string{"probe"}})
	r.Container.Environment = []string{"PATH"}
	if res, err := Run(t.Context(), w, r, event.Discard); err != nil || res.Status != event.Warned || !strings.Contains(res.Text, "verify.trial.env") {
		t.Errorf("Run = %+v, %v; want no verdict", res, err)
	}
	r.Env = map[string]string{"PATH": "/"}
	if res, err := Run(t.Context(), w, r, event.Discard); err != nil || !strings.HasPrefix(res.Text, "exited with 0") {
		t.Errorf("Run with PATH given = %+v, %v; want it to run", res, err)
	}
}

// TestRun_NoNetwork dials a listener that a container with a network reaches.
func TestRun_NoNetwork(t *testing.T) {
	t.Parallel()
	w := open(t)
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := probe(t, w, v1.Config{})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	addr := net.JoinHostPort(gateway(t), port)
	output := func(network string) string {
		id := enginetest.Create(t, w.Engine, engine.ContainerSpec{Image: r.Image, Cmd: []string{"dial=" + addr}, Network: network})
		if err := w.StartContainer(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		var said []string
		if err := w.Logs(t.Context(), id, true, func(l engine.LogLine) { said = append(said, l.Text) }); err != nil {
			t.Fatal(err)
		}
		return strings.Join(said, "\n")
	}
	if got := output("bridge"); got != "dialled <nil>" {
		t.Fatalf("a container on the bridge: %q, want it to reach %s", got, addr)
	}
	r.Container.Command = []string{"dial=" + addr, "interfaces"}
	res, err := Run(t.Context(), w, r, event.Discard)
	if err != nil || len(res.Logs) != 2 || !strings.Contains(res.Logs[0], "network is unreachable") || res.Logs[1] != "1" {
		t.Errorf("Run = %+v, %v; want no network but the loopback", res, err)
	}
}

// gateway is this machine's address in the engine's bridge network.
func gateway(t *testing.T) string {
	t.Helper()
	docker0, err := net.InterfaceByName("docker0")
	if err != nil {
		t.Fatalf("this test needs the engine's bridge on this machine: %v", err)
	}
	addrs, err := docker0.Addrs()
	if err != nil || len(addrs) == 0 {
		t.Fatalf("docker0 has no address: %v", err)
	}
	return addrs[0].(*net.IPNet).IP.String()
}

func TestRun_DefinitionsSettings(t *testing.T) {
	t.Parallel()
	w := open(t)
	r := probe(t, w, v1.Config{User: "5", WorkingDir: "/image"}, "id", "write=/x")
	r.Container.User, r.Container.WorkingDirectory, r.Container.ReadonlyRoot = "1234:5", "/definition", true
	r.Container.DropCapabilities = []string{"CHOWN"}
	res, err := Run(t.Context(), w, r, event.Discard)
	if err != nil || len(res.Logs) != 2 || !strings.HasSuffix(res.Logs[0], " /definition 1234") || !strings.Contains(res.Logs[1], "read-only file system") {
		t.Errorf("Run = %+v, %v; want the definition's user, folder and read-only root", res, err)
	}
	s := w.specs[len(w.specs)-1]
	if s.Network != "none" || s.PidsLimit != maxProcesses || !slices.Equal(s.CapDrop, []string{"CHOWN"}) || len(s.Publish) != 0 || s.Health != nil {
		t.Errorf("spec = %+v", s)
	}
}
