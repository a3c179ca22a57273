package tinyelf

import (
	"encoding/binary"
	"time"
)

// Where the one segment of a program is mapped. The file is mapped as a whole,
// so the byte at file offset n is at base+n.
const (
	base       = 0x400000
	headerSize = 64 // ELF64 file header
	phdrSize   = 56 // one ELF64 program header
	entry      = base + headerSize + phdrSize
)

// System calls of linux/amd64 (arch/x86/entry/syscalls/syscall_64.tbl).
const (
	sysRead        = 0
	sysWrite       = 1
	sysClose       = 3
	sysMmap        = 9
	sysRtSigaction = 13
	sysPause       = 34
	sysNanosleep   = 35
	sysSocket      = 41
	sysAccept      = 43
	sysBind        = 49
	sysListen      = 50
	sysSetsockopt  = 54
	sysExitGroup   = 231
)

const (
	sigInt  = 2
	sigTerm = 15

	sigIgn     = 1          // SIG_IGN as a handler
	saRestorer = 0x04000000 // x86-64 refuses to run a handler without it
)

// asm collects machine code and the bytes that it points to. Each method emits
// one instruction, or the few that belong together, named in its comment in
// Intel syntax.
type asm struct {
	code []byte
	data []byte
	refs []ref
}

// ref is a place in the code that holds the address of a byte of the data.
type ref struct{ at, offset int }

func (a *asm) emit(b ...byte) { a.code = append(a.code, b...) }

func (a *asm) imm32(v uint32) { a.code = binary.LittleEndian.AppendUint32(a.code, v) }

func (a *asm) imm64(v uint64) { a.code = binary.LittleEndian.AppendUint64(a.code, v) }

// here is the address of the next instruction.
func (a *asm) here() uint32 { return entry + uint32(len(a.code)) }

// The registers of a system call: its number and its arguments, in order. Each
// is a mov of a constant; writing the lower half clears the upper half.
func (a *asm) eax(v uint32)  { a.emit(0xb8); a.imm32(v) }
func (a *asm) edi(v uint32)  { a.emit(0xbf); a.imm32(v) }
func (a *asm) esi(v uint32)  { a.emit(0xbe); a.imm32(v) }
func (a *asm) edx(v uint32)  { a.emit(0xba); a.imm32(v) }
func (a *asm) r10d(v uint32) { a.emit(0x41, 0xba); a.imm32(v) }
func (a *asm) r8d(v uint32)  { a.emit(0x41, 0xb8); a.imm32(v) }
func (a *asm) r9d(v uint32)  { a.emit(0x41, 0xb9); a.imm32(v) }

// pointer loads the address of text into rsi: mov esi, imm32.
func (a *asm) pointer(text string) {
	a.emit(0xbe)
	a.refs = append(a.refs, ref{len(a.code), len(a.data)})
	a.imm32(0)
	a.data = append(a.data, text...)
}

// push puts a 64-bit value on the stack: mov rax, v; push rax.
func (a *asm) push(v uint64) {
	a.emit(0x48, 0xb8)
	a.imm64(v)
	a.emit(0x50)
}

func (a *asm) rdiIsStack() { a.emit(0x48, 0x89, 0xe7) } // mov rdi, rsp
func (a *asm) rsiIsStack() { a.emit(0x48, 0x89, 0xe6) } // mov rsi, rsp

// syscall sets the number and calls: mov eax, n; syscall. It keeps every
// register but rax, rcx and r11.
func (a *asm) syscall(n uint32) {
	a.eax(n)
	a.emit(0x0f, 0x05)
}

// loop jumps back to an address that here gave: jmp rel32.
func (a *asm) loop(to uint32) {
	a.emit(0xe9)
	a.imm32(to - (a.here() + 4))
}

// exitSize is how many bytes exit emits, for jumps past it.
const exitSize = 12

// exit ends the process: exit_group(code).
func (a *asm) exit(code uint32) {
	a.edi(code)
	a.syscall(sysExitGroup)
}

// write prints text, if there is any: write(fd, text, len(text)).
func (a *asm) write(fd uint32, text string) {
	if text == "" {
		return
	}
	a.edi(fd)
	a.pointer(text)
	a.edx(uint32(len(text)))
	a.syscall(sysWrite)
}

// sleep waits: nanosleep(&{d.sec, d.nsec}, NULL). The kernel itself goes on with
// it after a SIGSTOP and SIGCONT.
func (a *asm) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	a.push(uint64(d % time.Second)) // tv_nsec, the higher address
	a.push(uint64(d / time.Second)) // tv_sec
	a.rdiIsStack()
	a.esi(0)
	a.syscall(sysNanosleep)
}

// forever waits for signals without end.
func (a *asm) forever() {
	top := a.here()
	a.syscall(sysPause)
	a.loop(top)
}

// on sets what a signal does: rt_sigaction(signal, &{handler, flags, restorer,
// mask}, NULL, 8). Handlers never return, so that the restorer is never used.
func (a *asm) on(handler uint64, flags uint64, signals ...uint32) {
	a.push(0)       // sa_mask
	a.push(handler) // sa_restorer
	a.push(flags)
	a.push(handler)
	for _, s := range signals {
		a.edi(s)
		a.rsiIsStack()
		a.edx(0)
		a.r10d(8) // sizeof(sigset_t)
		a.syscall(sysRtSigaction)
	}
}

// obeyTerm makes SIGTERM and SIGINT end the process with code 0. The kernel
// discards signals for PID 1 that it did not ask for, so that a container's first
// process must ask.
func (a *asm) obeyTerm() {
	a.emit(0xeb, exitSize) // jmp past the handler
	handler := a.here()
	a.exit(0)
	a.on(uint64(handler), saRestorer, sigTerm, sigInt)
}

// file is the program as an ELF file: header, one program header for a segment
// that is the whole file, code, data.
func (a *asm) file() []byte {
	size := uint64(headerSize + phdrSize + len(a.code) + len(a.data))
	out := make([]byte, 0, size)
	le := binary.LittleEndian

	out = append(out, 0x7f, 'E', 'L', 'F', 2 /* 64 bit */, 1 /* little endian */, 1 /* version */, 0 /* System V ABI */)
	out = append(out, make([]byte, 8)...)  // padding of e_ident
	out = le.AppendUint16(out, 2)          // e_type: ET_EXEC
	out = le.AppendUint16(out, 62)         // e_machine: EM_X86_64
	out = le.AppendUint32(out, 1)          // e_version
	out = le.AppendUint64(out, entry)      // e_entry
	out = le.AppendUint64(out, headerSize) // e_phoff
	out = le.AppendUint64(out, 0)          // e_shoff: no sections
	out = le.AppendUint32(out, 0)          // e_flags
	for _, v := range []uint16{headerSize, phdrSize, 1 /* e_phnum */, 0, 0, 0} {
		out = le.AppendUint16(out, v)
	}
	out = le.AppendUint32(out, 1)   // p_type: PT_LOAD
	out = le.AppendUint32(out, 4|1) // p_flags: readable, executable
	for _, v := range []uint64{0 /* p_offset */, base, base, size, size, 0x1000 /* p_align */} {
		out = le.AppendUint64(out, v)
	}

	code := append([]byte(nil), a.code...)
	for _, r := range a.refs {
		le.PutUint32(code[r.at:], entry+uint32(len(code)+r.offset))
	}
	return append(append(out, code...), a.data...)
}
