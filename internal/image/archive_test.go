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

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/engine/enginetest"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image/imagetest"
)

// saved packs an image as an older engine's `docker save` does.
func saved(t *testing.T, c *imagetest.Content, names ...string) []byte {
	t.Helper()
	files, err := c.Saved(names...)
	if err != nil {
		t.Fatal(err)
	}
	return imagetest.Tar(files)
}

// TestDescribeTar_Saved reads the cases that the older form can express: what the
// config says. An index, a manifest and compressions it does not have.
func TestDescribeTar_Saved(t *testing.T) {
	for _, name := range []string{
		"amd64", "docker-schema-2", "x86-64", "config-arm64", "no-architecture", "no-platform", "windows", "os-version", "amd64-v3", "arm-v7",
	} {
		c, ok := imagetest.Find(name)
		if !ok {
			t.Fatalf("there is no case %s", name)
		}
		d, err := DescribeTar(t.Context(), bytes.NewReader(saved(t, c.Content(), "x:1")), "x.tar", Choice{Platform: amd64})
		if err == nil {
			err = Judge(d, wantAMD64)
		}
		if c.Runs == nil {
			checkRefused(t, c, "x.tar", err)
			continue
		}
		if err != nil || d.Digest != "" || d.ConfigDigest == "" || d.Form != "docker archive" || len(d.Layers) != 1 || d.Size == 0 {
			t.Errorf("%s = %+v, %v", name, d, err)
		}
	}
}

func TestDescribeTar_SavedIsDamaged(t *testing.T) {
	c, _ := imagetest.Find("amd64")
	content := c.Content()
	files, err := content.Saved("x:1")
	if err != nil {
		t.Fatal(err)
	}
	table := string(files["manifest.json"])
	var config, layer string
	for name := range files {
		switch {
		case strings.HasSuffix(name, "/layer.tar"):
			layer = name
		case name != "manifest.json":
			config = name
		}
	}
	const no = "x.tar is no image that ECS can run: "
	for _, c := range []struct {
		name   string
		change func(map[string][]byte)
		says   string
	}{
		{"no JSON", func(f map[string][]byte) { f["manifest.json"] = []byte("{}") }, no + "its manifest.json cannot be read: *"},
		{"no image", func(f map[string][]byte) { f["manifest.json"] = []byte("[]") }, no + "it holds no image"},
		{"without the config", func(f map[string][]byte) { delete(f, config) }, no + `its config "` + config + `" is missing`},
		{"another config", func(f map[string][]byte) { f[config] = []byte("{}") }, no + "its config sha256:" + strings.TrimSuffix(config, ".json") + " has another digest"},
		{"without the layer", func(f map[string][]byte) { delete(f, layer) }, no + `its layer "` + layer + `" is missing`},
		{"a layer too few", func(f map[string][]byte) {
			f["manifest.json"] = []byte(strings.Replace(table, `"`+layer+`"`, "", 1))
		}, "the manifest of image x.tar has 0 layers, its config has 1 diff id"},
		{"a layer too many", func(f map[string][]byte) {
			f["manifest.json"] = []byte(strings.Replace(table, `"`+layer+`"`, `"`+layer+`","`+layer+`"`, 1))
		}, "the manifest of image x.tar has 2 layers, its config has 1 diff id"},
	} {
		changed := map[string][]byte{}
		for k, v := range files {
			changed[k] = v
		}
		c.change(changed)
		d, err := DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(changed)), "x.tar", Choice{Platform: amd64})
		if err == nil {
			err = Judge(d, wantAMD64)
		}
		if f := event.FailuresOf(err); len(f) != 1 || f[0].Code != event.CodePlatformMismatch || !imagetest.Matches(f[0].Message, c.says, "") {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

// TestDescribeTar_SavedForeignLayer: the older form names the sources of layers
// that it leaves out.
func TestDescribeTar_SavedForeignLayer(t *testing.T) {
	c, _ := imagetest.Find("amd64")
	files, err := c.Content().Saved("x:1")
	if err != nil {
		t.Fatal(err)
	}
	diff := ""
	for name := range files {
		if d, ok := strings.CutSuffix(name, "/layer.tar"); ok {
			diff = "sha256:" + d
			delete(files, name)
		}
	}
	files["manifest.json"] = bytes.Replace(files["manifest.json"], []byte(`"Config"`),
		fmt.Appendf(nil, `"LayerSources":{%q:{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","size":7,"digest":%[1]q}},"Config"`, diff), 1)
	d, err := DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(files)), "x.tar", Choice{Platform: amd64})
	if err != nil {
		t.Fatal(err)
	}
	if f := event.FailuresOf(Judge(d, wantAMD64))[0]; f.Message != "layer 1 of image x.tar is foreign: its bytes are not in the registry" {
		t.Errorf("Judge = %q", f.Message)
	}
}

