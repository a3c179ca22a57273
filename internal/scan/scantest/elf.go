// Package scantest makes small binaries, layers and images for tests of the
// scan: files with the headers and dynamic sections of real ones, and nothing
// in them that could run.
package scantest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// ELF describes an ELF file as loaders see it.
type ELF struct {
	Arch     string // GOARCH's spelling: amd64 when empty, arm64, 386, arm, riscv64
	Program  bool   // ET_EXEC; a shared object otherwise
	Interp   string
	Needed   []string
	Soname   string
	RPath    string
	RunPath  string
	Versions map[string][]string // library to symbol versions that are needed of it
	Defines  []string            // symbol versions that it defines
	Level    int                 // x86-64 level that its note asks for
	Pad      int                 // bytes of code between the strings and the dynamic section
}

// Bytes is the file.
func (e ELF) Bytes() []byte {
	w := &elfWriter{e: e, strs: []byte{0}, at: map[string]uint64{}}
	machine, class := e.machine()
	w.wide = class == elf.ELFCLASS64
	return w.file(machine, class)
}

func (e ELF) machine() (elf.Machine, elf.Class) {
	switch e.Arch {
	case "arm64":
		return elf.EM_AARCH64, elf.ELFCLASS64
	case "386":
		return elf.EM_386, elf.ELFCLASS32
	case "arm":
		return elf.EM_ARM, elf.ELFCLASS32
	case "riscv64":
		return elf.EM_RISCV, elf.ELFCLASS64
	}
	return elf.EM_X86_64, elf.ELFCLASS64
}

type elfWriter struct {
	e    ELF
	wide bool
	strs []byte
	at   map[string]uint64 // strings by offset
	body bytes.Buffer      // what follows the header and the segments' table
	base uint64            // where the body begins
	segs []elf.Prog64
	dyn  []elf.Dyn64
}

func (w *elfWriter) str(s string) uint64 {
	if off, ok := w.at[s]; ok {
		return off
	}
	off := uint64(len(w.strs))
	w.strs = append(append(w.strs, s...), 0)
	w.at[s] = off
	return off
}

func (w *elfWriter) tag(t elf.DynTag, v uint64) {
	w.dyn = append(w.dyn, elf.Dyn64{Tag: int64(t), Val: v})
}

// put appends a part to the body and returns where it lies in the file.
func (w *elfWriter) put(b []byte) uint64 {
	for w.body.Len()%8 != 0 {
		w.body.WriteByte(0)
	}
	at := w.base + uint64(w.body.Len())
	w.body.Write(b)
	return at
}

func (w *elfWriter) segment(t elf.ProgType, off uint64, n int) {
	w.segs = append(w.segs, elf.Prog64{Type: uint32(t), Flags: uint32(elf.PF_R | elf.PF_X), Off: off, Vaddr: off, Paddr: off, Filesz: uint64(n), Memsz: uint64(n), Align: 8})
}

const maxSegments = 4

func (w *elfWriter) file(m elf.Machine, c elf.Class) []byte {
	header, entry := 64, 56
	if !w.wide {
		header, entry = 52, 32
	}
	w.base = uint64(header + maxSegments*entry)
	w.parts()
	load := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: w.base + uint64(w.body.Len()), Align: 4096}
	load.Memsz = load.Filesz
	segs := append([]elf.Prog64{load}, w.segs...)
	var out bytes.Buffer
	w.header(&out, m, c, len(segs))
	for _, s := range segs {
		w.prog(&out, s)
	}
	out.Write(make([]byte, int(w.base)-out.Len()))
	out.Write(w.body.Bytes())
	return out.Bytes()
}

