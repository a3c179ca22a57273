package native

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of the lists that are kept of one file, in entries.
const (
	maxNeeded   = 1024
	maxVersion  = 8192
	maxPathList = 256
	maxNames    = 256 << 10 // bytes of all names together
)

// tables is the dynamic section by tag, with what is needed to follow it.
type tables struct {
	f     *elf.File
	r     io.ReaderAt
	one   map[elf.DynTag]uint64
	need  []uint64 // offsets of the names of needed libraries
	strAt int64    // the strings' place in the file
	strSz int64
	room  int // bytes of names that may still be kept
}

// readDynamic fills in what the dynamic section says.
func readDynamic(b *Binary, f *elf.File, p *elf.Prog, c *capture) error {
	t := &tables{f: f, r: c, one: map[elf.DynTag]uint64{}, room: maxNames}
	if err := t.parse(p); err != nil {
		return fmt.Errorf("dynamic section: %w", err)
	}
	if len(t.need) == 0 && t.one[elf.DT_SONAME] == 0 && t.one[elf.DT_VERDEF] == 0 {
		return nil // a static program that moves itself
	}
	if err := t.locate(c); err != nil {
		return fmt.Errorf("dynamic section: %w", err)
	}
	return errors.Join(t.names(b), t.versionsNeeded(b), t.versionsDefined(b))
}

func (t *tables) parse(p *elf.Prog) error {
	raw := make([]byte, min(p.Filesz, maxDynamic))
	if _, err := p.ReadAt(raw, 0); err != nil {
		return err
	}
	wide, order := t.f.Class == elf.ELFCLASS64, t.f.ByteOrder
	word := 4
	if wide {
		word = 8
	}
	for ; len(raw) >= 2*word; raw = raw[2*word:] {
		tag, val := uint64(order.Uint32(raw)), uint64(order.Uint32(raw[4:]))
		if wide {
			tag, val = order.Uint64(raw), order.Uint64(raw[8:])
		}
		switch elf.DynTag(tag) {
		case elf.DT_NULL:
			return nil
		case elf.DT_NEEDED:
			if len(t.need) < maxNeeded {
				t.need = append(t.need, val)
			}
		default:
			t.one[elf.DynTag(tag)] = val
		}
	}
	return nil
}

// locate finds the strings and the version tables in the file and has them kept.
func (t *tables) locate(c *capture) error {
	at, room, ok := t.offset(t.one[elf.DT_STRTAB])
	if !ok {
		return damaged("its strings at %#x are in no segment", t.one[elf.DT_STRTAB])
	}
	t.strAt, t.strSz = at, min(room, int64(min(t.one[elf.DT_STRSZ], 1<<40)))
	type stretch struct{ off, n int64 }
	want := []stretch{{t.strAt, t.strSz}}
	for _, tag := range []elf.DynTag{elf.DT_VERNEED, elf.DT_VERDEF} {
		if v, has := t.one[tag]; has {
			if off, room, ok := t.offset(v); ok {
				want = append(want, stretch{off, min(room, maxVersions)})
			}
		}
	}
	slices.SortFunc(want, func(a, b stretch) int { return int(min(1, max(-1, a.off-b.off))) })
	for _, s := range want {
		c.keep(s.off, s.n)
	}
	return nil
}

// offset turns an address into a place in the file, and says how much of the
// segment is left there.
func (t *tables) offset(addr uint64) (at, room int64, ok bool) {
	for _, p := range t.f.Progs {
		if p.Type != elf.PT_LOAD || addr < p.Vaddr || addr-p.Vaddr >= p.Filesz || p.Off > 1<<62 || p.Filesz > 1<<62 {
			continue
		}
		into := addr - p.Vaddr
		return int64(p.Off + into), int64(p.Filesz - into), true
	}
	return 0, 0, false
}

// text reads the string at an offset of the string table.
func (t *tables) text(off uint64) (string, error) {
	if off >= uint64(t.strSz) {
		return "", damaged("a string at %#x, past the table's end", off)
	}
	buf := make([]byte, 128)
	for {
		n := min(int64(len(buf)), t.strSz-int64(off))
		if _, err := t.r.ReadAt(buf[:n], t.strAt+int64(off)); err != nil {
			return "", fmt.Errorf("a string: %w", err)
		}
		if i := bytes.IndexByte(buf[:n], 0); i >= 0 {
			if t.room -= i; t.room < 0 {
				return "", damaged("names of more than %d bytes", maxNames)
			}
			return string(buf[:i]), nil
		}
		if n < int64(len(buf)) || len(buf) >= maxString {
			return "", damaged("a string at %#x has no end", off)
		}
		buf = make([]byte, maxString)
	}
}

