package native

import (
	"debug/elf"
	"encoding/binary"
	"strings"
)

// readNotes takes the x86-64 level and the operating system out of the notes.
// A damaged note says nothing and harms nothing: loaders skip it too.
func readNotes(b *Binary, f *elf.File, c *capture) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE && p.Type != ptGNUProperty {
			continue
		}
		raw := make([]byte, min(p.Filesz, maxNotes))
		if _, err := p.ReadAt(raw, 0); err != nil {
			continue
		}
		align := 4
		if p.Align == 8 {
			align = 8
		}
		eachNote(raw, f.ByteOrder, align, func(name string, kind uint32, desc []byte) {
			b.note(f, name, kind, desc)
		})
	}
}

// eachNote walks records of three words (name size, contents size, type) with
// the name and the contents after them.
func eachNote(raw []byte, order binary.ByteOrder, align int, visit func(name string, kind uint32, desc []byte)) {
	for len(raw) >= 12 {
		nameSz, descSz, kind := int64(order.Uint32(raw)), int64(order.Uint32(raw[4:])), order.Uint32(raw[8:])
		descAt := pad(12+nameSz, int64(align))
		end := descAt + descSz
		if end > int64(len(raw)) {
			return
		}
		visit(strings.TrimRight(string(raw[12:12+nameSz]), "\x00"), kind, raw[descAt:end])
		raw = raw[min(pad(end, int64(align)), int64(len(raw))):]
	}
}

func pad(n, align int64) int64 { return (n + align - 1) &^ (align - 1) }

// ntGNUProperty is NT_GNU_PROPERTY_TYPE_0, x86ISANeeded is
// GNU_PROPERTY_X86_ISA_1_NEEDED (x86-64 psABI, "GNU property notes").
const (
	ntGNUProperty = 5
	x86ISANeeded  = 0xc0008002
)

func (b *Binary) note(f *elf.File, name string, kind uint32, desc []byte) {
	switch name {
	case "FreeBSD", "NetBSD", "OpenBSD", "Android":
		b.OS = strings.ToLower(name)
	case "GNU":
		if kind == ntGNUProperty && f.Machine == elf.EM_X86_64 {
			b.properties(f, desc)
		}
	}
}

// properties reads pairs of type and size with their data, padded to the word.
func (b *Binary) properties(f *elf.File, desc []byte) {
	align := int64(4)
	if f.Class == elf.ELFCLASS64 {
		align = 8
	}
	for len(desc) >= 8 {
		kind, size := f.ByteOrder.Uint32(desc), int64(f.ByteOrder.Uint32(desc[4:]))
		if 8+size > int64(len(desc)) {
			return
		}
		if kind == x86ISANeeded && size == 4 {
			bits := f.ByteOrder.Uint32(desc[8:])
			for level := 2; level <= 4; level++ {
				if bits&(1<<(level-1)) != 0 {
					b.Level = level
				}
			}
		}
		desc = desc[min(pad(8+size, align), int64(len(desc))):]
	}
}
