package build

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
)

// bases is a registry of base images that counts what it is asked.
type testRegistry struct {
	host  string
	asked atomic.Int64
}

func newRegistry(t *testing.T) *testRegistry {
	t.Helper()
	r := &testRegistry{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		inner.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	r.host = strings.TrimPrefix(srv.URL, "http://")
	return r
}

func (r *testRegistry) put(t *testing.T, ref string, i v1.Image) string {
	t.Helper()
	tag, err := name.ParseReference(r.host + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, i); err != nil {
		t.Fatal(err)
	}
	return tag.String()
}

// index puts an index, each child given as the platform that the index says and
// the image.
func (r *testRegistry) index(t *testing.T, ref string, children map[string]v1.Image) string {
	t.Helper()
	tag, err := name.ParseReference(r.host + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	var index v1.ImageIndex = empty.Index
	for arch, img := range children {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	return tag.String()
}

func image(t *testing.T, arch string) v1.Image {
	t.Helper()
	return enginetest.Image{Files: map[string][]byte{"/base-" + arch: []byte("x")}, Arch: arch}.Build(t)
}

// old is an engine whose BuildKit does not look at base images.
func old(t *testing.T) *fakeEngine {
	t.Helper()
	e := newFakeEngine(t, "amd64", amd64)
	e.info.Version = "20.10.24+dfsg1"
	return e
}

func TestCheck_BaseImagesOnAnOldEngine(t *testing.T) {
	reg := newRegistry(t)
	amd, arm := image(t, "amd64"), image(t, "arm64")
	single := reg.put(t, "single:arm64", arm)
	for _, c := range []struct{ name, file, lie, unknown string }{
		{"the right single image", "FROM " + reg.put(t, "single:amd64", amd) + "\nRUN x\n", "", ""},
		{"another machine's single image", "FROM " + single + " AS app\nCOPY x /\n", "base image " + single + " is for linux/arm64, and stage app that begins from it is for linux/amd64 (line 1)", ""},
		{"an index with both", "FROM " + reg.index(t, "both:1", map[string]v1.Image{"amd64": amd, "arm64": arm}) + "\n", "", ""},
		{"an index that lies", "FROM " + reg.index(t, "lie:1", map[string]v1.Image{"amd64": arm}) + "\n", "is for linux/arm64", ""},
		{"an index without the platform, which BuildKit refuses", "FROM " + reg.index(t, "arm:1", map[string]v1.Image{"arm64": arm}) + "\n", "", ""},
		{"an image without an architecture", "FROM " + reg.put(t, "none:1", image(t, "")) + "\n", "", "its configuration names none"},
		{"an image that is not there", "FROM " + reg.host + "/nothing:1\n", "", reg.host + "/nothing:1 (line 1)"},
		{"a stage for the builder", "FROM --platform=linux/arm64 " + single + " AS b\nFROM scratch\nCOPY --from=b /x /x\n", "", ""},
		{"a stage that is not needed", "FROM " + single + "\nFROM scratch\nCOPY x /\n", "", ""},
		{"an argument", "ARG TAG=amd64\nFROM " + reg.host + "/single:$TAG\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := New(old(t)).Check(t.Context(), request(write(t, map[string]string{"Dockerfile": c.file})))
			if c.lie == "" && err != nil {
				t.Fatalf("Check: %v", err)
			}
			if c.lie != "" {
				f := event.FailuresOf(err)[0]
				if f.Code != event.CodePlatformMismatch || !strings.Contains(f.Message, c.lie) || len(f.Hints) == 0 {
					t.Errorf("Check = %+v, want PLATFORM_MISMATCH with %q", f, c.lie)
				}
			}
			if got := strings.Join(n.Unknown, "\n"); !strings.Contains(got, c.unknown) || (c.unknown == "") != (got == "") {
				t.Errorf("Unknown = %q, want %q", n.Unknown, c.unknown)
			}
		})
	}
}

func TestCheck_BaseImagesAreReadOnce(t *testing.T) {
	reg := newRegistry(t)
	r := request(write(t, map[string]string{"Dockerfile": "FROM " + reg.put(t, "b:1", image(t, "amd64")) + "\n"}))
	b := New(old(t))
	before := goleak.IgnoreCurrent()
	if _, err := b.Check(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	asked := reg.asked.Load()
	if _, err := b.Check(t.Context(), r); err != nil || reg.asked.Load() != asked {
		t.Errorf("the second Check: %v, with %d more questions", err, reg.asked.Load()-asked)
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*conn).serve"))
}

func TestCheck_WhoLooksAtBaseImages(t *testing.T) {
	for _, c := range []struct {
		name, version, line string
		asks                bool
	}{
		{"a new engine", "27.0.3", "", false},
		{"an old engine", "26.1.4", "", true},
		{"an engine of another maker", "dev", "", true},
		{"a new engine with checks switched off", "28.0.0", "# check=skip=all\n", true},
		{"a new engine with an old frontend", "28.0.0", "# syntax=docker/dockerfile:1.4\n", true},
		{"a new engine with the newest frontend", "28.0.0", "# syntax=docker/dockerfile:1\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg := newRegistry(t)
			e := newFakeEngine(t, "amd64", amd64)
			e.info.Version = c.version
			file := c.line + "FROM " + reg.put(t, "b:1", image(t, "amd64")) + "\n"
			before := reg.asked.Load()
			if _, err := New(e).Check(t.Context(), request(write(t, map[string]string{"Dockerfile": file}))); err != nil {
				t.Fatal(err)
			}
			if asks := reg.asked.Load() > before; asks != c.asks {
				t.Errorf("the registry was asked: %v, want %v", asks, c.asks)
			}
		})
	}
}

// stocked is an engine that has an image.
type stocked struct {
	*fakeEngine
	image engine.Image
}

func (s stocked) Image(context.Context, string) (engine.Image, error) { return s.image, nil }

func TestCheck_BaseImageInTheEngine(t *testing.T) {
	reg := newRegistry(t)
	r := request(write(t, map[string]string{"Dockerfile": "FROM " + reg.put(t, "b:1", image(t, "arm64")) + "\n"}))
	e := stocked{old(t), engine.Image{OS: "linux", Architecture: "amd64"}}
	before := reg.asked.Load()
	if _, err := New(e).Check(t.Context(), r); err != nil || reg.asked.Load() != before {
		t.Errorf("Check = %v with %d questions to the registry; want the engine's image taken", err, reg.asked.Load()-before)
	}
	r.Pull = true
	if _, err := New(e).Check(t.Context(), r); event.FailuresOf(err)[0].Code != event.CodePlatformMismatch {
		t.Errorf("Check with Pull = %v, want the registry's image judged", err)
	}
	r.Pull, e.image.Architecture = false, "arm64"
	if _, err := New(e).Check(t.Context(), r); event.FailuresOf(err)[0].Code != event.CodePlatformMismatch {
		t.Errorf("Check with another machine's image in the engine = %v, want the registry's judged", err)
	}
}

// TestBuild_LyingBase is what engine 20.10 builds and labels linux/amd64.
func TestBuild_LyingBase(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	info, err := e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"amd64": "arm64"}[info.Arch]
	if other == "" {
		other = "amd64"
	}
	reg := newRegistry(t)
	r := project(t, e, "FROM "+reg.put(t, "base:1", image(t, other))+"\nCOPY probe /\n", map[string]string{})
	_, err = New(e).Build(t.Context(), r, event.Discard)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodePlatformMismatch || !strings.Contains(f.Message, "linux/"+other) {
		t.Errorf("Build = %v, want PLATFORM_MISMATCH", err)
	}
	if _, err := e.Image(t.Context(), r.Name); err == nil {
		t.Error("the image was built")
	}
}
