package native

import (
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"io"
)

// readMachO reads the header of a Mach-O file with debug/macho. The load
// commands are hidden from it: the processor is all that is asked of a file
// that no Linux kernel starts.
func readMachO(b *Binary, c *capture) error {
	b.OS = "darwin"
	c.keep(0, 4096)
	head := make([]byte, 32)
	if c.size < 28 { // the 32-bit header, the shorter one
		return damaged("Mach-O header: the file ends in it")
	}
	if _, err := c.ReadAt(head[:min(32, c.size)], 0); err != nil {
		return fmt.Errorf("Mach-O header: %w", err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[0] == 0xfe {
		order = binary.BigEndian
	}
	order.PutUint32(head[16:], 0) // number of load commands
	order.PutUint32(head[20:], 0) // and their size
	f, err := macho.NewFile(overlay{c, head})
	if err != nil {
		return fmt.Errorf("Mach-O header: %w", err)
	}
	b.Archs = []string{cpuName(f.Cpu)}
	b.Kind = map[macho.Type]Kind{macho.TypeObj: Object, macho.TypeExec: Program, macho.TypeDylib: Library, macho.TypeBundle: Library}[f.Type]
	return nil
}

// fatHeader and fatArch begin a universal file; they are big-endian. The 64-bit
// form (magic ending in bf) has longer records with the same beginning.
const (
	fatHeaderLen = 8
	fatArchLen   = 20
	fatArch64Len = 32
)

func readFat(b *Binary, c *capture) error {
	b.OS, b.Kind = "darwin", Library
	c.keep(0, 4096)
	head := make([]byte, fatHeaderLen)
	if _, err := c.ReadAt(head, 0); err != nil {
		return fmt.Errorf("universal header: %w", err)
	}
	step := int64(fatArchLen)
	if head[3] == 0xbf {
		step = fatArch64Len
	}
	count := int64(binary.BigEndian.Uint32(head[4:]))
	if count >= javaVersion {
		return damaged("universal header: %d processors", count)
	}
	for i := range count {
		var cpu uint32
		if err := binary.Read(io.NewSectionReader(c, fatHeaderLen+i*step, 4), binary.BigEndian, &cpu); err != nil {
			return fmt.Errorf("universal header: %w", err)
		}
		b.Archs = append(b.Archs, cpuName(macho.Cpu(cpu)))
	}
	return nil
}

func cpuName(c macho.Cpu) string {
	switch c {
	case macho.CpuAmd64:
		return "amd64"
	case macho.CpuArm64:
		return "arm64"
	case macho.Cpu386:
		return "386"
	case macho.CpuArm:
		return "arm"
	}
	return fmt.Sprintf("cpu %d", uint32(c))
}

// readPE reads the COFF header of a Windows program with debug/pe. Sections and
// symbols are hidden from it, for the reason of readMachO.
func readPE(b *Binary, c *capture) error {
	b.OS, b.Kind = "windows", Program
	c.keep(0, headLen)
	dos := make([]byte, 64)
	if _, err := c.ReadAt(dos, 0); err != nil {
		return fmt.Errorf("DOS header: %w", err)
	}
	at := int64(binary.LittleEndian.Uint32(dos[60:]))
	coff := make([]byte, 24)
	if _, err := c.ReadAt(coff, at); err != nil || string(coff[:4]) != "PE\x00\x00" {
		*b = Binary{} // a DOS program, or a file that only begins like one
		return nil
	}
	clear(coff[6:8])   // number of sections
	clear(coff[12:20]) // place and number of symbols
	f, err := pe.NewFile(patch{overlay{c, dos}, coff, at})
	if err != nil {
		return fmt.Errorf("PE header: %w", err)
	}
	b.Archs = []string{peMachine(f.Machine)}
	if f.Characteristics&pe.IMAGE_FILE_DLL != 0 {
		b.Kind = Library
	}
	return nil
}

func peMachine(m uint16) string {
	switch m {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "amd64"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return "arm64"
	case pe.IMAGE_FILE_MACHINE_I386:
		return "386"
	case pe.IMAGE_FILE_MACHINE_ARMNT:
		return "arm"
	}
	return fmt.Sprintf("machine %#x", m)
}

// patch shows other bytes at one place of a file.
type patch struct {
	r     io.ReaderAt
	bytes []byte
	at    int64
}

func (p patch) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.r.ReadAt(b, off)
	for i := max(off, p.at); i < min(off+int64(n), p.at+int64(len(p.bytes))); i++ {
		b[i-off] = p.bytes[i-p.at]
	}
	return n, err
}
