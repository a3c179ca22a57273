package sandbox

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
)

// The page's streams give a reader up sooner than other answers are, since there are
// few places for them.
func TestHTTP_keepsTheBoundThatAHandlerHasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 5 * time.Second
		began, over := time.Now(), make(chan time.Duration, 1)
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			control := http.NewResponseController(w)
			err := control.SetWriteDeadline(time.Now().Add(bound))
			for err == nil {
				if _, err = io.WriteString(w, "data: x\n\n"); err == nil {
					err = control.Flush()
				}
			}
			over <- time.Since(began)
		})
		server, p := newHTTP(guarded(handler, Config{}), slog.New(slog.DiscardHandler)), newPipes()
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(p) // until it is closed
		}()
		c := p.dial()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Error(err)
		}
		if took := <-over; took != bound {
			t.Errorf("a reader that takes nothing is given up after %s, want %s", took, bound)
		}
		_ = c.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
}

// bounded is a writer that remembers when it gives its client up.
type bounded struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (b *bounded) SetWriteDeadline(t time.Time) error {
	b.until = t
	return nil
}

func TestServer_givesUpClientsOfLoadBalancersToo(t *testing.T) {
	w := start(t, Config{})
	lb, err := w.Balancer().CreateLoadBalancer(balancer.LoadBalancer{Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Balancer().CreateListener(balancer.Listener{
		LoadBalancer: lb.ARN, Protocol: "HTTP", Port: 80, Default: []balancer.Action{{Type: balancer.FixedResponse, Status: "200", Message: "hello"}},
	}); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+lb.DNSName+"/", nil)
	answer := &bounded{ResponseRecorder: httptest.NewRecorder()}
	w.Server.http.Handler.ServeHTTP(answer, r)
	if answer.Body.String() != "hello" || answer.until.IsZero() {
		t.Errorf("the load balancer answers %q, to a client that may take until %v", answer.Body, answer.until)
	}
}
