package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

// LocalEngine is what VerifyLocal needs of an engine; *engine.Engine has it.
type LocalEngine interface {
	Info(ctx context.Context) (engine.Info, error)
	Image(ctx context.Context, ref string) (engine.Image, error)
	Save(ctx context.Context, ref string) (io.ReadCloser, error)
}

// Local is an image in an engine.
type Local struct {
	ID           string
	ConfigDigest string // the same in every registry that the image is pushed to
	Platform     Platform
	Labels       map[string]string
	Size         int64 // bytes, uncompressed
	// Settings is the config as far as the engine tells it without giving the
	// image away: platform, process and diff ids, and no history.
	Settings []byte
}

// VerifyLocal reads an image of the engine anew, by reference or id, and judges
// it. An image that is not there is ErrNotFound, a failure with CodeNotFound.
func VerifyLocal(ctx context.Context, e LocalEngine, ref string, want []Requirement) (Local, error) {
	info, err := e.Info(ctx)
	if err != nil {
		return Local{}, engineError(ref, err)
	}
	i, err := e.Image(ctx, ref)
	if err != nil {
		return Local{}, engineError(ref, err)
	}
	l := Local{ID: i.ID, ConfigDigest: i.ID, Platform: Platform{i.OS, i.Architecture, i.Variant}, Labels: i.Labels, Size: i.Size}
	if l.Settings, err = settings(i); err != nil {
		return Local{}, err
	}
	if info.ContainerdStore { // there the id is a manifest's or index's digest
		if l.ConfigDigest, err = savedConfig(ctx, e, i.ID); err != nil {
			return Local{}, err
		}
	}
	d := Description{Reference: ref, Form: "local engine", ConfigOSVersion: i.OSVersion, ConfigDigest: l.ConfigDigest, Config: l.Platform, Labels: l.Labels, Size: l.Size}
	return l, Judge(d, want)
}

// settings writes what an engine says of an image in the form of a config (OCI
// image specification, config.md, with Docker's health check).
func settings(i engine.Image) ([]byte, error) {
	process := map[string]any{"Entrypoint": i.Entrypoint, "Cmd": i.Cmd, "Env": i.Env, "WorkingDir": i.WorkingDir, "User": i.User, "Labels": i.Labels}
	if i.Healthcheck != nil {
		process["Healthcheck"] = map[string]any{"Test": i.Healthcheck}
	}
	raw, err := json.Marshal(map[string]any{
		"os": i.OS, "architecture": i.Architecture, "variant": i.Variant, "config": process,
		"rootfs": map[string]any{"type": "layers", "diff_ids": i.DiffIDs},
	})
	if err != nil {
		return nil, fmt.Errorf("write the config of image %s: %w", i.ID, err)
	}
	return raw, nil
}

// engineError turns an engine's error into a failure that can be acted on.
func engineError(ref string, err error) error {
	var away *engine.UnreachableError
	switch {
	case errors.Is(err, engine.ErrNotFound):
		// What the engine says of it is the same three times over.
		return event.Fail(event.CodeNotFound, "image "+ref+" is not in the docker engine").Because(ErrNotFound).
			Hint("build it, or fetch it: docker pull " + ref)
	case errors.As(err, &away):
		return event.Fail(event.CodeNoEngine, away.Error()).Because(err).Hint(away.Hints...)
	}
	return err
}

// savedConfig finds the config's digest in what `docker save` gives: its
// manifest.json names the config's file after its digest.
func savedConfig(ctx context.Context, e LocalEngine, ref string) (string, error) {
	r, err := e.Save(ctx, ref)
	if err != nil {
		return "", engineError(ref, err)
	}
	defer r.Close()
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the saved image %s: it has no manifest.json", ref)
		}
		if err != nil {
			return "", fmt.Errorf("read the saved image %s: %w", ref, err)
		}
		if h.Name != "manifest.json" {
			continue
		}
		d, err := configIn(io.LimitReader(t, 1<<20))
		if err != nil {
			return "", fmt.Errorf("read the saved image %s: %w", ref, err)
		}
		return d, nil
	}
}

func configIn(r io.Reader) (string, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	images, err := parseSaved(raw)
	if err != nil {
		return "", err
	}
	if len(images) != 1 {
		return "", fmt.Errorf("manifest.json names %d images, not one", len(images))
	}
	return images[0].configDigest()
}
