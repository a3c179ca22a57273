package sandbox

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of a connection. There is none for a whole request, since a layer may take
// long, and events may be awaited for ever: what is bounded is how long nothing
// moves, and how slowly a body may come.
const (
	headerTime = 10 * time.Second
	headerSize = 64 << 10
	idleTime   = 2 * time.Minute
	stallTime  = time.Minute
	leastRate  = 1 << 10 // bytes of a body a second, once stallTime is over
	mostIdle   = 1000    // connections on which nothing is asked
	sendChunk  = 4 << 20 // bytes that stallTime is for, of a long answer
)

// newHTTP is a server within these bounds.
func newHTTP(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerSize,
		ConnState:         new(crowd).state,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// patient reads a body as long as enough of it comes.
type patient struct {
	io.ReadCloser
	connection *http.ResponseController
	began      time.Time
	received   int64
}

func newPatient(body io.ReadCloser, w http.ResponseWriter) *patient {
	return &patient{ReadCloser: body, connection: http.NewResponseController(w), began: time.Now()}
}

func (p *patient) Read(b []byte) (int, error) {
	deadline := time.Now().Add(stallTime)
	if slowest := p.began.Add(stallTime + time.Duration(p.received)*time.Second/leastRate); slowest.Before(deadline) {
		deadline = slowest
	}
	// Not every writer has a connection (tests); without one there is nothing
	// to wait for.
	_ = p.connection.SetReadDeadline(deadline)
	n, err := p.ReadCloser.Read(b)
	p.received += int64(n)
	if err == nil || err == io.EOF { // a deadline that stays would end the request's context later on
		_ = p.connection.SetReadDeadline(time.Time{})
	}
	return n, err
}

// leave bounds what the server reads after the handler, of a body that was not read.
func (p *patient) leave() { _ = p.connection.SetReadDeadline(time.Now().Add(stallTime)) }

// sender writes an answer as long as its client takes it, or as long as the handler
// says that asks for a deadline of its own.
type sender struct {
	http.ResponseWriter
	connection *http.ResponseController
	handlers   bool // the deadline is the handler's
}

func newSender(w http.ResponseWriter) *sender {
	s := &sender{ResponseWriter: w, connection: http.NewResponseController(w)}
	s.wait() // the connection may have another request's deadline
	return s
}

// wait bounds what is written next; without a connection (tests) nothing waits.
func (s *sender) wait() {
	if !s.handlers {
		_ = s.connection.SetWriteDeadline(time.Now().Add(stallTime))
	}
}

// SetWriteDeadline is for [http.ResponseController].
func (s *sender) SetWriteDeadline(t time.Time) error {
	s.handlers = true
	return s.connection.SetWriteDeadline(t)
}

func (s *sender) Write(b []byte) (int, error) {
	s.wait()
	return s.ResponseWriter.Write(b)
}

// ReadFrom sends a file in parts, each by the kernel where that can be.
func (s *sender) ReadFrom(r io.Reader) (int64, error) {
	var sent int64
	for {
		s.wait()
		n, err := io.CopyN(s.ResponseWriter, r, sendChunk)
		sent += n
		if err == io.EOF {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
}

// Flush sends what was written.
func (s *sender) Flush() { _ = s.FlushError() } // a client that has gone needs nothing

// FlushError is Flush for [http.ResponseController].
func (s *sender) FlushError() error {
	s.wait()
	return s.connection.Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (s *sender) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// crowd keeps many connections on which nothing is asked from taking the places of
// those that ask: beyond mostIdle, the one goes that has been silent longest.
type crowd struct {
	mu     sync.Mutex
	silent []net.Conn // the longest first
}

// state is the server's ConnState.
func (c *crowd) state(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.silent {
		if other == conn {
			c.silent = append(c.silent[:i], c.silent[i+1:]...)
			break
		}
	}
	if s != http.StateNew && s != http.StateIdle {
		return
	}
	c.silent = append(c.silent, conn)
	if len(c.silent) > mostIdle {
		_ = c.silent[0].Close() // its end is the server's to notice
		c.silent = c.silent[1:]
	}
}
