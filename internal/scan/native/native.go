// Package native reads what a binary asks of the machine it runs on: processor,
// operating system, C library, loader, libraries and symbol versions. It knows
// ELF, Mach-O and PE files by their first bytes, whatever they are called.
//
// A file is read once, forwards, and never as a whole: Read keeps the header,
// the segments' table and the dynamic section with its strings, so that a
// library of a gigabyte costs what a small one costs. Nothing in a file is
// believed: counts, sizes and offsets that point elsewhere make the file
// Damaged, never a crash or a large allocation.
package native

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Format is a file format, "" for a file that is no binary.
type Format string

// The formats that Sniff knows. Fat is a Mach-O file for several processors.
const (
	ELF   Format = "ELF"
	MachO Format = "Mach-O"
	Fat   Format = "Mach-O universal"
	PE    Format = "PE"
)

// Kind is what a binary is for.
type Kind string

// The kinds. Only programs and libraries are ever loaded.
const (
	Program Kind = "program"
	Library Kind = "library" // a position-independent program too: both are ET_DYN
	Object  Kind = "object file"
	Core    Kind = "core dump"
	Debug   Kind = "debug file" // the contents were stripped out of it, only symbols remain
)

// CLib is a C library, "" where a file names none.
type CLib string

// The C libraries that do not mix in one process.
const (
	Glibc CLib = "glibc"
	Musl  CLib = "musl"
)

// Binary is what one file asks for. Lists are cut at fixed lengths, strings at
// maxString bytes.
type Binary struct {
	Format   Format              `json:"f"`
	Kind     Kind                `json:"k,omitempty"`
	OS       string              `json:"o,omitempty"` // in GOOS's spelling; "" when nothing says
	Archs    []string            `json:"a,omitempty"` // in GOARCH's spelling; several only in a universal Mach-O
	Interp   string              `json:"i,omitempty"` // the loader, PT_INTERP
	Soname   string              `json:"s,omitempty"`
	Needed   []string            `json:"n,omitempty"`
	RPath    []string            `json:"rp,omitempty"`
	RunPath  []string            `json:"ru,omitempty"`
	Versions map[string][]string `json:"v,omitempty"` // library to the symbol versions asked of it, weak ones left out
	Defines  []string            `json:"d,omitempty"` // symbol versions that it offers
	CLib     CLib                `json:"c,omitempty"`
	Level    int                 `json:"l,omitempty"` // x86-64 level that its note asks for, 2 to 4; 0 when it has none
	Damaged  string              `json:"x,omitempty"` // what could not be read, and why
}

// Runs reports whether the processor and operating system are the ones given.
func (b *Binary) Runs(goos, goarch string) bool {
	return b.OS == goos && slices.Contains(b.Archs, goarch)
}

// Dynamic reports whether a loader has to bring it to life.
func (b *Binary) Dynamic() bool { return b.Interp != "" || len(b.Needed) > 0 }

// String is the binary in a few words: "linux/arm64 glibc".
func (b *Binary) String() string {
	goos, arch := b.OS, strings.Join(b.Archs, "+")
	if goos == "" {
		goos = string(b.Format)
	}
	if arch == "" {
		arch = "unknown"
	}
	s := goos + "/" + arch
	if b.CLib != "" {
		s += " " + string(b.CLib)
	}
	return s
}

// Size is how much the facts take, in bytes, roughly.
func (b *Binary) Size() int {
	n := 256 + len(b.Interp) + len(b.Soname) + len(b.Damaged)
	for _, l := range [][]string{b.Archs, b.Needed, b.RPath, b.RunPath, b.Defines} {
		for _, s := range l {
			n += 16 + len(s)
		}
	}
	for lib, l := range b.Versions {
		n += 48 + len(lib)
		for _, s := range l {
			n += 16 + len(s)
		}
	}
	return n
}

// SniffLen is how many bytes Sniff wants to see, of a file that has as many.
const SniffLen = 64

// javaVersion is the lowest class file version. A Java class begins with the
// four bytes of a universal Mach-O file; the next word is its version there and
// the number of processors here.
const javaVersion = 45

// Sniff tells a binary's format by its first bytes.
func Sniff(head []byte) Format {
	if len(head) < 8 {
		return ""
	}
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return ELF
	case bytes.HasPrefix(head, []byte("MZ")) && len(head) >= SniffLen:
		return PE
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return MachO
	case 0xcafebabe, 0xcafebabf:
		if n := binary.BigEndian.Uint32(head[4:]); n > 0 && n < javaVersion {
			return Fat
		}
	}
	return ""
}

// Reader reads binaries one after another and keeps its buffers. It is not for
// several goroutines at once. The zero Reader spills into os.TempDir.
type Reader struct {
	TempDir string

	held []byte
}

// Read reads the file of the given format and size from r, from its first byte,
// as far as it must. What is wrong with the file is in the result; an error is
// r's own. A file that is no binary after all has no Format in the result.
func (d *Reader) Read(f Format, r io.Reader, size int64) (*Binary, error) {
	return d.read(f, &capture{r: r, size: size, mem: d.held[:0], dir: d.TempDir})
}

// ReadAt is Read for a file that can be read anywhere, of which it reads less.
func (d *Reader) ReadAt(f Format, r io.ReaderAt, size int64) (*Binary, error) {
	return d.read(f, &capture{at: r, size: size, mem: d.held[:0]})
}

func (d *Reader) read(f Format, c *capture) (*Binary, error) {
	defer func() {
		d.held = c.mem[:0]
		c.close()
	}()
	b := &Binary{Format: f}
	var err error
	switch f {
	case ELF:
		err = readELF(b, c)
	case MachO:
		err = readMachO(b, c)
	case Fat:
		err = readFat(b, c)
	case PE:
		err = readPE(b, c)
	}
	if c.failed != nil {
		return nil, c.failed
	}
	if err != nil {
		b.Damaged = clip(err.Error())
	}
	return b, nil
}

// maxString bounds every string that is kept of a file, in bytes: PATH_MAX.
const maxString = 4096

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

func damaged(format string, a ...any) error { return fmt.Errorf(format, a...) }
