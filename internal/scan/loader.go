package scan

import (
	"path"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
	"github.com/weelo/weelo-deploy/internal/scan/rootfs"
)

// loaderDirs is what glibc's loader searches when nothing else answers: the
// folders of ld.so.conf, out of which ldconfig makes its cache, and those that
// distributions compile in (ld.so(8)).
func (j *judge) loaderDirs() []string {
	dirs := j.confDirs("/etc/ld.so.conf", 0)
	m := j.machine()
	for _, d := range []string{"/lib/" + m + "-linux-gnu", "/usr/lib/" + m + "-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// confDirs reads an ld.so.conf: folders, and "include" lines with globs.
func (j *judge) confDirs(file string, depth int) []string {
	_, n := j.tree.Resolve(file)
	if n == nil || n.Kind != layer.Text || depth > 4 {
		return nil
	}
	var dirs []string
	for line := range strings.SplitSeq(n.Text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if pattern, ok := strings.CutPrefix(line, "include"); ok {
			pattern = strings.TrimSpace(pattern)
			if !path.IsAbs(pattern) {
				pattern = path.Join(path.Dir(file), pattern)
			}
			for _, f := range j.tree.Glob(path.Dir(pattern), path.Base(pattern)) {
				dirs = append(dirs, j.confDirs(f, depth+1)...)
			}
		} else if path.IsAbs(line) && len(dirs) < 256 {
			dirs = append(dirs, line)
		}
	}
	return dirs
}

// muslDirs is what musl's loader searches: the folders of its path file, or
// those that it has compiled in.
func (j *judge) muslDirs() []string {
	_, n := j.tree.Resolve("/etc/ld-musl-" + j.machine() + ".path")
	if n != nil && n.Kind == layer.Text {
		return strings.FieldsFunc(n.Text, func(r rune) bool { return r == ':' || r == '\n' })
	}
	return []string{"/lib", "/usr/local/lib", "/usr/lib"}
}

// find looks up a library that the file at p needs, as its loader would. wrong
// is a file of that name for another machine, when there is no right one:
// loaders step over those.
func (j *judge) find(p, need string, rpath []string, c native.CLib) (right, wrong *found) {
	dirs := slices.Clone(rpath)
	if v := j.env["LD_LIBRARY_PATH"]; v != "" {
		dirs = append(dirs, strings.FieldsFunc(v, func(r rune) bool { return r == ':' || r == ';' })...)
	}
	if c == native.Musl {
		dirs = append(dirs, j.muslDirs()...)
	} else {
		dirs = append(dirs, j.dirs...)
	}
	if strings.Contains(need, "/") {
		dirs = []string{"/"}
	}
	for _, d := range dirs {
		real, n := j.tree.Resolve(path.Join("/", d, need))
		switch {
		case n == nil || n.Kind != layer.Binary:
		case n.Binary.Runs(j.target.OS, j.target.Arch):
			return &found{real, n}, nil
		case wrong == nil:
			wrong = &found{real, n}
		}
	}
	return nil, wrong
}

// found is a file and where it really is.
type found struct {
	path string
	*rootfs.Node
}

// origin replaces what stands for the folder of the file itself.
func (j *judge) origin(dirs []string, p string) []string {
	lib := "lib64"
	if j.clib == native.Musl {
		lib = "lib"
	}
	r := strings.NewReplacer("$ORIGIN", path.Dir(p), "${ORIGIN}", path.Dir(p), "$LIB", lib, "${LIB}", lib, "$PLATFORM", j.machine(), "${PLATFORM}", j.machine())
	out := make([]string, 0, len(dirs))
	for _, d := range dirs {
		out = append(out, r.Replace(d))
	}
	return out
}

// itself are the names that musl's loader answers with itself, whatever file
// they ask for, even glibc's libc.so.6 (musl, ldso/dynlink.c, load_library).
var itself = []string{"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."}

func muslItself(name string) bool {
	rest, ok := strings.CutPrefix(name, "lib")
	return ok && slices.ContainsFunc(itself, func(s string) bool { return strings.HasPrefix(rest, s) })
}
