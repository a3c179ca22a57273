package scan

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
)

// maxDocument is the longest JSON document that is read, in bytes.
const maxDocument = 8 << 20

// FromLayout is the image in an OCI layout, a folder with index.json and blobs.
// Layers are read in parallel.
func FromLayout(dir string) Source { return layout(dir) }

type layout string

func (l layout) read(ctx context.Context, r *reader) (*contents, error) {
	root, err := os.OpenRoot(string(l))
	if err != nil {
		return nil, fmt.Errorf("open the OCI layout: %w", err)
	}
	defer root.Close()
	p, err := r.resolve(folder{root})
	if err != nil {
		return nil, fmt.Errorf("OCI layout %s: %w", string(l), err)
	}
	return r.plan(ctx, p, func(name string) (io.ReadCloser, error) { return root.Open(path.Clean(name)) })
}

type folder struct{ root *os.Root }

func (d folder) document(name string) ([]byte, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return document(name, f)
}

func document(name string, r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(raw) > maxDocument {
		return nil, fmt.Errorf("read %s: longer than %d MiB", name, maxDocument>>20)
	}
	return raw, nil
}

// plan reads the layers that a plan names, in parallel.
func (r *reader) plan(ctx context.Context, p plan, open func(name string) (io.ReadCloser, error)) (*contents, error) {
	a := apart{}
	for i, name := range p.files {
		a.layers = append(a.layers, Layer{
			Digest: p.digestOf(i),
			Open:   func(context.Context) (io.ReadCloser, error) { return open(name) },
		})
	}
	return a.layersOf(ctx, r, p.config)
}
