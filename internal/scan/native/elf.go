package native

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// headLen is what is kept of the beginning of every ELF file, in bytes: the
// header, the segments' table, the notes, and in most files the dynamic strings.
const headLen = 256 << 10

// Limits of the parts that a file may ask us to keep, in bytes.
const (
	maxInterp   = maxString
	maxNotes    = 64 << 10
	maxDynamic  = 64 << 10
	maxVersions = 256 << 10
	maxSegments = 4096
)

// readELF fills b. It goes by the segments, which the kernel and the loader go
// by, and not by the sections, which a stripped file may lack.
func readELF(b *Binary, c *capture) error {
	c.keep(0, headLen)
	f, err := segments(c)
	if err != nil {
		return fmt.Errorf("ELF header: %w", err)
	}
	identify(b, f)
	if b.Kind == Object || b.Kind == Core {
		return nil
	}
	if stripped(f) {
		b.Kind = Debug
		return nil
	}
	keepSegments(f, c)
	readNotes(b, f, c)
	dyn := segment(f, elf.PT_DYNAMIC)
	if err := readInterp(b, f); err != nil {
		return err
	}
	if dyn != nil {
		err = readDynamic(b, f, dyn, c)
	}
	b.CLib = cLibrary(b)
	return err
}

// segments parses the ELF header and the segments' table with debug/elf. The
// sections are hidden from it: their table is at a file's end, which a single
// pass has not reached, and nothing here needs it.
func segments(c *capture) (*elf.File, error) {
	if c.size < 52 { // the 32-bit header, the shorter one
		return nil, damaged("the file ends in it")
	}
	head := make([]byte, 64)
	if _, err := c.ReadAt(head[:min(64, c.size)], 0); err != nil {
		return nil, err
	}
	order, off, count, err := hideSections(head)
	if err != nil {
		return nil, err
	}
	if count > maxSegments {
		return nil, damaged("%d segments", count)
	}
	if size := int64(count) * 56; off > 0 && off+size > headLen {
		c.keep(c.pos, off+size-c.pos) // what comes before may be wanted too
	}
	f, err := elf.NewFile(overlay{c, head})
	if err != nil {
		return nil, err
	}
	f.ByteOrder = order
	return f, nil
}

// hideSections zeroes the fields of the section table in an ELF header, and
// returns the byte order and where the segments' table is.
func hideSections(h []byte) (binary.ByteOrder, int64, int, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(h[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	switch elf.Class(h[elf.EI_CLASS]) {
	case elf.ELFCLASS64:
		order.PutUint64(h[40:], 0)
		clear(h[60:64])
		off := order.Uint64(h[32:])
		if off > 1<<62 {
			return nil, 0, 0, damaged("segments at offset %#x", off)
		}
		return order, int64(off), int(order.Uint16(h[56:])), nil
	case elf.ELFCLASS32:
		order.PutUint32(h[32:], 0)
		clear(h[48:52])
		return order, int64(order.Uint32(h[28:])), int(order.Uint16(h[44:])), nil
	}
	return nil, 0, 0, damaged("class %d", h[elf.EI_CLASS])
}

// overlay shows other bytes in place of a file's first ones.
type overlay struct {
	r    io.ReaderAt
	head []byte
}

func (o overlay) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(o.head)) || off < 0 {
		return o.r.ReadAt(p, off)
	}
	n := copy(p, o.head[off:])
	if n == len(p) {
		return n, nil
	}
	m, err := o.r.ReadAt(p[n:], off+int64(n))
	return n + m, err
}

// identify says what machine and system the header names.
func identify(b *Binary, f *elf.File) {
	b.Archs = []string{archOf(f)}
	if slices.Contains(linuxArchs, b.Archs[0]) {
		b.OS = "linux"
	}
	switch f.OSABI {
	case elf.ELFOSABI_FREEBSD:
		b.OS = "freebsd"
	case elf.ELFOSABI_NETBSD:
		b.OS = "netbsd"
	case elf.ELFOSABI_OPENBSD:
		b.OS = "openbsd"
	case elf.ELFOSABI_SOLARIS:
		b.OS = "solaris"
	}
	switch f.Type {
	case elf.ET_EXEC:
		b.Kind = Program
	case elf.ET_DYN:
		b.Kind = Library
	case elf.ET_CORE:
		b.Kind = Core
	default:
		b.Kind = Object
	}
}

