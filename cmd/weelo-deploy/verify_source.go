package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/scan"
)

// source is where verify reads an image.
type source string

const (
	inLayout   source = "layout"
	inTar      source = "tar"
	inLocal    source = "local"
	inRegistry source = "registry"
	anywhere   source = "" // the local engine, else a registry
)

// sourceOf finds out what IMAGE is. A path that exists and is a layout or an
// archive is one; what is written like a path has to be.
func sourceOf(arg, as string) (source, error) {
	switch source(as) {
	case inLayout, inTar:
		return source(as), nil
	case inLocal, inRegistry:
		return source(as), checkReference("IMAGE", arg)
	case anywhere:
	default:
		return "", event.Fail(event.CodeUsage, fmt.Sprintf("--as %s is not known", as)).Hint("--as local, registry, layout or tar")
	}
	if arg == "-" {
		return inTar, nil
	}
	info, err := os.Stat(arg)
	path := looksLikePath(arg)
	switch {
	case err == nil && info.IsDir() && (path || image.IsLayout(arg)):
		return inLayout, nil
	case err == nil && info.Mode().IsRegular() && (path || isTar(arg)):
		return inTar, nil
	case err == nil && path:
		return "", event.Fail(event.CodeUsage, arg+" is neither a directory nor a file")
	case path:
		return "", noFile(arg, err)
	}
	return anywhere, checkReference("IMAGE", arg)
}

// looksLikePath recognises what nobody writes for a reference. "image.tar" could be
// the name of a repository, and never is.
func looksLikePath(s string) bool {
	for _, suffix := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst"} {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	first, _, _ := strings.Cut(filepath.ToSlash(s), "/")
	return filepath.IsAbs(s) || first == "." || first == ".."
}

func isTar(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return image.IsTar(f)
}

// noFile is the failure of a file that is named and cannot be read.
func noFile(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return event.Fail(event.CodeUsage, "there is no file or directory "+path)
	}
	return event.Fail(event.CodeUsage, "read "+path).Because(err)
}

// archive judges an archive, or standard input for "-", which is kept in a
// temporary file for the second look.
func (v *verifier) archive(ctx context.Context, path string) (looked, error) {
	if path == "-" {
		return v.standardInput(ctx)
	}
	f, err := os.Open(path)
	if err != nil {
		return looked{}, noFile(path, err)
	}
	return v.archiveFile(ctx, f, path)
}

func (v *verifier) archiveFile(ctx context.Context, f *os.File, name string) (looked, error) {
	d, err := image.DescribeTar(ctx, f, name, v.choice)
	found, err := v.judge(name, d, err)
	l := looked{VerifiedImage: found, layers: scan.FromSave(f), opened: []io.Closer{f}}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return l, err
}

func (v *verifier) standardInput(ctx context.Context) (looked, error) {
	f, err := os.CreateTemp("", "weelo-deploy-verify-*")
	if err != nil {
		return looked{}, fmt.Errorf("keep standard input: %w", err)
	}
	_, err = io.Copy(f, v.app.stdin)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return looked{opened: []io.Closer{f}, removed: f.Name()}, fmt.Errorf("keep standard input: %w", err)
	}
	l, err := v.archiveFile(ctx, f, "standard input")
	l.removed = f.Name()
	return l, err
}
