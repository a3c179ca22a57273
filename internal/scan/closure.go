package scan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
)

// maxClosure bounds how many libraries of one program are followed.
const maxClosure = 4096

// closure follows what a file needs, breadth first, as loaders do.
type closure struct {
	j      *judge
	clib   native.CLib
	have   map[string]string // names that the process has mapped before, and where from
	mapped map[string]string // names that this file brings
	out    []Finding
}

// link is a file whose needs are to be looked up.
type link struct {
	path  string
	bin   *native.Binary
	rpath []string // DT_RPATH of those that asked for it, inherited
}

// closureOf finds what is wrong with a file and all that it needs, when a
// process of the given C library loads it that has mapped have already. The
// names that it brings into the process are the second result.
func (j *judge) closureOf(p string, b *native.Binary, clib native.CLib, have map[string]string) ([]Finding, map[string]string) {
	c := &closure{j: j, clib: clib, have: have, mapped: map[string]string{}}
	if b.Interp != "" && !c.loader(p, b) {
		return c.out, c.mapped
	}
	seen := map[string]bool{p: true}
	for queue := []link{{p, b, nil}}; len(queue) > 0; queue = queue[1:] {
		l := queue[0]
		c.fits(l)
		search, inherit := c.search(l)
		for _, need := range l.bin.Needed {
			if f := c.need(l, need, search); f != nil && !seen[f.path] && len(seen) < maxClosure {
				seen[f.path] = true
				queue = append(queue, link{f.path, f.Binary, inherit})
			}
		}
	}
	return c.out, c.mapped
}

// loader looks the interpreter up; without it the kernel says "no such file or
// directory", of the program itself.
func (c *closure) loader(p string, b *native.Binary) bool {
	real, n := c.j.tree.Resolve(b.Interp)
	f := Finding{Path: p, What: describe(b) + " that asks for the loader " + b.Interp, Want: "a loader that is in the image"}
	switch {
	case n == nil || n.Kind != layer.Binary:
		f.Rule, f.Why = "loader-missing", `the kernel answers "no such file or directory" to starting it`
		f.Mend = loaderMend(b.CLib, c.j.clib)
	case !n.Binary.Runs(c.j.target.OS, c.j.target.Arch):
		f.Rule, f.Path, f.What, f.Want = "loader-machine", real, describe(n.Binary), c.j.want(c.clib)
		f.Why = "it is the loader of " + p
		f.Mend = machineMend(c.j.target)
	default:
		return true
	}
	c.out = append(c.out, f)
	return false
}

// search is where a file's needs are looked up, and what those inherit. RUNPATH
// silences RPATH and is not inherited (ld.so(8)); to musl both are RPATH.
func (c *closure) search(l link) (search, inherit []string) {
	rpath, runpath := c.j.origin(l.bin.RPath, l.path), c.j.origin(l.bin.RunPath, l.path)
	switch {
	case c.clib == native.Musl:
		all := slices.Concat(runpath, rpath, l.rpath)
		return all, all
	case len(runpath) > 0:
		return runpath, nil
	}
	all := slices.Concat(rpath, l.rpath)
	return all, all
}

// fits holds one file of the closure against the process and the processor.
func (c *closure) fits(l link) {
	if l.bin.CLib != "" && l.bin.CLib != c.clib {
		c.out = append(c.out, Finding{
			Rule: "c-library", Path: l.path, What: describe(l.bin), Want: c.j.want(c.clib),
			Why: clibWhy(l.bin.CLib, c.clib), Mend: clibMend(c.clib),
		})
	}
	promised := max(c.j.level, variantLevel(c.j.cfg.Variant))
	if l.bin.Level > promised && l.bin.Level > everywhere {
		c.out = append(c.out, Finding{
			Rule: "cpu-level", Path: l.path, What: fmt.Sprintf("%s that asks for an x86-64-v%d processor", describe(l.bin), l.bin.Level),
			Want: fmt.Sprintf("x86-64-v%d or lower, as the rest of the image", max(promised, everywhere)), Why: "its loader or its first new instruction ends the process on an older processor",
			Mend: []string{"compile it without -march, or with -march=x86-64-v2"},
		})
	}
	if l.bin.Damaged != "" {
		c.out = append(c.out, Finding{Rule: "damaged", Path: l.path, What: describe(l.bin) + " that cannot be read: " + l.bin.Damaged, Mend: []string{"copy or install it anew"}})
	}
}

// everywhere is the x86-64 level that every x86 machine of ECS has had from the
// beginning.
const everywhere = 2

func variantLevel(v string) int {
	if len(v) == 2 && v[0] == 'v' && v[1] >= '1' && v[1] <= '4' {
		return int(v[1] - '0')
	}
	return 1
}

// need looks up one needed library and returns it when it is new.
func (c *closure) need(l link, need string, search []string) *found {
	need = c.j.origin([]string{need}, l.path)[0]
	base := path.Base(need)
	if c.clib == native.Musl && muslItself(base) {
		return nil
	}
	if at, ok := c.have[base]; ok {
		c.mappedBefore(l, need, at)
		return nil
	}
	if at, ok := c.mapped[base]; ok {
		c.mappedBefore(l, need, at)
		return nil
	}
	right, wrong := c.j.find(l.path, need, search, c.clib)
	if right == nil {
		c.missing(l, need, wrong)
		return nil
	}
	c.mapped[base] = right.path
	if right.Binary.Soname != "" {
		c.mapped[right.Binary.Soname] = right.path
	}
	c.versions(l, need, right)
	return right
}

// mappedBefore: the process has a library of that name, perhaps an older one
// than this file wants.
func (c *closure) mappedBefore(l link, need, at string) {
	if real, n := c.j.tree.Resolve(at); n != nil && n.Kind == layer.Binary {
		c.versions(l, need, &found{real, n})
	}
}

func (c *closure) missing(l link, need string, wrong *found) {
	f := Finding{
		Rule: "library-missing", Path: l.path, What: fmt.Sprintf("%s that needs %s", describe(l.bin), need), Want: need + " in the image",
		Why: "no folder that the loader searches has it", Mend: libraryMend(need, c.j.clib),
	}
	if wrong != nil {
		f.Rule, f.Why = "library-machine", fmt.Sprintf("the image has it only for %s: %s", wrong.Binary, wrong.path)
		f.Mend = machineMend(c.j.target)
	}
	c.out = append(c.out, f)
}

// versions asks whether a library defines every symbol version that a file
// wants of it. musl's loader does not ask.
func (c *closure) versions(l link, need string, lib *found) {
	if c.clib != native.Glibc || len(lib.Binary.Defines) == 0 {
		return
	}
	var lacks []string
	for _, v := range l.bin.Versions[need] {
		if !slices.Contains(lib.Binary.Defines, v) {
			lacks = append(lacks, v)
		}
	}
	if len(lacks) == 0 {
		return
	}
	slices.Sort(lacks)
	c.out = append(c.out, Finding{
		Rule: "symbol-version", Path: l.path, What: fmt.Sprintf("%s that needs %s of %s", describe(l.bin), strings.Join(lacks, ", "), need),
		Want: fmt.Sprintf("a %s that defines it; %s does not", need, lib.path), Why: "it was compiled on a newer distribution than the image's",
		Mend: []string{"compile it in the image's own base image, or take a newer base image"},
	})
}
