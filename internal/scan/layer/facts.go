// Package layer reduces one layer of an image to what a judge of binaries has to
// know: its paths in order, links, whiteouts, the facts of each binary, and the
// few texts that loaders and package managers go by.
//
// Read does it in one pass over the layer's tar, Decompress opens the tar,
// whatever it is packed with, and Cache keeps the result for the next time. The
// facts of a layer are some tens of bytes for each of its files; of hostile
// layers they are no more than the limits in this file.
package layer

import (
	"encoding/binary"
	"errors"
	"iter"
	"path"
	"strings"

	"github.com/weelo/weelo-deploy/internal/scan/native"
)

// Limits of one layer. What exceeds them is an error of Read.
const (
	maxLog    = 96 << 20  // bytes of all names together, repeated beginnings not counted
	maxBytes  = 200 << 30 // bytes uncompressed: the largest disk that a Fargate task can have
	maxPath   = 4096      // PATH_MAX: no file system of a container has a longer one
	maxTexts  = 32 << 20  // bytes of all texts that are kept
	maxNative = 128 << 20 // bytes of the facts of all binaries
	maxIssue  = 100       // problems that are told one by one
)

// Kind is what an entry of a layer is.
type Kind byte

// The kinds of entries.
const (
	Plain    Kind = iota // a file with nothing to say
	Dir                  // a directory
	Symlink              // Target is where it points
	Hardlink             // Target is the other name
	Other                // a device, a fifo
	Binary               // Binary has its facts
	Script               // Interp is what follows "#!" in the first line
	Text                 // Text has the contents
	Package              // Package is what a package.json says
	Lock                 // Lock is what node_modules/.package-lock.json says
	Whiteout             // removes Path of the layers below
	Opaque               // removes all that the layers below have in Path
	endOfKinds
)

// Entry is one member of a layer.
type Entry struct {
	Path   string // absolute, cleaned
	Kind   Kind
	Exec   bool   // somebody may execute it
	Target string // of Symlink and Hardlink
	Interp string

	Binary  *native.Binary
	Text    string
	Package *PackageJSON
	Lock    *LockJSON
}

// Facts is a layer, reduced. Its JSON form is what the cache holds.
type Facts struct {
	Log      []byte           `json:"log"` // the entries in the layer's order
	Binaries []*native.Binary `json:"binaries"`
	Texts    []string         `json:"texts"`
	Packages []*PackageJSON   `json:"packages"`
	Locks    []*LockJSON      `json:"locks"`
	Problems []Problem        `json:"problems"`
	Hidden   int              `json:"hidden"` // problems beyond those
	Files    int              `json:"files"`
	Bytes    int64            `json:"bytes"` // of the uncompressed tar

	last   string // path of the last entry that was added
	native int    // bytes of Binaries
	kept   int64  // bytes of Texts, Packages and Locks
}

// Problem is a member of a layer that an image must not have.
type Problem struct {
	Path string `json:"path"`
	What string `json:"what"`
}

var (
	errTooLong = errors.New("the names of the layer's files are too many to be kept")
	errCorrupt = errors.New("facts of a layer are damaged")
)

// add appends an entry. A path is kept as the length of what it shares with the
// one before, and the rest.
func (f *Facts) add(e Entry) error {
	shared := 0
	for n := min(len(f.last), len(e.Path)); shared < n && f.last[shared] == e.Path[shared]; shared++ {
	}
	kind := byte(e.Kind) << 1
	if e.Exec {
		kind |= 1
	}
	b := append(f.Log, kind)
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendString(b, e.Path[shared:])
	switch e.Kind {
	case Symlink, Hardlink:
		b = appendString(b, e.Target)
	case Script:
		b = appendString(b, e.Interp)
	case Binary:
		f.Binaries = append(f.Binaries, e.Binary)
	case Text:
		f.Texts = append(f.Texts, e.Text)
	case Package:
		f.Packages = append(f.Packages, e.Package)
	case Lock:
		f.Locks = append(f.Locks, e.Lock)
	}
	if f.Log, f.last = b, e.Path; len(b) > maxLog {
		return errTooLong
	}
	return nil
}

func (f *Facts) problem(path, what string) {
	if len(f.Problems) >= maxIssue {
		f.Hidden++
		return
	}
	f.Problems = append(f.Problems, Problem{cut(path), what})
}

func cut(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// All gives the entries in the layer's order. Facts out of a damaged cache file
// end with an error.
func (f *Facts) All() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := cursor{log: f.Log, f: f}
		for len(c.log) > 0 {
			e, ok := c.next()
			if !ok {
				yield(Entry{}, errCorrupt)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// cursor decodes a log; the tables' entries come in the order of the log.
type cursor struct {
	log                          []byte
	f                            *Facts
	last                         string
	binaries, texts, packs, lock int
}

func (c *cursor) next() (Entry, bool) {
	kind := c.log[0]
	c.log = c.log[1:]
	e := Entry{Kind: Kind(kind >> 1), Exec: kind&1 != 0}
	shared, ok := c.number()
	rest, ok2 := c.text()
	if !ok || !ok2 || e.Kind >= endOfKinds || shared > uint64(len(c.last)) {
		return e, false
	}
	e.Path = c.last[:shared] + rest
	c.last = e.Path
	return c.payload(e)
}

func (c *cursor) payload(e Entry) (_ Entry, ok bool) {
	ok = true
	switch e.Kind {
	case Symlink, Hardlink:
		e.Target, ok = c.text()
	case Script:
		e.Interp, ok = c.text()
	case Binary:
		e.Binary, ok = take(c.f.Binaries, &c.binaries)
		ok = ok && e.Binary != nil
	case Text:
		e.Text, ok = take(c.f.Texts, &c.texts)
	case Package:
		e.Package, ok = take(c.f.Packages, &c.packs)
		ok = ok && e.Package != nil
	case Lock:
		e.Lock, ok = take(c.f.Locks, &c.lock)
		ok = ok && e.Lock != nil
	}
	return e, ok
}

func take[T any](list []T, i *int) (v T, ok bool) {
	if *i >= len(list) {
		return v, false
	}
	*i++
	return list[*i-1], true
}

func (c *cursor) number() (uint64, bool) {
	v, n := binary.Uvarint(c.log)
	if n <= 0 {
		return 0, false
	}
	c.log = c.log[n:]
	return v, true
}

func (c *cursor) text() (string, bool) {
	n, ok := c.number()
	if !ok || n > uint64(len(c.log)) {
		return "", false
	}
	s := string(c.log[:n])
	c.log = c.log[n:]
	return s, true
}

// clean makes an absolute path of a member's name. Not ok is one that leads out
// of the root, which engines refuse to unpack.
func clean(name string) (p string, ok bool) {
	rel := path.Clean(strings.TrimLeft(name, "/"))
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return path.Clean("/" + rel), true
}
