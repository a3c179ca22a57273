package scan

import (
	"path"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
	"github.com/weelo/weelo-deploy/internal/scan/rootfs"
)

// file is a binary of the final file system.
type file struct {
	path string
	*rootfs.Node
}

// inventory is the final file system by what its files are for.
type inventory struct {
	pkgs    map[string]*pkg // Node packages by their real folder
	dev     map[string]bool // those that npm installed only for development
	engines []file          // Prisma's
	python  []file          // extension modules
	loose   []file          // other libraries and programs of the application's own folder
}

// pkg is a Node package, or a folder with add-ons outside of any.
type pkg struct {
	dir   string
	json  *layer.PackageJSON
	files []file
	done  bool // judged with the package that lists it
}

// modules judges what runtimes load later.
func (j *judge) modules() {
	v := j.inventory()
	j.prisma(v)
	j.families(v)
	for _, d := range sortedKeys(v.pkgs) {
		if k := v.pkgs[d]; !k.done {
			j.packaged(v, k)
		}
	}
	j.extensions(v)
	j.application(v)
}

func (j *judge) inventory() *inventory {
	v := &inventory{pkgs: map[string]*pkg{}, dev: map[string]bool{}}
	for p, n := range j.tree.All() {
		switch n.Kind {
		case layer.Package:
			if strings.Contains(p, "/node_modules/") && owner(p) == path.Dir(p) {
				v.pkg(path.Dir(p)).json = n.Package
			}
		case layer.Lock:
			root := path.Dir(path.Dir(p))
			for _, d := range n.Lock.Dev {
				v.dev[path.Join(root, d)] = true
			}
		case layer.Binary:
			j.rep.Binaries++
			if k := n.Binary.Kind; k != native.Object && k != native.Core && k != native.Debug {
				j.sort(v, file{p, n})
			}
		}
	}
	return v
}

func (v *inventory) pkg(dir string) *pkg {
	if v.pkgs[dir] == nil {
		v.pkgs[dir] = &pkg{dir: dir}
	}
	return v.pkgs[dir]
}

// sort puts a binary where the rule for it looks.
func (j *judge) sort(v *inventory, f file) {
	inModules := strings.Contains(f.path, "/node_modules/")
	switch {
	case unloaded(f.path):
	case isEngine(f.path):
		v.engines = append(v.engines, f)
	case strings.HasSuffix(f.path, ".node"), inModules && runnable(f):
		v.pkg(owner(f.path)).files = append(v.pkg(owner(f.path)).files, f)
	case inModules:
	case isExtension(f.path):
		v.python = append(v.python, f)
	case j.own(f.path):
		v.loose = append(v.loose, f)
	}
}

// runnable is a program that a Node package starts: some come without the
// execute bit and are given it by their package.
func runnable(f file) bool {
	base := path.Base(f.path)
	return f.Exec && !strings.Contains(base, ".so") && !strings.HasSuffix(base, ".dylib") && !strings.HasSuffix(base, ".dll")
}

// unloaded are folders whose binaries nobody loads: intermediate files of
// compilers, and what tests read.
func unloaded(p string) bool {
	for _, d := range []string{"/obj.target/", "/.deps/", "/testdata/", "/test/fixtures/", "/tests/fixtures/", "/__fixtures__/", "/__tests__/", "/CMakeFiles/"} {
		if strings.Contains(p, d) {
			return true
		}
	}
	return false
}

// own reports a path in the application's own folder, where that is one.
func (j *judge) own(p string) bool {
	w := path.Clean("/" + j.cfg.Config.WorkingDir)
	switch w {
	case "/", "/root", "/home", "/usr", "/usr/src", "/opt", "/var", "/tmp":
		return false
	}
	return strings.HasPrefix(p, w+"/") && !strings.Contains(p, "/site-packages/") && !strings.Contains(p, "/dist-packages/")
}

