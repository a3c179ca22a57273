// Package imagetest makes images that tell the truth and images that lie, as the
// blobs that registries, layouts and archives are made of. It is imported by
// tests only. What it makes is small, real (the layers are packed tars, the
// digests are right unless that is the lie), and the same every time.
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// Content is a set of blobs, and the one that a reference names.
type Content struct {
	Blobs map[v1.Hash][]byte
	Top   v1.Descriptor
	plain map[v1.Hash][]byte // layers without compression, by diff id
}

// New makes an empty content.
func New() *Content { return &Content{Blobs: map[v1.Hash][]byte{}, plain: map[v1.Hash][]byte{}} }

// Add stores a blob and describes it.
func (c *Content) Add(t types.MediaType, blob []byte) v1.Descriptor {
	h := hash(blob)
	c.Blobs[h] = blob
	return v1.Descriptor{MediaType: t, Size: int64(len(blob)), Digest: h}
}

// AddJSON stores a blob that is v's JSON.
func (c *Content) AddJSON(t types.MediaType, v any) v1.Descriptor {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own values
	}
	return c.Add(t, b)
}

func hash(b []byte) v1.Hash {
	h, _, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		panic(err) // bytes can be read
	}
	return h
}

// Image is one image to be made.
type Image struct {
	OS, Arch, Variant string   // linux and amd64 when empty; "-" for none
	OSVersion         string   // in the config
	Layers            []string // how each is compressed: gzip, zstd, none, foreign, attestation; one with gzip when nil
	Program           string   // a last layer has a program for this architecture, which the image starts
	Labels            map[string]string
	ConfigType        types.MediaType
	DiffIDs           int                // more (or, negative, fewer) than layers
	OtherDiffIDs      bool               // the first layer's is that of another
	Edit              func(*v1.Manifest) // the last word on the manifest
}

// Image stores an image and describes its manifest.
func (c *Content) Image(i Image) v1.Descriptor {
	if i.Layers == nil {
		i.Layers = []string{"gzip"}
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{}}
	diffs, steps := []string{}, []any{}
	for n, how := range i.Layers {
		steps = append(steps, map[string]any{"created_by": fmt.Sprintf("COPY layer-%d /etc/ # buildkit", n)})
		l, diff := c.layer(n, how)
		m.Layers = append(m.Layers, l)
		diffs = append(diffs, diff.String())
	}
	process := map[string]any{"Labels": i.Labels}
	if i.Program != "" {
		plain := packed("app", program(i.Program))
		c.plain[hash(plain)] = plain
		m.Layers = append(m.Layers, c.Add(types.OCILayer, gzipped(plain)))
		diffs = append(diffs, hash(plain).String())
		process["Entrypoint"] = []string{"/app"}
		steps = append(steps, map[string]any{"created_by": "COPY app /app # buildkit"})
	}
	if i.OtherDiffIDs {
		diffs[0] = hash([]byte("another layer")).String()
	}
	for ; i.DiffIDs > 0; i.DiffIDs-- {
		diffs = append(diffs, hash(fmt.Append(nil, "no layer", i.DiffIDs)).String())
	}
	diffs = diffs[:len(diffs)+i.DiffIDs]
	config := map[string]any{
		"config": process, "history": steps, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	}
	for key, v := range map[string]string{"os": or(i.OS, "linux"), "architecture": or(i.Arch, "amd64"), "variant": i.Variant, "os.version": i.OSVersion} {
		if v != "" {
			config[key] = v
		}
	}
	m.Config = c.AddJSON(types.MediaType(or(string(i.ConfigType), string(types.OCIConfigJSON))), config)
	if i.Edit != nil {
		i.Edit(&m)
	}
	return c.AddJSON(m.MediaType, m)
}

func or(s, otherwise string) string {
	switch s {
	case "":
		return otherwise
	case "-":
		return ""
	}
	return s
}

// layer makes the nth layer: one small file.
func (c *Content) layer(n int, how string) (v1.Descriptor, v1.Hash) {
	plain := packed(fmt.Sprintf("etc/layer-%d", n), fmt.Appendf(nil, "layer %d\n", n))
	diff := hash(plain)
	c.plain[diff] = plain
	switch how {
	case "none":
		return c.Add(types.OCIUncompressedLayer, plain), diff
	case "gzip":
		return c.Add(types.OCILayer, gzipped(plain)), diff
	case "zstd":
		return c.Add(types.OCILayerZStd, zstandard(plain)), diff
	case "foreign":
		d := New().Add(types.DockerForeignLayer, gzipped(plain)) // stored nowhere
		d.URLs = []string{"https://example.com/layer"}
		return d, diff
	case "attestation":
		return c.Add("application/vnd.in-toto+json", []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`)), diff
	}
	panic("imagetest: no layer is " + how)
}

// program is the least that is a program for Linux: an ELF header and one
// segment, which holds them both (ELF-64 object file format). Nobody starts it.
func program(goarch string) []byte {
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[goarch]
	const size = 64 + 56
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Entry: 0x400000 + size, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	p := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: 0x400000, Paddr: 0x400000, Filesz: size, Memsz: size, Align: 0x1000}
	var b bytes.Buffer
	must(binary.Write(&b, binary.LittleEndian, h))
	must(binary.Write(&b, binary.LittleEndian, p))
	return b.Bytes()
}

func packed(name string, content []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}))
	_, err := w.Write(content)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	must(err)
	must(w.Close())
	return out.Bytes()
}

func zstandard(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	must(err)
	return w.EncodeAll(b, nil)
}

// must is for writes to memory, which do not fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// For says of a descriptor which platform it is for, "linux/arm/v7".
func For(d v1.Descriptor, platform string) v1.Descriptor {
	parts := append(strings.Split(platform, "/"), "")
	d.Platform = &v1.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
	return d
}

// Attestation describes an entry as BuildKit does that of an attestation.
func Attestation(d v1.Descriptor) v1.Descriptor {
	d = For(d, "unknown/unknown")
	d.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	return d
}

// Index stores an index of the entries and describes it.
func (c *Content) Index(entries ...v1.Descriptor) v1.Descriptor {
	if entries == nil {
		entries = []v1.Descriptor{}
	}
	return c.AddJSON(types.OCIImageIndex, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries})
}
