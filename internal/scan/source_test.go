package scan_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

// broken is an image of three layers with one defect, the second layer empty.
func broken(t testing.TB, pack string) scantest.Image {
	return scantest.Image{
		Entrypoint: []string{"/app/s"}, AllPack: pack,
		Layers: [][]byte{
			scantest.Tar(t, bin("app/s", scantest.ELF{Arch: "arm64", Program: true}), bin("app/other", scantest.ELF{Program: true, Pad: 1 << 20})),
			scantest.Tar(t), scantest.Tar(t, text("app/readme", "x")),
		},
	}
}

const brokenLine = "error entrypoint-machine /app/s"

func stream(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) } // hides Seek

func TestImage_everySource(t *testing.T) {
	for _, pack := range []string{"", "gzip", "zstd"} {
		i := broken(t, pack)
		sources := map[string]func() scan.Source{
			"docker save as a stream":  func() scan.Source { return scan.FromSave(stream(i.Save(t))) },
			"docker save as a file":    func() scan.Source { return scan.FromSave(bytes.NewReader(i.Save(t))) },
			"an OCI tar as a stream":   func() scan.Source { return scan.FromSave(stream(i.SaveOCI(t))) },
			"an OCI tar as a file":     func() scan.Source { return scan.FromSave(bytes.NewReader(i.SaveOCI(t))) },
			"docker save with gzip":    func() scan.Source { return scan.FromSave(bytes.NewReader(scantest.Pack(t, "gzip", i.Save(t)))) },
			"an OCI tar with zstd":     func() scan.Source { return scan.FromSave(stream(scantest.Pack(t, "zstd", i.SaveOCI(t)))) },
			"a registry":               func() scan.Source { return registryOf(t, i) },
			"an OCI layout":            func() scan.Source { return scan.FromLayout(i.Layout(t)) },
			"layers":                   func() scan.Source { return scan.FromLayers(i.Config(), layersOf(t, i)) },
			"an archive opened lately": func() scan.Source { return scan.FromSaved(i.Config(), opener(i.Save(t))) },
		}
		for name, src := range sources {
			t.Run(pack+" "+name, func(t *testing.T) {
				r, err := scan.Image(t.Context(), src(), amd64, scan.Options{})
				if err != nil {
					t.Fatalf("Image: %v", err)
				}
				wantLines(t, r, brokenLine)
				if r.Layers != 3 || r.Files != 3 || r.Binaries != 2 || r.Findings[0].Step != "COPY layer 0" || !strings.HasPrefix(r.Findings[0].Layer, "sha256:") {
					t.Errorf("Report = %+v", r)
				}
			})
		}
	}
}

func layersOf(t testing.TB, i scantest.Image) []scan.Layer {
	var out []scan.Layer
	for _, b := range i.Blobs(t) {
		out = append(out, scan.Layer{Open: opener(b)})
	}
	return out
}

// registryOf has the image's blobs by digest.
func registryOf(t testing.TB, i scantest.Image) scan.Source {
	all, names := map[string][]byte{}, []string{}
	digest := func(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
	for _, b := range i.Blobs(t) {
		names = append(names, digest(b))
		all[digest(b)] = b
	}
	config := digest(i.Config())
	all[config] = i.Config()
	return scan.FromBlobs(func(_ context.Context, d string) (io.ReadCloser, error) {
		if all[d] == nil {
			return nil, errors.New("no blob " + d)
		}
		return io.NopCloser(stream(all[d])), nil
	}, config, names)
}

func opener(b []byte) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(stream(b)), nil }
}

func TestImage_mixedPacking(t *testing.T) {
	i := broken(t, "zstd")
	i.FirstPack = "gzip"
	r, err := scan.Image(t.Context(), scan.FromLayout(i.Layout(t)), amd64, scan.Options{})
	if err != nil {
		t.Fatalf("Image: %v", err)
	}
	wantLines(t, r, brokenLine)
}

func TestImage_knowsLayersAgain(t *testing.T) {
	i := broken(t, "")
	opts := scan.Options{Cache: layer.Folder{Dir: t.TempDir()}}
	first, err := scan.Image(t.Context(), scan.FromSave(stream(i.Save(t))), amd64, opts)
	if err != nil || first.Cached != 0 {
		t.Fatalf("Image = %d cached, %v; want none", first.Cached, err)
	}
	never := func(context.Context) (io.ReadCloser, error) { return nil, errors.New("the archive was opened") }
	second, err := scan.Image(t.Context(), scan.FromSaved(i.Config(), never), amd64, opts)
	if err != nil {
		t.Fatalf("Image: %v", err)
	}
	if second.Cached != 3 {
		t.Errorf("Cached = %d, want 3", second.Cached)
	}
	if d := cmp.Diff(first.Findings, second.Findings); d != "" {
		t.Errorf("findings (-first +second):\n%s", d)
	}
}

