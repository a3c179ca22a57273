package balancer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// proxy carries the requests of one listener of an application load balancer.
type proxy struct {
	l     *listener
	carry *httputil.ReverseProxy
	ctx   context.Context // ends with the listener
	close context.CancelFunc
}

// exchange is one request with the target that it goes to.
type exchange struct {
	group   *group
	target  *target
	scheme  string
	address string
	failed  bool // the answer is not the target's, or broke off
}

type exchangeKey struct{}

func newProxy(l *listener) *proxy {
	p := &proxy{l: l}
	p.ctx, p.close = context.WithCancel(l.b.ctx)
	p.carry = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: l.lb.transport, FlushInterval: -1, ErrorHandler: p.fail,
		ErrorLog: slog.NewLogLogger(l.b.cfg.Logger.Handler(), slog.LevelDebug),
	}
	return p
}

// newTransport is what a load balancer speaks to its targets with. Connections
// are used again. When a target closes one while it is idle, a request that was
// just being sent on it is sent once more on another if it is idempotent and has
// no body (net/http's rule); others are a 502, as AWS documents for all.
func newTransport(idle *idleTime) *http.Transport {
	return &http.Transport{
		DialContext: idle.dial, MaxIdleConnsPerHost: maxIdle, MaxConnsPerHost: maxTarget,
		DisableCompression: true, MaxResponseHeaderBytes: maxHeader, TLSClientConfig: unverified(),
	}
}

// ServeHTTP answers one request.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action, x := p.l.b.route(p.l, r)
	if x == nil {
		status := answer(w, r, p.l, action)
		group := ""
		if action.Type == Forward && len(action.Groups) == 1 {
			group = action.Groups[0].Group
		}
		p.l.b.traffic.note(group, "", status, action.Type == Forward)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	r = r.WithContext(context.WithValue(ctx, exchangeKey{}, x))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &patientBody{r.Body, http.NewResponseController(w), p.l.lb.idle}
	}
	noted := &statusWriter{ResponseWriter: w}
	done := false
	defer func() { // also when the answer breaks off, which is a panic
		broke := !done && ctx.Err() == nil
		p.l.b.finish(x, noted.status, x.failed || broke)
	}()
	p.carry.ServeHTTP(noted, r)
	done = true
}

// rewrite turns a client's request into the target's.
func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	x := r.In.Context().Value(exchangeKey{}).(*exchange)
	r.Out.URL.Scheme, r.Out.URL.Host = x.scheme, x.address
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.Out.Host = r.In.Host
	client, _, err := net.SplitHostPort(r.In.RemoteAddr)
	if err != nil {
		client = r.In.RemoteAddr
	}
	h := r.Out.Header
	h.Set("X-Forwarded-For", strings.Join(append(r.In.Header.Values("X-Forwarded-For"), client), ", "))
	h.Set("X-Forwarded-Proto", strings.ToLower(p.l.Protocol))
	h.Set("X-Forwarded-Port", strconv.Itoa(p.l.Port))
	if h.Get("X-Amzn-Trace-Id") == "" {
		h.Set("X-Amzn-Trace-Id", traceID())
	}
}

func traceID() string {
	var id [12]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	return fmt.Sprintf("Root=1-%08x-%s", time.Now().Unix(), hex.EncodeToString(id[:]))
}

// fail answers for a target that did not.
func (p *proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := r.Context().Value(exchangeKey{}).(*exchange)
	if r.Context().Err() != nil {
		// The client has gone, or the listener is ending: nobody reads an answer.
		panic(http.ErrAbortHandler)
	}
	x.failed = true
	status := http.StatusBadGateway
	if timedOut(err) {
		status = http.StatusGatewayTimeout
	}
	p.l.b.cfg.Logger.Debug("a target did not answer", "target", x.address, "error", err)
	writeError(w, status)
}

// writeError answers as an application load balancer does.
func writeError(w http.ResponseWriter, status int) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if status == http.StatusServiceUnavailable {
		title = "503 Service Temporarily Unavailable"
	}
	if status == http.StatusGatewayTimeout {
		title = "504 Gateway Time-out"
	}
	body := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n</body>\r\n</html>\r\n"
	h := w.Header()
	h.Set("Server", "awselb/2.0")
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has gone does not need it
}

// route decides where a request goes. Without an exchange the load balancer
// answers by itself: as the action says, or 503 when it is to forward.
func (b *Balancer) route(l *listener, r *http.Request) (Action, *exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rule := b.ruleFor(l, r)
	if rule == nil {
		return Action{Type: Forward}, nil
	}
	action := rule.Actions[len(rule.Actions)-1]
	if action.Type != Forward {
		return action, nil
	}
	g := b.group(rule.pick(action.Groups))
	if g == nil {
		return action, nil
	}
	x := b.take(g)
	if x == nil {
		return Action{Type: Forward, Groups: []Weighted{{Group: g.ARN}}}, nil
	}
	return action, x
}

// take picks a target of a group for a request and counts it as under way.
func (b *Balancer) take(g *group) *exchange {
	t := g.choose()
	if t == nil {
		return nil
	}
	t.inFlight++
	x := &exchange{group: g, target: t, scheme: strings.ToLower(g.Protocol), address: t.address(t.Port)}
	if x.address == "" {
		x.address = unreachableAddress
	}
	return x
}

// unreachableAddress stands for targets that are not on this machine: nothing
// listens at port 0.
const unreachableAddress = "127.0.0.1:0"

// finish counts a request that has ended.
func (b *Balancer) finish(x *exchange, status int, failed bool) {
	b.mu.Lock()
	if x.target.inFlight--; x.target.over && x.target.inFlight == 0 {
		b.leave(x.group, x.target)
	}
	group, target := x.group.ARN, net.JoinHostPort(x.target.ID, strconv.Itoa(x.target.Port))
	b.mu.Unlock()
	b.traffic.note(group, target, status, failed)
}

// pick chooses one of weighted target groups, evenly: with 9 and 1 every tenth
// request goes to the second one.
func (r *rule) pick(groups []Weighted) string {
	if len(groups) == 1 {
		return groups[0].Group
	}
	best, total := "", 0
	for _, w := range groups {
		if w.Weight <= 0 {
			continue
		}
		total += w.Weight
		r.current[w.Group] += w.Weight
		if best == "" || r.current[w.Group] > r.current[best] {
			best = w.Group
		}
	}
	if best != "" {
		r.current[best] -= total
	}
	return best
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status < 200 && w.status != http.StatusSwitchingProtocols {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// patientBody is read as long as something comes within the idle timeout.
type patientBody struct {
	io.ReadCloser
	connection *http.ResponseController
	idle       *idleTime
}

func (p *patientBody) Read(b []byte) (int, error) {
	_ = p.connection.SetReadDeadline(time.Now().Add(p.idle.get()))
	n, err := p.ReadCloser.Read(b)
	// A deadline that stays would end the request's context later on.
	_ = p.connection.SetReadDeadline(time.Time{})
	return n, err
}
