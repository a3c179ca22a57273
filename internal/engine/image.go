package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
)

// Image is what the engine knows of an image.
type Image struct {
	// ID is the config's digest in a graph driver store, and the digest of the
	// manifest or index in a containerd store (Info.ContainerdStore).
	ID           string
	OS           string
	Architecture string
	Variant      string
	OSVersion    string // empty but for Windows
	RepoTags     []string
	RepoDigests  []string // repository@digest of manifests it was pulled or pushed as
	Size         int64    // bytes, uncompressed
	Labels       map[string]string
	Entrypoint   []string
	Cmd          []string
	Env          []string
	User         string
	WorkingDir   string
	StopSignal   string
	Healthcheck  []string // as in a Dockerfile: "CMD-SHELL", "…"; nil for none
	DiffIDs      []string // digests of the layers' tars, the lowest first
}

// Image describes an image by reference or id. The error is ErrNotFound when
// the engine does not have it.
func (e *Engine) Image(ctx context.Context, ref string) (Image, error) {
	r, err := e.c.ImageInspect(ctx, ref)
	if err != nil {
		return Image{}, e.wrap("inspect image "+ref, err)
	}
	i := Image{
		ID: r.ID, OS: r.Os, Architecture: r.Architecture, Variant: r.Variant, OSVersion: r.OsVersion,
		RepoTags: r.RepoTags, RepoDigests: r.RepoDigests, Size: r.Size, DiffIDs: r.RootFS.Layers,
	}
	if c := r.Config; c != nil {
		i.Labels, i.Entrypoint, i.Cmd, i.Env = c.Labels, c.Entrypoint, c.Cmd, c.Env
		i.User, i.WorkingDir, i.StopSignal = c.User, c.WorkingDir, c.StopSignal
		if c.Healthcheck != nil {
			i.Healthcheck = c.Healthcheck.Test
		}
	}
	return i, nil
}

// ImageSummary is one image in a list.
type ImageSummary struct {
	ID       string
	RepoTags []string
	Labels   map[string]string
	Size     int64
}

// Images lists the images that have every one of the labels.
func (e *Engine) Images(ctx context.Context, labels ...string) ([]ImageSummary, error) {
	list, err := e.c.ImageList(ctx, image.ListOptions{Filters: labelled(labels)})
	if err != nil {
		return nil, e.wrap("list images", err)
	}
	all := make([]ImageSummary, 0, len(list))
	for _, i := range list {
		all = append(all, ImageSummary{ID: i.ID, RepoTags: i.RepoTags, Labels: i.Labels, Size: i.Size})
	}
	return all, nil
}

// Tag gives an image one more reference.
func (e *Engine) Tag(ctx context.Context, image, ref string) error {
	return e.wrap("tag image "+image+" as "+ref, e.c.ImageTag(ctx, image, ref))
}

// Untag removes a reference, and the image when that was its last one and no
// container uses it. A reference that is not there is fine.
func (e *Engine) Untag(ctx context.Context, ref string) error {
	err := e.RemoveImage(ctx, ref)
	if errdefs.IsConflict(err) { // the reference is gone; a running container keeps the image
		return nil
	}
	return err
}

// RemoveImage removes an image by reference or id, even when stopped containers
// were made of it. One that is not there is fine.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	_, err := e.c.ImageRemove(ctx, ref, image.RemoveOptions{Force: true, PruneChildren: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.wrap("remove image "+ref, err)
}

// Pull fetches an image into the engine, for the engine's own platform.
func (e *Engine) Pull(ctx context.Context, ref string, a Auth) error {
	auth, err := a.encode()
	if err != nil {
		return err
	}
	body, err := e.c.ImagePull(ctx, ref, image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return e.wrap("pull "+ref, err)
	}
	defer body.Close()
	if err := decodeStream(body, func(message) {}); err != nil {
		return e.streamError(ctx, "pull "+ref, err)
	}
	return nil
}

// Save streams an image as `docker save` does. The caller closes it.
func (e *Engine) Save(ctx context.Context, ref string) (io.ReadCloser, error) {
	r, err := e.c.ImageSave(ctx, []string{ref})
	if err != nil {
		return nil, e.wrap("save image "+ref, err)
	}
	return r, nil
}

// Load reads what `docker save` wrote, and returns the references of the images
// in it, or the id of one that has none.
func (e *Engine) Load(ctx context.Context, r io.Reader) ([]string, error) {
	res, err := e.c.ImageLoad(ctx, r)
	if err != nil {
		return nil, e.wrap("load images", err)
	}
	defer res.Body.Close()
	var refs []string
	err = decodeStream(res.Body, func(m message) {
		for _, preface := range []string{"Loaded image: ", "Loaded image ID: "} {
			if ref, ok := strings.CutPrefix(strings.TrimSpace(m.Stream), preface); ok {
				refs = append(refs, ref)
			}
		}
	})
	if err != nil {
		return nil, e.streamError(ctx, "load images", err)
	}
	if len(refs) == 0 {
		return nil, errors.New("load images: the archive held none")
	}
	return refs, nil
}

// streamError says what was being done when a stream failed; the end of ctx
// comes before what it did to the stream.
func (e *Engine) streamError(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, context.Cause(ctx))
	}
	return fmt.Errorf("%s: %w", op, err)
}
