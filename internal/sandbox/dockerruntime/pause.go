package dockerruntime

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/weelo/weelo-deploy/internal/sandbox/tinyelf"
)

// loadPause puts the pause image of one sandbox into the engine and returns its
// reference. Every sandbox has one of its own, with its labels, so that one can
// be removed without asking who else uses it.
func loadPause(ctx context.Context, e Engine, id string, labels map[string]string) (string, error) {
	ref := "weelo-sandbox-pause:" + id
	archive, err := pauseArchive(ref, labels)
	if err != nil {
		return "", fmt.Errorf("make the pause image: %w", err)
	}
	if _, err := e.Load(ctx, bytes.NewReader(archive)); err != nil {
		return "", fmt.Errorf("load the pause image: %w", err)
	}
	return ref, nil
}

// pauseArchive is the image in the form that `docker save` writes (Docker Image
// Specification v1.2, "Combined Image JSON + Filesystem Changeset Format").
func pauseArchive(ref string, labels map[string]string) ([]byte, error) {
	layer, err := tarball(file{"pause", 0o755, tinyelf.Relay([4]byte{127, 0, 170, 2}, 51679)})
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"config":       map[string]any{"Entrypoint": []string{"/pause"}, "Labels": labels},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hash(layer)}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": hash(config) + ".json", "RepoTags": []string{ref}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return nil, err
	}
	return tarball(
		file{"layer.tar", 0o644, layer},
		file{hash(config) + ".json", 0o644, config},
		file{"manifest.json", 0o644, manifest},
	)
}

type file struct {
	name string
	mode int64
	data []byte
}

func tarball(files ...file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
