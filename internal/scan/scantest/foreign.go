package scantest

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
)

func cpu(arch string) uint32 {
	if arch == "arm64" {
		return uint32(macho.CpuArm64)
	}
	return uint32(macho.CpuAmd64)
}

// MachO is a Mach-O bundle for one processor.
func MachO(arch string) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, []uint32{macho.Magic64, cpu(arch), 0, uint32(macho.TypeBundle), 0, 0, 0, 0})
	b.Write(make([]byte, 64))
	return b.Bytes()
}

// Fat is a universal Mach-O file.
func Fat(archs ...string) []byte {
	var b bytes.Buffer
	binary.Write(&b, binary.BigEndian, []uint32{macho.MagicFat, uint32(len(archs))})
	for i, a := range archs {
		binary.Write(&b, binary.BigEndian, []uint32{cpu(a), 0, uint32(4096 * (i + 1)), 96, 12})
	}
	b.Write(make([]byte, 4096*(len(archs)+1)-b.Len()))
	for _, a := range archs {
		b.Write(MachO(a))
		b.Write(make([]byte, 4096-96))
	}
	return b.Bytes()
}

// PE is a Windows program, or a library.
func PE(arch string, library bool) []byte {
	machine := map[string]uint16{"arm64": 0xaa64, "386": 0x14c}[arch]
	if machine == 0 {
		machine = 0x8664
	}
	flags := uint16(0x2)
	if library {
		flags |= 0x2000
	}
	b := make([]byte, 64, 256)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[60:], 64)
	b = append(b, "PE\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, machine)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = append(b, make([]byte, 12)...)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint16(b, flags)
	return append(b, make([]byte, 64)...)
}
