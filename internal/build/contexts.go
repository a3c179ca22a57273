package build

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/tonistiigi/fsutil"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
)

const imageScheme = "docker-image://"

// namedContext is a build context besides the main one, which FROM, COPY --from
// and RUN --mount=from name as they name a stage or an image.
type namedContext struct {
	name  string // as BuildKit looks it up: without ":latest"
	dir   string // absolute path; or
	image string // a reference
}

// readContexts reads Request.Contexts, in order of their names.
func readContexts(given map[string]string) ([]namedContext, error) {
	var all []namedContext
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		c, err := readNamed(name, given[name])
		if err != nil {
			errs = append(errs, event.Fail(event.CodeUsage, fmt.Sprintf("build context %q", name)).Because(err).
				Hint("build.contexts names a folder, or an image as docker-image://REFERENCE"))
			continue
		}
		all = append(all, c)
	}
	return all, errors.Join(errs...)
}

func readNamed(name, value string) (namedContext, error) {
	key, err := contextKey(name)
	if err != nil {
		return namedContext{}, fmt.Errorf("its name: %w", err)
	}
	if image, ok := strings.CutPrefix(value, imageScheme); ok {
		_, err := reference.ParseNormalizedNamed(image)
		return namedContext{name: key, image: image}, err
	}
	if strings.Contains(value, "://") || !filepath.IsAbs(value) {
		return namedContext{}, fmt.Errorf("%s is neither a folder nor an image", value)
	}
	fi, err := os.Stat(value)
	if err != nil {
		return namedContext{}, err
	}
	if !fi.IsDir() {
		return namedContext{}, fmt.Errorf("%s is not a folder", value)
	}
	return namedContext{name: key, dir: value}, nil
}

// contextKey is a context's name as the frontend looks it up (dockerui of
// moby/buildkit): an image's familiar name without the tag latest.
func contextKey(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed(strings.ToLower(name))
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(reference.FamiliarString(named), ":latest"), nil
}

// context finds what stands for a stage or image of that name.
func (in inputs) context(name string) (namedContext, bool) {
	key, err := contextKey(name)
	if err != nil {
		return namedContext{}, false
	}
	i := slices.IndexFunc(in.contexts, func(c namedContext) bool { return c.name == key })
	if i < 0 {
		return namedContext{}, false
	}
	return in.contexts[i], true
}

// mount is the name under which BuildKit asks for the folder.
func (c namedContext) mount() string { return "context:" + c.name }

// addContexts makes the named contexts part of the build.
func (in inputs) addContexts(attrs map[string]string, mounts map[string]fsutil.FS) error {
	for _, c := range in.contexts {
		if c.image != "" {
			attrs["context:"+c.name] = imageScheme + c.image
			continue
		}
		fs, err := fsutil.NewFS(c.dir)
		if err != nil {
			return fmt.Errorf("open build context %s: %w", c.dir, err)
		}
		mounts[c.mount()] = fs
		attrs["context:"+c.name] = "local:" + c.mount()
	}
	if len(in.contexts) > 0 {
		// A frontend that knows no named contexts would pass over them and fetch an
		// image of that name. This makes it refuse, or hand over to that of a
		// "# syntax=" line.
		attrs["frontend.caps"] = "moby.buildkit.frontend.contexts+forward"
	}
	return nil
}

// contextsSince is the first engine whose own frontend knows named contexts
// (Dockerfile frontend 1.4, in BuildKit 0.10).
const contextsSince = 23

// contextsKnown refuses named contexts that the frontend cannot know. Which ones
// that of a "# syntax=" line knows is seen when it runs.
func (in inputs) contextsKnown(info engine.Info) error {
	if n, ok := major(info.Version); len(in.contexts) == 0 || in.dockerfile.syntax != "" || !ok || n >= contextsSince {
		return nil
	}
	return contextsUnknown("docker engine " + info.Version)
}

func contextsUnknown(who string) *event.Failure {
	return event.Fail(event.CodeUnsupported, who+" does not know build.contexts").
		Hint("begin the Dockerfile with # syntax=docker/dockerfile:1, which brings a frontend that knows them", "or use Docker Engine 23 or newer")
}

// major is the first number of an engine's version: 20 of "20.10.24+dfsg1".
func major(version string) (int, bool) {
	s, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(s)
	return n, err == nil
}
