//go:build unix

package main

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// image is a root file system in layers, kept in a folder.
type image struct {
	Dir    string   `json:"-"`
	Layers []string // names of the plain tars
	DiffID []string
	Files  int
	Bytes  int64
}

// whole is how many parts are always taken: a system without half its libraries
// is no system. The others are taken until the image is large enough.
const whole = 2

// parts are folders of a root file system, one layer each.
var parts = [][]string{
	{"/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"},
	{"/usr/bin", "/usr/sbin"},
	{"/usr/lib"},
	{"/usr/share", "/usr/local", "/opt"},
}

// makeImage writes the layers as plain tars, and what they are to image.json.
func makeImage(ctx context.Context, dir string, size int64) (*image, error) {
	img := &image{Dir: dir}
	seen := map[string]bool{}
	for i, part := range parts {
		rest := size - img.Bytes
		if i < whole {
			rest = 1 << 60
		} else if rest <= 0 {
			break
		}
		if err := img.layer(ctx, part, seen, rest); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(img)
	if err != nil {
		return nil, err
	}
	return img, os.WriteFile(filepath.Join(dir, "image.json"), raw, 0o600)
}

var errFull = errors.New("the layer is large enough")

func (img *image) layer(ctx context.Context, roots []string, seen map[string]bool, rest int64) error {
	name := fmt.Sprintf("%d.tar", len(img.Layers))
	f, err := os.Create(filepath.Join(img.Dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	buf := bufio.NewWriterSize(io.MultiWriter(f, h), 1<<20)
	w := &writer{tar: tar.NewWriter(buf), seen: seen, rest: rest}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(p string, _ fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return nil // not there, or not ours to read
			}
			return w.add(p)
		})
		if err != nil && !errors.Is(err, errFull) {
			return err
		}
	}
	if err := errors.Join(w.tar.Close(), buf.Flush(), f.Close()); err != nil {
		return err
	}
	img.Layers, img.DiffID = append(img.Layers, name), append(img.DiffID, "sha256:"+hex.EncodeToString(h.Sum(nil)))
	img.Files += w.files
	img.Bytes += w.bytes
	return nil
}

type writer struct {
	tar   *tar.Writer
	seen  map[string]bool
	rest  int64
	files int
	bytes int64
}

func (w *writer) add(p string) error {
	st, err := os.Lstat(p)
	if err != nil || w.seen[p] {
		return nil
	}
	if w.bytes > w.rest {
		return errFull
	}
	w.seen[p] = true
	link := ""
	if st.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(p); err != nil {
			return nil
		}
	}
	h, err := tar.FileInfoHeader(st, link)
	if err != nil {
		return nil // a socket
	}
	h.Name = strings.TrimPrefix(p, "/")
	if !st.Mode().IsRegular() {
		return w.tar.WriteHeader(h)
	}
	f, err := os.Open(p)
	if err != nil {
		return nil
	}
	defer f.Close()
	if err := w.tar.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyN(w.tar, f, h.Size)
	w.files++
	w.bytes += n
	return err
}

// pack writes the layers in a form; "plain" and "stream" take them as they are.
func (img *image) pack(ctx context.Context, form string) error {
	for _, name := range img.Layers {
		if form == "plain" || form == "stream" {
			continue
		}
		if err := img.packLayer(ctx, form, name); err != nil {
			return err
		}
	}
	return nil
}

func (img *image) packLayer(ctx context.Context, form, name string) error {
	in, err := os.Open(filepath.Join(img.Dir, name))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(img.Dir, name+"."+form))
	if err != nil {
		return err
	}
	defer out.Close()
	var w io.WriteCloser
	switch form {
	case "gzip":
		w = gzip.NewWriter(out)
	case "zstd":
		w, err = zstd.NewWriter(out)
	default:
		err = fmt.Errorf("form %q is none of %s", form, strings.Join(forms, ", "))
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(w, contextReader{ctx, in})
	return errors.Join(err, w.Close(), out.Close())
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, c.ctx.Err()
	}
	return c.r.Read(p)
}
