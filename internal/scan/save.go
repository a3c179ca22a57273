package scan

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
)

// FromSave is the image in what `docker save` writes, in its older form or as an
// OCI layout, members in any order; the whole may be compressed with gzip or
// zstd. A plain file is read where it is, layers in parallel; anything else is
// read once, forwards.
func FromSave(r io.Reader) Source {
	return saved{raw: r}
}

// FromSaved is an image of an engine, which open gives as `docker save` writes
// it and whose config is known before: open is not called when the cache knows
// every layer. The config needs rootfs.diff_ids and the settings of containers;
// without its history the archive is read all the same when something is wrong,
// for the build steps. The archive's own config replaces it when it is read.
//
// The engine's word for its own layers is taken: they are not hashed again.
func FromSaved(config []byte, open func(ctx context.Context) (io.ReadCloser, error)) Source {
	return saved{config: config, open: open}
}

type saved struct {
	config []byte
	open   func(ctx context.Context) (io.ReadCloser, error)
	raw    io.Reader
}

func (s saved) read(ctx context.Context, r *reader) (*contents, error) {
	if in := s.known(r); in != nil {
		return in, nil
	}
	if s.raw != nil {
		return readArchive(ctx, r, s.raw)
	}
	return s.stream(ctx, r)
}

// stream reads the archive from its beginning.
func (s saved) stream(ctx context.Context, r *reader) (*contents, error) {
	body, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("save the image: %w", err)
	}
	in, err := readStream(ctx, r, body, true)
	if err = errors.Join(err, body.Close()); err == nil {
		err = s.same(in)
	}
	return in, err
}

// readArchive reads an archive where it is, when it is a plain file, and forwards
// otherwise.
func readArchive(ctx context.Context, r *reader, raw io.Reader) (*contents, error) {
	if f, ok := raw.(seekable); ok {
		if end, err := f.Seek(0, io.SeekEnd); err == nil {
			raw = io.NewSectionReader(f, 0, end)
		}
	}
	z, _, err := layer.Decompress(raw)
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	defer z.Close()
	if plain, ok := raw.(*io.SectionReader); ok && isPlain(z) {
		return readFile(ctx, r, plain, plain.Size())
	}
	return readStream(ctx, r, z, false)
}

// isPlain reports whether what Decompress gave can still seek.
func isPlain(r io.Reader) bool { _, ok := r.(layer.ReadSeekerAt); return ok }

// same holds the archive against the config that was known before: the engine
// may have another image under that name by now.
func (s saved) same(in *contents) error {
	cfg, err := parseConfig(s.config)
	if err == nil && !slices.Equal(cfg.RootFS.DiffIDs, in.config.RootFS.DiffIDs) {
		err = errors.New("the archive holds another image than the one that was asked for")
	}
	return err
}

// known is the image out of the cache alone, or nil.
func (s saved) known(r *reader) *contents {
	cfg, err := parseConfig(s.config)
	if err != nil || len(cfg.RootFS.DiffIDs) == 0 {
		return nil
	}
	in := &contents{config: cfg}
	if len(cfg.History) == 0 {
		in.whole = func(ctx context.Context) (*contents, error) { return s.stream(ctx, r) }
	}
	for _, id := range cfg.RootFS.DiffIDs {
		f, ok := r.known(id)
		if !ok {
			return nil
		}
		in.layers = append(in.layers, scanned{facts: f, digest: id, cached: true})
	}
	return in
}

// Limits of an archive that is not a layer: members, and bytes of all documents.
const (
	maxMembers   = 100_000
	maxDocuments = 64 << 20
)

// archive is what a pass over an archive's members collects.
type archive struct {
	docs   map[string][]byte
	alias  map[string]string // links, which stand for layers that come twice
	trust  bool              // layers are what the config promises
	layers map[string]streamed
	total  int
	count  int
}

type streamed struct {
	facts  *layer.Facts
	sum    string
	cached bool
	err    error // of a blob that may be no layer at all
}

func (a *archive) name(n string) string {
	n = path.Clean(n)
	if to, ok := a.alias[n]; ok {
		return to
	}
	return n
}

func (a *archive) document(name string) ([]byte, error) {
	if raw, ok := a.docs[a.name(name)]; ok {
		return raw, nil
	}
	return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// member takes links and counts; it reports whether h has contents to look at.
func (a *archive) member(h *tar.Header) (string, bool, error) {
	name := path.Clean(h.Name)
	if a.count++; a.count > maxMembers {
		return "", false, fmt.Errorf("the archive has more than %d members", maxMembers)
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		a.alias[name] = path.Join(path.Dir(name), h.Linkname)
	case tar.TypeLink:
		a.alias[name] = path.Clean(h.Linkname)
	case tar.TypeReg:
		return name, h.Size > 0, nil
	}
	return name, false, nil
}

// each walks through the archive, and hands on every member that has contents
// while the reader stands at them.
func (a *archive) each(t *tar.Reader, look func(name string, size int64) error) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("read the archive: %w", err)
		}
		name, contents, err := a.member(h)
		if err != nil {
			return err
		}
		if !contents {
			continue
		}
		if err := look(name, h.Size); err != nil {
			return err
		}
	}
}

