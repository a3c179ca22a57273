package codebuild

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// pack writes the source of a build, a zip archive with one tar archive in it, to
// a temporary file.
func (t Tool) pack(ctx context.Context, r Request, machine string) (file string, err error) {
	out, err := os.CreateTemp("", "weelo-deploy-sources-*.zip")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			removeFile(out.Name())
		}
	}()
	z := zip.NewWriter(out)
	inner, err := z.CreateHeader(&zip.FileHeader{Name: archive, Method: zip.Store})
	if err != nil {
		return "", err
	}
	if err := t.writeTar(ctx, inner, r, machine); err != nil {
		return "", fmt.Errorf("pack the sources: %w", err)
	}
	return out.Name(), z.Close()
}

func removeFile(path string) { _ = os.Remove(path) } // a temporary file that stays is no failure of a build

func (t Tool) writeTar(ctx context.Context, w io.Writer, r Request, machine string) error {
	gz, err := gzip.NewWriterLevel(w, gzip.BestSpeed) // most of it is the tool itself
	if err != nil {
		return err
	}
	p := packer{Writer: tar.NewWriter(gz)}
	config, err := r.config()
	if err != nil {
		return err
	}
	if err := p.bytes("weelo-deploy.yaml", config); err != nil {
		return err
	}
	if t.fits(machine) {
		if err := p.file(toolFile, t.Executable, 0o755); err != nil {
			return err
		}
	}
	if err := p.dockerfile(r.Build.Dockerfile); err != nil {
		return err
	}
	exclude, err := ignored(r.Build.Context, r.Build.Dockerfile)
	if err != nil {
		return err
	}
	if err := p.tree(ctx, contextDir, r.Build.Context, exclude); err != nil {
		return err
	}
	for i, c := range r.folders() {
		if err := p.tree(ctx, fmt.Sprintf("%s/%d", contextsDir, i), c.dir, nil); err != nil {
			return err
		}
	}
	return errors.Join(p.Close(), gz.Close())
}

// folder is a named build context that is a folder of this machine.
type folder struct{ name, dir string }

// folders are the named contexts that travel with the sources, in order.
func (r Request) folders() []folder {
	var all []folder
	for name, c := range r.Build.Contexts {
		if !strings.Contains(c, "://") {
			all = append(all, folder{name, c})
		}
	}
	slices.SortFunc(all, func(a, b folder) int { return strings.Compare(a.name, b.name) })
	return all
}

// ignored are the patterns of the context's ignore file: the one that belongs to
// the Dockerfile goes before the context's own.
func ignored(dir, dockerfile string) ([]string, error) {
	for _, name := range []string{dockerfile + ".dockerignore", filepath.Join(dir, ".dockerignore")} {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return ignorefile.ReadAll(bytes.NewReader(b))
	}
	return nil, nil
}

// packer writes a tar archive without owners and other traces of this machine.
type packer struct{ *tar.Writer }

func (p packer) bytes(name string, b []byte) error {
	if err := p.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(b)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := p.Write(b)
	return err
}

func (p packer) file(name, from string, mode int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return p.content(&tar.Header{Name: name, Mode: mode, Typeflag: tar.TypeReg}, in)
}

// dockerfile packs the Dockerfile and the ignore file that belongs to it.
func (p packer) dockerfile(from string) error {
	name := path.Join(dockerfileDir, filepath.Base(from))
	if err := p.file(name, from, 0o644); err != nil {
		return err
	}
	if err := p.file(name+".dockerignore", from+".dockerignore", 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// tree packs a folder as BuildKit would send it: what the patterns exclude stays
// out, modes and links are kept, owners are not.
func (p packer) tree(ctx context.Context, under, dir string, exclude []string) error {
	all, err := fsutil.NewFS(dir)
	if err != nil {
		return err
	}
	some, err := fsutil.NewFilterFS(all, &fsutil.FilterOpt{ExcludePatterns: exclude})
	if err != nil {
		return err
	}
	if err := p.WriteHeader(&tar.Header{Name: under + "/", Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
		return err
	}
	return some.Walk(ctx, "", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return p.entry(some, under, name, entry)
	})
}

func (p packer) entry(from fsutil.FS, under, name string, entry fs.DirEntry) error {
	fi, err := entry.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: path.Join(under, filepath.ToSlash(name)), Mode: int64(fi.Mode().Perm()), ModTime: fi.ModTime()}
	switch {
	case fi.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return p.WriteHeader(h)
	case fi.Mode()&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, filepath.ToSlash(target(fi))
		return p.WriteHeader(h)
	case !fi.Mode().IsRegular():
		return nil // sockets and the like are no sources
	}
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	h.Typeflag = tar.TypeReg
	return p.content(h, in)
}

// content packs a file of the size that it has now: fsutil gives a second name of
// the same file the size 0, and a file that grows meanwhile is cut.
func (p packer) content(h *tar.Header, in io.Reader) error {
	file, ok := in.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return fmt.Errorf("read %s: its size is not known", h.Name)
	}
	fi, err := file.Stat()
	if err != nil {
		return err
	}
	h.Size = fi.Size()
	if err := p.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(p, in, h.Size)
	return err
}

// target is where a symbolic link points, as fsutil found it.
func target(fi fs.FileInfo) string {
	if stat, ok := fi.Sys().(*fstypes.Stat); ok {
		return stat.Linkname
	}
	return ""
}
