package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
)

// Auth is what a registry asks for. The zero Auth is anonymous.
type Auth struct {
	Username string
	Password string
	Server   string // host of the registry
}

// String hides the password, also from %v.
func (a Auth) String() string {
	if a == (Auth{}) {
		return "anonymous"
	}
	return a.Username + "@" + a.Server
}

// GoString hides the password from %#v.
func (a Auth) GoString() string { return "engine.Auth{" + a.String() + "}" }

func (a Auth) encode() (string, error) {
	s, err := registry.EncodeAuthConfig(registry.AuthConfig{Username: a.Username, Password: a.Password, ServerAddress: a.Server})
	if err != nil {
		return "", fmt.Errorf("encode credentials for %s: %w", a.Server, err)
	}
	return s, nil
}

// PushProgress is a change in the push of one layer.
type PushProgress struct {
	Layer   string // short id of the layer; empty for the image as a whole
	Status  string // the engine's word: "Preparing", "Pushing", "Pushed", "Layer already exists"
	Current int64  // bytes sent
	Total   int64  // bytes to send, 0 when not known
}

// Push sends the image of a reference (with a tag) to its registry, and returns
// the digest of the manifest as the engine reports it. A refusal by the
// registry is a *StreamError; progress may be nil.
func (e *Engine) Push(ctx context.Context, ref string, a Auth, progress func(PushProgress)) (string, error) {
	auth, err := a.encode()
	if err != nil {
		return "", err
	}
	body, err := e.c.ImagePush(ctx, ref, image.PushOptions{RegistryAuth: auth})
	if err != nil {
		return "", e.wrap("push "+ref, err)
	}
	defer body.Close()
	digest, err := readPush(body, progress)
	if err != nil {
		return "", e.streamError(ctx, "push "+ref, err)
	}
	return digest, nil
}

// errNoDigest: an answer without a digest is a failure, whatever else it says.
var errNoDigest = errors.New("the engine reported neither a digest nor an error")

// readPush reads a push's stream: its digest is in an aux object at the end.
func readPush(body io.Reader, progress func(PushProgress)) (string, error) {
	var digest string
	err := decodeStream(body, func(m message) {
		var aux struct{ Digest string }
		if len(m.Aux) > 0 && json.Unmarshal(m.Aux, &aux) == nil && aux.Digest != "" {
			digest = aux.Digest
		}
		if progress != nil && m.Status != "" {
			progress(PushProgress{Layer: m.ID, Status: m.Status, Current: m.ProgressDetail.Current, Total: m.ProgressDetail.Total})
		}
	})
	if err == nil && digest == "" {
		err = errNoDigest
	}
	return digest, err
}
