// Package enginetest gives tests a Docker engine and small images in it. It is
// imported by tests only. A test that asks for an engine fails when there is
// none, and everything that is made here is removed when the test ends.
package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// Open connects to the engine that the docker command would use, and fails the
// test when it does not answer.
func Open(t testing.TB) *engine.Engine {
	t.Helper()
	e, err := engine.Open(engine.Options{})
	if err != nil {
		t.Fatalf("this test needs a Docker engine: %v", err)
	}
	t.Cleanup(func() { e.Close() })
	if _, err := e.Info(t.Context()); err != nil {
		t.Fatalf("this test needs a Docker engine: %v", err)
	}
	return e
}

// Name is a name that nothing else has, valid for images, containers and
// networks.
func Name(t testing.TB) string {
	t.Helper()
	b := make([]byte, 6)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return "weelo-deploy-test-" + hex.EncodeToString(b)
}

// probeSource is a program for containers: it does what its arguments say, one
// after the other ("out=text", "exit=3", "wait" for SIGTERM, …).
//
//go:embed testdata/probe/main.go
var probeSource []byte

var (
	probeLock sync.Mutex
	probes    = map[string][]byte{} // by architecture
)

// Probe is testdata/probe as a static linux program for arch.
func Probe(t testing.TB, arch string) []byte {
	t.Helper()
	probeLock.Lock()
	defer probeLock.Unlock()
	if b := probes[arch]; b != nil {
		return b
	}
	dir := t.TempDir()
	source, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "probe")
	if err := os.WriteFile(source, probeSource, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, source)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH="+arch)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile the probe: %v\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	probes[arch] = b
	return b
}

// Image is a one-layer image to be made.
type Image struct {
	Files  map[string][]byte // absolute path → content, mode 0755
	Config v1.Config
	OS     string // "linux" when empty
	Arch   string
}

// Build makes the image in memory.
func (i Image) Build(t testing.TB) v1.Image {
	t.Helper()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, p := range slices.Sorted(maps.Keys(i.Files)) {
			h := &tar.Header{Name: p[1:], Mode: 0o755, Size: int64(len(i.Files[p])), Typeflag: tar.TypeReg}
			if err := w.WriteHeader(h); err != nil {
				return nil, err
			}
			if _, err := w.Write(i.Files[p]); err != nil {
				return nil, err
			}
		}
		return io.NopCloser(&b), w.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Config = i.OS, i.Arch, i.Config
	if cfg.OS == "" {
		cfg.OS = "linux"
	}
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	return img
}

// Load puts the image into the engine under a new name, which it returns.
func (i Image) Load(t testing.TB, e *engine.Engine) string {
	t.Helper()
	ref := Name(t) + ":latest"
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tarball.Write(tag, i.Build(t), &b); err != nil {
		t.Fatal(err)
	}
	Remove(t, e, ref)
	if _, err := e.Load(t.Context(), &b); err != nil {
		t.Fatalf("load %s: %v", ref, err)
	}
	return ref
}

// Remove has the image removed when the test ends.
func Remove(t testing.TB, e *engine.Engine, ref string) {
	t.Cleanup(func() {
		if err := e.RemoveImage(context.WithoutCancel(t.Context()), ref); err != nil {
			t.Errorf("remove image %s: %v", ref, err)
		}
	})
}

// Create makes a container that is removed when the test ends.
func Create(t testing.TB, e *engine.Engine, s engine.ContainerSpec) string {
	t.Helper()
	if s.Name == "" {
		s.Name = Name(t)
	}
	id, err := e.CreateContainer(t.Context(), s)
	if err != nil {
		t.Fatalf("create container %s: %v", s.Name, err)
	}
	t.Cleanup(func() {
		if err := e.RemoveContainer(context.WithoutCancel(t.Context()), id); err != nil {
			t.Errorf("remove container %s: %v", s.Name, err)
		}
	})
	return id
}
