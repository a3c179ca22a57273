package dockerruntime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/weelo/weelo-deploy/internal/engine"
)

// heldImage is an image that was pulled for a task. It is a line of JSON in the
// lock file, so that it can be let go of after a crash too.
type heldImage struct {
	Ref string `json:"ref"`
	ID  string `json:"id,omitempty"` // known after the pull

	// Registry is the sandbox's, when the image came from there: a name in it
	// means nothing when the sandbox has gone. Empty for other registries.
	Registry string `json:"registry,omitempty"`

	// Given: Ref was there before the pull, so that it is not ours to remove.
	Given bool `json:"given,omitempty"`
	// Kept: the image was there before, and had no name: somebody knows it by
	// its id.
	Kept bool `json:"kept,omitempty"`
}

// images are those pulled for one sandbox.
type images struct {
	engine Engine
	record func(line []byte) error

	mu   sync.Mutex
	held map[string]*pulled // by reference
}

// pulled is one reference, with what the engine had before its first pull.
type pulled struct {
	mu       sync.Mutex
	looked   bool
	nameless map[string]bool // ids of the images without a name
	image    heldImage
}

// pulls is how often an image is pulled that is gone right after.
const pulls = 4

// pull fetches an image and remembers what to remove of it at the end. The engine
// loses an image that somebody, another sandbox for example, takes the last other
// name off while it is being pulled: it is found there, and then it is not
// (measured). So it is looked at afterwards, and pulled again.
func (im *images) pull(ctx context.Context, ref string, a engine.Auth) error {
	p := im.reference(ref, a)
	if err := p.look(ctx, im); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		if err := im.engine.Pull(ctx, ref, a); err != nil {
			return err
		}
		i, err := im.engine.Image(ctx, ref)
		if err == nil {
			return p.identify(im, i.ID)
		}
		if attempt == pulls || !errors.Is(err, engine.ErrNotFound) {
			return err
		}
	}
}

func (im *images) reference(ref string, a engine.Auth) *pulled {
	im.mu.Lock()
	defer im.mu.Unlock()
	p := im.held[ref]
	if p == nil {
		p = &pulled{image: heldImage{Ref: ref}}
		if a.Server != "" && strings.HasPrefix(ref, a.Server+"/") {
			p.image.Registry = a.Server
		}
		im.held[ref] = p
	}
	return p
}

// look notes, before the first pull, what is there without us. The note is
// written at once, because the pulled image may outlive this process.
func (p *pulled) look(ctx context.Context, im *images) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looked {
		return nil
	}
	_, err := im.engine.Image(ctx, p.image.Ref)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	p.image.Given = err == nil
	all, err := im.engine.Images(ctx)
	if err != nil {
		return err
	}
	p.nameless = map[string]bool{}
	for _, i := range all {
		p.nameless[i.ID] = !slices.ContainsFunc(i.RepoTags, isName)
	}
	p.looked = true
	return p.write(im)
}

// isName tells a name from "<none>:<none>", which engine 20.10 lists for none.
func isName(tag string) bool { return !strings.HasPrefix(tag, "<none>") }

// identify notes what the reference named when it was first pulled.
func (p *pulled) identify(im *images, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.image.ID != "" {
		return nil
	}
	p.image.ID, p.image.Kept = id, p.nameless[id]
	p.nameless = nil
	return p.write(im)
}

func (p *pulled) write(im *images) error {
	line, err := json.Marshal(p.image)
	if err != nil {
		return err
	}
	return im.record(append(line, '\n'))
}

// release removes the references that were made by pulling, and the images that
// have no other name left. It is to be called when no container uses them.
func (im *images) release(ctx context.Context) error {
	im.mu.Lock()
	defer im.mu.Unlock()
	var all []heldImage
	for _, p := range im.held {
		p.mu.Lock()
		if p.looked {
			all = append(all, p.image)
		}
		p.mu.Unlock()
	}
	return releaseImages(ctx, im.engine, all)
}

func releaseImages(ctx context.Context, e Engine, held []heldImage) error {
	var errs []error
	for _, h := range held {
		if err := h.release(ctx, e); err != nil {
			errs = append(errs, fmt.Errorf("let go of image %s: %w", h.Ref, err))
		}
	}
	return errors.Join(errs...)
}

// release leaves an image alone that has a name outside of the sandbox's registry.
// One whose last such name was taken away while a task ran it, as a release does
// with the name that it built under, is removed by its id.
func (h heldImage) release(ctx context.Context, e Engine) error {
	if !h.Given {
		if err := e.Untag(ctx, h.Ref); err != nil {
			return err
		}
	}
	if h.Registry == "" || h.ID == "" || h.Kept {
		return nil
	}
	i, err := e.Image(ctx, h.ID)
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(i.RepoTags, i.RepoDigests) {
		if isName(name) && !strings.HasPrefix(name, h.Registry+"/") {
			return nil
		}
	}
	return e.Untag(ctx, h.ID) // nothing, when somebody else's container runs it
}
