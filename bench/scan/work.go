//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/weelo/weelo-deploy/internal/scan"
	"github.com/weelo/weelo-deploy/internal/scan/layer"
)

// open opens a layer in a form. A plain one can seek, as one in a saved image
// that is a file; a stream cannot, as what an engine sends.
func (img image) open(form string, i int) (io.ReadCloser, error) {
	name := filepath.Join(img.Dir, img.Layers[i])
	if form == "gzip" || form == "zstd" {
		name += "." + form
	}
	return os.Open(name)
}

// read decompresses and reads every layer to its end, two at once, and does
// nothing with what it reads: the least that a scan could take.
func (img image) read(ctx context.Context, form string) error {
	if form == "stream" {
		r, done := img.pipe(ctx)
		return errors.Join(drain(r), done())
	}
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for i := range img.Layers {
		g.Go(func() error {
			f, err := img.open(form, i)
			if err != nil {
				return err
			}
			defer f.Close()
			z, _, err := layer.Decompress(f)
			if err != nil {
				return err
			}
			defer z.Close()
			return drain(z)
		})
	}
	return g.Wait()
}

func drain(r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 256<<10))
	return err
}

// pipe gives the image as `docker save` does, through a pipe of the kernel.
func (img image) pipe(ctx context.Context) (io.Reader, func() error) {
	pr, pw, err := os.Pipe()
	if err != nil {
		return bytes.NewReader(nil), func() error { return err }
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return errors.Join(img.save(ctx, pw), pw.Close()) })
	return struct{ io.Reader }{pr}, func() error { return errors.Join(g.Wait(), pr.Close()) }
}

func (img image) save(ctx context.Context, w io.Writer) error {
	t := tar.NewWriter(w)
	for i, name := range img.Layers {
		f, err := img.open("stream", i)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := os.Stat(filepath.Join(img.Dir, name))
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Name: name, Size: st.Size(), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{t}, contextReader{ctx, f}, make([]byte, 1<<20)); err != nil {
			return err
		}
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "Layers": img.Layers}})
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"config.json": img.config(), "manifest.json": manifest} {
		if err := t.WriteHeader(&tar.Header{Name: name, Size: int64(len(b)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := t.Write(b); err != nil {
			return err
		}
	}
	return t.Close()
}

func (img image) config() []byte {
	raw, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": runtime.GOARCH, "config": map[string]any{"Cmd": []string{"/bin/sh"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": img.DiffID},
	})
	if err != nil {
		return nil
	}
	return raw
}

// scan does what a release does.
func (img image) scan(ctx context.Context, form string) (sample, error) {
	target := scan.Target{OS: "linux", Arch: runtime.GOARCH}
	if form == "stream" {
		r, done := img.pipe(ctx)
		src := scan.FromSaved(img.config(), func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil })
		rep, err := scan.Image(ctx, src, target, scan.Options{})
		return sample{Errors: rep.Count(scan.Error), Binaries: rep.Binaries}, errors.Join(err, done())
	}
	var layers []scan.Layer
	for i := range img.Layers {
		layers = append(layers, scan.Layer{Open: func(context.Context) (io.ReadCloser, error) { return img.open(form, i) }})
	}
	rep, err := scan.Image(ctx, scan.FromLayers(img.config(), layers), target, scan.Options{})
	return sample{Errors: rep.Count(scan.Error), Binaries: rep.Binaries}, err
}
