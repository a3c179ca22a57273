// Package rootfs lays layers over one another, as an engine does when it unpacks
// an image, and answers what is at a path in the end.
//
// Files that no rule asks about leave nothing behind: they only hide what the
// layers below had at their place. Directories exist here only where something
// of interest is in them.
package rootfs

import (
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/layer"
)

// Node is what is at a path.
type Node struct {
	layer.Entry
	Layer int // index of the layer that brought it

	kids map[string]*Node // of a directory
}

// Tree is the final file system. The zero Tree is empty.
type Tree struct {
	root  *Node
	plain *Node // stands for all executable files without contents of interest of the layer that is being laid
}

func newDir(at string, l int) *Node {
	return &Node{Entry: layer.Entry{Path: at, Kind: layer.Dir}, Layer: l, kids: map[string]*Node{}}
}

// Apply lays a layer over what is there: its whiteouts first, since they remove
// only what other layers brought, then its entries in their order.
func (t *Tree) Apply(index int, f *layer.Facts) error {
	if t.root == nil {
		t.root = newDir("/", index)
	}
	t.plain = &Node{Entry: layer.Entry{Kind: layer.Plain, Exec: true}, Layer: index}
	for e, err := range f.All() {
		if err != nil {
			return err
		}
		switch e.Kind {
		case layer.Opaque:
			if d := t.dir(e.Path, index, false); d != nil {
				clear(d.kids)
			}
		case layer.Whiteout:
			if d := t.dir(path.Dir(e.Path), index, false); d != nil {
				delete(d.kids, path.Base(e.Path))
			}
		}
	}
	for e, err := range f.All() {
		if err != nil {
			return err
		}
		if e.Kind != layer.Opaque && e.Kind != layer.Whiteout && e.Path != "/" {
			t.put(index, e)
		}
	}
	return nil
}

// put places one entry. Engines follow the links in its folder's path, and
// replace what is at the path itself, except a directory by a directory.
func (t *Tree) put(index int, e layer.Entry) {
	wanted := e.Kind != layer.Dir && (e.Kind != layer.Plain || e.Exec)
	d := t.dir(path.Dir(e.Path), index, wanted)
	if d == nil {
		return
	}
	base := path.Base(e.Path)
	old := d.kids[base]
	switch {
	case e.Kind == layer.Dir:
		if old != nil && old.Kind != layer.Dir {
			delete(d.kids, base)
		}
	case e.Kind == layer.Hardlink:
		if to := t.at(e.Target); to != nil && to.Kind != layer.Dir {
			n := *to
			n.Layer = index
			d.kids[base] = &n
		} else {
			delete(d.kids, base)
		}
	case !wanted:
		delete(d.kids, base)
	case e.Kind == layer.Plain:
		d.kids[strings.Clone(base)] = t.plain
	default:
		d.kids[base] = &Node{Entry: e, Layer: index}
	}
}

// maxLinks is how many links a path may lead through (the kernel's MAXSYMLINKS).
const maxLinks = 40

// maxPath bounds the real path of a node, in bytes, and the names that a path
// can grow to through links.
const maxPath = 4096

// dir finds a directory by its path, through links. It is made where it is not
// there and create is set; a file in its place gives way then.
func (t *Tree) dir(p string, index int, create bool) *Node {
	w := walk{t: t, names: split(p), at: []*Node{t.root}, index: index, create: create}
	n, _ := w.end()
	if n == nil || n.Kind != layer.Dir {
		return nil
	}
	return n
}

// Resolve follows the links in p and returns where it ends, and what is there.
// A path that leads nowhere, to a file without interest, or in a circle, is nil.
func (t *Tree) Resolve(p string) (real string, n *Node) {
	if t.root == nil {
		return "", nil
	}
	w := walk{t: t, names: split(p), at: []*Node{t.root}}
	n, name := w.end()
	switch {
	case n == nil:
		return "", nil
	case n.Kind == layer.Dir:
		return n.Path, n
	}
	return path.Join(w.at[len(w.at)-1].Path, name), n
}

// walk is one way through the tree.
type walk struct {
	t      *Tree
	names  []string // still to go
	at     []*Node  // directories from the root to here
	links  int
	index  int
	create bool
}

// end goes to the last name and returns what is there, and its name.
func (w *walk) end() (*Node, string) {
	for len(w.names) > 0 {
		name := w.names[0]
		w.names = w.names[1:]
		if name == ".." {
			w.at = w.at[:max(1, len(w.at)-1)]
			continue
		}
		k, ok := w.step(name)
		switch {
		case !ok:
			return nil, ""
		case k == nil: // a link, whose names are to go now
		case k.Kind == layer.Dir:
			w.at = append(w.at, k)
		case len(w.names) > 0:
			return nil, ""
		default:
			return k, name
		}
	}
	d := w.at[len(w.at)-1]
	if d.kids == nil {
		return nil, ""
	}
	return d, ""
}

// step looks one name up. A directory without interest is not in the tree; a
// passing one stands in for it, since ".." may lead out of it again.
func (w *walk) step(name string) (k *Node, ok bool) {
	here := w.at[len(w.at)-1]
	k = here.kids[name]
	switch {
	case k != nil && k.Kind == layer.Symlink:
		w.links++
		w.names = append(split(k.Target), w.names...)
		if path.IsAbs(k.Target) {
			w.at = w.at[:1]
		}
		return nil, w.links <= maxLinks && len(w.names) <= maxPath
	case w.create && (k == nil || k.Kind != layer.Dir):
		if len(here.Path)+len(name) >= maxPath {
			return nil, false
		}
		k = newDir(path.Join(here.Path, name), w.index)
		here.kids[name] = k
	case k == nil:
		return &Node{Entry: layer.Entry{Path: name, Kind: layer.Dir}}, len(w.at) < maxPath
	}
	return k, true
}

// split cuts a path into names, without empty ones and dots; ".." stays.
func split(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s == "." })
}

// at finds what is at a path whose last name is not followed.
func (t *Tree) at(p string) *Node {
	d := t.dir(path.Dir(p), 0, false)
	if d == nil {
		return nil
	}
	return d.kids[path.Base(p)]
}

// All visits every node that is not a directory, in the order of paths. A file
// behind a link to a directory is visited once, at its real path.
func (t *Tree) All() iter.Seq2[string, *Node] {
	return func(yield func(string, *Node) bool) {
		if t.root != nil {
			t.root.visit(yield)
		}
	}
}

func (n *Node) visit(yield func(string, *Node) bool) bool {
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		k := n.kids[name]
		if k.Kind == layer.Dir {
			if !k.visit(yield) {
				return false
			}
		} else if !yield(path.Join(n.Path, name), k) {
			return false
		}
	}
	return true
}

// Glob gives the paths of files that are directly in dir and match a pattern of
// path.Match, in order.
func (t *Tree) Glob(dir, pattern string) []string {
	if t.root == nil {
		return nil
	}
	d := t.dir(dir, 0, false)
	if d == nil {
		return nil
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(d.kids)) {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			out = append(out, path.Join(d.Path, name))
		}
	}
	return out
}
