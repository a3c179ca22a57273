package balancer

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// Bounds of connections.
const (
	dialTime   = 10 * time.Second // as an application load balancer
	maxHeader  = 64 << 10         // bytes
	maxClients = 2000             // connections of a listener; further ones wait
	maxIdle    = 64               // kept connections to a target
	maxTarget  = 2000             // connections to a target
)

// idleTime is a load balancer's idle timeout, which can change.
type idleTime struct{ nanoseconds atomic.Int64 }

func (i *idleTime) set(d time.Duration) { i.nanoseconds.Store(int64(d)) }
func (i *idleTime) get() time.Duration  { return time.Duration(i.nanoseconds.Load()) }

// idleConn is a connection to a target that ends when nothing has moved on it
// for the idle timeout, in use or not.
type idleConn struct {
	net.Conn
	idle *idleTime
}

func (c *idleConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.extend()
	return n, err
}

func (c *idleConn) Write(p []byte) (int, error) {
	c.extend()
	n, err := c.Conn.Write(p)
	c.extend()
	return n, err
}

func (c *idleConn) extend() {
	_ = c.SetDeadline(time.Now().Add(c.idle.get())) // a closed connection needs none
}

// dial opens a connection to a target.
func (i *idleTime) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTime}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &idleConn{conn, i}
	c.extend()
	return c, nil
}

// boundedListener accepts a bounded number of connections at once, and gives up
// clients that do not read.
type boundedListener struct {
	net.Listener
	slots chan struct{}
	idle  *idleTime
}

func (l *boundedListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &clientConn{Conn: conn, free: func() { <-l.slots }, idle: l.idle}, nil
}

// clientConn is a client's connection.
type clientConn struct {
	net.Conn
	idle   *idleTime
	free   func()
	closed atomic.Bool
}

func (c *clientConn) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(c.idle.get())) // a closed connection needs none
	return c.Conn.Write(p)
}

func (c *clientConn) Close() error {
	if !c.closed.Swap(true) {
		defer c.free()
	}
	return c.Conn.Close()
}