// TestDescribeTar_TwoTables: newer archives have both tables, and must not name
// different images in them.
func TestDescribeTar_TwoTables(t *testing.T) {
	c, _ := imagetest.Find("amd64")
	content := c.Content()
	files := content.Files()
	one, err := DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(files)), "x.tar", Choice{})
	if err != nil {
		t.Fatal(err)
	}
	hex := strings.TrimPrefix(one.ConfigDigest, "sha256:")
	files["manifest.json"] = []byte(`[{"Config":"blobs/sha256/` + hex + `"}]`)
	d, err := DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(files)), "x.tar", Choice{Platform: amd64})
	if diff := cmp.Diff(one, d); err != nil || diff != "" {
		t.Errorf("DescribeTar = %v (-one table +two):\n%s", err, diff)
	}
	for _, other := range []string{`[{"Config":"blobs/sha256/` + strings.Repeat("0", 64) + `"}]`, `no`} {
		files["manifest.json"] = []byte(other)
		_, err = DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(files)), "x.tar", Choice{Platform: amd64})
		if f := event.FailuresOf(err)[0]; f.Code != event.CodePlatformMismatch || !strings.Contains(f.Message, "its manifest.json") {
			t.Errorf("manifest.json %s: %v", other, err)
		}
	}
}

func TestDescribeTar_NoArchive(t *testing.T) {
	whole := imagetest.Tar(map[string][]byte{"README": []byte("hello"), "more": bytes.Repeat([]byte("x"), 4096)})
	for name, content := range map[string][]byte{
		"text": []byte("this is no archive, it is only text that goes on for a while: " + strings.Repeat("x", 600)), "nothing": nil, "zeros": make([]byte, 4096),
		"gzip of text": imagetest.Gzip([]byte("text")), "half a gzip": {0x1f, 0x8b}, "zstd of text": imagetest.Zstd([]byte("text")), "an archive of other things": whole,
	} {
		if _, err := DescribeTar(t.Context(), bytes.NewReader(content), "x", Choice{}); !errors.Is(err, ErrNoImages) {
			t.Errorf("DescribeTar of %s = %v, want ErrNoImages", name, err)
		}
		if is := IsTar(bytes.NewReader(content)); is != (name == "an archive of other things") {
			t.Errorf("IsTar of %s = %v", name, is)
		}
	}
	_, err := DescribeTar(t.Context(), bytes.NewReader(whole[:len(whole)-5000]), "x", Choice{})
	if err == nil || errors.Is(err, ErrNoImages) || !strings.Contains(err.Error(), "damaged or cut off") {
		t.Errorf("DescribeTar of half an archive = %v", err)
	}
	_, err = DescribeTar(t.Context(), bytes.NewReader(whole[:600]), "x", Choice{}) // between two files
	if err == nil || errors.Is(err, ErrNoImages) || !strings.Contains(err.Error(), "cut off, before index.json") {
		t.Errorf("DescribeTar of an archive that ends too early = %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := DescribeTar(ctx, bytes.NewReader(whole), "x", Choice{}); !errors.Is(err, why) {
		t.Errorf("DescribeTar after the end = %v", err)
	}
}

// TestDescribeTar_Links: older archives link a layer that occurs twice.
func TestDescribeTar_Links(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, content string) {
		h.Size, h.Mode = int64(len(content)), 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	put(tar.Header{Name: "c.json"}, `{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["sha256:a","sha256:a","sha256:a"]}}`)
	put(tar.Header{Name: "./a/layer.tar"}, "0123456789")
	put(tar.Header{Name: "b/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../a/layer.tar"}, "")
	put(tar.Header{Name: "c/layer.tar", Typeflag: tar.TypeLink, Linkname: "a/layer.tar"}, "")
	put(tar.Header{Name: "loop/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "layer.tar"}, "")
	table := `[{"Config":"c.json","Layers":["a/layer.tar","b/layer.tar","c/layer.tar"]}]`
	put(tar.Header{Name: "manifest.json"}, table)
	d, err := DescribeTar(t.Context(), bytes.NewReader(b.Bytes()), "x.tar", Choice{Platform: amd64})
	if err != nil || d.Size != 30 || Judge(d, wantAMD64) != nil {
		t.Errorf("DescribeTar = %+v, %v; want three layers of 10 bytes", d, err)
	}
	put(tar.Header{Name: "manifest.json"}, strings.Replace(table, "c/layer.tar", "loop/layer.tar", 1)) // the later one counts
	if _, err := DescribeTar(t.Context(), bytes.NewReader(b.Bytes()), "x.tar", Choice{Platform: amd64}); err == nil || !strings.Contains(err.Error(), "too many links") {
		t.Errorf("DescribeTar of a loop = %v", err)
	}
}

// TestDescribeTar_RealEngine holds what a real engine saves against what the
// engine says.
func TestDescribeTar_RealEngine(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	ref := enginetest.Image{Files: map[string][]byte{"/x": []byte(enginetest.Name(t))}, Arch: "arm64"}.Load(t, e)
	l, err := VerifyLocal(t.Context(), e, ref, []Requirement{from("x", arm64)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Save(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d, err := DescribeTar(t.Context(), r, "x.tar", Choice{Platform: arm64, Name: ref})
	if err != nil || d.ConfigDigest != l.ConfigDigest || d.Config != arm64 || len(d.Layers) != 1 || Judge(d, []Requirement{from("x", arm64)}) != nil {
		t.Errorf("DescribeTar = %+v, %v; want config %s", d, err, l.ConfigDigest)
	}
}

// TestVerifyLocal_SameVerdict: an engine that took a lie in gives the verdict that
// the archive gives.
func TestVerifyLocal_SameVerdict(t *testing.T) {
	t.Parallel()
	e := enginetest.Open(t)
	for _, name := range []string{"amd64", "config-arm64", "amd64-v3", "arm-v7", "no-architecture", "os-version"} {
		c, _ := imagetest.Find(name)
		ref := enginetest.Name(t) + ":latest"
		enginetest.Remove(t, e, ref)
		if _, err := e.Load(t.Context(), bytes.NewReader(saved(t, c.Content(), ref))); err != nil {
			t.Fatalf("load %s: %v", name, err)
		}
		_, err := VerifyLocal(t.Context(), e, ref, wantAMD64)
		if c.Runs != nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		checkRefused(t, c, ref, err)
	}
}

var _ LocalEngine = (*engine.Engine)(nil)

func FuzzDescribeTar(f *testing.F) {
	for _, name := range []string{"amd64", "index", "index-nested", "schema-1", "mixed-compressions"} {
		c, _ := imagetest.Find(name)
		content := c.Content()
		f.Add(imagetest.Tar(content.Files()))
		if files, err := content.Saved("x:1"); err == nil {
			f.Add(imagetest.Tar(files))
			f.Add(imagetest.Gzip(imagetest.Tar(files)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DescribeTar(t.Context(), bytes.NewReader(b), "x", Choice{Platform: amd64})
		if err == nil && d.ConfigDigest == "" {
			t.Errorf("DescribeTar = %+v without a config", d)
		}
		Judge(d, wantAMD64)
	})
}

// FuzzManifest reads a manifest or an index as a registry or a layout gives it.
func FuzzManifest(f *testing.F) {
	for _, c := range imagetest.Cases() {
		content := c.Content()
		f.Add(string(content.Top.MediaType), content.Blobs[content.Top.Digest])
	}
	f.Fuzz(func(t *testing.T, mediaType string, raw []byte) {
		c := imagetest.New()
		c.Top = c.Add(types.MediaType(mediaType), raw)
		d, err := DescribeTar(t.Context(), bytes.NewReader(imagetest.Tar(c.Files())), "x", Choice{Platform: amd64})
		if err == nil && (d.Digest == "" || d.ConfigDigest == "") {
			t.Errorf("described as %+v", d)
		}
	})
}
