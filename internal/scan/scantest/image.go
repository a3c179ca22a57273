package scantest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// File is a member of a layer. A Name that ends in "/" is a directory, a Link is
// a symbolic link, a Hard is a hard link.
type File struct {
	Name, Link, Hard string
	Body             []byte
	Plain            bool // without the execute bit
	Type             byte // of the tar member, when it is none of these
}

// Tar packs a layer.
func Tar(t testing.TB, files ...File) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.Name, Mode: 0o755, Size: int64(len(f.Body)), Typeflag: tar.TypeReg}
		if f.Plain {
			h.Mode = 0o644
		}
		switch {
		case f.Type != 0:
			h.Typeflag, h.Size = f.Type, 0
		case f.Link != "":
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.Link, 0
		case f.Hard != "":
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, f.Hard, 0
		case strings.HasSuffix(f.Name, "/"):
			h.Typeflag, h.Size = tar.TypeDir, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("pack %s: %v", f.Name, err)
		}
		if h.Size > 0 {
			if _, err := w.Write(f.Body); err != nil {
				t.Fatalf("pack %s: %v", f.Name, err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("pack a layer: %v", err)
	}
	return b.Bytes()
}

// Image is an image in the making: uncompressed layers, the lowest first.
type Image struct {
	OS, Arch, Variant  string // linux/amd64 when empty
	Entrypoint, Cmd    []string
	Env                []string
	WorkingDir         string
	Healthcheck        []string
	Layers             [][]byte
	Steps              []string // one for each layer
	WrongDiffIDs       bool     // the config promises other contents
	FirstPack, AllPack string   // "gzip" or "zstd": the first layer, or the others too
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Config is the image's config.
func (i Image) Config() []byte {
	goos, arch := i.OS, i.Arch
	if goos == "" {
		goos = "linux"
	}
	if arch == "" {
		arch = "amd64"
	}
	ids := []string{}
	history := []map[string]any{{"created_by": "ENV a=b", "empty_layer": true}}
	for n, l := range i.Layers {
		id := digest(l)
		if i.WrongDiffIDs {
			id = digest([]byte(id))
		}
		ids = append(ids, "sha256:"+id)
		step := fmt.Sprintf("COPY layer %d # buildkit", n)
		if n < len(i.Steps) {
			step = i.Steps[n]
		}
		history = append(history, map[string]any{"created_by": step})
	}
	cfg := map[string]any{"Entrypoint": i.Entrypoint, "Cmd": i.Cmd, "Env": i.Env, "WorkingDir": i.WorkingDir}
	if i.Healthcheck != nil {
		cfg["Healthcheck"] = map[string]any{"Test": i.Healthcheck}
	}
	return encode(map[string]any{
		"os": goos, "architecture": arch, "variant": i.Variant, "config": cfg, "history": history,
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // never of the maps and strings here
		return []byte(err.Error())
	}
	return b
}

// Blobs are the layers as they are packed.
func (i Image) Blobs(t testing.TB) [][]byte {
	t.Helper()
	var out [][]byte
	for n, l := range i.Layers {
		how := i.AllPack
		if n == 0 && i.FirstPack != "" {
			how = i.FirstPack
		}
		out = append(out, Pack(t, how, l))
	}
	return out
}

// Pack compresses with "gzip", "zstd" or "" not at all.
func Pack(t testing.TB, how string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch how {
	case "":
		return b
	case "gzip":
		w := gzip.NewWriter(&out)
		w.Write(b)
		if err := w.Close(); err != nil {
			t.Fatalf("gzip: %v", err)
		}
	case "zstd":
		w, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatalf("zstd: %v", err)
		}
		w.Write(b)
		if err := w.Close(); err != nil {
			t.Fatalf("zstd: %v", err)
		}
	}
	return out.Bytes()
}

// Save is the image in the older form of `docker save`; the manifest comes last.
func (i Image) Save(t testing.TB) []byte {
	t.Helper()
	cfg := i.Config()
	names := []string{}
	var files []File
	for n, b := range i.Blobs(t) {
		name := fmt.Sprintf("%064x/layer.tar", n)
		names = append(names, name)
		files = append(files, File{Name: fmt.Sprintf("%064x/VERSION", n), Body: []byte("1.0")}, File{Name: name, Body: b})
	}
	files = append(files, File{Name: digest(cfg) + ".json", Body: cfg},
		File{Name: "manifest.json", Body: encode([]any{map[string]any{"Config": digest(cfg) + ".json", "Layers": names}})})
	return Tar(t, files...)
}

// blobs are the files of an OCI layout by name, and its index.
func (i Image) blobs(t testing.TB) (map[string][]byte, []byte) {
	cfg, all := i.Config(), map[string][]byte{}
	all["blobs/sha256/"+digest(cfg)] = cfg
	layers := []any{}
	for _, b := range i.Blobs(t) {
		all["blobs/sha256/"+digest(b)] = b
		layers = append(layers, map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + digest(b), "size": len(b)})
	}
	manifest := encode(map[string]any{"schemaVersion": 2, "config": map[string]any{"digest": "sha256:" + digest(cfg)}, "layers": layers})
	all["blobs/sha256/"+digest(manifest)] = manifest
	attestation := encode(map[string]any{"schemaVersion": 2, "config": map[string]any{"digest": "sha256:" + digest(nil)}, "layers": []any{}})
	all["blobs/sha256/"+digest(attestation)] = attestation
	index := encode(map[string]any{"schemaVersion": 2, "manifests": []any{
		map[string]any{"digest": "sha256:" + digest(attestation), "platform": map[string]any{"os": "unknown", "architecture": "unknown"}},
		map[string]any{"digest": "sha256:" + digest(manifest)},
	}})
	return all, index
}

// Layout writes the image as an OCI layout, with an attestation beside it.
func (i Image) Layout(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	all, index := i.blobs(t)
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	all["index.json"] = index
	all["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	for name, b := range all {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// SaveOCI is the image as an OCI layout in a tar; the index comes first.
func (i Image) SaveOCI(t testing.TB) []byte {
	t.Helper()
	all, index := i.blobs(t)
	files := []File{{Name: "index.json", Body: index}}
	for name, b := range all {
		files = append(files, File{Name: name, Body: b})
	}
	return Tar(t, files...)
}
