package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
)

// savedImage is an image in manifest.json of what `docker save` writes
// (moby/moby, image/tarexport).
type savedImage struct {
	Config       string
	RepoTags     []string
	Layers       []string
	LayerSources map[string]v1.Descriptor // by diff id; of foreign layers
}

func parseSaved(raw []byte) ([]savedImage, error) {
	var images []savedImage
	if err := json.Unmarshal(raw, &images); err != nil {
		return nil, fmt.Errorf("decode manifest.json: %w", err)
	}
	return images, nil
}

// configDigest is what the name of the config's file says: "blobs/sha256/HEX",
// "HEX.json" in the older form, or "sha256:HEX" as other programs write it.
func (s savedImage) configDigest() (string, error) {
	hex := strings.TrimPrefix(strings.TrimSuffix(path.Base(s.Config), ".json"), "sha256:")
	d, err := digest.Parse("sha256:" + hex)
	if err != nil {
		return "", fmt.Errorf("manifest.json names the config %q: %w", s.Config, err)
	}
	return d.String(), nil
}

// describeSaved reads the image of an archive that has no manifests.
func (a *archive) describeSaved(ref string, raw []byte, c Choice) (Description, error) {
	images, err := parseSaved(raw)
	if err != nil {
		return Description{}, notRunnable(ref, v1.Hash{}, "its manifest.json cannot be read: "+err.Error())
	}
	found, err := savedNamed(ref, images, c.Name)
	if err != nil {
		return Description{}, err
	}
	var all, fit []Description
	var has []string
	for _, i := range found {
		d, err := a.savedImage(ref, i)
		if err != nil {
			return d, err
		}
		all = append(all, d)
		has = append(has, d.Config.String())
		if d.Config.is(c.Platform) {
			fit = append(fit, d)
		}
	}
	switch {
	case len(all) == 1:
		return all[0], nil
	case len(fit) == 1:
		return fit[0], nil
	}
	r := reader{ref: ref, want: c.Platform}
	return Description{}, r.noPick(v1.Hash{}, len(fit), has)
}

// savedNamed are the entries of one image: of the given name, or of the only one.
func savedNamed(ref string, images []savedImage, name string) ([]savedImage, error) {
	var found []savedImage
	known := map[string]bool{}
	var list catalog
	for _, i := range images {
		list.add(i.RepoTags, "an image without a name")
		if name != "" && !list.match(i.RepoTags, name) || known[i.Config] {
			continue
		}
		known[i.Config] = true
		found = append(found, i)
	}
	if len(found) == 0 || name == "" && len(found) > 1 && list.several() {
		return nil, list.refuse(ref, name)
	}
	return found, nil
}

func (a *archive) savedImage(ref string, i savedImage) (Description, error) {
	d := Description{Reference: ref, Form: "docker archive"}
	raw, err := a.read(path.Clean("/" + i.Config)[1:])
	if errors.Is(err, fs.ErrNotExist) {
		return d, notRunnable(ref, v1.Hash{}, fmt.Sprintf("its config %q is missing", i.Config))
	}
	if err != nil {
		return d, notRunnable(ref, v1.Hash{}, fmt.Sprintf("its config %q: %v", i.Config, err))
	}
	d.ConfigDigest = digest.FromBytes(raw).String()
	if named, err := i.configDigest(); err == nil && named != d.ConfigDigest {
		return d, notRunnable(ref, v1.Hash{}, fmt.Sprintf("its config %s has another digest", named))
	}
	if err := d.read(raw); err != nil {
		return d, notRunnable(ref, v1.Hash{}, err.Error())
	}
	for n, name := range i.Layers {
		l, err := a.savedLayer(d, n, i)
		if err != nil {
			return d, notRunnable(ref, v1.Hash{}, fmt.Sprintf("its layer %q %v", name, err))
		}
		d.Size += l.Size
		d.Layers = append(d.Layers, l)
	}
	return d, nil
}

// savedLayer is a layer by its place. A foreign one is known by its source.
func (a *archive) savedLayer(d Description, n int, i savedImage) (Layer, error) {
	if n < len(d.DiffIDs) {
		if src, ok := i.LayerSources[d.DiffIDs[n]]; ok && isForeign(src.MediaType) {
			return Layer{Digest: src.Digest.String(), MediaType: string(src.MediaType), Size: src.Size, Foreign: true}, nil
		}
	}
	size, err := a.size(path.Clean("/" + i.Layers[n])[1:])
	if errors.Is(err, fs.ErrNotExist) {
		return Layer{}, errors.New("is missing")
	}
	return Layer{Size: size}, err
}
