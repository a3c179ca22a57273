package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// load puts a new image into the engine, and returns its name.
func load(ctx context.Context, e *engine.Engine, mb, layers int) (string, error) {
	var diffs, paths []string
	files := map[string][]byte{}
	for n := range layers {
		layer, err := pack(map[string][]byte{"data": content(mb * 1_000_000 / layers)})
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(layer)
		path := fmt.Sprintf("%d/layer.tar", n)
		diffs, paths = append(diffs, "sha256:"+hex.EncodeToString(sum[:])), append(paths, path)
		files[path] = layer
	}
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}, "created": time.Now().UTC(),
	})
	if err != nil {
		return "", fmt.Errorf("encode the image's config: %w", err)
	}
	files["config.json"] = config
	name := "weelo-deploy-bench:" + hex.EncodeToString(content(6))
	table, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{name}, "Layers": paths}})
	if err != nil {
		return "", fmt.Errorf("encode the image's table: %w", err)
	}
	files["manifest.json"] = table
	archive, err := pack(files)
	if err != nil {
		return "", err
	}
	if _, err := e.Load(ctx, bytes.NewReader(archive)); err != nil {
		return "", err
	}
	return name, nil
}

func pack(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := w.Write(data); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return b.Bytes(), nil
}

// content is new each time, and packs to about a half, as programs do: random
// bytes of 16 kinds.
func content(size int) []byte {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	b := make([]byte, size)
	_, _ = io.ReadFull(rand.NewChaCha8(seed), b) // never fails
	for i := range b {
		b[i] &= 0x0f
	}
	return b
}
