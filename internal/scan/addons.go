package scan

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// packaged judges a package that carries its binaries itself.
func (j *judge) packaged(v *inventory, k *pkg) {
	if len(k.files) == 0 {
		return
	}
	clib := j.nodeCLib()
	var good, first, foreign []file
	for _, f := range k.files {
		switch {
		case j.fits(f, clib) && j.named(f.path):
			good = append(good, f)
		case active(f.path):
			first = append(first, f)
		default:
			foreign = append(foreign, f)
		}
	}
	level := j.nodeLevel(v, k.dir)
	for _, f := range first {
		j.add(Finding{
			Level: level, Rule: "addon-wrong", Path: f.path, What: describe(f.Binary), Want: j.want(clib), LoadedBy: j.procs[node].path,
			Why: "it lies where loaders look first, before any prebuilt one" + j.because(f, clib) + j.mild(v, k.dir), Mend: j.addonMend(f, k.dir, clib),
		})
	}
	for _, f := range good {
		j.needs(f, level, j.procs[node])
	}
	switch {
	case len(good) > 0 && len(foreign) > 0:
		j.mention(foreign)
		j.add(Finding{
			Level: Note, Rule: "addon-foreign", Path: k.dir, What: fmt.Sprintf("a package with %s for other platforms beside the one that fits", count(len(foreign), "build")),
			Why: list(foreign),
		})
	case len(foreign) > 0 && len(first) == 0:
		j.onlyForeign(v, k, foreign)
	case len(foreign) > 0:
		j.mention(foreign)
	}
}

// because adds what happens when the C library is the only difference.
func (j *judge) because(f file, clib native.CLib) string {
	if f.Binary.Runs(j.target.OS, j.target.Arch) && f.Binary.CLib != "" && f.Binary.CLib != clib {
		return "; " + clibWhy(f.Binary.CLib, clib)
	}
	return ""
}

func (j *judge) addonMend(f file, dir string, clib native.CLib) []string {
	if f.Binary.Runs(j.target.OS, j.target.Arch) {
		return clibMend(clib)
	}
	return j.nodeMend(dir)
}

// onlyForeign judges a package that has binaries, and none that fits.
func (j *judge) onlyForeign(v *inventory, k *pkg, foreign []file) {
	j.mention(foreign)
	f := Finding{
		Level: j.nodeLevel(v, k.dir), Rule: "addon-absent", Path: foreign[0].path, What: describe(foreign[0].Binary), Want: j.want(j.nodeCLib()),
		Why:      fmt.Sprintf("package %s has %s, none of them fits: %s", packageName(k.dir), count(len(foreign), "build"), list(foreign)) + j.because(foreign[0], j.nodeCLib()) + j.mild(v, k.dir),
		LoadedBy: j.procs[node].path, Mend: j.addonMend(foreign[0], k.dir, j.nodeCLib()),
	}
	switch {
	case k.json != nil && !listed(k.json.OS, j.target.OS):
		f.Level, f.Rule = Note, "addon-foreign"
		f.Why = fmt.Sprintf("package %s says that it is only for %s, so what asks for it can do without", packageName(k.dir), strings.Join(k.json.OS, ", "))
	case !slices.ContainsFunc(foreign, func(x file) bool { return !helper(x) }):
		f.Level, f.Rule = Note, "addon-foreign"
		f.Why = "programs for Windows that the package starts only there"
	case desktop(foreign):
		f.Level = Warning
		f.Why = "the package has programs for Windows and macOS and none for Linux, as if it needed none there: " + list(foreign)
	}
	j.add(f)
}

// listed reports whether a list of package.json's os or cpu holds a name; an
// empty list holds all, and "!name" excludes (npm, package.json, "os").
func listed(l []string, name string) bool {
	only := false
	for _, s := range l {
		if s == "!"+name {
			return false
		}
		if s == name {
			return true
		}
		only = only || !strings.HasPrefix(s, "!")
	}
	return !only
}

// helper is a Windows program beside a package's scripts.
func helper(f file) bool {
	return f.Binary.Format == native.PE && !strings.HasSuffix(f.path, ".node")
}

// desktop reports programs for Windows and for macOS, and no add-ons.
func desktop(files []file) bool {
	seen := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f.path, ".node") {
			return false
		}
		seen[f.Binary.OS] = true
	}
	return seen["windows"] && seen["darwin"] && !seen["linux"]
}

// named reports whether a path's own words allow the target. node-gyp-build
// chooses by the folder under prebuilds and by the tags of the file's name, and
// never looks inside.
func (j *judge) named(p string) bool {
	_, rest, ok := strings.Cut(p, "/prebuilds/")
	if !ok {
		return true
	}
	dir, base, ok := strings.Cut(rest, "/")
	if !ok {
		return true
	}
	goos, archs, ok := strings.Cut(dir, "-")
	if !ok || goos != nodeOS(j.target.OS) || !slices.Contains(strings.Split(archs, "+"), nodeArch(j.target.Arch)) {
		return false
	}
	for tag := range strings.SplitSeq(path.Base(base), ".") {
		if (tag == "glibc" || tag == "musl") && tag != string(j.nodeCLib()) {
			return false
		}
	}
	return true
}

func nodeOS(goos string) string {
	if goos == "windows" {
		return "win32"
	}
	return goos
}

func nodeArch(goarch string) string {
	switch goarch {
	case "amd64":
		return "x64"
	case "386":
		return "ia32"
	}
	return goarch
}

// find resolves a package's name as Node does: in the nearest node_modules,
// then upwards. Package managers put links there.
func (j *judge) findPkg(v *inventory, from, name string) *pkg {
	for d := from; ; {
		for _, at := range []string{path.Join(d, "node_modules", name), siblingOf(d, name)} {
			if at == "" {
				continue
			}
			if k := v.pkgs[at]; k != nil {
				return k
			}
			if real, n := j.tree.Resolve(at); n != nil && n.Kind == layer.Dir && v.pkgs[real] != nil {
				return v.pkgs[real]
			}
		}
		i := strings.LastIndex(d, "/node_modules/")
		if i < 0 {
			return nil
		}
		d = d[:i]
	}
}

// siblingOf is where a package of that name lies beside the one at d.
func siblingOf(d, name string) string {
	i := strings.LastIndex(d, "/node_modules/")
	if i < 0 {
		return ""
	}
	return path.Join(d[:i], "node_modules", name)
}
