package tinyelf

import (
	"encoding/binary"
	"fmt"
)

// Serve answers every connection to the TCP port, on all IPv4 addresses, with an
// HTTP 200 and the body, one connection at a time: it reads once, up to 4 KiB,
// and does not look at what it read. That is enough for a health check or a
// curl. It exits with 1 when the port is taken.
func Serve(port uint16, body string) []byte {
	var a asm
	a.obeyTerm()
	a.listen([4]byte{}, port)
	a.answer(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body))
	return a.file()
}

// listen opens a listening socket on an IPv4 address and keeps it in ebx.
func (a *asm) listen(ip [4]byte, port uint16) {
	const (
		afInet     = 2
		sockStream = 1
		backlog    = 128
	)
	a.edi(afInet)
	a.esi(sockStream)
	a.edx(0)
	a.syscall(sysSocket)
	a.emit(0x89, 0xc3) // mov ebx, eax

	var address [8]byte // of sockaddr_in: family, port and address
	binary.LittleEndian.PutUint16(address[:], afInet)
	binary.BigEndian.PutUint16(address[2:], port)
	copy(address[4:], ip[:])
	a.push(0) // the last 8 bytes of sockaddr_in
	a.push(binary.LittleEndian.Uint64(address[:]))
	a.ediIsListener()
	a.rsiIsStack()
	a.edx(16)
	a.syscall(sysBind)
	a.emit(0x85, 0xc0, 0x79, exitSize) // test eax, eax; jns past the exit
	a.exit(1)
	a.ediIsListener()
	a.esi(backlog)
	a.syscall(sysListen)
}

// answer accepts for ever: accept, read, write the answer, close. What was sent
// must have been read, or the close would reset the connection.
func (a *asm) answer(text string) {
	const buffer = 4096
	a.emit(0x48, 0x81, 0xec) // sub rsp, buffer
	a.imm32(buffer)
	top := a.here()
	a.ediIsListener()
	a.esi(0)
	a.edx(0)
	a.syscall(sysAccept)
	a.emit(0x89, 0xc5) // mov ebp, eax
	a.ediIsConnection()
	a.rsiIsStack()
	a.edx(buffer)
	a.syscall(sysRead)
	a.ediIsConnection()
	a.pointer(text)
	a.edx(uint32(len(text)))
	a.syscall(sysWrite)
	a.ediIsConnection()
	a.syscall(sysClose)
	a.loop(top)
}

func (a *asm) ediIsListener()   { a.emit(0x89, 0xdf) } // mov edi, ebx
func (a *asm) ediIsConnection() { a.emit(0x89, 0xef) } // mov edi, ebp
