package release_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/release"
)

// posing is an engine that says linux/amd64 of itself, whose processor says what
// it really is.
type posing struct {
	release.Engine
	processor string // vendor, hypervisor and brand, as the program of package trial writes them
}

func (posing) Endpoint() string { return "unix:///colima.sock" }
func (posing) Local() bool      { return true }
func (posing) Info(context.Context) (engine.Info, error) {
	return engine.Info{OS: "linux", Arch: "amd64", Version: "29.0"}, nil
}
func (posing) Load(context.Context, io.Reader) ([]string, error) { return nil, nil }
func (posing) CreateContainer(context.Context, engine.ContainerSpec) (string, error) {
	return "id", nil
}
func (posing) StartContainer(context.Context, string) error { return nil }
func (p posing) Logs(_ context.Context, _ string, _ bool, line func(engine.LogLine)) error {
	line(engine.LogLine{Text: p.processor})
	return nil
}
func (posing) RemoveContainer(context.Context, string) error { return nil }
func (posing) RemoveImage(context.Context, string) error     { return nil }

// checked is a builder whose check passes and whose build ends there.
type checked struct{ native build.Nativeness }

func (c checked) Check(context.Context, build.Request) (build.Nativeness, error) {
	return c.native, nil
}
func (checked) Build(context.Context, build.Request, event.Emit) (build.Result, error) {
	return build.Result{}, errors.New("this is as far as the test goes")
}

// warnings are those of a release that builds with an engine.
func warnings(t *testing.T, e release.Engine, b release.Builder) string {
	t.Helper()
	w := newWorld(t, incident, nil)
	w.clients.OpenEngine = func() (release.Engine, release.Builder, error) { return e, b, nil }
	s := w.settings("good")
	s.Image, s.Tags, s.Build.AllowEmulation = "", []string{"v2"}, true
	w.release(s)
	var all strings.Builder
	for _, r := range w.events {
		if n, ok := r.Event.(event.Note); ok && n.Level == event.Warn {
			all.WriteString(r.Stage + ": " + n.Text + "\n")
		}
	}
	return all.String()
}

// A whole amd64 virtual machine on an Arm laptop says amd64 of itself, and builds
// as an emulated build does.
func TestEmulatedEngineIsWarnedOf(t *testing.T) {
	for name, c := range map[string]struct{ vendor, hypervisor, brand, want string }{
		"QEMU":    {"AuthenticAMD", "TCGTCGTCGTCG", "QEMU Virtual CPU version 2.5+", `QEMU Virtual CPU version 2.5+`},
		"Rosetta": {"VirtualApple", "", "VirtualApple @ 2.50GHz processor", "VirtualApple"},
		"a cloud": {"GenuineIntel", "KVMKVMKVM", "Intel(R) Xeon(R) Platinum", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where answers are kept
			got := warnings(t, posing{processor: padded(c.vendor, 12) + padded(c.hypervisor, 12) + padded(c.brand, 48)}, checked{build.Nativeness{Native: true}})
			if warned := strings.Contains(got, "build: the engine's processor is emulated"); warned != (c.want != "") || !strings.Contains(got, c.want) {
				t.Errorf("warnings = %q, want the processor named: %s", got, c.want)
			}
		})
	}
}

func padded(s string, n int) string { return s + strings.Repeat("\x00", n-len(s)) }

func TestAllowedEmulationIsToldInPreflight(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	n := build.Nativeness{Worker: "linux/arm64", Target: "linux/amd64", Emulated: []string{"RUN npm ci (line 3)", "RUN npm run build (line 4)"}}
	got := warnings(t, posing{processor: padded("GenuineIntel", 72)}, checked{n})
	if want := fmt.Sprintf("preflight: building for %s on %s emulates 2 steps, as is allowed", n.Target, n.Worker); !strings.Contains(got, want) {
		t.Errorf("warnings = %q, want %q", got, want)
	}
}
