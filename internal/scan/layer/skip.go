package layer

import (
	"errors"
	"io"
)

// Skipper buffers a reader that can seek, in pieces small enough that skipping
// over a file's contents costs next to nothing.
func Skipper(r io.ReadSeeker) io.ReadSeeker { return &skipper{r: r, buf: make([]byte, 64<<10)} }

type skipper struct {
	r        io.ReadSeeker
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
