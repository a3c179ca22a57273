package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TinyConfig says how a tiny image runs.
type TinyConfig struct {
	Entrypoint, Cmd []string
	Env             []string // NAME=value
	OS, Arch        string   // default linux/amd64
	User            string
	WorkingDir      string
	StopSignal      string
	Labels          map[string]string
}

// PutTiny makes an image of one layer with the given files (path → content, all
// executable) and stores it under the tag, or by digest alone when the tag is
// empty. Equal input gives an equal digest.
func (s *Store) PutTiny(repo, tag string, files map[string][]byte, cfg TinyConfig) (string, error) {
	layer, diffID, err := tinyLayer(files)
	if err != nil {
		return "", fmt.Errorf("make image for %s: %w", repo, err)
	}
	config, err := json.Marshal(tinyConfig(cfg, diffID))
	if err != nil {
		return "", fmt.Errorf("make image for %s: %w", repo, err)
	}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    describe(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{describe(ocispec.MediaTypeImageLayerGzip, layer)},
	}
	data, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("make image for %s: %w", repo, err)
	}
	for _, blob := range [][]byte{layer, config} {
		if err := s.putBlob(repo, blob); err != nil {
			return "", fmt.Errorf("store image in %s: %w", repo, err)
		}
	}
	d, err := s.put(repo, tag, data, ocispec.MediaTypeImageManifest)
	if err != nil {
		return "", fmt.Errorf("store image in %s: %w", repo, err)
	}
	return d, nil
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

// putBlob stores a blob that is in memory, past the gate: it is no client's.
func (s *Store) putBlob(repo string, data []byte) error {
	u, err := s.begin(repo)
	if err != nil {
		return err
	}
	defer u.Cancel()
	if _, err := u.Write(data); err != nil {
		return err
	}
	_, err = u.Commit(digest.FromBytes(data))
	return err
}

func tinyConfig(cfg TinyConfig, diffID digest.Digest) ocispec.Image {
	platform := ocispec.Platform{OS: cfg.OS, Architecture: cfg.Arch}
	if platform.OS == "" {
		platform.OS = "linux"
	}
	if platform.Architecture == "" {
		platform.Architecture = "amd64"
	}
	return ocispec.Image{
		Platform: platform,
		Config: ocispec.ImageConfig{
			Entrypoint: cfg.Entrypoint, Cmd: cfg.Cmd, Env: cfg.Env, User: cfg.User,
			WorkingDir: cfg.WorkingDir, StopSignal: cfg.StopSignal, Labels: cfg.Labels,
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}},
	}
}

// tinyLayer packs the files, and returns the compressed layer with the digest of
// the uncompressed one.
func tinyLayer(files map[string][]byte) ([]byte, digest.Digest, error) {
	var plain bytes.Buffer
	t := tar.NewWriter(&plain)
	made := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		clean := strings.TrimPrefix(path.Clean("/"+name), "/")
		if err := addFile(t, made, clean, files[name]); err != nil {
			return nil, "", err
		}
	}
	if err := t.Close(); err != nil {
		return nil, "", err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), digest.FromBytes(plain.Bytes()), nil
}

// addFile writes a file and, once each, the directories above it.
func addFile(t *tar.Writer, made map[string]bool, name string, data []byte) error {
	var parents []string
	for dir := path.Dir(name); !made[dir]; dir = path.Dir(dir) {
		made[dir] = true
		parents = append(parents, dir)
	}
	for _, dir := range slices.Backward(parents) {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}