func (w *elfWriter) parts() {
	e := w.e
	if e.Interp != "" {
		w.segment(elf.PT_INTERP, w.put(append([]byte(e.Interp), 0)), len(e.Interp)+1)
	}
	if e.Level > 0 {
		n := note(e.Level)
		w.segment(elf.PT_NOTE, w.put(n), len(n))
	}
	if len(e.Needed) == 0 && e.Soname == "" && len(e.Defines) == 0 {
		return
	}
	for _, n := range e.Needed {
		w.tag(elf.DT_NEEDED, w.str(n))
	}
	for _, t := range []struct {
		tag elf.DynTag
		s   string
	}{{elf.DT_SONAME, e.Soname}, {elf.DT_RPATH, e.RPath}, {elf.DT_RUNPATH, e.RunPath}} {
		if t.s != "" {
			w.tag(t.tag, w.str(t.s))
		}
	}
	need, def := w.needed(), w.defined()
	w.tag(elf.DT_STRTAB, w.put(w.strs))
	w.tag(elf.DT_STRSZ, uint64(len(w.strs)))
	if len(e.Versions) > 0 {
		w.tag(elf.DT_VERNEED, w.put(need))
		w.tag(elf.DT_VERNEEDNUM, uint64(len(e.Versions)))
	}
	if len(e.Defines) > 0 {
		w.tag(elf.DT_VERDEF, w.put(def))
		w.tag(elf.DT_VERDEFNUM, uint64(len(e.Defines)))
	}
	w.put(make([]byte, e.Pad))
	w.dynamic()
}

func (w *elfWriter) dynamic() {
	w.tag(elf.DT_NULL, 0)
	var b bytes.Buffer
	for _, d := range w.dyn {
		if w.wide {
			binary.Write(&b, binary.LittleEndian, d)
		} else {
			binary.Write(&b, binary.LittleEndian, elf.Dyn32{Tag: int32(d.Tag), Val: uint32(d.Val)})
		}
	}
	w.segment(elf.PT_DYNAMIC, w.put(b.Bytes()), b.Len())
}

// note is a GNU property note that asks for an x86-64 level.
func note(level int) []byte {
	var b bytes.Buffer
	for _, v := range []uint32{4, 16, 5} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("GNU\x00")
	for _, v := range []uint32{0xc0008002, 4, 1<<level - 1, 0} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

func (w *elfWriter) needed() []byte {
	var b bytes.Buffer
	libs := slices.Sorted(maps.Keys(w.e.Versions))
	for i, lib := range libs {
		vs := w.e.Versions[lib]
		next := uint32(16 + 16*len(vs))
		if i == len(libs)-1 {
			next = 0
		}
		binary.Write(&b, binary.LittleEndian, []uint16{1, uint16(len(vs))})
		binary.Write(&b, binary.LittleEndian, []uint32{uint32(w.str(lib)), 16, next})
		for k, v := range vs {
			next := uint32(16)
			if k == len(vs)-1 {
				next = 0
			}
			flags := uint16(0)
			if strings.HasSuffix(v, "?") { // a weak one
				v, flags = strings.TrimSuffix(v, "?"), 2
			}
			binary.Write(&b, binary.LittleEndian, uint32(0))
			binary.Write(&b, binary.LittleEndian, []uint16{flags, uint16(k + 2)})
			binary.Write(&b, binary.LittleEndian, []uint32{uint32(w.str(v)), next})
		}
	}
	return b.Bytes()
}

func (w *elfWriter) defined() []byte {
	var b bytes.Buffer
	for i, v := range w.e.Defines {
		next := uint32(28)
		if i == len(w.e.Defines)-1 {
			next = 0
		}
		binary.Write(&b, binary.LittleEndian, []uint16{1, 0, uint16(i + 1), 1})
		binary.Write(&b, binary.LittleEndian, []uint32{0, 20, next, uint32(w.str(v)), 0})
	}
	return b.Bytes()
}

func (w *elfWriter) header(out *bytes.Buffer, m elf.Machine, c elf.Class, segs int) {
	kind := elf.ET_DYN
	if w.e.Program {
		kind = elf.ET_EXEC
	}
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(c), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if w.wide {
		binary.Write(out, binary.LittleEndian, elf.Header64{
			Ident: ident, Type: uint16(kind), Machine: uint16(m), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(segs), Shentsize: 64,
		})
		return
	}
	binary.Write(out, binary.LittleEndian, elf.Header32{
		Ident: ident, Type: uint16(kind), Machine: uint16(m), Version: 1, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: uint16(segs), Shentsize: 40,
	})
}

func (w *elfWriter) prog(out *bytes.Buffer, s elf.Prog64) {
	if w.wide {
		binary.Write(out, binary.LittleEndian, s)
		return
	}
	binary.Write(out, binary.LittleEndian, elf.Prog32{
		Type: s.Type, Off: uint32(s.Off), Vaddr: uint32(s.Vaddr), Paddr: uint32(s.Paddr), Filesz: uint32(s.Filesz), Memsz: uint32(s.Memsz), Flags: s.Flags, Align: uint32(s.Align),
	})
}