func (t *tables) names(b *Binary) error {
	for _, off := range t.need {
		s, err := t.text(off)
		if err != nil {
			return fmt.Errorf("needed libraries: %w", err)
		}
		b.Needed = append(b.Needed, s)
	}
	for _, x := range []struct {
		tag elf.DynTag
		set func(string)
	}{
		{elf.DT_SONAME, func(s string) { b.Soname = s }},
		{elf.DT_RPATH, func(s string) { b.RPath = list(s) }},
		{elf.DT_RUNPATH, func(s string) { b.RunPath = list(s) }},
	} {
		off, has := t.one[x.tag]
		if !has {
			continue
		}
		s, err := t.text(off)
		if err != nil {
			return fmt.Errorf("%v: %w", x.tag, err)
		}
		x.set(s)
	}
	return nil
}

func list(s string) []string {
	l := strings.SplitN(s, ":", maxPathList+1)
	return slices.DeleteFunc(l[:min(len(l), maxPathList)], func(d string) bool { return d == "" })
}

// record reads a fixed-size record at an offset of the file.
func (t *tables) record(at int64, v any) error {
	return binary.Read(io.NewSectionReader(t.r, at, int64(binary.Size(v))), t.f.ByteOrder, v)
}

// The records of the version tables have one layout for both word sizes
// (Linux Standard Base, Symbol Versioning).
type (
	verneed struct {
		Version, Count  uint16
		File, Aux, Next uint32
	}
	vernaux struct {
		Hash         uint32
		Flags, Other uint16
		Name, Next   uint32
	}
	verdef struct {
		Version, Flags, Index, Count uint16
		Hash, Aux, Next              uint32
	}
	verdaux struct{ Name, Next uint32 }
)

// weak marks a version without which a program starts too (VER_FLG_WEAK).
const weak = 2

func (t *tables) versionsNeeded(b *Binary) error {
	at, _, ok := t.offset(t.one[elf.DT_VERNEED])
	if _, has := t.one[elf.DT_VERNEED]; !has || !ok {
		return nil
	}
	left := maxVersion
	for range min(t.one[elf.DT_VERNEEDNUM], maxNeeded) {
		var v verneed
		if err := t.record(at, &v); err != nil {
			return fmt.Errorf("needed versions: %w", err)
		}
		lib, err := t.text(uint64(v.File))
		if err != nil {
			return fmt.Errorf("needed versions: %w", err)
		}
		if err := t.needs(b, lib, at+int64(v.Aux), int(v.Count), &left); err != nil {
			return fmt.Errorf("needed versions of %s: %w", lib, err)
		}
		if v.Next == 0 {
			break
		}
		at += int64(v.Next)
	}
	return nil
}

func (t *tables) needs(b *Binary, lib string, at int64, count int, left *int) error {
	for ; count > 0 && *left > 0; count-- {
		*left--
		var a vernaux
		if err := t.record(at, &a); err != nil {
			return err
		}
		name, err := t.text(uint64(a.Name))
		if err != nil {
			return err
		}
		if a.Flags&weak == 0 {
			if b.Versions == nil {
				b.Versions = map[string][]string{}
			}
			b.Versions[lib] = append(b.Versions[lib], name)
		}
		if a.Next == 0 {
			break
		}
		at += int64(a.Next)
	}
	return nil
}

func (t *tables) versionsDefined(b *Binary) error {
	at, _, ok := t.offset(t.one[elf.DT_VERDEF])
	if _, has := t.one[elf.DT_VERDEF]; !has || !ok {
		return nil
	}
	for range min(t.one[elf.DT_VERDEFNUM], maxVersion) {
		var d verdef
		var a verdaux
		if err := errors.Join(t.record(at, &d), t.record(at+int64(d.Aux), &a)); err != nil {
			return fmt.Errorf("defined versions: %w", err)
		}
		name, err := t.text(uint64(a.Name))
		if err != nil {
			return fmt.Errorf("defined versions: %w", err)
		}
		b.Defines = append(b.Defines, name)
		if d.Next == 0 {
			break
		}
		at += int64(d.Next)
	}
	return nil
}
