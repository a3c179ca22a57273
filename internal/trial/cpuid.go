package trial

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Lengths of what cpuidProgram prints, one after the other: the processor's
// vendor, the hypervisor's signature (zeros without one), and the processor's
// brand string (Intel SDM, CPUID; the hypervisor leaf is a convention of their
// makers).
const (
	vendorSize     = 12
	hypervisorSize = 12
	brandSize      = 48
	reportSize     = vendorSize + hypervisorSize + brandSize
)

// cpuidProgram is a static ELF program for linux/amd64 that prints the
// processor's words on itself and a line feed: a file header, one segment that
// maps the whole file, and the machine code.
func cpuidProgram() []byte {
	const base, headers = 0x400000, 64 + 56
	code := cpuidCode()
	size := uint64(headers + len(code))
	le := binary.LittleEndian
	out := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...) // 64-bit, little endian, System V
	for _, v := range []uint16{2 /* ET_EXEC */, 62 /* EM_X86_64 */} {
		out = le.AppendUint16(out, v)
	}
	out = le.AppendUint32(out, 1)
	for _, v := range []uint64{base + headers /* e_entry */, 64 /* e_phoff */, 0 /* e_shoff */} {
		out = le.AppendUint64(out, v)
	}
	out = le.AppendUint32(out, 0)
	for _, v := range []uint16{64, 56, 1 /* e_phnum */, 0, 0, 0} {
		out = le.AppendUint16(out, v)
	}
	out = le.AppendUint32(out, 1)   // PT_LOAD
	out = le.AppendUint32(out, 4|1) // readable, executable
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		out = le.AppendUint64(out, v)
	}
	return append(out, code...)
}

func cpuidCode() []byte {
	var c []byte
	emit := func(b ...byte) { c = append(c, b...) }
	cpuid := func(leaf uint32) { // mov eax, leaf; cpuid
		emit(0xb8)
		c = binary.LittleEndian.AppendUint32(c, leaf)
		emit(0x0f, 0xa2)
	}
	const eax, ebx, ecx, edx = 0x44, 0x5c, 0x4c, 0x54
	store := func(register, at byte) { emit(0x41, 0x89, register, 0x24, at) } // mov [r12+at], register

	emit(0x48, 0x81, 0xec, 0x80, 0, 0, 0) // sub rsp, 128
	emit(0x49, 0x89, 0xe4)                // mov r12, rsp
	emit(0x48, 0x89, 0xe7, 0x31, 0xc0)    // mov rdi, rsp; xor eax, eax
	emit(0xb9, 0x80, 0, 0, 0, 0xf3, 0xaa) // mov ecx, 128; rep stosb
	cpuid(0)
	store(ebx, 0)
	store(edx, 4)
	store(ecx, 8)
	cpuid(1)
	emit(0x85, 0xc9, 0x79, 22) // test ecx, ecx; jns: bit 31 says that there is a hypervisor
	cpuid(0x40000000)
	store(ebx, 12)
	store(ecx, 16)
	store(edx, 20)
	cpuid(0x80000000)
	emit(0x3d, 0x04, 0, 0, 0x80, 0x72, 3*27) // cmp eax, 0x80000004; jb past the brand
	for i := range byte(3) {
		cpuid(0x80000002 + uint32(i))
		for j, register := range []byte{eax, ebx, ecx, edx} {
			store(register, vendorSize+hypervisorSize+16*i+4*byte(j))
		}
	}
	emit(0x41, 0xc6, 0x44, 0x24, reportSize, '\n')  // mov byte [r12+72], '\n'
	emit(0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0)        // mov eax, 1 (write); mov edi, 1
	emit(0x4c, 0x89, 0xe6)                          // mov rsi, r12
	emit(0xba, reportSize+1, 0, 0, 0, 0x0f, 0x05)   // mov edx, 73; syscall
	emit(0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05) // mov eax, 60 (exit); xor edi, edi; syscall
	return c
}

// processor is what a processor says of itself.
type processor struct{ vendor, hypervisor, brand string }

func readProcessor(line string) (processor, error) {
	if len(line) != reportSize {
		return processor{}, fmt.Errorf("the processor's description has %d bytes, want %d", len(line), reportSize)
	}
	word := func(from, size int) string {
		return strings.TrimSpace(clean(strings.TrimRight(line[from:from+size], "\x00")))
	}
	return processor{
		vendor:     word(0, vendorSize),
		hypervisor: word(vendorSize, hypervisorSize),
		brand:      word(vendorSize+hypervisorSize, brandSize),
	}, nil
}

// emulators are the marks of processors that exist in software only.
var emulators = []struct{ mark, name string }{
	{"TCGTCGTCGTCG", "QEMU without hardware virtualization"},
	{"QEMU TCG CPU", "QEMU without hardware virtualization"},
	{"VirtualApple", "Apple's Rosetta"},
	{"FEXIFEXIEMU", "FEX"},
	{"FEX-", "FEX"},
	{"Box64", "Box64"},
	{"GenuineBlink", "Blink"},
}

// hardware are signatures of hypervisors that let the real processor run the
// guest's code. Under one of them "QEMU Virtual CPU" is but a name.
var hardware = []string{"KVMKVMKVM", "Microsoft Hv", "VMwareVMware", "XenVMMXenVMM", "bhyve bhyve", "lrpepyh vr", "HVFHVFHVFHVF", "ACRNACRNACRN", "VBoxVBoxVBox"}

// emulated says whether the processor is one in software, and what tells so.
func (p processor) emulated() (evidence string, yes bool) {
	for _, e := range emulators {
		for _, said := range []string{p.hypervisor, p.vendor, p.brand} {
			if strings.Contains(said, e.mark) {
				return fmt.Sprintf("its processor is emulated by %s: %s", e.name, p), true
			}
		}
	}
	for _, h := range hardware {
		if strings.HasPrefix(p.hypervisor, h) {
			return p.String(), false
		}
	}
	if strings.Contains(p.brand, "QEMU Virtual CPU") {
		return "its processor is emulated by QEMU: " + p.String(), true
	}
	return p.String(), false
}

// String is what it says, for people.
func (p processor) String() string {
	s := fmt.Sprintf("%q of %q", p.brand, p.vendor)
	if p.hypervisor != "" {
		s += fmt.Sprintf(", hypervisor %q", p.hypervisor)
	}
	return s
}
