package native

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// What is kept of one file: maxMemory bytes in memory, what goes beyond in a
// temporary file of at most maxSpill bytes. Nothing past maxReach is read at
// all: a sparse file can claim to be as long as it likes.
const (
	maxMemory = 8 << 20
	maxSpill  = 256 << 20
	maxReach  = 2 << 30
)

// errLost says that a part of the file was wanted after it had passed.
var errLost = errors.New("lies where a single pass does not reach it")

// part is a stretch of the file that was kept.
type part struct {
	off, end int64
	at       int64 // where it begins in the memory or the temporary file
	spilled  bool
}

// capture is an io.ReaderAt over the parts that were kept of a file which can
// be read only forwards.
type capture struct {
	r         io.Reader
	pos, size int64
	parts     []part
	mem       []byte
	dir       string
	spill     *os.File
	spillLen  int64
	failed    error // of r or the temporary file, not of the contents
}

// keep reads on until the stretch [off, off+n) is held, as far as the file and
// the limits go. A stretch that has passed already is held or lost; ReadAt tells.
func (c *capture) keep(off, n int64) {
	if off < 0 || n <= 0 || off >= c.size || c.failed != nil {
		return
	}
	end := c.size
	if n < c.size-off {
		end = off + n
	}
	if end = min(end, maxReach); off < c.pos {
		off = c.pos
	}
	if off >= end {
		return
	}
	if !c.skip(off - c.pos) {
		return
	}
	if room := int64(maxMemory - len(c.mem)); room > 0 && off < end {
		off += c.hold(off, min(room, end-off))
	}
	if room := maxSpill - c.spillLen; room > 0 && off < end && c.failed == nil && c.pos == off {
		c.overflow(off, min(room, end-off))
	}
}

func (c *capture) skip(n int64) bool {
	if n == 0 {
		return true
	}
	m, err := io.CopyN(io.Discard, c.r, n)
	c.pos += m
	if err != nil {
		c.failed = fmt.Errorf("skip to a part of a binary: %w", unexpected(err))
	}
	return err == nil
}

// hold keeps n bytes in memory and says how many came.
func (c *capture) hold(off, n int64) int64 {
	at := len(c.mem)
	var got int64
	for got < n { // in steps: a size that the file does not have allocates nothing
		step := min(n-got, 256<<10)
		c.mem = append(c.mem, make([]byte, step)...)
		m, err := io.ReadFull(c.r, c.mem[len(c.mem)-int(step):])
		got += int64(m)
		if err != nil {
			c.mem = c.mem[:at+int(got)]
			c.failed = fmt.Errorf("read a binary: %w", unexpected(err))
			break
		}
	}
	c.pos += got
	c.parts = append(c.parts, part{off: off, end: off + got, at: int64(at)})
	return got
}

func (c *capture) overflow(off, n int64) {
	if c.spill == nil {
		f, err := os.CreateTemp(c.dir, "weelo-deploy-scan-*")
		if err != nil {
			c.spillLen = maxSpill // no room there: what lies beyond the memory is lost
			return
		}
		c.spill = f
	}
	m, err := io.CopyN(c.spill, c.r, n)
	c.pos += m
	c.parts = append(c.parts, part{off: off, end: off + m, at: c.spillLen, spilled: true})
	c.spillLen += m
	if err != nil {
		c.failed = fmt.Errorf("keep a large binary: %w", unexpected(err))
	}
}

// ReadAt reads what was kept; errLost is the answer for the rest of the file,
// io.EOF for what is past its end.
func (c *capture) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := c.readSome(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (c *capture) readSome(p []byte, off int64) (int, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	for _, x := range c.parts {
		if off < x.off || off >= x.end {
			continue
		}
		p = p[:min(int64(len(p)), x.end-off)]
		at := x.at + off - x.off
		if !x.spilled {
			return copy(p, c.mem[at:]), nil
		}
		return c.spill.ReadAt(p, at)
	}
	return 0, errLost
}

func (c *capture) close() {
	if c.spill != nil {
		c.spill.Close()
		os.Remove(c.spill.Name())
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
