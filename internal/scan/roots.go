package scan

import (
	"path"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
	"github.com/weelo/weelo-deploy/internal/scan/native"
	"github.com/weelo/weelo-deploy/internal/scan/rootfs"
)

// lang is a runtime that loads add-ons.
type lang string

const (
	node   lang = "node"
	python lang = "python"
)

// process is a running runtime: what it is made of, and the names of libraries
// that are in it before any add-on.
type process struct {
	path   string
	clib   native.CLib
	mapped map[string]string
	runs   bool // it is started, or a script at the start may do it
}

// word is something of the command line that may name a program.
type word struct {
	text string
	by   string // who runs it
	must bool   // without it nothing starts
}

// roots judges what certainly runs: the entrypoint with its command, the health
// check, and the interpreters of scripts among them.
func (j *judge) roots() {
	argv := j.argv()
	var todo []word
	for i, a := range argv {
		todo = append(todo, word{a, "the container's start", i == 0})
		if i > 0 {
			todo = append(todo, parts(a)...)
		}
	}
	todo = append(todo, j.health()...)
	todo = append(todo, j.npmScript(argv)...)
	seen := map[string]bool{}
	for ; len(todo) > 0; todo = todo[1:] {
		todo = append(todo, j.root(todo[0], seen)...)
	}
	for _, l := range []struct {
		lang  lang
		names []string
	}{{node, []string{"node", "nodejs", "bun"}}, {python, []string{"python3", "python"}}} {
		j.implied(l.lang, l.names, len(argv) == 0, seen)
	}
}

// argv is what ECS starts: the definition's words, where it has any, instead of
// the image's. An entrypoint of its own drops the image's command too.
func (j *judge) argv() []string {
	c := j.cfg.Config
	switch o := j.opts; {
	case len(o.Entrypoint) > 0:
		return slices.Concat(o.Entrypoint, o.Command)
	case len(o.Command) > 0:
		return slices.Concat(c.Entrypoint, o.Command)
	}
	return slices.Concat(c.Entrypoint, c.Cmd)
}

func (j *judge) health() []word {
	h := j.cfg.Config.Healthcheck
	if h == nil || len(h.Test) < 2 {
		return nil
	}
	var out []word
	for i, a := range h.Test[1:] {
		if i == 0 && h.Test[0] == "CMD" {
			out = append(out, word{text: a, by: "the health check"})
			continue
		}
		for _, w := range parts(a) {
			out = append(out, word{text: w.text, by: "the health check"})
		}
	}
	return out
}

// parts splits a shell's line roughly: enough to find names of programs in it.
func parts(line string) []word {
	var out []word
	for _, s := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r\n;&|(){}<>\"'`", r) }) {
		out = append(out, word{text: s, by: "the container's start"})
	}
	return out
}

// npmScript adds the words of the script that npm, yarn or pnpm runs.
func (j *judge) npmScript(argv []string) []word {
	i := slices.IndexFunc(argv, func(a string) bool { return slices.Contains([]string{"npm", "yarn", "pnpm"}, path.Base(a)) })
	if i < 0 {
		return nil
	}
	_, n := j.tree.Resolve(path.Join("/", j.cfg.Config.WorkingDir, "package.json"))
	if n == nil || n.Kind != layer.Package {
		return nil
	}
	for _, a := range argv[i+1:] {
		if line, ok := n.Package.Scripts[a]; ok {
			return parts(line)
		}
	}
	return nil
}

// root judges one word and returns the words that follow from it.
func (j *judge) root(w word, seen map[string]bool) []word {
	p, n := j.lookPath(w.text)
	if n == nil {
		if w.must {
			j.missingRoot(w)
		}
		return nil
	}
	if seen[p] || n.Kind == layer.Dir {
		return nil
	}
	seen[p] = true
	switch n.Kind {
	case layer.Script:
		return j.scriptRoot(p, n, w)
	case layer.Binary:
		j.binaryRoot(p, n.Binary, w.by)
	default:
		if w.must {
			j.add(Finding{
				Level: Error, Rule: "entrypoint-format", Path: p, What: "neither a program nor a script with a #! line", Want: "something that the kernel can start",
				Why: `the kernel answers "exec format error"`, LoadedBy: w.by, Mend: []string{"begin it with #!/bin/sh, without anything before that"},
			})
		}
	}
	return nil
}

func (j *judge) missingRoot(w word) {
	f := Finding{
		Level: Error, Rule: "entrypoint-missing", Path: w.text, What: "not in the image", Want: "a program, by path or in PATH", LoadedBy: w.by,
		Mend: []string{"see ENTRYPOINT and CMD of the Dockerfile, and what COPY brings"},
	}
	if p, what := j.plain(w.text); p != "" {
		f.Path, f.What, f.Rule = p, what, "entrypoint-format"
		f.Mend = []string{"chmod +x it before COPY, or COPY --chmod=755"}
	}
	if strings.HasSuffix(w.text, "\r") {
		f.What = "not in the image: its name ends in a carriage return"
		f.Mend = []string{"save the script that names it with Unix line ends (LF, not CRLF)"}
	}
	j.add(f)
}

