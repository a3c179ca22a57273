package balancer

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a balancer with one load balancer, a listener and a target group.
type world struct {
	*testing.T
	*Balancer
	lb       LoadBalancer
	listener Listener
	group    TargetGroup
	news     chan string
	client   *http.Client
}

// newWorld starts one whose health checks come every 20 ms and whose draining
// takes 300 s divided by 1000.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, news: make(chan string, 1000), client: &http.Client{Transport: &http.Transport{}}}
	w.Balancer = New(Config{Speed: 1000, Changed: func(g string) { w.news <- g }})
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		if err := w.Balancer.Close(); err != nil {
			t.Error(err)
		}
	})
	w.lb = must[LoadBalancer](t)(w.CreateLoadBalancer(LoadBalancer{Name: "web"}))
	w.group = w.newGroup("blue")
	w.listener = must[Listener](t)(w.CreateListener(Listener{
		LoadBalancer: w.lb.ARN, Protocol: "HTTP", Port: 80,
		Default: []Action{{Type: Forward, Groups: []Weighted{{w.group.ARN, 1}}}},
	}))
	return w
}

func must[V any](t *testing.T) func(V, error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) newGroup(name string) TargetGroup {
	w.Helper()
	return must[TargetGroup](w.T)(w.CreateTargetGroup(TargetGroup{Name: name, Protocol: "HTTP", Port: 8080, TargetType: "ip", Check: HealthCheck{Path: "/health"}}))
}

// target starts a target that answers its health check and everything else by h,
// and registers it as 10.0.0.N:8080.
func (w *world) target(group string, n int, h http.Handler) (Target, *httptest.Server) {
	w.Helper()
	s := httptest.NewServer(h)
	w.Cleanup(s.Close)
	t := Target{ID: "10.0.0." + strconv.Itoa(n), Port: 8080, Reach: map[int]string{8080: s.Listener.Addr().String()}}
	if err := w.Register(group, t); err != nil {
		w.Fatal(err)
	}
	return t, s
}

// says answers a text, and health checks with 200.
func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// await waits until a target is in a state.
func (w *world) await(group string, t Target, state string) TargetHealth {
	w.Helper()
	deadline := time.After(10 * time.Second)
	for {
		h, err := w.Target(group, t.ID, t.Port)
		if err != nil {
			w.Fatal(err)
		}
		if h.State == state {
			return h
		}
		select {
		case <-w.news:
		case <-deadline:
			w.Fatalf("target %s is %+v, want %s", t.ID, h, state)
		}
	}
}

func (w *world) address() string {
	w.Helper()
	return w.Status()[0].Listeners[0].Address
}

// get asks through the load balancer.
func (w *world) get(path string) (int, string) {
	w.Helper()
	resp, err := w.client.Get("http://" + w.address() + path)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// wantStatus asks and compares the status of the answer.
func (w *world) wantStatus(want int) {
	w.Helper()
	if got, body := w.get("/"); got != want {
		w.Fatalf("the answer is %d (%q), want %d", got, body, want)
	}
}

// texts asks n times and counts the answers by their text.
func (w *world) texts(n int) map[string]int {
	w.Helper()
	counts := make(map[string]int)
	for range n {
		_, body := w.get("/")
		counts[body]++
	}
	return counts
}

// total adds up what was counted for a target group.
func (w *world) total(group string) (c Counts) {
	for _, k := range w.Traffic().Totals {
		if k.Group != group {
			continue
		}
		c.Requests += k.Requests
		c.Failed += k.Failed
		for i, n := range k.Class {
			c.Class[i] += n
		}
	}
	return c
}

// counted waits until n requests of a target group were counted, which they are
// when they have ended.
func (w *world) counted(group string, n int) Counts {
	w.Helper()
	w.until("the requests to be counted", func() bool { return w.total(group).Requests >= n })
	return w.total(group)
}

// until polls what crosses a socket, so that there is no channel to wait on.
func (w *world) until(what string, holds func() bool) {
	w.Helper()
	tick, deadline := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			w.Fatalf("waited in vain for %s", what)
		}
	}
}

// closedPort is a port at which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func wantError(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), code+":") {
		t.Errorf("the error is %v, want %s", err, code)
	}
}
