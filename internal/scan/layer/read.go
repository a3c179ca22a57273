package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/native"
)

// whiteout begins the names that remove files of the layers below, opaque is
// the one that empties a directory (OCI image specification, layer.md).
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	metadata = ".wh..wh." // other names of AUFS's own, which unpack to nothing
)

// Read reduces a layer's uncompressed tar. r is read to its end, or skipped
// over where it is an io.Seeker. A tar that is cut short or damaged is an
// error, and so is one beyond the limits of this package.
func Read(ctx context.Context, r io.Reader) (*Facts, error) {
	w := walker{f: &Facts{}, tar: tar.NewReader(r), head: make([]byte, native.SniffLen)}
	w.file, _ = r.(*skipper)
	for n := 0; ; n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, err := w.tar.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, fmt.Errorf("after %s: %w", orStart(w.f.last), err)
		}
		if err := w.entry(h); err != nil {
			return nil, fmt.Errorf("at %s: %w", cut(h.Name), err)
		}
	}
	return w.f, nil
}

func orStart(last string) string {
	if last == "" {
		return "the beginning"
	}
	return cut(last)
}

// walker is one pass over one layer.
type walker struct {
	f    *Facts
	tar  *tar.Reader
	file *skipper // what tar reads, where that can be read anywhere
	head []byte
	bin  native.Reader
}

func (w *walker) entry(h *tar.Header) error {
	w.f.Bytes += 512
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	p, ok := clean(h.Name)
	switch {
	case !ok:
		w.f.problem(h.Name, "its path leads out of the image; engines refuse to unpack it")
		return nil
	case len(p) > maxPath || len(h.Linkname) > maxPath:
		w.f.problem(h.Name, fmt.Sprintf("its path is longer than %d bytes; no file system takes it", maxPath))
		return nil
	case strings.ContainsRune(p, 0):
		w.f.problem(h.Name, "its path contains a zero byte")
		return nil
	}
	if w.f.Bytes += max(0, h.Size); w.f.Bytes > maxBytes {
		return fmt.Errorf("the layer is larger than %d GiB", maxBytes>>30)
	}
	dir, base := path.Split(p)
	if strings.HasPrefix(base, whiteout) {
		return w.remove(dir, base)
	}
	return w.member(h, p)
}

func (w *walker) remove(dir, base string) error {
	switch {
	case base == opaque:
		return w.f.add(Entry{Path: path.Clean(dir), Kind: Opaque})
	case strings.HasPrefix(base, metadata), base == whiteout:
		return nil
	}
	name := strings.TrimPrefix(base, whiteout)
	if name == "." || name == ".." {
		w.f.problem(dir+base, "a whiteout of "+name)
		return nil
	}
	return w.f.add(Entry{Path: path.Join(dir, name), Kind: Whiteout})
}

func (w *walker) member(h *tar.Header, p string) error {
	e := Entry{Path: p, Kind: Other}
	switch h.Typeflag {
	case tar.TypeDir:
		e.Kind = Dir
	case tar.TypeSymlink:
		e.Kind, e.Target = Symlink, h.Linkname
	case tar.TypeLink:
		t, ok := clean(h.Linkname)
		if !ok {
			w.f.problem(h.Name, "a hard link that leads out of the image; engines refuse to unpack it")
			return nil
		}
		e.Kind, e.Target = Hardlink, t
	case tar.TypeReg, tar.TypeGNUSparse:
		e.Kind, e.Exec = Plain, h.Mode&0o111 != 0
		w.f.Files++
		if err := w.contents(&e, h.Size, sparse(h)); err != nil {
			return err
		}
	}
	return w.f.add(e)
}

// sparse reports a member whose holes are not in the tar (GNU formats 0.x and
// 1.0; archive/tar hides the first ones' maps, but not where they came from).
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// contents reads as much of a file as its kind asks for.
func (w *walker) contents(e *Entry, size int64, sparse bool) error {
	if keep := keeper(e.Path); keep != nil && size <= maxText && w.f.kept+size <= maxTexts {
		raw, err := io.ReadAll(io.LimitReader(w.tar, maxText))
		if err != nil {
			return err
		}
		if keep(e, raw) {
			w.f.kept += size
		}
		return nil
	}
	head := w.head[:min(size, int64(len(w.head)))]
	if _, err := io.ReadFull(w.tar, head); err != nil {
		return err
	}
	if strings.HasPrefix(string(head), "#!") {
		return w.script(e, head)
	}
	if f := native.Sniff(head); f != "" {
		return w.binary(e, f, head, size, sparse)
	}
	return nil
}

func (w *walker) binary(e *Entry, f native.Format, head []byte, size int64, sparse bool) error {
	b, err := w.facts(f, head, size, sparse)
	if err != nil {
		return err
	}
	if w.f.native += b.Size(); w.f.native > maxNative {
		return errors.New("the binaries up to here ask for more than can be kept")
	}
	if b.Format != "" {
		e.Kind, e.Binary = Binary, b
	}
	return nil
}

// facts reads a binary of which head was read already. The contents of a sparse
// member are not what lies in the tar.
func (w *walker) facts(f native.Format, head []byte, size int64, sparse bool) (*native.Binary, error) {
	if w.file == nil || sparse {
		return w.bin.Read(f, io.MultiReader(bytes.NewReader(head), w.tar), size)
	}
	return w.bin.ReadAt(f, io.NewSectionReader(w.file.r, w.file.pos-int64(len(head)), size), size)
}

// maxShebang is what the kernel reads of a first line (BINPRM_BUF_SIZE).
const maxShebang = 256

func (w *walker) script(e *Entry, head []byte) error {
	rest, err := io.ReadAll(io.LimitReader(w.tar, int64(maxShebang-len(head))))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(head)+string(rest), "\n")
	e.Kind, e.Interp = Script, strings.Trim(strings.TrimPrefix(line, "#!"), " \t")
	return nil
}