// plain finds a file that is there and that nobody may execute. Such files
// leave nothing in the tree, so the layers are asked.
func (j *judge) plain(w string) (p, what string) {
	if !strings.Contains(w, "/") {
		return "", ""
	}
	p = path.Clean("/" + w)
	if !path.IsAbs(w) {
		p = path.Join("/", j.cfg.Config.WorkingDir, w)
	}
	if _, n := j.tree.Resolve(p); n != nil && n.Kind != layer.Dir {
		return p, "a file that nobody may execute"
	}
	there := false
	for _, l := range j.layers {
		for e, err := range l.facts.All() {
			if err == nil && e.Path == p {
				there = e.Kind == layer.Plain
			}
		}
	}
	if !there {
		return "", ""
	}
	return p, "a file that nobody may execute"
}

// scriptRoot follows a #! line. The kernel passes what follows the interpreter
// as one word; env splits it.
func (j *judge) scriptRoot(p string, n *rootfs.Node, w word) []word {
	by := p + ", which " + w.by + " runs"
	interp, rest, _ := strings.Cut(n.Interp, " ")
	if interp == "" {
		return nil
	}
	todo := []word{{interp, by, w.must}}
	switch base := path.Base(strings.TrimSuffix(interp, "\r")); base {
	case "sh", "bash", "dash", "ash", "busybox", "zsh", "ksh":
		j.shell = true
	case "env":
		for _, a := range parts(rest) {
			if !strings.HasPrefix(a.text, "-") && !strings.Contains(a.text, "=") {
				a.text += strings.Repeat("\r", min(1, strings.Count(n.Interp, "\r")))
				return append(todo, word{a.text, by, w.must})
			}
		}
	}
	return todo
}

// binaryRoot judges a program that starts, and everything it needs.
func (j *judge) binaryRoot(p string, b *native.Binary, by string) {
	if b.Kind == native.Object || strings.HasSuffix(p, ".node") || strings.Contains(path.Base(p), ".so") && b.Interp == "" {
		return
	}
	if base := path.Base(p); slices.Contains([]string{"sh", "bash", "dash", "ash", "busybox"}, base) {
		j.shell = true
	}
	l := langOf(p)
	if !b.Runs(j.target.OS, j.target.Arch) {
		if l != "" && j.procs[l].path == "" {
			j.procs[l] = process{path: p, clib: j.clib, runs: true}
		}
		j.add(Finding{
			Level: Error, Rule: "entrypoint-machine", Path: p, What: describe(b), Want: j.target.String(), LoadedBy: by,
			Why: machineWhy(b, j.target), Mend: machineMend(j.target),
		})
		return
	}
	clib := b.CLib
	if clib == "" {
		clib = j.clib
	}
	found, mapped := j.closureOf(p, b, clib, nil)
	for _, f := range found {
		if f.Level, f.LoadedBy = Error, p; f.Path == p {
			f.LoadedBy = by
		}
		if f.Rule == "loader-missing" { // add-ons are for the image then, not for a program that never starts
			clib = j.clib
		}
		j.add(f)
	}
	if l != "" && j.procs[l].path == "" {
		j.procs[l] = process{path: p, clib: clib, mapped: mapped, runs: true}
	}
}

func langOf(p string) lang {
	switch base := path.Base(p); {
	case base == "node", base == "nodejs", base == "bun":
		return node
	case strings.HasPrefix(base, "python"):
		return python
	}
	return ""
}

// implied finds a runtime that no word names. When a script runs at the start,
// or the image does not say what does, the one in PATH is taken to be started.
func (j *judge) implied(l lang, names []string, unsaid bool, seen map[string]bool) {
	if j.procs[l].path != "" {
		return
	}
	for _, name := range names {
		p, n := j.lookPath(name)
		if n == nil || n.Kind != layer.Binary {
			continue
		}
		if unsaid || j.shell {
			by := "a script at the start"
			if unsaid {
				by = "PATH"
			}
			if !seen[p] {
				seen[p] = true
				j.binaryRoot(p, n.Binary, by)
			}
		} else {
			clib := n.Binary.CLib
			if clib == "" {
				clib = j.clib
			}
			j.procs[l] = process{path: p, clib: clib}
		}
		return
	}
}

// defaultPath is the PATH of a container whose image sets none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookPath finds a program as execvp does.
func (j *judge) lookPath(w string) (string, *rootfs.Node) {
	if w == "" || len(w) > 4096 {
		return "", nil
	}
	if strings.Contains(w, "/") {
		if !path.IsAbs(w) {
			w = path.Join("/", j.cfg.Config.WorkingDir, w)
		}
		p, n := j.tree.Resolve(w)
		if n != nil && n.Kind != layer.Dir && !n.Exec {
			return "", nil
		}
		return p, n
	}
	dirs := j.env["PATH"]
	if dirs == "" {
		dirs = defaultPath
	}
	for d := range strings.SplitSeq(dirs, ":") {
		if p, n := j.tree.Resolve(path.Join("/", d, w)); n != nil && n.Exec && n.Kind != layer.Dir {
			return p, n
		}
	}
	return "", nil
}
