package engine_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
)

// small is an image that nothing runs.
func small(t *testing.T, e *engine.Engine) (ref string, labels string) {
	t.Helper()
	mark := enginetest.Name(t)
	ref = enginetest.Image{
		Files: map[string][]byte{"/name": []byte(mark)}, Arch: "arm64",
		Config: v1.Config{
			Entrypoint: []string{"/a"}, Cmd: []string{"b"}, Env: []string{"C=d"}, User: "7", WorkingDir: "/w", StopSignal: "SIGINT",
			Labels: map[string]string{"weelo-deploy.test": mark},
		},
	}.Load(t, e)
	return ref, "weelo-deploy.test=" + mark
}

func TestImage_Describes(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	ref, label := small(t, e)
	i, err := e.Image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if i.OS != "linux" || i.Architecture != "arm64" || !strings.HasPrefix(i.ID, "sha256:") || !slices.Equal(i.RepoTags, []string{ref}) || i.Size == 0 {
		t.Errorf("Image = %+v", i)
	}
	if i.Entrypoint[0] != "/a" || i.Cmd[0] != "b" || i.Env[0] != "C=d" || i.User != "7" || i.WorkingDir != "/w" || i.StopSignal != "SIGINT" {
		t.Errorf("configuration of Image = %+v", i)
	}
	list, err := e.Images(t.Context(), label)
	if err != nil || len(list) != 1 || list[0].ID != i.ID {
		t.Errorf("Images = %+v, %v; want %s", list, err, i.ID)
	}
	if _, err := e.Image(t.Context(), ref+"-not"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("Image = %v, want ErrNotFound", err)
	}
}

func TestImage_TagAndUntag(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	ref, _ := small(t, e)
	second := enginetest.Name(t) + ":second"
	if err := e.Tag(t.Context(), ref, second); err != nil {
		t.Fatal(err)
	}
	if err := e.Untag(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Image(t.Context(), ref); err != nil {
		t.Errorf("the image went with its second reference: %v", err)
	}
	for range 2 { // the second time there is nothing
		if err := e.Untag(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Image(t.Context(), ref); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("after the last Untag: %v, want ErrNotFound", err)
	}
	if err := e.Tag(t.Context(), ref, second); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("Tag of nothing = %v, want ErrNotFound", err)
	}
}

func TestUntag_InUse(t *testing.T) {
	t.Parallel()
	e, ref := probe(t)
	id := enginetest.Create(t, e, engine.ContainerSpec{Image: ref, Network: "none", Cmd: []string{"wait"}})
	started(t, e, id)
	s, err := e.Container(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Untag(t.Context(), ref); err != nil {
		t.Errorf("Untag of a running container's image = %v", err)
	}
	enginetest.Remove(t, e, s.ImageID) // runs before the container's removal
	if err := e.RemoveContainer(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Image(t.Context(), ref); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("the reference is still there: %v", err)
	}
}

func TestImage_SaveAndLoad(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	ref, _ := small(t, e)
	before, err := e.Image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Save(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	saved, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.RemoveImage(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	refs, err := e.Load(t.Context(), bytes.NewReader(saved))
	if err != nil || !slices.Equal(refs, []string{ref}) {
		t.Fatalf("Load = %q, %v; want %q", refs, err, ref)
	}
	if after, err := e.Image(t.Context(), ref); err != nil || after.ID != before.ID {
		t.Errorf("loaded %s, %v; want %s", after.ID, err, before.ID)
	}
	if _, err := e.Load(t.Context(), strings.NewReader("no archive")); err == nil {
		t.Error("Load of nonsense: no error")
	}
	if _, err := e.Save(t.Context(), ref+"-not"); err == nil {
		t.Error("Save of an image that is not there: no error")
	}
}

func TestPushAndPull(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	local, _ := small(t, e)
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer srv.Close()
	ref := strings.TrimPrefix(srv.URL, "http://") + "/pushed:v1"
	if err := e.Tag(t.Context(), local, ref); err != nil {
		t.Fatal(err)
	}
	enginetest.Remove(t, e, ref)
	layers := map[string]string{}
	digest, err := e.Push(t.Context(), ref, engine.Auth{}, func(p engine.PushProgress) { layers[p.Layer] = p.Status })
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := remote.Head(tag); err != nil || d.Digest.String() != digest {
		t.Errorf("Push = %s; the registry has %v, %v", digest, d, err)
	}
	if len(layers) < 2 { // one layer and the image as a whole
		t.Errorf("progress told of %v", layers)
	}
	i, err := e.Image(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{ref, local} {
		if err := e.Untag(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Pull(t.Context(), ref, engine.Auth{}); err != nil {
		t.Fatal(err)
	}
	if again, err := e.Image(t.Context(), ref); err != nil || again.ID != i.ID {
		t.Errorf("pulled %s, %v; want %s", again.ID, err, i.ID)
	}
}

func TestPush_Fails(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	dead := httptest.NewServer(nil)
	host := strings.TrimPrefix(dead.URL, "http://")
	dead.Close()
	if _, err := e.Push(t.Context(), host+"/nothing:v1", engine.Auth{}, nil); err == nil || !strings.Contains(err.Error(), "push "+host+"/nothing:v1") {
		t.Errorf("Push of a reference that is not there = %v", err)
	}
	local, _ := small(t, e)
	ref := host + "/dead:v1"
	if err := e.Tag(t.Context(), local, ref); err != nil {
		t.Fatal(err)
	}
	enginetest.Remove(t, e, ref)
	var s *engine.StreamError
	if _, err := e.Push(t.Context(), ref, engine.Auth{}, nil); !errors.As(err, &s) {
		t.Errorf("Push to a dead registry = %v, want the failure from inside the stream", err)
	}
	if err := e.Pull(t.Context(), ref, engine.Auth{}); err == nil {
		t.Error("Pull from a dead registry: no error")
	}
}
