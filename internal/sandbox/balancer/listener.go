package balancer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listener is a listener with its socket.
type listener struct {
	Listener
	b       *Balancer
	lb      *balancer
	socket  net.Listener
	handler *proxy
	server  *http.Server // nil: it carries TCP
	tcp     *relay
}

// open makes a listener listen: on the port that it asks for, and on any when
// that one is taken or not for us.
func (b *Balancer) open(given Listener, lb *balancer) (*listener, error) {
	l := &listener{Listener: given, b: b, lb: lb}
	socket, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(given.Port)))
	if err != nil {
		socket, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", given.ARN, err)
	}
	l.socket = &boundedListener{Listener: socket, slots: make(chan struct{}, maxClients), idle: lb.idle}
	if lb.Type == Network {
		l.tcp = newRelay(l)
		b.work.Go(l.tcp.serve)
		return l, nil
	}
	l.handler = newProxy(l)
	l.server = &http.Server{
		Handler: l.handler, ReadHeaderTimeout: headerTime, IdleTimeout: lb.idle.get(), MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(b.cfg.Logger.Handler(), slog.LevelDebug),
	}
	b.work.Go(func() {
		if err := l.server.Serve(l.socket); !errors.Is(err, http.ErrServerClosed) {
			b.cfg.Logger.Error("a listener stopped", "listener", l.ARN, "error", err)
		}
	})
	return l, nil
}

// headerTime bounds how long a client may take to say what it wants.
const headerTime = 10 * time.Second

// closeTime is for requests under way when a listener is deleted or the sandbox
// ends.
const closeTime = time.Second

// close ends the listener. It must not be called with the balancer's lock.
func (l *listener) close() {
	if l.server == nil {
		l.tcp.close()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil {
		_ = l.server.Close() // whoever keeps its connection is cut off
	}
	l.handler.close()
}

// ListenerStatus says where a listener is reached.
type ListenerStatus struct {
	ARN      string `json:"arn"`
	Protocol string `json:"protocol"`
	Port     int    `json:"port"`    // that clients of AWS would use
	Address  string `json:"address"` // host:port here
}

// Status says where a load balancer is reached.
type Status struct {
	Name      string           `json:"name"`
	ARN       string           `json:"arn"`
	Type      string           `json:"type"`
	DNSName   string           `json:"dnsName"`
	Listeners []ListenerStatus `json:"listeners"`
}

// Status lists the load balancers and where they are reached.
func (b *Balancer) Status() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Status, 0, len(b.balancers))
	for _, lb := range b.balancers {
		s := Status{Name: lb.Name, ARN: lb.ARN, Type: lb.Type, DNSName: lb.DNSName, Listeners: []ListenerStatus{}}
		for _, l := range b.listenersOf(lb.ARN) {
			s.Listeners = append(s.Listeners, ListenerStatus{
				ARN: l.ARN, Protocol: l.Protocol, Port: l.Port, Address: l.socket.Addr().String(),
			})
		}
		list = append(list, s)
	}
	return list
}

// listenersOf lists the listeners of a load balancer by port.
func (b *Balancer) listenersOf(arn string) []*listener {
	var list []*listener
	for _, l := range b.listeners {
		if l.LoadBalancer == arn {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *listener) int { return a.Port - b.Port })
	return list
}

// Handler returns what answers requests to an application load balancer by its
// DNS name on another listener, such as the sandbox's own, or nil when the Host
// names none. The listener with the lowest port answers; PORT.NAME picks another.
func (b *Balancer) Handler(host string) http.Handler {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if !strings.HasSuffix(host, domain) {
		return nil
	}
	port := 0
	if first, rest, ok := strings.Cut(host, "."); ok {
		if n, err := strconv.Atoi(first); err == nil {
			port, host = n, rest
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	lb := find(b.balancers, func(lb *balancer) bool { return strings.EqualFold(lb.DNSName, host) })
	if lb == nil {
		return nil
	}
	for _, l := range b.listenersOf(lb.ARN) {
		if l.handler != nil && (port == 0 || port == l.Port) {
			return l.handler
		}
	}
	return nil
}

// domain ends the DNS names of load balancers. Names under localhost are this
// machine (RFC 6761).
const domain = ".elb.localhost"
