package scan

import (
	"fmt"
	"path"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
	"github.com/weelo/weelo-deploy/internal/scan/rootfs"
)

// judge holds one image against one target.
type judge struct {
	tree   *rootfs.Tree
	cfg    config
	layers []scanned
	target Target
	opts   Options
	env    map[string]string
	rep    *Report

	dirs  []string         // where glibc's loader looks by itself
	clib  native.CLib      // of the image, for programs that do not say
	level int              // x86-64 level that the image's own C library asks for
	procs map[lang]process // what loads add-ons
	shell bool             // a script runs at the start, which may run anything

	told map[string]bool // files and packages that a finding speaks of, which need no other
	dup  map[string]bool // findings that were made
}

func newJudge(tree *rootfs.Tree, in *contents, t Target, opts Options, rep *Report) *judge {
	return &judge{
		tree: tree, cfg: in.config, layers: in.layers, target: t, opts: opts, env: in.config.env(), rep: rep,
		procs: map[lang]process{}, told: map[string]bool{}, dup: map[string]bool{},
	}
}

// run applies every rule.
func (j *judge) run() {
	j.dirs = j.loaderDirs()
	j.clib, j.level = j.imageCLib()
	j.layerProblems()
	j.platform()
	j.roots()
	j.modules()
	j.foreign()
}

// add records a finding once, with the layer and the step that brought its file.
func (j *judge) add(f Finding) {
	key := f.Rule + "\x00" + f.Path + "\x00" + f.What + "\x00" + f.Want
	if j.dup[key] {
		return
	}
	j.dup[key] = true
	j.told[f.Path] = true
	if _, n := j.tree.Resolve(f.Path); n != nil && f.Layer == "" && n.Kind != layer.Dir {
		f.Layer, f.Step = j.layers[n.Layer].digest, j.cfg.step(n.Layer)
	}
	j.rep.Findings = append(j.rep.Findings, f)
}

// platform holds the config's own words against the target. A scan that goes on
// says which files are wrong; this says that the label is.
func (j *judge) platform() {
	if j.cfg.OS == j.target.OS && j.cfg.Architecture == j.target.Arch {
		return
	}
	j.add(Finding{
		Level: Error, Rule: "image-platform", Path: "/", What: fmt.Sprintf("an image whose config says %s/%s", j.cfg.OS, j.cfg.Architecture), Want: j.target.String(),
		Mend: []string{"build it for " + j.target.String() + ", natively"},
	})
}

// layerProblems tells what the layers themselves have wrong. An engine that
// meets such a member refuses the whole image.
func (j *judge) layerProblems() {
	for i, l := range j.layers {
		for _, p := range l.facts.Problems {
			j.add(Finding{
				Level: Error, Rule: "layer-member", Path: p.Path, What: "a damaged member of the layer: " + p.What, Layer: l.digest, Step: j.cfg.step(i),
				Mend: []string{"build the layer anew with a builder that packs it properly"},
			})
		}
		if n := l.facts.Hidden; n > 0 {
			j.add(Finding{Level: Error, Rule: "layer-member", Path: "/", What: fmt.Sprintf("a layer with %d more damaged members", n), Layer: l.digest, Step: j.cfg.step(i)})
		}
	}
}

// machine is the target's processor as file names have it.
func (j *judge) machine() string {
	switch j.target.Arch {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return j.target.Arch
}

// imageCLib is the C library that the image is made of, and the x86-64 level
// that this library asks for: a distribution built for newer processors is not
// blamed for each of its files.
func (j *judge) imageCLib() (native.CLib, int) {
	level := 1
	for _, name := range []string{"libc.so.6", "ld-linux-x86-64.so.2"} {
		for _, d := range j.dirs {
			if _, n := j.tree.Resolve(path.Join(d, name)); n != nil && n.Kind == layer.Binary {
				level = max(level, n.Binary.Level)
			}
		}
	}
	if _, n := j.tree.Resolve("/lib/ld-musl-" + j.machine() + ".so.1"); n != nil {
		if _, g := j.find("/", "libc.so.6", nil, native.Glibc); g == nil {
			return native.Musl, level
		}
	}
	if _, n := j.tree.Resolve("/etc/alpine-release"); n != nil {
		return native.Musl, level
	}
	return native.Glibc, level
}

// describe is a binary for people: "a program for linux/arm64 glibc".
func describe(b *native.Binary) string {
	kind := map[native.Kind]string{native.Program: "a program", native.Library: "a library"}[b.Kind]
	if kind == "" {
		kind = "a file"
	}
	if b.Kind == native.Library && b.Interp != "" {
		kind = "a program"
	}
	s := fmt.Sprintf("%s for %s", kind, b)
	if b.Format != native.ELF {
		s += " (" + string(b.Format) + ")"
	}
	return s
}

// want is what a file has to be to be loaded by a process.
func (j *judge) want(c native.CLib) string {
	return strings.TrimSpace(j.target.String() + " " + string(c))
}