// owner is the folder of the package that a path belongs to: the one after the
// last node_modules, else the folder that holds the well-known ones for builds.
func owner(p string) string {
	i := strings.LastIndex(p, "/node_modules/")
	if i < 0 {
		for _, mark := range []string{"/prebuilds/", "/build/Release/", "/build/Debug/", "/lib/binding/"} {
			if dir, _, ok := strings.Cut(p, mark); ok {
				return path.Clean("/" + dir)
			}
		}
		return path.Dir(p)
	}
	rest := strings.Split(p[i+len("/node_modules/"):], "/")
	n := 1
	if strings.HasPrefix(rest[0], "@") && len(rest) > 2 {
		n = 2
	}
	return p[:i] + "/node_modules/" + strings.Join(rest[:n], "/")
}

// active are paths that a loader takes before it looks at the platform: the
// results of node-gyp, which node-gyp-build and bindings try first, and the
// folder of node-pre-gyp.
func active(p string) bool {
	return strings.HasSuffix(p, ".node") && (strings.Contains(p, "/build/Release/") || strings.Contains(p, "/build/Debug/") || strings.Contains(p, "/lib/binding/"))
}

// nodeCLib is the C library of the process that loads Node's add-ons.
func (j *judge) nodeCLib() native.CLib {
	if p := j.procs[node]; p.path != "" {
		return p.clib
	}
	return j.clib
}

// nodeLevel is how much an add-on weighs: an error when Node certainly runs, a
// warning for what is there only for development, or when nothing starts Node.
func (j *judge) nodeLevel(v *inventory, dir string) Level {
	if !j.procs[node].runs || v.isDev(dir) {
		return Warning
	}
	return Error
}

// mild says why an add-on is no error.
func (j *judge) mild(v *inventory, dir string) string {
	switch {
	case v.isDev(dir):
		return "; a warning only, because npm installed it for development"
	case !j.procs[node].runs:
		return "; a warning only, because nothing that starts here is known to run Node"
	}
	return ""
}

func (v *inventory) isDev(dir string) bool {
	for d := dir; d != "/" && d != "."; d = path.Dir(d) {
		if v.dev[d] {
			return true
		}
	}
	return false
}

// fits reports whether a file can be loaded: an add-on by Node's process, a
// program by the kernel.
func (j *judge) fits(f file, c native.CLib) bool {
	b := f.Binary
	if !b.Runs(j.target.OS, j.target.Arch) {
		return false
	}
	if isProgram(f) {
		if b.Interp == "" {
			return true
		}
		_, n := j.tree.Resolve(b.Interp)
		return n != nil
	}
	return b.CLib == "" || b.CLib == c
}

func isProgram(f file) bool {
	return !strings.HasSuffix(f.path, ".node") && (f.Binary.Interp != "" || f.Binary.Kind == native.Program || len(f.Binary.Needed) == 0 && f.Exec)
}

// needs judges what a file that fits has to have around it.
func (j *judge) needs(f file, l Level, p process) {
	clib, have := p.clib, p.mapped
	if isProgram(f) {
		if clib, have = f.Binary.CLib, nil; clib == "" {
			clib = j.clib
		}
	}
	if clib == "" {
		clib = j.clib
	}
	found, _ := j.closureOf(f.path, f.Binary, clib, have)
	by := p.path
	if by == "" {
		by = "whatever loads add-ons"
	}
	for _, x := range found {
		x.Level, x.LoadedBy = l, by
		j.add(x)
	}
}

// mention keeps files out of the notes on foreign binaries.
func (j *judge) mention(files []file) {
	for _, f := range files {
		j.told[f.path] = true
	}
}

// list names some files with what they are, the first ones in order.
func list(files []file) string {
	const most = 6
	var out []string
	for _, f := range files {
		if len(out) == most {
			out = append(out, "and more")
			break
		}
		out = append(out, path.Base(path.Dir(f.path))+"/"+path.Base(f.path)+" ("+f.Binary.String()+")")
	}
	slices.Sort(out[:min(most, len(out))])
	return strings.Join(out, ", ")
}
