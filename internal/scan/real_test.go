package scan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

var amd64 = scan.Target{OS: "linux", Arch: "amd64"}

// known is a cache that holds facts of real layers, reduced by testdata/facts.go:
// a Debian 12 made by debootstrap, Node 20, and what npm install --os --cpu
// --libc of bcrypt 6, sharp 0.34, esbuild, @node-rs/argon2 and @prisma/client 6
// gives for four platforms.
type known map[string]*layer.Facts

func (k known) Get(id string) (*layer.Facts, bool) { f, ok := k[id]; return f, ok }
func (k known) Put(string, *layer.Facts)           {}

func real(t testing.TB, name string) *layer.Facts {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".zst")
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	doc, err := z.DecodeAll(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &layer.Facts{}
	if err := json.Unmarshal(doc, f); err != nil {
		t.Fatal(err)
	}
	return f
}

// on is an image of real layers with others on top.
func on(t testing.TB, base []string, top scantest.Image, opts scan.Options) scan.Report {
	t.Helper()
	cache, layers := known{}, []scan.Layer{}
	var cfg map[string]any
	if err := json.Unmarshal(top.Config(), &cfg); err != nil {
		t.Fatal(err)
	}
	ids, steps := []any{}, []any{}
	for i, name := range base {
		id := fmt.Sprintf("sha256:%064d", i)
		cache[id] = real(t, name)
		ids, steps = append(ids, id), append(steps, map[string]any{"created_by": "COPY " + name + " / # buildkit"})
		layers = append(layers, scan.Layer{Digest: id, Open: func(context.Context) (io.ReadCloser, error) {
			return nil, errors.New("a layer that is known was opened")
		}})
	}
	rootfs := cfg["rootfs"].(map[string]any)
	rootfs["diff_ids"] = append(ids, rootfs["diff_ids"].([]any)...)
	cfg["history"] = append(steps, cfg["history"].([]any)...)
	for _, b := range top.Blobs(t) {
		layers = append(layers, scan.Layer{Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }})
	}
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	opts.Cache = cache
	rep, err := scan.Image(t.Context(), scan.FromLayers(raw, layers), amd64, opts)
	if err != nil {
		t.Fatalf("Image: %v", err)
	}
	return rep
}

// lines are the findings as "level rule path".
func lines(r scan.Report) []string {
	out := []string{}
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("%s %s %s", f.Level, f.Rule, f.Path))
	}
	return out
}

func wantLines(t *testing.T, r scan.Report, want ...string) {
	t.Helper()
	if d := cmp.Diff(append([]string{}, want...), lines(r)); d != "" {
		var b strings.Builder
		for _, f := range r.Findings {
			fmt.Fprintln(&b, strings.Join(f.Lines(), "\n    "))
		}
		t.Errorf("findings (-want +got):\n%s\n%s", d, b.String())
	}
}

var server = scantest.Image{Entrypoint: []string{"node"}, Cmd: []string{"server.js"}, WorkingDir: "/app"}

func TestImage_healthyDebian(t *testing.T) {
	r := on(t, []string{"debian12"}, scantest.Image{Cmd: []string{"bash"}}, scan.Options{})
	wantLines(t, r)
	if r.Binaries < 600 || r.Files < 5000 || r.Layers != 1 || r.Cached != 1 {
		t.Errorf("Report = %d binaries, %d files, %d layers, %d cached", r.Binaries, r.Files, r.Layers, r.Cached)
	}
}

// TestImage_npm holds npm's layouts for four platforms against what containers of
// such images did: each add-on named here failed to load, every other one worked.
func TestImage_npm(t *testing.T) {
	const m = "/app/node_modules/"
	for name, want := range map[string][]string{
		"app-linux-x64-glibc": {"note addon-foreign " + m + "bcrypt"},
		"app-linux-x64-musl": {
			"error addon-absent " + m + "@img/sharp-linuxmusl-x64/lib/sharp-linuxmusl-x64.node",
			"error addon-absent " + m + "@node-rs/argon2-linux-x64-musl/argon2.linux-x64-musl.node",
			"note addon-foreign " + m + "bcrypt",
		},
		"app-linux-arm64-glibc": {
			"error addon-absent " + m + "@esbuild/linux-arm64/bin/esbuild",
			"error addon-absent " + m + "@img/sharp-linux-arm64/lib/sharp-linux-arm64.node",
			"error addon-absent " + m + "@node-rs/argon2-linux-arm64-gnu/argon2.linux-arm64-gnu.node",
			"note addon-foreign " + m + "bcrypt",
		},
		"app-darwin-arm64": {
			"error addon-absent " + m + "@esbuild/darwin-arm64/bin/esbuild",
			"error addon-absent " + m + "@img/sharp-darwin-arm64/lib/sharp-darwin-arm64.node",
			"error addon-absent " + m + "@node-rs/argon2-darwin-arm64/argon2.darwin-arm64.node",
			"note addon-foreign " + m + "bcrypt",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantLines(t, on(t, []string{"debian12", "node", name}, server, scan.Options{}), want...)
		})
	}
}

// TestImage_whatAFindingSays is one finding in full.
func TestImage_whatAFindingSays(t *testing.T) {
	r := on(t, []string{"debian12", "node", "app-darwin-arm64"}, server, scan.Options{})
	i := slices.IndexFunc(r.Findings, func(f scan.Finding) bool { return strings.Contains(f.Path, "sharp") })
	want := scan.Finding{
		Level: scan.Error, Rule: "addon-absent", Path: "/app/node_modules/@img/sharp-darwin-arm64/lib/sharp-darwin-arm64.node",
		What: "a library for darwin/arm64 (Mach-O)", Want: "linux/amd64 glibc",
		Why:      "package sharp has no build that fits, only lib/sharp-darwin-arm64.node (darwin/arm64)",
		LoadedBy: "/usr/bin/node", Layer: fmt.Sprintf("sha256:%064d", 2), Step: "COPY app-darwin-arm64 /",
		Mend: []string{"add node_modules to .dockerignore, so that the host's is not copied over the image's", "npm install --os=linux --cpu=x64 --libc=glibc sharp"},
	}
	if d := cmp.Diff(want, r.Findings[i]); d != "" {
		t.Errorf("finding (-want +got):\n%s", d)
	}
}

// TestImage_withoutNode: nothing in the image loads add-ons, or nothing that
// starts does, so they refuse nothing.
func TestImage_withoutNode(t *testing.T) {
	static := scantest.Tar(t, scantest.File{Name: "server", Body: scantest.ELF{Program: true}.Bytes()})
	for _, base := range [][]string{{"debian12", "app-darwin-arm64"}, {"debian12", "node", "app-darwin-arm64"}} {
		r := on(t, base, scantest.Image{Entrypoint: []string{"/server"}, Layers: [][]byte{static}}, scan.Options{})
		if r.Count(scan.Error) != 0 || r.Count(scan.Warning) != 3 {
			t.Errorf("findings over %v = %v, want three warnings", base, lines(r))
		}
	}
}
