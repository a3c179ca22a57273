package release_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
	"github.com/weelo/weelo-deploy/internal/release"
)

// elsewhere is an engine on another machine that has one image.
type elsewhere struct {
	posing
	w       *world
	name    string // of imagetest
	content *imagetest.Content
}

func (elsewhere) Local() bool      { return false }
func (elsewhere) Endpoint() string { return "ssh://builder" }
func (e elsewhere) Image(_ context.Context, ref string) (engine.Image, error) {
	var m v1.Manifest
	if err := json.Unmarshal(e.content.Blobs[e.content.Top.Digest], &m); err != nil {
		return engine.Image{}, err
	}
	id := m.Config.Digest.String()
	if ref != "app:local" && ref != id {
		return engine.Image{}, fmt.Errorf("image %s: %w", ref, engine.ErrNotFound)
	}
	return engine.Image{ID: id, OS: "linux", Architecture: "amd64", RepoTags: []string{"app:local"}, Size: 24 << 20}, nil
}
func (e elsewhere) Save(context.Context, string) (io.ReadCloser, error) {
	e.w.t.Error("the image was fetched from the remote engine")
	return nil, engine.ErrNotFound
}
func (elsewhere) Tag(context.Context, string, string) error { return nil }
func (elsewhere) Untag(context.Context, string) error       { return nil }
func (e elsewhere) Push(_ context.Context, ref string, _ engine.Auth, _ func(engine.PushProgress)) (string, error) {
	return e.w.put(e.name, ref[strings.LastIndex(ref, ":")+1:]).Top.Digest.String(), nil
}

// A remote engine pushes by itself. What is in the image is judged when it is in
// the registry, and before anything is deployed.
func TestImageOfARemoteEngineIsLookedIntoInTheRegistry(t *testing.T) {
	for name, want := range map[string]struct {
		exit    int
		outcome event.Outcome
		code    event.Code
		serving string
	}{
		"program":       {0, event.Released, "", "38"},
		"program-arm64": {4, event.Refused, "BINARY_MISMATCH", "27"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			w := newWorld(t, incident, nil)
			c, _ := imagetest.Find(name)
			e := elsewhere{w: w, name: name, content: c.Content()}
			w.clients.OpenEngine = func() (release.Engine, release.Builder, error) { return e, checked{}, nil }
			s := w.settings("")
			s.Image, s.Tags = "app:local", []string{"v2"}
			res := w.release(s)
			w.want(res, want.exit, want.outcome, want.code, want.serving)
			if res.Binaries == nil || res.Binaries.Binaries != 1 {
				t.Errorf("binaries = %+v, want the image looked into", res.Binaries)
			}
			for _, told := range []string{"binaries Status:skipped Detail:the engine at ssh://builder is not on this machine", "trial run Status:skipped"} {
				if !strings.Contains(w.story(), told) {
					t.Errorf("the story lacks %q:\n%s", told, w.story())
				}
			}
			if n := w.count("RegisterTaskDefinition"); want.exit == 4 && n != 0 {
				t.Errorf("%d revisions were registered", n)
			}
		})
	}
}
