package balancer

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// relay carries the connections of one listener of a network load balancer.
type relay struct {
	l     *listener
	ctx   context.Context
	end   context.CancelFunc
	conns sync.WaitGroup
}

func newRelay(l *listener) *relay {
	r := &relay{l: l}
	r.ctx, r.end = context.WithCancel(l.b.ctx)
	return r
}

func (r *relay) close() {
	r.end()
	_ = r.l.socket.Close() // nothing comes of it that could fail
	r.conns.Wait()
}

func (r *relay) serve() {
	for {
		conn, err := r.l.socket.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				r.l.b.cfg.Logger.Error("a listener stopped", "listener", r.l.ARN, "error", err)
			}
			return
		}
		r.conns.Go(func() { r.carry(conn) })
	}
}

// carry connects a client with a target until both are done, or nothing moves
// for the idle timeout.
func (r *relay) carry(client net.Conn) {
	defer client.Close()
	b := r.l.b
	b.mu.Lock()
	var x *exchange
	if rule := b.rule(r.l.ARN); rule != nil && len(rule.Actions) > 0 {
		if g := b.group(rule.pick(rule.Actions[0].Groups)); g != nil {
			x = b.take(g)
		}
	}
	b.mu.Unlock()
	if x == nil {
		b.traffic.note("", "", 0, true)
		return
	}
	server, err := r.l.lb.idle.dial(r.ctx, "tcp", x.address)
	defer func() { b.finish(x, 0, err != nil) }()
	if err != nil {
		return
	}
	stop := context.AfterFunc(r.ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	join(&idleConn{client, r.l.lb.idle}, server)
}

// join copies both ways and passes on that one side has finished sending.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // how a side ends is its own affair
			finish(way[0])
		})
	}
	both.Wait()
	_ = b.Close() // a is its owner's
}

// finish tells the other side that nothing more comes.
func finish(c net.Conn) {
	for {
		switch conn := c.(type) {
		case *idleConn:
			c = conn.Conn
		case *clientConn:
			c = conn.Conn
		case *net.TCPConn:
			_ = conn.CloseWrite() // it may be closed already
			return
		default:
			return
		}
	}
}
