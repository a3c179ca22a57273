package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/weelo/weelo-deploy/internal/event"
)

// ErrNoImages: a directory or a file does not hold images at all.
var ErrNoImages = errors.New("no images here")

// noImages is an ErrNoImages that says what there is instead.
type noImages string

func (e noImages) Error() string { return string(e) }

// Is implements errors.Is.
func (noImages) Is(target error) bool { return target == ErrNoImages }

// Choice says which image is meant, where there are several.
type Choice struct {
	Platform Platform // the zero Platform takes what is there once
	Name     string   // of the image, "backend:v1"; empty takes the only one
}

// DescribeLayout reads the image in an OCI image layout, which is a directory
// with index.json and blobs. The error wraps ErrNoImages when it is none; it is a
// failure with CodeUsage when there are several images and none is named, and
// otherwise as [Remote.Describe] says.
func DescribeLayout(ctx context.Context, dir string, c Choice) (Description, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Description{}, fmt.Errorf("read OCI layout %s: %w", dir, err)
	}
	defer root.Close()
	raw, err := readFile(root, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return Description{}, noImages(dir + " is no OCI layout: it has no index.json")
	}
	if err != nil {
		return Description{}, fmt.Errorf("read OCI layout %s: %w", dir, err)
	}
	version, err := readFile(root, "oci-layout")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Description{}, fmt.Errorf("read OCI layout %s: %w", dir, err)
	}
	l := layout{files: directory{root}, ref: dir, form: "OCI layout"}
	return l.describe(ctx, version, raw, c)
}

// IsLayout reports whether a directory looks like an OCI image layout.
func IsLayout(dir string) bool {
	info, err := os.Stat(path.Join(dir, "index.json"))
	return err == nil && info.Mode().IsRegular()
}

// readFile reads a small regular file: nothing else would end for sure.
func readFile(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readSmall(f)
}

// files are a layout's files, in a directory or an archive. What is not there is
// fs.ErrNotExist.
type files interface {
	read(name string) ([]byte, error)
	size(name string) (int64, error)
}

// directory is a layout on disk. Nothing outside of it is read, whatever its
// links say.
type directory struct{ root *os.Root }

func (d directory) read(name string) ([]byte, error) { return readFile(d.root, name) }

func (d directory) size(name string) (int64, error) {
	info, err := d.root.Stat(name)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// layout is an OCI image layout (OCI image specification, image-layout.md).
type layout struct {
	files files
	ref   string
	form  string
}

// describe reads the layout's one image, or the one that is chosen. The layout's
// index.json lists images; it is no image's index, unless its entries are one
// image's platforms.
func (l layout) describe(ctx context.Context, version, index []byte, c Choice) (Description, error) {
	if err := checkVersion(version); err != nil {
		return Description{}, notRunnable(l.ref, v1.Hash{}, err.Error())
	}
	var m v1.IndexManifest
	if err := json.Unmarshal(index, &m); err != nil {
		return Description{}, notRunnable(l.ref, v1.Hash{}, fmt.Sprintf("its index.json cannot be read: %v", err))
	}
	r := reader{store: l, ref: l.ref, form: l.form, want: c.Platform}
	entries, err := l.named(m.Manifests, c.Name)
	if err != nil {
		return Description{}, err
	}
	top := entries[0]
	if len(entries) > 1 {
		raw, err := json.Marshal(v1.IndexManifest{Manifests: entries})
		if err != nil {
			return Description{}, fmt.Errorf("read %s: %w", l.ref, err)
		}
		if top, err = r.pick(v1.Hash{}, raw); err != nil {
			return Description{}, err
		}
	}
	raw, err := r.part(ctx, v1.Hash{}, "its manifest", top, l.manifest)
	if err != nil {
		return Description{}, err
	}
	return r.describe(ctx, top, raw)
}

func checkVersion(raw []byte) error {
	var v struct {
		Version string `json:"imageLayoutVersion"`
	}
	if raw == nil { // some programs leave it out
		return nil
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("its oci-layout cannot be read: %w", err)
	}
	if !strings.HasPrefix(v.Version, "1.") {
		return fmt.Errorf("its layout is of version %q, known are 1.x", v.Version)
	}
	return nil
}

// named are the entries of one image: of the given name, or of the only one.
// Several entries are an image's platforms.
func (l layout) named(all []v1.Descriptor, name string) ([]v1.Descriptor, error) {
	var found []v1.Descriptor
	known := map[v1.Hash]bool{}
	var list catalog
	for _, e := range all {
		if isAttestation(e) || isArtifact(e) {
			continue
		}
		names := namesOf(e)
		list.add(names, entryName(e))
		if name != "" && !list.match(names, name) || known[e.Digest] {
			continue
		}
		known[e.Digest] = true
		found = append(found, e)
	}
	if len(found) == 0 || name == "" && len(found) > 1 && list.several() {
		return nil, list.refuse(l.ref, name)
	}
	return found, nil
}

// namesOf are an entry's names: programs write a tag alone, or a full reference.
func namesOf(e v1.Descriptor) []string {
	var names []string
	for _, key := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		if n := e.Annotations[key]; n != "" {
			names = append(names, n)
		}
	}
	return names
}

func (l layout) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) { return l.blob(ctx, d) }

func (l layout) blob(_ context.Context, d v1.Descriptor) ([]byte, error) {
	raw, err := l.files.read(blobPath(d.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", l.ref, err)
	}
	return raw, nil
}

func (l layout) layer(d v1.Descriptor) error {
	size, err := l.files.size(blobPath(d.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("is missing")
	case err != nil:
		return err
	case size != d.Size:
		return fmt.Errorf("has %d bytes, and is described as %d", size, d.Size)
	}
	return nil
}

func blobPath(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

// catalog lists the images of a layout or an archive for people.
type catalog struct {
	names []string // one for each that has a name
	all   []string
}

func (c *catalog) add(names []string, otherwise string) {
	what := otherwise
	if len(names) > 0 {
		what = names[0]
		c.names = append(c.names, names[0])
	}
	c.all = append(c.all, what)
}

// several reports whether there are images of different names, or some with and
// some without.
func (c *catalog) several() bool {
	for _, n := range c.names {
		if n != c.names[0] {
			return true
		}
	}
	return len(c.names) > 0 && len(c.names) < len(c.all)
}

// match compares names as people write them: "backend:v1" is
// docker.io/library/backend:v1, and a tag alone is one too.
func (*catalog) match(names []string, name string) bool {
	for _, n := range names {
		if n == name || familiar(n) == familiar(name) {
			return true
		}
	}
	return false
}

// familiar spells a reference in full; what is none stays as it is.
func familiar(s string) string {
	r, err := ParseReference(s)
	if err != nil {
		return s
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r.Repository() + ":" + r.Tag + "@" + r.Digest
}

func (c *catalog) refuse(ref, name string) error {
	has := "it holds no image"
	if len(c.all) > 0 {
		has = "it holds " + strings.Join(c.all, ", ")
	}
	switch {
	case name != "":
		return event.Fail(event.CodeNotFound, fmt.Sprintf("there is no image %s in %s", name, ref)).Because(ErrNotFound).See(has)
	case len(c.all) == 0:
		return notRunnable(ref, v1.Hash{}, has)
	}
	return event.Fail(event.CodeUsage, fmt.Sprintf("%s holds %d images, and nothing says which is meant", ref, len(c.all))).See(has).
		Hint("name one of them: --name " + c.all[0])
}
