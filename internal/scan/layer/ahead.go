package layer

import (
	"context"
	"errors"
	"io"
)

// Ahead reads r in a goroutine of its own, so that one core decompresses while
// another looks at what came. Its Seek skips forwards without copying, which is
// what archive/tar does with contents that nobody asks for. Close ends the
// goroutine and waits for it; see, when not nil, is given every byte in order.
func Ahead(ctx context.Context, r io.Reader, see io.Writer) *AheadReader {
	ctx, cancel := context.WithCancel(ctx)
	a := &AheadReader{full: make(chan chunk, 2), free: make(chan []byte, 4), cancel: cancel, done: make(chan struct{})}
	for range cap(a.free) {
		a.free <- make([]byte, 256<<10)
	}
	go a.fill(ctx, r, see)
	return a
}

// AheadReader is what Ahead returns.
type AheadReader struct {
	full   chan chunk
	free   chan []byte
	cancel context.CancelFunc
	done   chan struct{}

	now  []byte // the chunk that is being read
	left []byte // what is unread of it
	pos  int64
	err  error
}

type chunk struct {
	b   []byte
	n   int
	err error
}

func (a *AheadReader) fill(ctx context.Context, r io.Reader, see io.Writer) {
	defer close(a.done)
	for {
		var b []byte
		select {
		case b = <-a.free:
		case <-ctx.Done():
			a.full <- chunk{err: context.Cause(ctx)}
			return
		}
		n, err := io.ReadFull(r, b)
		if errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
			err = nil // the next read says why
		}
		if see != nil {
			if _, werr := see.Write(b[:n]); werr != nil {
				err = werr
			}
		}
		select {
		case a.full <- chunk{b, n, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (a *AheadReader) next() error {
	if a.err != nil {
		return a.err
	}
	if a.now != nil {
		a.free <- a.now
		a.now = nil
	}
	var c chunk
	select {
	case c = <-a.full:
	case <-a.done: // what it sent before it ended is still there
		select {
		case c = <-a.full:
		default:
			c.err = io.ErrUnexpectedEOF
		}
	}
	a.now, a.left, a.err = c.b, c.b[:c.n], c.err
	return nil
}

// Read implements io.Reader.
func (a *AheadReader) Read(p []byte) (int, error) {
	for len(a.left) == 0 {
		if err := a.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, a.left)
	a.left = a.left[n:]
	a.pos += int64(n)
	return n, nil
}

// Seek skips forwards from the current place; anything else is an error.
func (a *AheadReader) Seek(off int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || off < 0 {
		return 0, errors.New("seek in a stream: only forwards")
	}
	for off > 0 {
		n := min(off, int64(len(a.left)))
		a.left = a.left[n:]
		a.pos += n
		if off -= n; off == 0 {
			break
		}
		if err := a.next(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return a.pos, err
		}
	}
	return a.pos, nil
}

// Drain reads to the end and reports what is wrong there.
func (a *AheadReader) Drain() error {
	for {
		if err := a.next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Close ends the reading.
func (a *AheadReader) Close() error {
	a.cancel()
	for {
		select {
		case <-a.full:
		case <-a.done:
			return nil
		}
	}
}
