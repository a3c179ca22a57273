package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
)

func TestVerifyLocal_RealEngine(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	img := enginetest.Image{Files: map[string][]byte{"/x": []byte(enginetest.Name(t))}, Arch: "arm64"}
	config, err := img.Build(t).ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	ref := img.Load(t, e)
	l, err := VerifyLocal(t.Context(), e, ref, []Requirement{from("build.platform", arm64)})
	if err != nil || l.ConfigDigest != config.String() || l.Platform != arm64 || l.Size == 0 {
		t.Errorf("VerifyLocal = %+v, %v; want config %s", l, err, config)
	}
	_, err = VerifyLocal(t.Context(), e, l.ID, []Requirement{from("build.platform", amd64)})
	if f := event.FailuresOf(err)[0]; f.Code != event.CodePlatformMismatch || !strings.Contains(f.Message, "linux/arm64, build.platform wants linux/amd64") {
		t.Errorf("VerifyLocal = %v, want PLATFORM_MISMATCH", err)
	}
	_, err = VerifyLocal(t.Context(), e, ref+"-not", nil)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodeNotFound || !errors.Is(err, ErrNotFound) {
		t.Errorf("VerifyLocal of nothing = %v", err)
	}
	away := &engine.UnreachableError{Endpoint: "unix:///x", From: "default", Hints: []string{"start it"}}
	_, err = VerifyLocal(t.Context(), snapshotter{err: away}, ref, nil)
	if f := event.FailuresOf(err)[0]; f.Code != event.CodeNoEngine || len(f.Hints) != 1 || !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("VerifyLocal without an engine = %v", err)
	}
}

// snapshotter is an engine with a containerd store: ids are not configs.
type snapshotter struct {
	saved []byte
	err   error
}

func (s snapshotter) Info(context.Context) (engine.Info, error) {
	return engine.Info{ContainerdStore: true}, nil
}
func (s snapshotter) Image(context.Context, string) (engine.Image, error) {
	return engine.Image{ID: "sha256:manifest", OS: "linux", Architecture: "amd64"}, nil
}
func (s snapshotter) Save(_ context.Context, ref string) (io.ReadCloser, error) {
	if ref != "sha256:manifest" {
		return nil, fmt.Errorf("save %s: %w", ref, engine.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(s.saved)), s.err
}

// TestVerifyLocal_ContainerdStore: inspect says linux/amd64 of each of these, and
// the archive says what is true.
func TestVerifyLocal_ContainerdStore(t *testing.T) {
	for _, c := range imagetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			content := c.Content()
			l, err := VerifyLocal(t.Context(), snapshotter{saved: imagetest.Tar(content.Files())}, "x:1", wantAMD64)
			if c.Runs == nil {
				if err == nil || !imagetest.Matches(event.FailuresOf(err)[0].Message, c.Says[0], "x:1") {
					t.Errorf("VerifyLocal = %+v, %v; want it refused as the other forms are: %s", l, err, c.Says)
				}
				return
			}
			var m v1.Manifest
			if err := json.Unmarshal(content.Blobs[c.Runs(content).Digest], &m); err != nil {
				t.Fatal(err)
			}
			if err != nil || l.ID != "sha256:manifest" || l.ConfigDigest != m.Config.Digest.String() || l.Platform.Architecture == "" || len(l.Settings) == 0 {
				t.Errorf("VerifyLocal = %+v, %v; want config %s", l, err, m.Config.Digest)
			}
		})
	}
}

// TestVerifyLocal_ContainerdStoreSaves reads the archives that engines and other
// programs write, and those that are none.
func TestVerifyLocal_ContainerdStoreSaves(t *testing.T) {
	img := tiny(t, "amd64", nil)
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("x:1")
	if err != nil {
		t.Fatal(err)
	}
	var other bytes.Buffer
	if err := tarball.Write(tag, img, &other); err != nil {
		t.Fatal(err)
	}
	two := imagetest.New()
	for _, c := range []struct {
		name  string
		saved []byte
		err   string
	}{
		{"the form of other programs", other.Bytes(), ""},
		{"cut off", other.Bytes()[:700], "cut off"},
		{"nonsense", []byte("no archive"), "no archive"},
		{"nothing", nil, "no archive"},
		{"an archive without an image", imagetest.Tar(map[string][]byte{"x": []byte("y")}), "without images"},
		{"an index without the platform", imagetest.Tar(func() map[string][]byte {
			two.Top = two.Index(imagetest.For(two.Image(imagetest.Image{Arch: "arm64"}), "linux/arm64"))
			return two.Files()
		}()), "no image for linux/amd64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := VerifyLocal(t.Context(), snapshotter{saved: c.saved}, "x:1", wantAMD64)
			if c.err == "" && (err != nil || l.ConfigDigest != config.String() || l.ID != "sha256:manifest") {
				t.Errorf("VerifyLocal = %+v, %v; want config %s", l, err, config)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("VerifyLocal = %v, want %q", err, c.err)
			}
		})
	}
	gone := errors.New("engine is gone")
	if _, err := VerifyLocal(t.Context(), snapshotter{err: gone}, "x:1", nil); !errors.Is(err, gone) {
		t.Errorf("VerifyLocal = %v, want %v", err, gone)
	}
}

// TestPush_ContainerdStorePushesAnIndex: such an engine pushes what is under the
// name, an index of several platforms, and answers with its digest. What is read
// back by it is the one manifest that was verified.
func TestPush_ContainerdStorePushesAnIndex(t *testing.T) {
	c, _ := imagetest.Find("index")
	content := c.Content()
	l, err := VerifyLocal(t.Context(), snapshotter{saved: imagetest.Tar(content.Files())}, "x:1", wantAMD64)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(content) // as it is after the push
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/app"
	f := newFake(func(string, int) (string, error) { return content.Top.Digest.String(), nil })
	digest, err := Push(t.Context(), f, PushRequest{ImageID: "built:latest", Repository: repository, Tags: []string{"v1"}}, event.Discard)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewRemote(engine.Auth{}, nil).Describe(t.Context(), repository+"@"+digest, amd64)
	if err != nil || d.ConfigDigest != l.ConfigDigest || d.Digest != c.Runs(content).Digest.String() || d.Index != digest {
		t.Errorf("read back %+v, %v; want the manifest whose config is %s", d, err, l.ConfigDigest)
	}
}

// TestSettings: what an engine tells of an image is enough to judge it by layers
// that are known.
func TestSettings(t *testing.T) {
	raw, err := settings(engine.Image{
		OS: "linux", Architecture: "arm64", Variant: "v8", Entrypoint: []string{"/e"}, Cmd: []string{"c"}, Env: []string{"A=b"}, WorkingDir: "/w", User: "u",
		Healthcheck: []string{"CMD", "/h"}, DiffIDs: []string{"sha256:" + strings.Repeat("1", 64), "sha256:" + strings.Repeat("2", 64)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got v1.ConfigFile
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	c := got.Config
	if got.Architecture != "arm64" || got.Variant != "v8" || len(got.RootFS.DiffIDs) != 2 || c.WorkingDir != "/w" || c.User != "u" ||
		len(c.Entrypoint) != 1 || len(c.Cmd) != 1 || len(c.Env) != 1 || c.Healthcheck == nil || c.Healthcheck.Test[1] != "/h" {
		t.Errorf("settings = %s", raw)
	}
}
