package imagetest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

// Files are the content as an OCI image layout, by path. index.json lists the
// entries; without any, the top.
func (c *Content) Files(entries ...v1.Descriptor) map[string][]byte {
	if len(entries) == 0 {
		entries = []v1.Descriptor{c.Top}
	}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: entries})
	must(err)
	files := map[string][]byte{"oci-layout": []byte(layoutVersion), "index.json": index}
	for h, b := range c.Blobs {
		files[path.Join("blobs", h.Algorithm, h.Hex)] = b
	}
	return files
}

// Named gives a layout's entry a name.
func Named(d v1.Descriptor, name string) v1.Descriptor {
	d.Annotations = map[string]string{"org.opencontainers.image.ref.name": name}
	return d
}

// Saved are the files of the content as an older engine's `docker save` writes
// them. The content must be one image.
func (c *Content) Saved(names ...string) (map[string][]byte, error) {
	var m v1.Manifest
	if err := json.Unmarshal(c.Blobs[c.Top.Digest], &m); err != nil {
		return nil, fmt.Errorf("save %s: %w", c.Top.Digest, err)
	}
	raw := c.Blobs[m.Config.Digest]
	var config struct {
		RootFS struct {
			DiffIDs []v1.Hash `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("save %s: %w", m.Config.Digest, err)
	}
	files := map[string][]byte{m.Config.Digest.Hex + ".json": raw}
	entry := struct {
		Config           string
		RepoTags, Layers []string
	}{Config: m.Config.Digest.Hex + ".json", RepoTags: names, Layers: []string{}}
	for _, diff := range config.RootFS.DiffIDs {
		if plain, ok := c.plain[diff]; ok {
			files[diff.Hex+"/layer.tar"] = plain
			entry.Layers = append(entry.Layers, diff.Hex+"/layer.tar")
		}
	}
	table, err := json.Marshal([]any{entry})
	must(err)
	files["manifest.json"] = table
	return files, nil
}

// Tar packs files, in the order of their names.
func Tar(files map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		must(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}))
		_, err := w.Write(files[name])
		must(err)
	}
	must(w.Close())
	return b.Bytes()
}

// Write puts files into a directory, which it makes.
func Write(dir string, files map[string][]byte) error {
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Gzip compresses an archive.
func Gzip(b []byte) []byte { return gzipped(b) }

// Zstd compresses an archive.
func Zstd(b []byte) []byte { return zstandard(b) }

// ServeHTTP is a registry that has the content in every repository, the top under
// every tag. It checks nothing: no registry that did would take some of the lies.
func (c *Content) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		return
	}
	kind, ref := path.Base(path.Dir(r.URL.Path)), path.Base(r.URL.Path)
	d := c.Top
	if h, err := v1.NewHash(ref); err == nil {
		d = c.described(h)
	}
	blob, ok := c.Blobs[d.Digest]
	if !ok {
		code := map[string]string{"manifests": "MANIFEST_UNKNOWN", "blobs": "BLOB_UNKNOWN"}[kind]
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"unknown"}]}`, code)
		return
	}
	w.Header().Set("Content-Type", string(d.MediaType))
	w.Header().Set("Docker-Content-Digest", d.Digest.String())
	w.Header().Set("Content-Length", fmt.Sprint(len(blob)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(blob) // a client that has gone does not need it
	}
}

// described finds how an index describes a blob.
func (c *Content) described(h v1.Hash) v1.Descriptor {
	if h == c.Top.Digest {
		return c.Top
	}
	for _, b := range c.Blobs {
		var m v1.IndexManifest
		if json.Unmarshal(b, &m) != nil {
			continue
		}
		for _, e := range m.Manifests {
			if e.Digest == h {
				return e
			}
		}
	}
	return v1.Descriptor{Digest: h, MediaType: "application/octet-stream"}
}

// Push sends the content to a registry that checks what it takes, as a client of
// the protocol does: blobs, then manifests, those that others refer to first.
func (c *Content) Push(ctx context.Context, base, repo, tag, user, password string) error {
	do := func(method, to, contentType string, body []byte) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.SetBasicAuth(user, password)
		req.Header.Set("Content-Type", contentType)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		if text, _ := io.ReadAll(res.Body); res.StatusCode >= 300 {
			return nil, fmt.Errorf("%s %s: %s: %s", method, to, res.Status, text)
		}
		return res, nil
	}
	at := strings.TrimSuffix(base, "/") + "/v2/" + repo
	for h, b := range c.Blobs {
		res, err := do(http.MethodPost, at+"/blobs/uploads/", "", nil)
		if err != nil {
			return err
		}
		to, err := res.Request.URL.Parse(res.Header.Get("Location"))
		if err != nil {
			return err
		}
		q := to.Query()
		q.Set("digest", h.String())
		to.RawQuery = q.Encode()
		if _, err := do(http.MethodPut, to.String(), "application/octet-stream", b); err != nil {
			return err
		}
	}
	for _, d := range c.manifests(c.Top) {
		ref := d.Digest.String()
		if d.Digest == c.Top.Digest {
			ref = url.PathEscape(tag)
		}
		if _, err := do(http.MethodPut, at+"/manifests/"+ref, string(d.MediaType), c.Blobs[d.Digest]); err != nil {
			return errors.Join(fmt.Errorf("push manifest %s", d.Digest), err)
		}
	}
	return nil
}

// manifests are a manifest and all that it refers to, in the order in which a
// registry takes them.
func (c *Content) manifests(top v1.Descriptor) []v1.Descriptor {
	var all []v1.Descriptor
	var m v1.IndexManifest
	if top.MediaType.IsIndex() && json.Unmarshal(c.Blobs[top.Digest], &m) == nil {
		for _, e := range m.Manifests {
			all = append(all, c.manifests(e)...)
		}
	}
	return append(all, top)
}