func (a *archive) keep(name string, r io.Reader) error {
	raw, err := document(name, r)
	if err != nil {
		return err
	}
	if a.total += len(raw); a.total > maxDocuments {
		return fmt.Errorf("the archive's documents are longer than %d MiB", maxDocuments>>20)
	}
	a.docs[name] = raw
	return nil
}

func newArchive() *archive {
	return &archive{docs: map[string][]byte{}, alias: map[string]string{}, layers: map[string]streamed{}}
}

// readStream reads an archive forwards: each layer is reduced as it passes, and
// put in its place at the end, when all documents are known.
func readStream(ctx context.Context, r *reader, body io.Reader, trusted bool) (*contents, error) {
	a := newArchive()
	a.trust = trusted
	t := tar.NewReader(bufio.NewReaderSize(body, 64<<10))
	err := a.each(t, func(name string, _ int64) error {
		if err := a.stream(ctx, r, name, t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.assemble(r)
}

// stream takes one member: a document, a layer, or something else.
func (a *archive) stream(ctx context.Context, r *reader, name string, body io.Reader) error {
	b := bufio.NewReaderSize(body, 64<<10)
	head, err := b.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case !isLayer(head) && (head[0] == '{' || head[0] == '['):
		return a.keep(name, b)
	case !isLayer(head):
		return nil
	}
	if id := "sha256:" + path.Base(name); hexDigest.MatchString(path.Base(name)) {
		if f, ok := r.known(id); ok { // a plain tar, named by its own digest
			a.layers[name] = streamed{facts: f, sum: id, cached: true}
			return nil
		}
	}
	f, sum, err := readBlob(ctx, b, !a.trust)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a.layers[name] = streamed{facts: f, sum: sum, err: err}
	return nil
}

// isLayer tells a layer by its first bytes: a tar, one of nothing but zeros, or
// something compressed.
func isLayer(head []byte) bool {
	if len(head) >= 263 && string(head[257:262]) == "ustar" {
		return true
	}
	for _, magic := range [][]byte{{0x1f, 0x8b}, {0x28, 0xb5, 0x2f, 0xfd}, []byte("\xfd7zXZ\x00"), []byte("BZh")} {
		if bytes.HasPrefix(head, magic) {
			return true
		}
	}
	return len(head) == 512 && !slices.ContainsFunc(head, func(b byte) bool { return b != 0 })
}

// assemble puts the layers in their order and holds them against the config.
func (a *archive) assemble(r *reader) (*contents, error) {
	p, err := r.resolve(a)
	if err != nil {
		return nil, err
	}
	ids := p.config.RootFS.DiffIDs
	if len(ids) != len(p.files) {
		return nil, miscounted(p.config, len(p.files))
	}
	in := &contents{config: p.config}
	for i, file := range p.files {
		l, ok := a.layers[a.name(file)]
		if !ok {
			return nil, fmt.Errorf("layer %s is not in the archive", file)
		}
		if l.err != nil {
			return nil, fmt.Errorf("read layer %s: %w", file, l.err)
		}
		if a.trust {
			l.sum = ids[i]
		}
		if !l.cached {
			if err := r.settle(p.digestOf(i), ids[i], l.sum, l.facts); err != nil {
				return nil, err
			}
		}
		in.layers = append(in.layers, scanned{facts: l.facts, digest: p.digestOf(i), cached: l.cached})
	}
	return in, nil
}

// seekable is an archive that is a file.
type seekable interface {
	io.ReaderAt
	io.Seeker
}

// readFile notes where the members of an archive are, and opens the layers
// there, several at once.
func readFile(ctx context.Context, r *reader, f seekable, size int64) (*contents, error) {
	a, where := newArchive(), map[string]*io.SectionReader{}
	sr := io.NewSectionReader(f, 0, size)
	t := tar.NewReader(sr)
	err := a.each(t, func(name string, size int64) error {
		at, err := sr.Seek(0, io.SeekCurrent)
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		where[name] = io.NewSectionReader(f, at, size)
		return nil
	})
	if err != nil {
		return nil, err
	}
	p, err := r.resolve(sections{a, where})
	if err != nil {
		return nil, err
	}
	return r.plan(ctx, p, func(file string) (io.ReadCloser, error) {
		s, ok := where[a.name(file)]
		if !ok {
			return nil, fmt.Errorf("%s is not in the archive", file)
		}
		return section{io.NewSectionReader(s, 0, s.Size())}, nil
	})
}

type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// sections reads documents where they are in a file.
type sections struct {
	a     *archive
	where map[string]*io.SectionReader
}

func (d sections) document(name string) ([]byte, error) {
	s, ok := d.where[d.a.name(name)]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return document(name, io.NewSectionReader(s, 0, s.Size()))
}