// TestImage_opensTheArchiveForTheStep: an engine does not tell an image's history,
// and a finding wants its build step.
func TestImage_opensTheArchiveForTheStep(t *testing.T) {
	i, opened := broken(t, ""), 0
	var cfg map[string]any
	if err := json.Unmarshal(i.Config(), &cfg); err != nil {
		t.Fatal(err)
	}
	delete(cfg, "history")
	brief, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	open := func(ctx context.Context) (io.ReadCloser, error) { opened++; return opener(i.Save(t))(ctx) }
	opts := scan.Options{Cache: layer.Folder{Dir: t.TempDir()}}
	for n := range 2 {
		r, err := scan.Image(t.Context(), scan.FromSaved(brief, open), amd64, opts)
		if err != nil || opened != n+1 {
			t.Fatalf("Image = %v, and opened %d times, want %d", err, opened, n+1)
		}
		if r.Findings[0].Step != "COPY layer 0" {
			t.Errorf("Step = %q", r.Findings[0].Step)
		}
	}
	opts.Allow = []scan.Rule{{Path: "/app/s"}}
	if r, err := scan.Image(t.Context(), scan.FromSaved(brief, open), amd64, opts); err != nil || r.Cached != 3 || opened != 2 {
		t.Errorf("Image of what is accepted = %d cached, opened %d times, %v", r.Cached, opened, err)
	}
}

// TestImage_takesTheOneThatIsMeant: an archive may hold several images for a
// platform, and who asks knows which one was judged.
func TestImage_takesTheOneThatIsMeant(t *testing.T) {
	bad := broken(t, "")
	good := scantest.Image{Entrypoint: []string{"/s"}, Layers: [][]byte{scantest.Tar(t, bin("s", scantest.ELF{Program: true}))}}
	members := []scantest.File{}
	list := []any{}
	for _, i := range []scantest.Image{bad, good} {
		name := fmt.Sprintf("%x.json", sha256.Sum256(i.Config()))
		layers := []string{}
		for _, l := range i.Layers {
			file := fmt.Sprintf("%x.tar", sha256.Sum256(l))
			layers = append(layers, file)
			members = append(members, scantest.File{Name: file, Body: l})
		}
		members = append(members, scantest.File{Name: name, Body: i.Config()})
		list = append(list, map[string]any{"Config": name, "Layers": layers})
	}
	manifest, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	all := scantest.Tar(t, append(members, scantest.File{Name: "manifest.json", Body: manifest})...)
	for want, i := range map[string]scantest.Image{brokenLine: bad, "": good} {
		opts := scan.Options{Config: fmt.Sprintf("sha256:%x", sha256.Sum256(i.Config()))}
		r, err := scan.Image(t.Context(), scan.FromSave(stream(all)), amd64, opts)
		if err != nil || strings.Join(lines(r), " ") != want {
			t.Errorf("Image = %q, %v; want %q", lines(r), err, want)
		}
	}
	_, err = scan.Image(t.Context(), scan.FromSave(stream(all)), amd64, scan.Options{Config: "sha256:0"})
	if err == nil || !strings.Contains(err.Error(), "no image with the config sha256:0") {
		t.Errorf("Image = %v", err)
	}
}

