package scan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// platformWord finds the parts of a package's name that name a platform.
var platformWord = regexp.MustCompile(`(^|[-_./])(linux|linuxmusl|darwin|win32|windows|freebsd|openbsd|netbsd|android|openharmony|sunos|aix|x64|x32|ia32|arm64|arm|armv6|armv7|arm64ec|x86_64|x86|aarch64|amd64|386|gnu|musl|glibc|msvc|gnueabihf|musleabihf|eabi|s390x|ppc64|ppc64le|mips64el|mips64|riscv64|loong64|wasm32|wasi|universal|64|32)([-_./]|$)`)

// stem is a name without those parts: what the members of a family share.
func stem(name string) string {
	for {
		next := platformWord.ReplaceAllString(name, "$1")
		if next == name {
			return strings.Trim(name, "-_./")
		}
		name = next
	}
}

var systemWord = regexp.MustCompile(`(^|[-_./])(linux|linuxmusl|darwin|win32|windows)`)

// family is one set of packages, a build for each platform, of which a package
// manager installs those whose os, cpu and libc fit the machine that it runs on.
type family struct {
	parent *pkg
	names  []string
	wasm   bool // one of them runs anywhere
}

// families judges packages whose binaries are in per-platform packages, named
// in optionalDependencies (esbuild, sharp, swc and their like).
func (j *judge) families(v *inventory) {
	for _, d := range sortedKeys(v.pkgs) {
		k := v.pkgs[d]
		if k.json == nil {
			continue
		}
		for _, f := range familiesOf(k) {
			j.family(v, f)
		}
	}
	j.orphans(v)
}

// familiesOf groups the optional dependencies that carry a platform by stem.
func familiesOf(k *pkg) []family {
	byStem := map[string]*family{}
	for _, name := range k.json.Optional {
		if !systemWord.MatchString(name) && !strings.Contains(name, "wasm") {
			continue
		}
		s := stem(name)
		if byStem[s] == nil {
			byStem[s] = &family{parent: k}
		}
		byStem[s].names = append(byStem[s].names, name)
	}
	var out []family
	for _, s := range sortedKeys(byStem) {
		out = append(out, *byStem[s])
	}
	return out
}

// family judges one set: is a member installed that fits, only others, or none?
func (j *judge) family(v *inventory, fam family) {
	var have, good []file
	clib := j.nodeCLib()
	for _, name := range fam.names {
		ch := j.findPkg(v, fam.parent.dir, name)
		if ch == nil || ch.dir == fam.parent.dir {
			continue
		}
		fam.wasm = fam.wasm || strings.Contains(name, "wasm")
		ch.done = true
		j.told[ch.dir] = true
		for _, f := range ch.files {
			if j.fits(f, clib) {
				good = append(good, f)
			} else {
				have = append(have, f)
			}
		}
	}
	j.mention(have)
	level := j.nodeLevel(v, fam.parent.dir)
	switch {
	case len(good) > 0:
		for _, f := range good {
			j.needs(f, level, j.procs[node])
		}
		if len(have) > 0 {
			j.add(Finding{Level: Note, Rule: "addon-foreign", Path: fam.parent.dir, What: "a package with builds for other platforms beside the one that fits", Why: list(have)})
		}
	case len(have) > 0:
		j.familyAbsent(fam, have, level, j.mild(v, fam.parent.dir))
	default:
		j.familyEmpty(v, fam)
	}
}

func (j *judge) familyAbsent(fam family, have []file, level Level, mild string) {
	if fam.wasm {
		level = Warning
	}
	name := packageName(fam.parent.dir)
	j.add(Finding{
		Level: level, Rule: "addon-absent", Path: have[0].path, What: describe(have[0].Binary), Want: j.want(j.nodeCLib()), LoadedBy: j.procs[node].path,
		Why:  fmt.Sprintf("package %s has no build that fits, only %s", name, list(have)) + j.because(have[0], j.nodeCLib()) + mild,
		Mend: j.nodeMend(fam.parent.dir),
	})
}

// enough is how many per-platform packages a parent has to name before their
// absence is worth a word; fewer are often a plain option (fsevents).
const enough = 3

// buildOnly are packages whose binaries compile the application and are left
// out of the finished one on purpose.
var buildOnly = []string{"next"}

func (j *judge) familyEmpty(v *inventory, fam family) {
	name := packageName(fam.parent.dir)
	installed := slices.ContainsFunc(fam.names, func(n string) bool { return j.findPkg(v, fam.parent.dir, n) != nil })
	if len(fam.names) < enough || installed || v.isDev(fam.parent.dir) || slices.Contains(buildOnly, name) || len(fam.parent.files) > 0 {
		return
	}
	key := "family:" + fam.parent.dir
	if j.dup[key] {
		return
	}
	j.dup[key] = true
	j.add(Finding{
		Level: Warning, Rule: "addon-absent", Path: fam.parent.dir + "/package.json", What: fmt.Sprintf("a package that expects one of %d per-platform packages", len(fam.names)),
		Want: "one for " + j.want(j.nodeCLib()), Why: "none is installed; a lock file made on another machine can leave them out (npm/cli#4828)",
		Mend: []string{"delete node_modules and package-lock.json, then npm install, so that the lock file names all platforms", "npm ci --include=optional"},
	})
}

// orphans are per-platform packages that no package here asks for, grouped as
// the family they come from: foreign ones beside a fitting one are no news.
func (j *judge) orphans(v *inventory) {
	groups := map[string][]*pkg{}
	for _, d := range sortedKeys(v.pkgs) {
		k := v.pkgs[d]
		if k.done || k.json == nil || len(k.json.CPU) == 0 || len(k.files) == 0 {
			continue
		}
		i := strings.LastIndex(d, "/node_modules/")
		if i >= 0 {
			groups[d[:i]+" "+stem(packageName(d))] = append(groups[d[:i]+" "+stem(packageName(d))], k)
		}
	}
	for _, g := range sortedKeys(groups) {
		j.orphanGroup(v, groups[g])
	}
}

func (j *judge) orphanGroup(v *inventory, ks []*pkg) {
	var have []file
	fit := false
	for _, k := range ks {
		k.done = true
		j.told[k.dir] = true
		for _, f := range k.files {
			if j.fits(f, j.nodeCLib()) {
				fit = true
				j.needs(f, Warning, j.procs[node])
			} else {
				have = append(have, f)
			}
		}
	}
	if len(have) == 0 {
		return
	}
	j.mention(have)
	f := Finding{Level: Note, Rule: "addon-foreign", Path: have[0].path, What: describe(have[0].Binary), Want: j.want(j.nodeCLib()), Why: "it is for another platform, beside one that fits"}
	if !fit {
		f.Level, f.Rule = Warning, "addon-absent"
		f.Why = "no package that would load it is installed, and no build of it fits"
		f.Mend = j.nodeMend(ks[0].dir)
	}
	j.add(f)
}
