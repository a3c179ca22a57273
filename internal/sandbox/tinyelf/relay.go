package tinyelf

import "encoding/binary"

// relayBuffer is how much Relay reads at once: a request must fit in.
const relayBuffer = 8192

// Relay runs until it is told to stop. Meanwhile it listens on an IPv4 address and
// hands what clients ask for to whoever holds its standard streams, one connection
// at a time: the bytes of one read are written to standard output, behind their
// number in 4 bytes, little end first; then as many bytes as standard input says in
// the same way are copied to the client, and the connection is closed. A client that
// says nothing for 2 s is dropped. When standard input ends, it stops listening.
func Relay(address [4]byte, port uint16) []byte {
	const sigPipe = 13
	var a asm
	a.obeyTerm()
	a.on(sigIgn, 0, sigPipe)
	a.listen(address, port)
	a.emit(0x48, 0x81, 0xec) // sub rsp, buffer + 16; the number lies behind the buffer
	a.imm32(relayBuffer + 16)
	top := a.here()
	a.acceptPatiently()
	nothing := a.receive()
	gone := a.number()
	body := a.here()
	a.emit(0x45, 0x85, 0xed) // test r13d, r13d
	done := a.jump(ifZero)
	gone = append(gone, a.copyBody())
	a.loop(body)
	nothing()
	done()
	a.ediIsConnection()
	a.syscall(sysClose)
	a.loop(top)
	for _, here := range gone {
		here()
	}
	a.ediIsConnection()
	a.syscall(sysClose)
	a.ediIsListener()
	a.syscall(sysClose)
	a.forever()
	return a.file()
}

// acceptPatiently accepts a connection into ebp, whose reads and writes wait for
// 2 s at most.
func (a *asm) acceptPatiently() {
	const (
		solSocket  = 1
		soRcvTimeo = 20
		soSndTimeo = 21
		seconds    = 2
		size       = 16 // of struct timeval
	)
	top := a.here()
	a.ediIsListener()
	a.esi(0)
	a.edx(0)
	a.syscall(sysAccept)
	a.emit(0x89, 0xc5)             // mov ebp, eax
	a.emit(0x85, 0xc0, 0x79, 0x05) // test eax, eax; jns past the jump
	a.loop(top)
	a.push(0)       // tv_usec
	a.push(seconds) // tv_sec
	for _, option := range []uint32{soRcvTimeo, soSndTimeo} {
		a.ediIsConnection()
		a.esi(solSocket)
		a.edx(option)
		a.emit(0x49, 0x89, 0xe2) // mov r10, rsp
		a.r8d(size)
		a.syscall(sysSetsockopt)
	}
	a.emit(0x48, 0x83, 0xc4, size) // add rsp, 16
}

// receive reads what the client sends and writes it to standard output. It jumps to
// where nothing is called when there is none.
func (a *asm) receive() (nothing func()) {
	a.ediIsConnection()
	a.rsiIsStack()
	a.edx(relayBuffer)
	a.syscall(sysRead)
	a.emit(0x85, 0xc0) // test eax, eax
	nothing = a.jump(ifNotPositive)
	a.emit(0x41, 0x89, 0xc4) // mov r12d, eax
	a.emit(0x89, 0x84, 0x24) // mov [rsp+buffer], eax
	a.imm32(relayBuffer)
	a.edi(1)
	a.rsiIsNumber(0)
	a.edx(4)
	a.syscall(sysWrite)
	a.edi(1)
	a.rsiIsStack()
	a.emit(0x44, 0x89, 0xe2) // mov edx, r12d
	a.syscall(sysWrite)
	return nothing
}

// number reads how long the answer is, byte by byte, into r13d. It jumps to where
// gone is called when standard input has ended.
func (a *asm) number() (gone []func()) {
	for i := range uint32(4) {
		a.edi(0)
		a.rsiIsNumber(i)
		a.edx(1)
		a.syscall(sysRead)
		a.emit(0x85, 0xc0) // test eax, eax
		gone = append(gone, a.jump(ifNotPositive))
	}
	a.emit(0x44, 0x8b, 0xac, 0x24) // mov r13d, [rsp+buffer]
	a.imm32(relayBuffer)
	return gone
}

// copyBody copies a part of the answer, of which r13d bytes are left, to the client.
func (a *asm) copyBody() (gone func()) {
	a.edi(0)
	a.rsiIsStack()
	a.edx(relayBuffer)
	a.emit(0x41, 0x39, 0xd5)       // cmp r13d, edx
	a.emit(0x41, 0x0f, 0x42, 0xd5) // cmovb edx, r13d
	a.syscall(sysRead)
	a.emit(0x85, 0xc0) // test eax, eax
	gone = a.jump(ifNotPositive)
	a.emit(0x41, 0x89, 0xc4) // mov r12d, eax
	a.emit(0x41, 0x29, 0xc5) // sub r13d, eax
	a.ediIsConnection()
	a.rsiIsStack()
	a.emit(0x44, 0x89, 0xe2) // mov edx, r12d
	a.syscall(sysWrite)      // a client that has gone does not need it
	return gone
}

// rsiIsNumber is lea rsi, [rsp+buffer+at].
func (a *asm) rsiIsNumber(at uint32) {
	a.emit(0x48, 0x8d, 0xb4, 0x24)
	a.imm32(relayBuffer + at)
}

// Conditions of a jump, as the second byte of jcc rel32.
const (
	ifZero        = 0x84
	ifNotPositive = 0x8e // jle
)

// jump jumps on a condition to where the function that it returns is called.
func (a *asm) jump(condition byte) (here func()) {
	a.emit(0x0f, condition)
	at := len(a.code)
	a.imm32(0)
	return func() { binary.LittleEndian.PutUint32(a.code[at:], uint32(len(a.code)-at-4)) }
}
