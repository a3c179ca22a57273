// Package tinyelf makes programs for linux/amd64 byte by byte: static ELF files
// of 230 to 500 bytes that need no compiler, no C library and no base image, and
// that behave, as the first process of a container, in the ways that matter to a
// deployment: they run and obey SIGTERM, ignore it, exit with a code, die of a
// real segmentation fault, use up their memory, or answer on a port.
//
// The sandbox uses them as its built-in images, the demo and the tests as images
// that break on purpose. (A Go program cannot play that part: its runtime turns
// SIGSEGV into a panic and exits with 2.)
//
// A file is the ELF header, one program header that maps the whole file readable
// and executable at 0x400000, the machine code, and the texts that it prints. The
// code makes system calls only; asm.go names each instruction.
//
// Every program but IgnoreTerm ends with code 0 on SIGTERM and SIGINT, also as
// PID 1, for which the kernel has no default action.
package tinyelf

import (
	"math"
	"time"
)

// Output is what a program prints before anything else.
type Output struct{ Stdout, Stderr string }

// Idle runs until it is told to stop.
func Idle() []byte {
	var a asm
	a.obeyTerm()
	a.forever()
	return a.file()
}

// IgnoreTerm runs until SIGKILL.
func IgnoreTerm() []byte {
	var a asm
	a.on(sigIgn, 0, sigTerm, sigInt)
	a.forever()
	return a.file()
}

// Exit prints, waits, and exits with the code (0 to 255).
func Exit(code uint8, after time.Duration, out Output) []byte {
	var a asm
	a.obeyTerm()
	a.print(out)
	a.sleep(after)
	a.exit(uint32(code))
	return a.file()
}

// Segfault prints, waits, and writes to address 0. The kernel's SIGSEGV is not
// one that PID 1 is spared from: a container ends with exit code 139.
func Segfault(after time.Duration, out Output) []byte {
	var a asm
	a.obeyTerm()
	a.print(out)
	a.sleep(after)
	a.emit(0x89, 0x04, 0x25) // mov [0], eax
	a.imm32(0)
	return a.file()
}

// Hog takes the given amount of memory, writes to every page of it, and then
// runs until it is told to stop. In a container with a lower limit it is killed:
// exit code 137, OOMKilled.
func Hog(bytes uint32) []byte {
	const (
		protRW    = 1 | 2
		anonymous = 0x02 | 0x20 // MAP_PRIVATE | MAP_ANONYMOUS
		page      = 4096
	)
	var a asm
	a.obeyTerm()
	a.edi(0)
	a.esi(bytes)
	a.edx(protRW)
	a.r10d(anonymous)
	a.r8d(math.MaxUint32) // no file: descriptor -1
	a.r9d(0)
	a.syscall(sysMmap)
	a.emit(0xb9) // mov ecx, number of pages
	a.imm32(max(bytes/page, 1))
	top := a.here()
	a.emit(0xc6, 0x00, 0x01) // mov byte [rax], 1
	a.emit(0x48, 0x05)       // add rax, 4096
	a.imm32(page)
	a.emit(0xff, 0xc9)                           // dec ecx
	a.emit(0x75, byte(int(top)-int(a.here())-2)) // jnz top
	a.forever()
	return a.file()
}

// print writes what a program says first.
func (a *asm) print(out Output) {
	a.write(1, out.Stdout)
	a.write(2, out.Stderr)
}
