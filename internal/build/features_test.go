package build

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
)

// platformOf is the engine's own platform's architecture.
func archOf(t *testing.T, e *engine.Engine) string {
	t.Helper()
	info, err := e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.Arch
}

// TestBuild_Pull has one image in the engine and a newer one of the same name in
// the registry.
func TestBuild_Pull(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	reg := newRegistry(t)
	based := func(version string) enginetest.Image {
		return enginetest.Image{Files: map[string][]byte{"/v": []byte(version)}, Arch: archOf(t, e), Config: v1.Config{Env: []string{"BASE=" + version}}}
	}
	ref := reg.put(t, "base:1", based("new").Build(t))
	if err := e.Tag(t.Context(), based("old").Load(t, e), ref); err != nil {
		t.Fatal(err)
	}
	enginetest.Remove(t, e, ref)
	r := project(t, e, "FROM "+ref+"\nCOPY probe /\n", map[string]string{})
	for _, c := range []struct {
		pull bool
		want string
	}{{false, "BASE=old"}, {true, "BASE=new"}} {
		r.Pull = c.pull
		mustBuild(t, e, r)
		if i, err := e.Image(t.Context(), r.Name); err != nil || !slices.Contains(i.Env, c.want) {
			t.Errorf("built with Pull %v: %+v, %v; want %s", c.pull, i, err, c.want)
		}
	}
}

// TestBuild_InlineCache writes the cache into an image, pushes it, and reads it
// back.
func TestBuild_InlineCache(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	reg := newRegistry(t)
	r := project(t, e, "FROM scratch\nCOPY probe /\nRUN [\"/probe\", \"out=hello\"]\n", map[string]string{})
	r.CacheTo = []string{"inline"}
	mustBuild(t, e, r)
	ref := reg.host + "/app:cache"
	if err := e.Tag(t.Context(), r.Name, ref); err != nil {
		t.Fatal(err)
	}
	enginetest.Remove(t, e, ref)
	if _, err := e.Push(t.Context(), ref, engine.Auth{}, func(engine.PushProgress) {}); err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := img.RawConfigFile(); err != nil || !strings.Contains(string(config), `"moby.buildkit.cache.v0"`) {
		t.Errorf("the image's configuration holds no cache: %s, %v", config, err)
	}
	r.CacheTo, r.CacheFrom = nil, []string{ref}
	if _, steps := mustBuild(t, e, r); !slices.Contains(steps, "done importing cache manifest from "+ref) || !slices.ContainsFunc(steps, func(s string) bool { return strings.HasPrefix(s, "cached [2/2] RUN") }) {
		t.Errorf("steps = %q, want the cache read and used", steps)
	}
}

func TestBuild_CacheThatCannotBeRead(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	r := project(t, e, "FROM scratch\nCOPY probe /\nRUN [\"/probe\", \"exit=5\"]\n", map[string]string{})
	r.CacheFrom = []string{"127.0.0.1:1/nothing:1"}
	var rec recorder
	_, err := New(e).Build(t.Context(), r, rec.emit)
	if f := event.FailuresOf(err)[0]; !strings.Contains(f.Message, `[2/2] RUN ["/probe", "exit=5"] failed: exit code 5`) {
		t.Errorf("Build = %v, want the failing step and not the cache", err)
	}
	if !slices.ContainsFunc(rec.events, func(e event.Event) bool {
		n, ok := e.(event.Note)
		return ok && strings.HasPrefix(n.Text, "build cache 127.0.0.1:1/nothing:1 could not be read: ")
	}) {
		t.Errorf("events = %v, want a note on the cache", rec.events)
	}
}

// renamed is an engine that claims to be a new one.
type renamed struct{ *engine.Engine }

func (r renamed) Info(ctx context.Context) (engine.Info, error) {
	i, err := r.Engine.Info(ctx)
	i.Version = "99.0"
	return i, err
}

// TestBuild_ContextsThatTheFrontendDoesNotKnow is what an old frontend would pass
// over in silence, or take for images.
func TestBuild_ContextsThatTheFrontendDoesNotKnow(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	r := project(t, e, "FROM scratch\nCOPY probe /\nCOPY --from=other /file /file\n", map[string]string{})
	r.Contexts = map[string]string{"other": write(t, map[string]string{"file": "x"})}
	_, err := New(renamed{e}).Build(t.Context(), r, event.Discard)
	known := err == nil
	info, infoErr := e.Info(t.Context())
	if infoErr != nil {
		t.Fatal(infoErr)
	}
	if n, _ := major(info.Version); known != (n >= contextsSince) {
		t.Errorf("engine %s: Build = %v", info.Version, err)
	}
	if f := event.FailuresOf(err); !known && f[0].Code != event.CodeUnsupported {
		t.Errorf("Build = %v, want UNSUPPORTED", err)
	}
}
