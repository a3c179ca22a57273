package image

import (
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
	// Settings is the config, or as much of it as the engine tells without giving
	// the image away: platform, process and diff ids, and no history.
	Settings []byte
}

// VerifyLocal reads an image of the engine anew, by reference or id, and judges
// it. An image that is not there is ErrNotFound, a failure with CodeNotFound.
//
// A containerd store keeps an image's index and manifest, several platforms under
// one name, and describes the engine's own platform when it is asked: there the
// image is judged as the engine saves it, by all that is written about it.
func VerifyLocal(ctx context.Context, e LocalEngine, ref string, want []Requirement) (Local, error) {
	info, err := e.Info(ctx)
	if err != nil {
		return Local{}, engineError(ref, err)
	}
	i, err := e.Image(ctx, ref)
	if err != nil {
		return Local{}, engineError(ref, err)
	}
	if info.ContainerdStore {
		return verifySaved(ctx, e, ref, i, want)
	}
	l := Local{ID: i.ID, ConfigDigest: i.ID, Platform: Platform{i.OS, i.Architecture, i.Variant}, Labels: i.Labels, Size: i.Size}
	if l.Settings, err = settings(i); err != nil {
		return Local{}, err
	}
	d := Description{Reference: ref, Form: "local engine", ConfigOSVersion: i.OSVersion, ConfigDigest: l.ConfigDigest, Config: l.Platform, Labels: l.Labels, Size: l.Size}
	return l, Judge(d, want)
}

// verifySaved judges an image by what `docker save` gives of it.
func verifySaved(ctx context.Context, e LocalEngine, ref string, i engine.Image, want []Requirement) (Local, error) {
	r, err := e.Save(ctx, i.ID)
	if err != nil {
		return Local{}, engineError(ref, err)
	}
	defer r.Close()
	var c Choice
	if len(want) > 0 {
		c.Platform = want[0].Platform
	}
	d, err := DescribeTar(ctx, r, ref, c)
	if err != nil {
		return Local{}, fmt.Errorf("read the saved image %s: %w", ref, err)
	}
	l := Local{ID: i.ID, ConfigDigest: d.ConfigDigest, Platform: d.Config, Labels: d.Labels, Size: i.Size, Settings: d.RawConfig}
	d.Form = "local engine"
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
