package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
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

func TestVerifyLocal_ContainerdStore(t *testing.T) {
	img := tiny(t, "amd64", nil)
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	archive := func(manifest string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for name, content := range map[string]string{"blobs/sha256/00": "layer", "manifest.json": manifest} {
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		return b.Bytes()
	}
	var ggcr bytes.Buffer
	tag, err := name.NewTag("x:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.Write(tag, img, &ggcr); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		saved []byte
		err   string
	}{
		{"the OCI form", archive(`[{"Config":"blobs/sha256/` + config.Hex + `"}]`), ""},
		{"the older form", archive(`[{"Config":"` + config.Hex + `.json"}]`), ""},
		{"the form of other programs", ggcr.Bytes(), ""},
		{"two images", archive(`[{"Config":"a"},{"Config":"b"}]`), "names 2 images"},
		{"no digest", archive(`[{"Config":"config.json"}]`), `the config "config.json"`},
		{"an empty manifest", archive(""), "decode manifest.json"},
		{"cut off", archive("")[:100], "unexpected EOF"},
		{"nonsense", archive("no JSON"), "decode manifest.json"},
		{"nothing", nil, "no manifest.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := VerifyLocal(t.Context(), snapshotter{saved: c.saved}, "x:1", nil)
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

func FuzzConfigIn(f *testing.F) {
	f.Add(`[{"Config":"blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]`)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := configIn(strings.NewReader(s)); err == nil && len(d) != len("sha256:")+64 {
			t.Errorf("configIn(%q) = %q", s, d)
		}
	})
}