// linuxArchs are the processors for which an ELF file that names no system is
// taken for Linux; another one's is firmware or belongs to a device.
var linuxArchs = []string{"amd64", "arm64", "386", "arm", "ppc64le", "ppc64", "s390x", "riscv64", "loong64", "mips", "mipsle", "mips64", "mips64le", "amd64p32"}

// archOf names the processor as Go does, with word size and byte order where
// they make it another one.
func archOf(f *elf.File) string {
	big, wide := f.Data == elf.ELFDATA2MSB, f.Class == elf.ELFCLASS64
	le := map[bool]string{true: "", false: "le"}[big]
	switch f.Machine {
	case elf.EM_X86_64:
		if !wide {
			return "amd64p32"
		}
		return "amd64"
	case elf.EM_AARCH64:
		if big || !wide {
			return "arm64 big-endian or 32-bit"
		}
		return "arm64"
	case elf.EM_386:
		return "386"
	case elf.EM_ARM:
		return "arm"
	case elf.EM_PPC64:
		return "ppc64" + le
	case elf.EM_S390:
		return "s390x"
	case elf.EM_RISCV:
		return "riscv64"
	case elf.EM_LOONGARCH:
		return "loong64"
	case elf.EM_MIPS:
		if wide {
			return "mips64" + le
		}
		return "mips" + le
	}
	return strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))
}

// segment finds the first segment of a type.
func segment(f *elf.File, t elf.ProgType) *elf.Prog {
	for _, p := range f.Progs {
		if p.Type == t {
			return p
		}
	}
	return nil
}

// stripped reports a file whose contents went elsewhere: objcopy
// --only-keep-debug leaves the segments' addresses and takes their bytes.
func stripped(f *elf.File) bool {
	for _, t := range []elf.ProgType{elf.PT_DYNAMIC, elf.PT_INTERP} {
		if p := segment(f, t); p != nil {
			return p.Filesz == 0 && p.Memsz > 0
		}
	}
	p := segment(f, elf.PT_LOAD)
	return p != nil && p.Filesz == 0 && p.Flags&elf.PF_X != 0
}

// ptGNUProperty is PT_GNU_PROPERTY (System V ABI, Linux extensions).
const ptGNUProperty = elf.PT_LOOS + 0x474e553

// keepSegments reads on through the parts that are needed whatever they say.
// The strings of the dynamic section are found only with that section, which
// comes after them, at the end of the first segment that is loaded; so as much
// of that one is kept as the limits allow.
func keepSegments(f *elf.File, c *capture) {
	type stretch struct{ off, n int64 }
	var want []stretch
	add := func(p *elf.Prog, limit int64) {
		if p.Off < 1<<62 && p.Filesz > 0 {
			want = append(want, stretch{int64(p.Off), int64(min(p.Filesz, uint64(limit)))})
		}
	}
	dynamic, first := segment(f, elf.PT_DYNAMIC) != nil, true
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			add(p, maxInterp)
		case elf.PT_NOTE, ptGNUProperty:
			add(p, maxNotes)
		case elf.PT_DYNAMIC:
			add(p, maxDynamic)
		case elf.PT_LOAD:
			if first && dynamic {
				add(p, maxSpill)
			}
			first = false
		}
	}
	slices.SortFunc(want, func(a, b stretch) int { return int(min(1, max(-1, a.off-b.off))) })
	for _, s := range want {
		c.keep(s.off, s.n)
	}
}

func readInterp(b *Binary, f *elf.File) error {
	p := segment(f, elf.PT_INTERP)
	if p == nil {
		return nil
	}
	s := make([]byte, min(p.Filesz, maxInterp))
	if _, err := p.ReadAt(s, 0); err != nil {
		return fmt.Errorf("the loader's name: %w", err)
	}
	name, _, _ := strings.Cut(string(s), "\x00")
	if b.Interp = name; name == "" {
		return damaged("the loader's name is empty")
	}
	return nil
}

// cLibrary tells the C library by the loader and the libraries that are asked
// for: only glibc has libc.so.6 and ld-linux, only musl libc.musl-* and ld-musl.
func cLibrary(b *Binary) CLib {
	if b.OS != "linux" {
		return ""
	}
	for _, s := range append([]string{b.Interp}, b.Needed...) {
		switch {
		case s == "libc.so.6", strings.Contains(s, "ld-linux"):
			return Glibc
		case strings.HasPrefix(s, "libc.musl-"), s == "libc.so", strings.Contains(s, "ld-musl"):
			return Musl
		}
	}
	return ""
}
