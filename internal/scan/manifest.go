package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// documents gives the JSON documents of an archive or layout by name; a missing
// one is fs.ErrNotExist.
type documents interface {
	document(name string) ([]byte, error)
}

// plan is which files make the image.
type plan struct {
	config config
	digest string   // of the config
	files  []string // names of the layers' files, lowest first
}

// digestOf is a layer's digest by its file's name, the diff id where the name
// is none, as in the older form of `docker save`.
func (p plan) digestOf(i int) string {
	if hex := path.Base(p.files[i]); hexDigest.MatchString(hex) && path.Base(path.Dir(p.files[i])) == "sha256" {
		return "sha256:" + hex
	}
	if i < len(p.config.RootFS.DiffIDs) {
		return p.config.RootFS.DiffIDs[i]
	}
	return p.files[i]
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// resolve finds the image that r is to read: by manifest.json, which `docker save`
// writes, or else by index.json of an OCI layout.
func (r *reader) resolve(d documents) (plan, error) {
	raw, err := d.document("manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return r.resolveIndex(d)
	}
	if err != nil {
		return plan{}, err
	}
	var all []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		return plan{}, fmt.Errorf("decode manifest.json: %w", err)
	}
	var plans []plan
	for _, m := range all {
		p, err := planAt(d, m.Config)
		if err != nil {
			return plan{}, err
		}
		p.files = m.Layers
		plans = append(plans, p)
	}
	return r.choose(plans)
}

// choose takes the image with the config that is meant, or else the only one, or
// the only one for the target. The same image may be listed twice.
func (r *reader) choose(plans []plan) (plan, error) {
	if r.digest != "" {
		i := slices.IndexFunc(plans, func(p plan) bool { return p.digest == r.digest })
		if i < 0 {
			return plan{}, fmt.Errorf("it holds no image with the config %s", r.digest)
		}
		return plans[i], nil
	}
	if len(plans) == 1 {
		return plans[0], nil
	}
	var fit []plan
	for _, p := range plans {
		if p.config.OS == r.target.OS && p.config.Architecture == r.target.Arch {
			fit = append(fit, p)
		}
	}
	if len(fit) != 1 {
		return plan{}, fmt.Errorf("it holds %d images, %d of them for %s: one is wanted", len(plans), len(fit), r.target)
	}
	return fit[0], nil
}

// planAt is a plan with the config in the named document, and no layers yet.
func planAt(d documents, name string) (plan, error) {
	raw, err := d.document(path.Clean(name))
	if err != nil {
		return plan{}, fmt.Errorf("find the image's config: %w", err)
	}
	c, err := parseConfig(raw)
	return plan{config: c, digest: digestOf(raw)}, err
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// descriptor, index and manifest are those of the OCI image specification.
type descriptor struct {
	MediaType   string `json:"mediaType"`
	Digest      string `json:"digest"`
	Annotations map[string]string
	Platform    *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

type index struct {
	Manifests []descriptor `json:"manifests"`
	Config    *descriptor  `json:"config"` // of a manifest
	Layers    []descriptor `json:"layers"`
}

// maxNesting is how deep indexes may lie in one another, maxManifests how many
// manifests are looked at.
const (
	maxNesting   = 4
	maxManifests = 256
)

func (r *reader) resolveIndex(d documents) (plan, error) {
	raw, err := d.document("index.json")
	if err != nil {
		return plan{}, fmt.Errorf("it has neither manifest.json nor index.json, so it is cut short, or neither what `docker save` writes nor an OCI layout: %w", err)
	}
	w := indexWalk{d: d}
	if err := w.visit("index.json", raw, 0); err != nil {
		return plan{}, err
	}
	if len(w.plans) == 0 {
		return plan{}, errors.New("index.json names no image")
	}
	return r.choose(w.plans)
}

type indexWalk struct {
	d     documents
	plans []plan
	seen  int
}

func (w *indexWalk) visit(name string, raw []byte, depth int) error {
	var x index
	if err := json.Unmarshal(raw, &x); err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	if x.Config != nil {
		return w.manifest(x)
	}
	if depth > maxNesting {
		return fmt.Errorf("%s: indexes lie deeper than %d in one another", name, maxNesting)
	}
	for _, m := range x.Manifests {
		if attestation(m) {
			continue
		}
		if w.seen++; w.seen > maxManifests {
			return fmt.Errorf("%s: more than %d manifests", name, maxManifests)
		}
		file, err := blobName(m.Digest)
		if err != nil {
			return err
		}
		raw, err := w.d.document(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a layout may hold one platform of an index
		}
		if err != nil {
			return err
		}
		if err := w.visit(file, raw, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *indexWalk) manifest(m index) error {
	file, err := blobName(m.Config.Digest)
	if err != nil {
		return err
	}
	p, err := planAt(w.d, file)
	if err != nil {
		return err
	}
	for _, l := range m.Layers {
		file, err := blobName(l.Digest)
		if err != nil {
			return err
		}
		p.files = append(p.files, file)
	}
	w.plans = append(w.plans, p)
	return nil
}

// attestation is what BuildKit adds beside an image, about it.
func attestation(d descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

func blobName(digest string) (string, error) {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || !hexDigest.MatchString(hex) {
		return "", fmt.Errorf("digest %.80q is not one of sha256", digest)
	}
	return "blobs/sha256/" + hex, nil
}
