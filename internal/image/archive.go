package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
)

// What is kept of an archive is bounded: what looks like JSON, up to maxSmall
// each and maxKept together, and the names and sizes of so many files.
const (
	maxKept    = 64 << 20
	maxEntries = 1 << 17
)

// DescribeTar reads the image in an archive: what `docker save` wrote, in its
// older and in its newer form, or an OCI image layout packed with tar. It may be
// compressed with gzip or zstd, and is read once, to its end. ref is the archive's
// name for people. The errors are those of [DescribeLayout].
//
// An older archive has no manifests, so that its Description has no digest but
// the config's.
func DescribeTar(ctx context.Context, r io.Reader, ref string, c Choice) (Description, error) {
	a, err := readArchive(ctx, r)
	switch {
	case errors.Is(err, ErrNoImages):
		return Description{}, noImages(ref + " is no archive")
	case ctx.Err() != nil:
		return Description{}, fmt.Errorf("read archive %s: %w", ref, err)
	case err != nil:
		return Description{}, notRunnable(ref, v1.Hash{}, "its archive "+err.Error())
	}
	index, err := a.read("index.json")
	if err == nil {
		version, err := a.read("oci-layout")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Description{}, fmt.Errorf("read archive %s: %w", ref, err)
		}
		l := layout{files: a, ref: ref, form: "OCI archive"}
		d, err := l.describe(ctx, version, index, c)
		if err != nil {
			return d, err
		}
		return d, a.agree(d)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Description{}, fmt.Errorf("read archive %s: %w", ref, err)
	}
	saved, err := a.read("manifest.json")
	if errors.Is(err, fs.ErrNotExist) && a.cut {
		return Description{}, notRunnable(ref, v1.Hash{}, "its archive is cut off, before index.json and manifest.json")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Description{}, noImages(ref + " is an archive without images: it has neither index.json nor manifest.json")
	}
	if err != nil {
		return Description{}, fmt.Errorf("read archive %s: %w", ref, err)
	}
	return a.describeSaved(ref, saved, c)
}

// IsTar reports whether a file's first bytes are those of an archive that
// DescribeTar reads: a tar, plain or compressed.
func IsTar(r io.Reader) bool {
	plain, done, err := decompressed(bufio.NewReader(r))
	if err != nil {
		return false
	}
	defer done()
	_, err = tar.NewReader(plain).Next()
	return err == nil
}

// decompressed looks at how a stream is compressed, by its first bytes.
func decompressed(r *bufio.Reader) (io.Reader, func(), error) {
	head, _ := r.Peek(4) // a shorter one is no archive, as the reader will find
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return r, func() {}, nil
}

// archive is what was kept of a tar.
type archive struct {
	entries map[string]entryOf
	kept    int
	cut     bool // it has no end mark: a tar that was cut off between two files reads well
}

// untilEOF notices that a stream ended by itself.
type untilEOF struct {
	io.Reader
	reached bool
}

func (u *untilEOF) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	u.reached = u.reached || n == 0 && err == io.EOF
	return n, err
}

// entryOf is one file of an archive.
type entryOf struct {
	size int64
	data []byte // of what may be JSON
	link string // the file that this one is a link to
}

// readArchive reads a tar to its end. What is no tar is ErrNoImages.
func readArchive(ctx context.Context, r io.Reader) (*archive, error) {
	plain, done, err := decompressed(bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoImages, err)
	}
	defer done()
	a := &archive{entries: map[string]entryOf{}}
	stream := &untilEOF{Reader: plain}
	t := tar.NewReader(stream)
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			a.cut = stream.reached
			return a, nil
		case err != nil && n == 0:
			return nil, fmt.Errorf("%w: %w", ErrNoImages, err)
		case err != nil:
			return nil, fmt.Errorf("is damaged or cut off: %w", err)
		case n == maxEntries:
			return nil, fmt.Errorf("has more than %d files", maxEntries)
		}
		if err := a.add(h, t); err != nil {
			return nil, err
		}
	}
}

func (a *archive) add(h *tar.Header, r io.Reader) error {
	name := path.Clean("/" + h.Name)[1:]
	switch h.Typeflag {
	case tar.TypeSymlink:
		a.entries[name] = entryOf{link: path.Join("/", path.Dir(name), h.Linkname)[1:]}
	case tar.TypeLink:
		a.entries[name] = entryOf{link: path.Clean("/" + h.Linkname)[1:]}
	case tar.TypeReg:
		data, err := a.keep(h.Size, r)
		if err != nil {
			return fmt.Errorf("%w, in %s", err, name)
		}
		a.entries[name] = entryOf{size: h.Size, data: data}
	}
	return nil
}

// keep reads what may be a manifest or a config: JSON that is not too large.
func (a *archive) keep(size int64, r io.Reader) ([]byte, error) {
	if size > maxSmall || size == 0 {
		return nil, nil
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(r, first); err != nil {
		return nil, fmt.Errorf("is cut off: %w", err)
	}
	if !strings.Contains("{[ \t\r\n", string(first)) {
		return nil, nil
	}
	data := make([]byte, size)
	data[0] = first[0]
	if a.kept += len(data); a.kept > maxKept {
		return nil, fmt.Errorf("has more than %d MiB of manifests", maxKept>>20)
	}
	if _, err := io.ReadFull(r, data[1:]); err != nil {
		return nil, fmt.Errorf("is cut off: %w", err)
	}
	return data, nil
}

// find follows links, which older archives have for layers that occur twice.
func (a *archive) find(name string) (entryOf, error) {
	for range 8 {
		e, ok := a.entries[name]
		if !ok {
			return e, fs.ErrNotExist
		}
		if e.link == "" {
			return e, nil
		}
		name = e.link
	}
	return entryOf{}, errors.New("too many links")
}

func (a *archive) read(name string) ([]byte, error) {
	e, err := a.find(name)
	switch {
	case err != nil:
		return nil, err
	case e.size > maxSmall:
		return nil, fmt.Errorf("%s: %w", name, errTooLarge)
	case e.data == nil:
		return []byte{}, nil // not JSON, as whoever reads it will find
	}
	return e.data, nil
}

func (a *archive) size(name string) (int64, error) {
	e, err := a.find(name)
	return e.size, err
}

// agree compares the two tables that a newer archive has: engines read one or the
// other.
func (a *archive) agree(d Description) error {
	raw, err := a.read("manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	images, perr := parseSaved(raw)
	if err != nil || perr != nil {
		return notRunnable(d.Reference, v1.Hash{}, "its manifest.json cannot be read")
	}
	for _, i := range images {
		if c, err := i.configDigest(); err == nil && c == d.ConfigDigest {
			return nil
		}
	}
	return notRunnable(d.Reference, v1.Hash{}, "its index.json and its manifest.json name different images: config "+d.ConfigDigest+" is in the first only")
}
