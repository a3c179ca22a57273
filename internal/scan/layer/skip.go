package layer

import (
	"bufio"
	"errors"
	"io"
)

// Skipper buffers a tar that can be read anywhere, in pieces small enough that
// skipping over a file's contents costs next to nothing. Read looks into the
// binaries of such a tar where they are.
func Skipper(r ReadSeekerAt) io.ReadSeeker { return &skipper{r: r, buf: make([]byte, 8<<10)} }

// ReadSeekerAt is a file, or a part of one.
type ReadSeekerAt interface {
	io.ReadSeeker
	io.ReaderAt
}

type skipper struct {
	r        ReadSeekerAt
	buf      []byte
	from, to int // what is unread of buf
	pos      int64
}

func (s *skipper) Read(p []byte) (int, error) {
	if s.from == s.to {
		if len(p) >= len(s.buf) {
			n, err := s.r.Read(p)
			s.pos += int64(n)
			return n, err
		}
		n, err := s.r.Read(s.buf)
		if s.from, s.to = 0, n; n == 0 {
			return 0, err
		}
	}
	n := copy(p, s.buf[s.from:s.to])
	s.from += n
	s.pos += int64(n)
	return n, nil
}

// Seek skips forwards from the current place; anything else is an error.
func (s *skipper) Seek(off int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || off < 0 {
		return 0, errors.New("seek in a layer: only forwards")
	}
	held := int64(s.to - s.from)
	if off > held {
		if _, err := s.r.Seek(off-held, io.SeekCurrent); err != nil {
			return s.pos, err
		}
		s.from = s.to
	} else {
		s.from += int(off)
	}
	s.pos += off
	return s.pos, nil
}

// Forward buffers a tar that can only be read in its order. Its Seek skips
// forwards without copying.
func Forward(r io.Reader) io.ReadSeeker { return &forward{b: bufio.NewReaderSize(r, 128<<10)} }

type forward struct {
	b   *bufio.Reader
	pos int64
}

func (f *forward) Read(p []byte) (int, error) {
	n, err := f.b.Read(p)
	f.pos += int64(n)
	return n, err
}

func (f *forward) Seek(off int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || off < 0 {
		return 0, errors.New("seek in a stream: only forwards")
	}
	for off > 0 {
		n, err := f.b.Discard(int(min(off, 1<<30)))
		f.pos += int64(n)
		if off -= int64(n); err != nil {
			return f.pos, unexpected(err)
		}
	}
	return f.pos, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
