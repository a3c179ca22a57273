package layer

import (
	"context"
	"errors"
	"io"
)

// Ahead reads r in a goroutine of its own, so that one core decompresses while
// another looks at what came. Its Seek skips forwards without copying, which is
// what archive/tar does with contents that nobody asks for. see, when not nil,
// is given every byte in order, in another goroutine. Close ends them and waits.
func Ahead(ctx context.Context, r io.Reader, see io.Writer) *AheadReader {
	ctx, cancel := context.WithCancel(ctx)
	a := &AheadReader{full: make(chan chunk, 2), free: make(chan []byte, 6), cancel: cancel, done: make(chan struct{}), cause: func() error { return context.Cause(ctx) }}
	for range cap(a.free) {
		a.free <- make([]byte, 128<<10)
	}
	if see == nil {
		go func() { defer close(a.done); a.fill(ctx, r, a.full) }()
		return a
	}
	read := make(chan chunk, 2)
	go func() { defer close(read); a.fill(ctx, r, read) }()
	go func() { defer close(a.done); a.show(ctx, read, see) }()
	return a
}

// AheadReader is what Ahead returns.
type AheadReader struct {
	full   chan chunk
	free   chan []byte
	cancel context.CancelFunc
	done   chan struct{}
	cause  func() error

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

// fill reads chunks until one ends with an error, io.EOF included.
func (a *AheadReader) fill(ctx context.Context, r io.Reader, to chan<- chunk) {
	for {
		var c chunk
		select {
		case c.b = <-a.free:
		case <-ctx.Done():
			return
		}
		c.n, c.err = io.ReadFull(r, c.b)
		if errors.Is(c.err, io.ErrUnexpectedEOF) && c.n > 0 {
			c.err = nil // the next read says why
		}
		select {
		case to <- c:
		case <-ctx.Done():
			return
		}
		if c.err != nil {
			return
		}
	}
}

// show gives each chunk to see before it passes it on.
func (a *AheadReader) show(ctx context.Context, from <-chan chunk, see io.Writer) {
	for c := range from {
		if _, err := see.Write(c.b[:c.n]); err != nil {
			c.err = err
		}
		select {
		case a.full <- c:
		case <-ctx.Done():
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
	c, ok := a.receive()
	if !ok {
		a.err = a.cause()
		return a.err
	}
	a.now, a.left, a.err = c.b, c.b[:c.n], c.err
	return nil
}

// receive waits for a chunk; what was sent before the end is still there.
func (a *AheadReader) receive() (chunk, bool) {
	select {
	case c := <-a.full:
		return c, true
	case <-a.done:
	}
	select {
	case c := <-a.full:
		return c, true
	default:
		return chunk{}, false
	}
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
			return a.pos, unexpected(err)
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
	<-a.done
	return nil
}
