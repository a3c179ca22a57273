package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
)

// Source is an image that can be read: FromSave, FromSaved, FromLayout or
// FromLayers makes one.
type Source interface {
	read(ctx context.Context, r *reader) (*contents, error)
}

// contents is an image, its layers reduced; the lowest is first.
type contents struct {
	config config
	layers []scanned
	// whole reads the image anew with all that its config says; nil when it was.
	whole func(context.Context) (*contents, error)
}

type scanned struct {
	facts  *layer.Facts
	digest string // as the manifest names it; the diff id where it names none
	cached bool
}

// Layer is a layer that can be opened apart from the others.
type Layer struct {
	DiffID string // of the uncompressed tar, from the config; "" when unknown
	Digest string // of the blob, for the report
	// Open gives the blob, compressed or not. What it gives is closed.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// FromLayers is an image whose config and layers are at hand, the lowest first,
// as a registry has them. Layers are read in parallel, and those that the cache
// knows are not opened. A DiffID that is empty is taken from the config.
func FromLayers(config []byte, layers []Layer) Source { return apart{config, layers} }

// FromBlobs is an image in a registry: open gives the blob of a digest, the
// config and the layers are named by theirs, the lowest layer first.
func FromBlobs(open func(ctx context.Context, digest string) (io.ReadCloser, error), config string, layers []string) Source {
	return blobs{open, config, layers}
}

type blobs struct {
	open   func(context.Context, string) (io.ReadCloser, error)
	config string
	layers []string
}

func (b blobs) read(ctx context.Context, r *reader) (*contents, error) {
	body, err := b.open(ctx, b.config)
	if err != nil {
		return nil, fmt.Errorf("open the image's config: %w", err)
	}
	raw, err := document("the image's config", body)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	if got := digestOf(raw); got != b.config {
		return nil, fmt.Errorf("the image's config is %s, and was asked for as %s", got, b.config)
	}
	a := apart{config: raw}
	for _, d := range b.layers {
		a.layers = append(a.layers, Layer{Digest: d, Open: func(ctx context.Context) (io.ReadCloser, error) { return b.open(ctx, d) }})
	}
	return a.read(ctx, r)
}

type apart struct {
	config []byte
	layers []Layer
}

func (a apart) read(ctx context.Context, r *reader) (*contents, error) {
	cfg, err := parseConfig(a.config)
	if err != nil {
		return nil, err
	}
	return a.layersOf(ctx, r, cfg)
}

// layersOf reads the layers of an image whose config is cfg.
func (a apart) layersOf(ctx context.Context, r *reader, cfg config) (*contents, error) {
	ids := cfg.RootFS.DiffIDs
	if len(ids) != len(a.layers) {
		return nil, miscounted(cfg, len(a.layers))
	}
	in := &contents{config: cfg, layers: make([]scanned, len(a.layers))}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.parallel)
	for i, l := range a.layers {
		l.DiffID = ids[i]
		g.Go(func() error {
			s, err := r.layer(ctx, l)
			in.layers[i] = s
			return err
		})
	}
	return in, g.Wait()
}

// reader reads layers, through the cache.
type reader struct {
	cache    layer.Cache
	parallel int
	target   Target
	digest   string // of the config of the image that is meant; "" takes the only one
}

func (r *reader) known(diffID string) (*layer.Facts, bool) {
	if r.cache == nil || diffID == "" {
		return nil, false
	}
	return r.cache.Get(diffID)
}

func (r *reader) layer(ctx context.Context, l Layer) (scanned, error) {
	s := scanned{digest: l.Digest}
	if s.digest == "" {
		s.digest = l.DiffID
	}
	if s.facts, s.cached = r.known(l.DiffID); s.cached {
		return s, nil
	}
	blob, err := l.Open(ctx)
	if err != nil {
		return s, fmt.Errorf("open layer %s: %w", s.digest, err)
	}
	facts, sum, err := readBlob(ctx, blob, true)
	if err = errors.Join(err, blob.Close()); err != nil {
		return s, fmt.Errorf("read layer %s: %w", s.digest, err)
	}
	s.facts = facts
	return s, r.settle(s.digest, l.DiffID, sum, facts)
}

// settle compares a layer's contents with the diff id that the config promises,
// and keeps the facts. Without a sum nothing is proven, so nothing is kept.
func (r *reader) settle(name, diffID, sum string, facts *layer.Facts) error {
	if sum == "" {
		return nil
	}
	if diffID != "" && sum != diffID {
		return fmt.Errorf("layer %s holds %s, the image's config says %s: %w", name, sum, diffID, ErrNotUnpackable)
	}
	if r.cache != nil {
		r.cache.Put(sum, facts)
	}
	return nil
}

// readBlob reduces a layer's blob and returns the digest of its uncompressed
// tar, if it is to verify. A plain tar that can seek is not read through, and gives no digest,
// unless it lacks the zeros that end a tar: then only the digest can tell
// whether it was cut short between two files.
func readBlob(ctx context.Context, blob io.Reader, verify bool) (f *layer.Facts, sum string, err error) {
	z, kind, err := layer.Decompress(blob)
	if err != nil {
		return nil, "", err
	}
	defer z.Close()
	if s, ok := z.(layer.ReadSeekerAt); ok && kind == "plain" && ended(s) {
		f, err = layer.Read(ctx, layer.Skipper(s))
		return f, "", err
	}
	if kind == "plain" && !verify {
		f, err = layer.Read(ctx, layer.Forward(z))
		return f, "", err
	}
	var see hash.Hash
	if verify {
		see = sha256.New()
	}
	return readAhead(ctx, z, see)
}

// readAhead reads a layer in a goroutine of its own and to its very end, where
// a checksum may be wrong, and shows it all to see if there is one.
func readAhead(ctx context.Context, tar io.Reader, see hash.Hash) (*layer.Facts, string, error) {
	var w io.Writer
	if see != nil {
		w = see
	}
	a := layer.Ahead(ctx, tar, w)
	defer a.Close()
	f, err := layer.Read(ctx, a)
	if err != nil {
		return nil, "", err
	}
	if err := a.Drain(); err != nil {
		return nil, "", fmt.Errorf("after the last file: %w", err)
	}
	if see == nil {
		return f, "", nil
	}
	return f, "sha256:" + hex.EncodeToString(see.Sum(nil)), nil
}

// ended reports whether a tar ends in a block of zeros, and goes back to its
// beginning.
func ended(s io.ReadSeeker) bool {
	var last [512]byte
	_, err := s.Seek(-int64(len(last)), io.SeekEnd)
	if err == nil {
		_, err = io.ReadFull(s, last[:])
	}
	_, back := s.Seek(0, io.SeekStart)
	return err == nil && back == nil && last == [512]byte{}
}
