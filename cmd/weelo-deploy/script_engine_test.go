package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	control "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/solver/pb"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdForeignEngine: foreign-engine — from here on DOCKER_HOST is the real engine
// as if it ran on arm64; foreign-engine builds N — it was asked for so many builds.
func cmdForeignEngine(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	switch {
	case neg:
		ts.Fatalf("foreign-engine cannot be negated")
	case len(args) == 2 && args[0] == "builds":
		if got := fmt.Sprint(w.solves.Load()); got != args[1] {
			ts.Fatalf("the engine was asked for %s builds, want %s", got, args[1])
		}
	case len(args) == 0:
		dir, err := os.MkdirTemp("", "engine") // a socket's path is short
		ts.Check(err)
		l, err := net.Listen("unix", filepath.Join(dir, "s"))
		ts.Check(err)
		p := newForeignEngine(realEngine(ts), &w.solves)
		server := &http.Server{Handler: p}
		go server.Serve(l)
		ts.Defer(func() { server.Close(); p.close(); os.RemoveAll(dir) })
		ts.Setenv("DOCKER_HOST", "unix://"+l.Addr().String())
	default:
		ts.Fatalf("usage: foreign-engine [builds N]")
	}
}

// realEngine dials the engine that the tests use.
func realEngine(ts *testscript.TestScript) func(context.Context) (net.Conn, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	u, err := url.Parse(host)
	ts.Check(err)
	network, address := u.Scheme, u.Host
	if network == "unix" {
		address = u.Path
	}
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, address) }
}

// foreignEngine passes everything on to an engine and changes what the engine
// says of its architecture: in /version and /info, and in BuildKit's list of
// workers, where the amd64 that it really has comes second, as with an emulator.
type foreignEngine struct {
	dial   func(context.Context) (net.Conn, error)
	api    *httputil.ReverseProxy
	solves *atomic.Int64

	mu    sync.Mutex
	conns []io.Closer
}

func newForeignEngine(dial func(context.Context) (net.Conn, error), solves *atomic.Int64) *foreignEngine {
	p := &foreignEngine{dial: dial, solves: solves}
	p.api = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		Transport:      &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }},
		ModifyResponse: claimARM,
		FlushInterval:  -1,
	}
	return p
}

func (p *foreignEngine) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

func (p *foreignEngine) keep(c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
}

func (p *foreignEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/grpc") {
		if err := p.buildKit(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
		return
	}
	p.api.ServeHTTP(w, r)
}

// claimARM rewrites the architecture of /version and /info.
func claimARM(res *http.Response) error {
	if p := res.Request.URL.Path; !strings.HasSuffix(p, "/version") && !strings.HasSuffix(p, "/info") {
		return nil
	}
	var m map[string]any
	err := json.NewDecoder(res.Body).Decode(&m)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	for key, value := range map[string]string{"Arch": "arm64", "Architecture": "aarch64"} {
		if _, ok := m[key]; ok {
			m[key] = value
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	res.Header.Set("Content-Length", strconv.Itoa(len(b)))
	return nil
}

// buildKit upgrades both sides to HTTP/2 and passes the gRPC calls on, one by
// one.
func (p *foreignEngine) buildKit(w http.ResponseWriter, r *http.Request) error {
	out := r.Clone(context.WithoutCancel(r.Context())) // the connection outlives this request
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", "engine", ""
	res, err := p.api.Transport.RoundTrip(out)
	if err != nil {
		return err
	}
	engineSide, ok := res.Body.(io.ReadWriteCloser)
	if res.StatusCode != http.StatusSwitchingProtocols || !ok {
		return fmt.Errorf("the engine answers /grpc with %s", res.Status)
	}
	p.keep(engineSide)
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return err
	}
	p.keep(conn)
	if _, err := io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"); err != nil {
		return err
	}
	var h2 http.Protocols
	h2.SetUnencryptedHTTP2(true)
	calls := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "buildkit" },
		// There is one connection: a second call waits for it instead of dialling.
		Transport: &http.Transport{Protocols: &h2, MaxConnsPerHost: 1, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return pipeConn{conn, engineSide, engineSide}, nil
		}},
		ModifyResponse: claimARMWorker,
	}
	server := &http.Server{Protocols: &h2, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/Solve") {
			p.solves.Add(1)
		}
		calls.ServeHTTP(w, r)
	})}
	p.keep(server)
	go server.Serve(&oneConn{c: pipeConn{conn, buffered.Reader, conn}, done: make(chan struct{})})
	return nil
}

// claimARMWorker rewrites BuildKit's answer to ListWorkers, a single gRPC message
// (one byte of flags, four of length, then the message).
func claimARMWorker(res *http.Response) error {
	if !strings.HasSuffix(res.Request.URL.Path, "/ListWorkers") {
		return nil
	}
	raw, err := io.ReadAll(res.Body)
	if err != nil || len(raw) < 5 {
		return errors.Join(err, fmt.Errorf("BuildKit answers ListWorkers with %d bytes", len(raw)))
	}
	var m control.ListWorkersResponse
	if err := m.UnmarshalVT(raw[5:]); err != nil {
		return err
	}
	for _, w := range m.Record {
		w.Platforms = append([]*pb.Platform{{OS: "linux", Architecture: "arm64"}}, w.Platforms...)
	}
	b, err := m.MarshalVT()
	if err != nil {
		return err
	}
	framed := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
	res.Body = trailing{bytes.NewReader(framed), res.Body}
	return nil
}

// trailing is a body in place of another.
type trailing struct {
	io.Reader
	io.Closer
}

// pipeConn is a connection whose two directions are elsewhere.
type pipeConn struct {
	net.Conn
	r io.Reader
	w io.WriteCloser
}

func (c pipeConn) Read(b []byte) (int, error)  { return c.r.Read(b) }
func (c pipeConn) Write(b []byte) (int, error) { return c.w.Write(b) }
func (c pipeConn) Close() error                { return c.w.Close() }

// oneConn is a listener for a connection that is there already.
type oneConn struct {
	c    net.Conn
	once sync.Once
	done chan struct{}
}

func (l *oneConn) Accept() (c net.Conn, err error) {
	l.once.Do(func() { c = l.c })
	if c != nil {
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.c.LocalAddr() }
