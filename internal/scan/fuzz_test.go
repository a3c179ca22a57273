package scan_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/scan/scantest"
)

// FuzzImage reads anything as what `docker save` writes or as an OCI layout in a
// tar. A file is read in another order than a stream, and both get one verdict.
func FuzzImage(f *testing.F) {
	i := scantest.Image{
		Entrypoint: []string{"/app/s"}, Cmd: []string{"x"}, Env: []string{"PATH=/bin"}, WorkingDir: "/app", Healthcheck: []string{"CMD", "/h"},
		Layers: [][]byte{
			scantest.Tar(f, bin("app/s", scantest.ELF{Program: true, Interp: "/lib/ld.so", Needed: []string{"libc.so.6"}}), scantest.File{Name: "lib", Link: "usr/lib"}),
			scantest.Tar(f, text("app/package.json", `{"name":"a"}`), scantest.File{Name: "app/.wh.x"}),
		},
	}
	for _, pack := range []string{"", "gzip", "zstd"} {
		i.AllPack = pack
		f.Add(i.Save(f))
		f.Add(i.SaveOCI(f))
		f.Add(scantest.Pack(f, "gzip", i.Save(f)))
	}
	f.Add(scantest.Tar(f, scantest.File{Name: "manifest.json", Body: []byte(`[{"Config":"c","Layers":["l","l"]}]`)}, scantest.File{Name: "c", Body: []byte(`{"rootfs":{"diff_ids":["a","b"]}}`)}, scantest.File{Name: "l", Link: "l"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		opts := scan.Options{Allow: []scan.Rule{{Path: "**/x"}}}
		streamed, serr := scan.Image(t.Context(), scan.FromSave(stream(b)), amd64, opts)
		file, ferr := scan.Image(t.Context(), scan.FromSave(bytes.NewReader(b)), amd64, opts)
		if serr != nil || ferr != nil {
			return // a stream is read to its end, a file where it has to be
		}
		if d := cmp.Diff(lines(streamed), lines(file)); d != "" {
			t.Fatalf("findings (-stream +file):\n%s", d)
		}
		streamed.Event()
		streamed.Failure()
	})
}