func TestImage_refusesWhatCannotBeRead(t *testing.T) {
	i := broken(t, "")
	lies := i
	lies.WrongDiffIDs = true
	two := scantest.Tar(t, scantest.File{Name: "manifest.json", Body: []byte(`[{"Config":"c","Layers":[]},{"Config":"c","Layers":[]}]`)}, scantest.File{Name: "c", Body: i.Config()})
	xz := i
	xz.Layers = [][]byte{[]byte("\xfd7zXZ\x00" + strings.Repeat("x", 600))}
	whole := i.Save(t)
	tests := map[string]struct {
		src  scan.Source
		want string
	}{
		"nothing at all":              {scan.FromSave(stream(nil)), "neither what `docker save` writes nor an OCI layout"},
		"an archive of something":     {scan.FromSave(stream(scantest.Tar(t, text("a", "b")))), "neither"},
		"text":                        {scan.FromSave(stream([]byte(strings.Repeat("hello ", 500)))), "read the archive"},
		"an archive cut short":        {scan.FromSave(stream(whole[:len(whole)/3])), "unexpected EOF"},
		"the same as a file":          {scan.FromSave(bytes.NewReader(whole[:len(whole)/3])), "unexpected EOF"},
		"a layer cut between files":   {scan.FromLayers(i.Config(), cutLayers(t, i)), "ECS could not unpack it"},
		"an archive cut at its end":   {scan.FromSave(stream(whole[:len(whole)-4096])), "unexpected EOF"},
		"an archive without manifest": {scan.FromSave(stream(scantest.Tar(t, scantest.File{Name: "a/layer.tar", Body: i.Layers[0]}))), "cut short"},
		"another layer than promised": {scan.FromSave(stream(lies.Save(t))), "ECS could not unpack it"},
		"the same in a layout":        {scan.FromLayers(lies.Config(), layersOf(t, lies)), "ECS could not unpack it"},
		"two images":                  {scan.FromSave(stream(two)), "it holds 2 images"},
		"a compression of its own":    {scan.FromSave(stream(xz.Save(t))), "xz"},
		"fewer layers than promised":  {scan.FromLayers(i.Config(), layersOf(t, i)[:1]), "the config names 3 layers, the manifest 1"},
		"a config that is another": {scan.FromBlobs(func(context.Context, string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("{}")), nil
		}, "sha256:1", nil), "was asked for as sha256:1"},
		"another image than asked for": {scan.FromSaved(lies.Config(), opener(whole)), "another image than the one that was asked for"},
		"a config that is none":        {scan.FromLayers([]byte("{"), nil), "decode the image's config"},
		"a folder that is not there":   {scan.FromLayout(filepath.Join(t.TempDir(), "none")), "open the OCI layout"},
		"a folder of something":        {scan.FromLayout(t.TempDir()), "neither"},
		"a layer that does not open": {scan.FromLayers(scantest.Image{Layers: [][]byte{nil}}.Config(), []scan.Layer{{Digest: "sha256:1", Open: func(context.Context) (io.ReadCloser, error) {
			return nil, errors.New("connection refused")
		}}}), "open layer sha256:1: connection refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := scan.Image(t.Context(), tt.src, amd64, scan.Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Image = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// cutLayers ends the first layer before the zeros that end it.
func cutLayers(t testing.TB, i scantest.Image) []scan.Layer {
	all := layersOf(t, i)
	cut := i.Layers[0][:len(i.Layers[0])-1024]
	all[0].Open = func(context.Context) (io.ReadCloser, error) { return seeker{bytes.NewReader(cut)}, nil }
	return all
}

type seeker struct{ *bytes.Reader }

func (seeker) Close() error { return nil }

func TestFromLayout_staysInside(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"index.json": `{"manifests":[{"digest":"sha256:../../../../etc/passwd"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := scan.Image(t.Context(), scan.FromLayout(dir), amd64, scan.Options{}); err == nil || !strings.Contains(err.Error(), "is not one of sha256") {
		t.Errorf("Image = %v, want the digest refused", err)
	}
}

func TestImage_stops(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	i := broken(t, "gzip")
	for name, src := range map[string]scan.Source{"a stream": scan.FromSave(stream(i.Save(t))), "layers": scan.FromLayers(i.Config(), layersOf(t, i))} {
		if _, err := scan.Image(ctx, src, amd64, scan.Options{}); !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
			t.Errorf("Image of %s = %v, want the context's end", name, err)
		}
	}
}

func TestImage_hostileLayers(t *testing.T) {
	i := scantest.Image{Cmd: []string{"/s"}, Layers: [][]byte{scantest.Tar(t, scantest.File{Name: "../../x", Body: []byte("y")}, bin("s", scantest.ELF{Program: true}), scantest.File{Name: "l", Link: "l"})}}
	r, err := scan.Image(t.Context(), scan.FromSave(stream(i.Save(t))), amd64, scan.Options{})
	if err != nil {
		t.Fatalf("Image: %v", err)
	}
	wantLines(t, r, "error layer-member ../../x")
}

func TestImage_platformOfTheConfig(t *testing.T) {
	i := scantest.Image{Arch: "arm64", Cmd: []string{"/s"}, Layers: [][]byte{scantest.Tar(t, bin("s", scantest.ELF{Program: true}))}}
	r, err := scan.Image(t.Context(), scan.FromSave(stream(i.Save(t))), amd64, scan.Options{})
	if err != nil {
		t.Fatalf("Image: %v", err)
	}
	wantLines(t, r, "error image-platform /")
}
