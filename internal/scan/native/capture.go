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
	maxMemory = 12 << 20
	maxSpill  = 256 << 20
	maxReach  = 2 << 30
)

// windowLen is what is read at once of a file that can be read anywhere, in
// bytes, a power of two.
const windowLen = 4 << 10

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
	at        io.ReaderAt // the file itself, where it can be read anywhere
	pos, size int64
	parts     []part
	mem       []byte
	from      int64 // where mem begins in the file, when at is set
	dir       string
	spill     *os.File
	spillLen  int64
	failed    error // of r or the temporary file, not of the contents
}

// keep reads on until the stretch [off, off+n) is held, as far as the file and
// the limits go. A stretch that has passed already is held or lost; ReadAt tells.
func (c *capture) keep(off, n int64) {
	if off < 0 || n <= 0 || off >= c.size || c.failed != nil || c.at != nil {
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
	if int64(cap(c.mem)-at) < n && n > 256<<10 {
		c.mem = append(make([]byte, 0, maxMemory), c.mem...) // once, for all files to come
	}
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
	if c.at != nil {
		return c.direct(p, off)
	}
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

// direct reads the file itself, through a window: most reads are of a few bytes
// close to one another.
func (c *capture) direct(p []byte, off int64) (int, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	if n := int64(len(p)); n > windowLen || off+n > c.size {
		m, err := c.at.ReadAt(p[:min(n, c.size-off)], off)
		if err == nil && int64(m) < n {
			err = io.EOF
		}
		return m, err
	}
	if off < c.from || off+int64(len(p)) > c.from+int64(len(c.mem)) {
		c.from = off &^ (windowLen/4 - 1)
		c.mem = append(c.mem[:0], make([]byte, min(windowLen+windowLen/4, c.size-c.from))...)
		if _, err := c.at.ReadAt(c.mem, c.from); err != nil {
			c.mem, c.failed = c.mem[:0], fmt.Errorf("read a binary: %w", unexpected(err))
			return 0, c.failed
		}
	}
	return copy(p, c.mem[off-c.from:]), nil
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
