package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/weelo/weelo-deploy/internal/event"
)

// maxSmall bounds manifests, indexes and configs, in bytes. ECR takes manifests
// up to 4 MiB.
const maxSmall = 8 << 20

var errTooLarge = fmt.Errorf("it is larger than %d MiB", maxSmall>>20)

// readSmall reads a manifest or a config.
func readSmall(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxSmall+1))
	if err == nil && len(raw) > maxSmall {
		err = errTooLarge
	}
	return raw, err
}

// store is where the parts of an image are read from. What it does not have is
// ErrNotFound.
type store interface {
	manifest(context.Context, v1.Descriptor) ([]byte, error)
	blob(context.Context, v1.Descriptor) ([]byte, error)
	layer(v1.Descriptor) error // nil when it is there, as far as that can be told
}

// reader describes an image, wherever it is: registries, directories and
// archives differ in their store only, so that they get the same verdict.
type reader struct {
	store store
	ref   string // for people
	form  string
	want  Platform
}

// describe follows a manifest, or the one runnable entry of an index, to its
// config. The platform of top, if any, is what somebody said of it.
func (r reader) describe(ctx context.Context, top v1.Descriptor, raw []byte) (Description, error) {
	d := Description{Reference: r.ref, Form: r.form}
	kind, err := r.kind(top, raw)
	if err != nil {
		return d, err
	}
	if kind.IsIndex() {
		d.Index = top.Digest.String()
		if top, err = r.pick(top.Digest, raw); err != nil {
			return d, err
		}
		if raw, err = r.part(ctx, top.Digest, "its manifest", top, r.store.manifest); err != nil {
			return d, err
		}
		if kind, err = r.kind(top, raw); err != nil {
			return d, err
		}
		if kind.IsIndex() {
			return d, notRunnable(r.ref, top.Digest, "an entry of its index is another index")
		}
	}
	d.Descriptor, d.Digest, d.MediaType = platformOf(top.Platform), top.Digest.String(), string(kind)
	if top.Platform != nil {
		d.DescriptorOSVersion = top.Platform.OSVersion
	}
	return d, r.image(ctx, &d, top.Digest, raw)
}

// kind is what a manifest is, by those who refer to it and by itself: an image
// or an index. Whatever reads as both, or is called something else than it calls
// itself, is refused: programs that pull disagree on it.
func (r reader) kind(d v1.Descriptor, raw []byte) (types.MediaType, error) {
	var m struct {
		SchemaVersion             int
		MediaType                 types.MediaType
		Config, Layers, Manifests json.RawMessage
	}
	refuse := func(format string, a ...any) (types.MediaType, error) {
		return "", notRunnable(r.ref, d.Digest, fmt.Sprintf(format, a...))
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return refuse("its manifest is no JSON: %v", err)
	}
	kind := d.MediaType
	if !strings.HasPrefix(string(kind), "application/vnd.") {
		kind = m.MediaType
	}
	switch {
	case d.MediaType.IsSchema1() || m.SchemaVersion == 1:
		return refuse("its manifest is of Docker's schema 1, which is too old (media type %q)", kind)
	case kind == "":
		return refuse("its manifest has no media type")
	case !kind.IsImage() && !kind.IsIndex():
		return refuse("its media type is %s", kind)
	case m.MediaType != "" && m.MediaType != kind:
		return refuse("what refers to its manifest says that it is %s, the manifest says that it is %s", kind, m.MediaType)
	case kind.IsImage() && m.Manifests != nil, kind.IsIndex() && (m.Config != nil || m.Layers != nil):
		return refuse("its manifest is an image and an index at once")
	case kind.IsImage() && m.Config == nil:
		return refuse("its manifest has no config")
	}
	return kind, nil
}

// part reads something that a manifest refers to. That it is missing, or is not
// what the digest says, is a fault of the image.
func (r reader) part(ctx context.Context, in v1.Hash, what string, d v1.Descriptor, read func(context.Context, v1.Descriptor) ([]byte, error)) ([]byte, error) {
	if d.Size > maxSmall {
		return nil, notRunnable(r.ref, in, fmt.Sprintf("%s %s: %v", what, d.Digest, errTooLarge))
	}
	raw, err := read(ctx, d)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, notRunnable(r.ref, in, fmt.Sprintf("%s %s is missing", what, d.Digest))
	case errors.Is(err, errTooLarge):
		return nil, notRunnable(r.ref, in, fmt.Sprintf("%s %s: %v", what, d.Digest, errTooLarge))
	case err != nil:
		return nil, err
	}
	if d.Size != int64(len(raw)) {
		return nil, notRunnable(r.ref, in, fmt.Sprintf("%s %s has %d bytes, and is described as %d", what, d.Digest, len(raw), d.Size))
	}
	if !matches(d.Digest, raw) {
		return nil, notRunnable(r.ref, in, fmt.Sprintf("%s %s has another digest", what, d.Digest))
	}
	return raw, nil
}

func matches(h v1.Hash, raw []byte) bool {
	hasher, err := v1.Hasher(h.Algorithm)
	if err != nil {
		return false
	}
	hasher.Write(raw)
	return fmt.Sprintf("%x", hasher.Sum(nil)) == h.Hex
}

// config is what is read of an image's config.
type config struct {
	OS, Architecture, Variant string
	OSVersion                 string `json:"os.version"`
	Config                    struct{ Labels map[string]string }
	RootFS                    struct {
		DiffIDs []string `json:"diff_ids"`
	}
}

// image reads a manifest and its config into d.
func (r reader) image(ctx context.Context, d *Description, digest v1.Hash, raw []byte) error {
	var m v1.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return notRunnable(r.ref, digest, fmt.Sprintf("its manifest cannot be read: %v", err))
	}
	if t := m.Config.MediaType; !t.IsConfig() {
		return notRunnable(r.ref, digest, "its config is of media type "+string(t))
	}
	raw, err := r.part(ctx, digest, "its config", m.Config, r.store.blob)
	if err != nil {
		return err
	}
	d.ConfigDigest, d.Declared, d.Size = m.Config.Digest.String(), platformOf(m.Config.Platform), m.Config.Size
	if err := d.read(raw); err != nil {
		return notRunnable(r.ref, digest, err.Error())
	}
	for _, l := range m.Layers {
		foreign := len(l.URLs) > 0 || isForeign(l.MediaType)
		d.Size += l.Size
		d.Layers = append(d.Layers, Layer{Digest: l.Digest.String(), MediaType: string(l.MediaType), Size: l.Size, Foreign: foreign})
		if err := r.store.layer(l); err != nil && !foreign {
			return notRunnable(r.ref, digest, fmt.Sprintf("its layer %s %v", l.Digest, err))
		}
	}
	return nil
}

// read takes over what a config says.
func (d *Description) read(raw []byte) error {
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("its config cannot be read: %w", err)
	}
	d.Config, d.ConfigOSVersion = Platform{c.OS, c.Architecture, c.Variant}, c.OSVersion
	d.Labels, d.DiffIDs, d.RawConfig = c.Config.Labels, c.RootFS.DiffIDs, raw
	return nil
}

// notRunnable is the failure of an image that no judge has to look at.
func notRunnable(ref string, d v1.Hash, why string) error {
	f := event.Fail(event.CodePlatformMismatch, ref+" is no image that ECS can run: "+why)
	if d != (v1.Hash{}) {
		f.See("manifest " + d.String())
	}
	return f.Hint("push an image in Docker's schema 2 or in the OCI format; docker build makes such")
}
