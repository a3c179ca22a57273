// Package scan looks inside an image and says which of its native files would
// not run where the image is going. Image is where to start: it reads the layers
// of a Source, lays them over one another, and judges what is there in the end.
//
// What is an error was measured on images that work and images that do not. "Any
// foreign binary" and "any library that cannot be found" are both wrong on
// healthy images; what counts is what will be loaded: the program that starts
// and all it needs, and the add-ons that it loads later, which are found by the
// rules of the package managers that put them there. The C library is compared
// too: an add-on for glibc in a musl process has the right processor and finds
// all its libraries, and dies of SIGSEGV (exit code 139) at the first call.
//
// Layers are read in one pass and reduced to facts (package layer), so memory
// does not grow with the image; facts are kept by diff id for the next time.
package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/rootfs"
)

// Target is where the image is going to run, in Go's words: linux, amd64.
type Target struct{ OS, Arch string }

// String is the target as people write it.
func (t Target) String() string { return t.OS + "/" + t.Arch }

// Options say how to look. The zero Options are good ones, without a cache.
type Options struct {
	// Allow are rules for paths whose findings are only noted.
	Allow []Rule
	// Config is the digest of the config of the image that is meant, where a
	// Source holds several; without it the only one for the target is taken.
	Config string
	// Steps reads an image whose every layer is known all the same, when a warning
	// wants its build step. For errors that is always done.
	Steps bool
	// Cache keeps the facts of layers; nil keeps none.
	Cache layer.Cache
	// Parallel is how many layers are read at once, where a Source can open
	// them apart; 2 when it is 0.
	Parallel int
	// Entrypoint and Command stand in for the image's own, as those of a
	// container definition do.
	Entrypoint, Command []string
}

// UserCache keeps facts of layers in the user's cache folder.
func UserCache() (layer.Cache, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the user's cache folder: %w", err)
	}
	return layer.Folder{Dir: filepath.Join(dir, "weelo-deploy", "layers")}, nil
}

// ErrNotUnpackable is in the error of an image whose layers are not those that
// its config promises.
var ErrNotUnpackable = errors.New("ECS could not unpack it")

// Image reads the image of src and judges its native files for the target. An
// image that cannot be read, because it is damaged or beyond the limits of
// package layer, is an error; what is wrong with its files is in the report.
func Image(ctx context.Context, src Source, target Target, opts Options) (Report, error) {
	r := &reader{cache: opts.Cache, parallel: opts.Parallel, target: target, digest: opts.Config}
	if r.parallel <= 0 {
		r.parallel = 2
	}
	in, err := src.read(ctx, r)
	if err != nil {
		return Report{}, fmt.Errorf("read the image's layers: %w", err)
	}
	rep, err := judgeContents(ctx, in, target, opts)
	if err != nil || in.whole == nil || rep.Count(Error) == 0 && (!opts.Steps || rep.Count(Warning) == 0) {
		return rep, err
	}
	// Something is to be told, with the step that brought it, and what the cache
	// had does not name steps.
	if in, err = in.whole(ctx); err != nil {
		return Report{}, fmt.Errorf("read the image's layers: %w", err)
	}
	return judgeContents(ctx, in, target, opts)
}

func judgeContents(ctx context.Context, in *contents, target Target, opts Options) (Report, error) {
	if len(in.layers) != len(in.config.RootFS.DiffIDs) {
		return Report{}, fmt.Errorf("read the image's layers: %w", miscounted(in.config, len(in.layers)))
	}
	rep := Report{Target: target.String(), Findings: []Finding{}, Layers: len(in.layers)}
	tree := &rootfs.Tree{}
	for i, l := range in.layers {
		if err := errors.Join(context.Cause(ctx), tree.Apply(i, l.facts)); err != nil {
			return Report{}, fmt.Errorf("lay layer %s over the others: %w", in.config.RootFS.DiffIDs[i], err)
		}
		rep.count(l)
	}
	j := newJudge(tree, in, target, opts, &rep)
	j.run()
	rep.allow(opts.Allow)
	rep.sort()
	return rep, nil
}

// miscounted is the error of a manifest with n layers.
func miscounted(c config, n int) error {
	return fmt.Errorf("the config names %d layers, the manifest %d: %w", len(c.RootFS.DiffIDs), n, ErrNotUnpackable)
}

func (r *Report) count(l scanned) {
	r.Files += l.facts.Files
	r.Bytes += l.facts.Bytes
	if l.cached {
		r.Cached++
	}
}
