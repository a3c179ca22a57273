package check

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weelo/weelo-deploy/internal/event"
)

// direct is a client that takes no proxy of the environment.
var direct = Client{Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// want runs a check and holds the code and the message of its failure.
func want(t *testing.T, c Client, h HTTP, code event.Code, text string) *event.Failure {
	t.Helper()
	h.Name = "health"
	_, err := c.Run(t.Context(), h)
	var f *event.Failure
	if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Message, text) {
		t.Fatalf("Run = %v, want %s with %q", err, code, text)
	}
	return f
}

func pass(t *testing.T, c Client, h HTTP) Report {
	t.Helper()
	rep, err := c.Run(t.Context(), h)
	if err != nil {
		var f *event.Failure
		errors.As(err, &f)
		t.Fatalf("Run = %v, want it to pass: %+v", err, f)
	}
	return rep
}

func TestCheckPasses(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.Header.Get("X-Key") != "k" || r.UserAgent() != "weelo-deploy" || r.Host != "api.example" {
			http.Error(w, "another request", http.StatusBadRequest)
		}
	})
	if rep := pass(t, direct, HTTP{URL: s.URL, Header: map[string]string{"x-key": "k", "host": "api.example"}}); rep.Detail != "200" || rep.Took <= 0 {
		t.Errorf("report = %+v", rep)
	}
}

func TestBodyIsSent(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(body)) {
			http.Error(w, "a body without its length", http.StatusBadRequest)
		}
		fmt.Fprintf(w, "%s %s", r.Method, body)
	})
	pass(t, direct, HTTP{Method: "PUT", URL: s.URL, Body: []byte("abc"), Expect: Expect{Contains: "PUT abc"}})
}

func TestFaultsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		timeout time.Duration
		code    event.Code
		text    string
	}{
		"another status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, 0, "CHECK_FAILED", "status 503, want 200 to 299"},
		"a server that hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 50 * time.Millisecond,
			"CHECK_TIMEOUT", "no answer within 50ms"},
		"a body that drips": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, ".")
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		}, 100 * time.Millisecond, "CHECK_TIMEOUT", "status 200, and its body did not end within 100ms ("},
		"a body that breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "0123456789")
		}, 0, "CHECK_FAILED", "status 200, and its body broke off after 10 bytes"},
		"no gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "this is plain text, and long enough")
		}, 0, "CHECK_FAILED", "status 200, and its body is not the gzip that it is called"},
		"damaged gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			whole := zipped(strings.NewReader(strings.Repeat("abc", 1000)))
			whole[len(whole)-6] ^= 1
			_, _ = w.Write(whole)
		}, 0, "CHECK_FAILED", "is not the gzip that it is called"},
		"a closed connection": {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 0,
			"CHECK_UNREACHABLE", "the connection was closed without an answer"},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("a", 2*maxHeader))
		}, 0, "CHECK_FAILED", "no answer that is HTTP"},
		"endless redirects": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"a", http.StatusFound) }, 0,
			"CHECK_FAILED", "redirected too often: more than 5 times"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.handler)
			f := want(t, direct, HTTP{URL: s.URL + "/health?key=hunter2", Timeout: c.timeout}, c.code, c.text)
			if !strings.HasPrefix(f.Evidence[0], "GET "+s.URL+"/health") {
				t.Errorf("evidence = %q, want the request first", f.Evidence)
			}
		})
	}
}

func TestFaultsOfTheConnectionAreNamed(t *testing.T) {
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, c := range map[string]struct {
		url  string
		code event.Code
		text string
	}{
		"a name that does not resolve":      {"http://weelo..invalid/health", "CHECK_DNS", "the name weelo..invalid does not resolve: no such host"},
		"nobody listens":                    {"http://" + free(t), "CHECK_UNREACHABLE", "connection refused"},
		"a certificate that nobody trusts":  {secure.URL, "CHECK_TLS", "no secure connection: failed to verify certificate"},
		"https at a port that speaks plain": {"https" + strings.TrimPrefix(plain.URL, "http"), "CHECK_TLS", "no secure connection"},
		"another protocol":                  {"http://" + shouting(t), "CHECK_FAILED", "no answer that is HTTP"},
	} {
		t.Run(name, func(t *testing.T) { want(t, direct, HTTP{URL: c.url}, c.code, c.text) })
	}
	t.Run("a certificate that is trusted", func(t *testing.T) {
		roots := x509.NewCertPool()
		roots.AddCert(secure.Certificate())
		pass(t, Client{Proxy: direct.Proxy, Roots: roots}, HTTP{URL: secure.URL, Expect: Expect{Status: []int{404}}})
	})
}

// free is an address where nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// shouting is the address of a server that speaks no HTTP.
func shouting(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "220 mail.example ESMTP\r\n")
			_, _ = c.Read(make([]byte, 4096))
			c.Close()
		}
	}()
	return l.Addr().String()
}

func zipped(r io.Reader) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, r); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLargeBodiesAreReadInPart(t *testing.T) {
	bomb := zipped(io.LimitReader(zeros{}, 64<<20))
	for name, h := range map[string]http.HandlerFunc{
		"two gigabytes": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(2<<30))
			n, _ := io.Copy(w, io.LimitReader(zeros{}, 2<<30))
			if n > 256<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		},
		"a few kilobytes that unpack to 64 MiB": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, h)
			pass(t, direct, HTTP{URL: s.URL})
			want(t, direct, HTTP{URL: s.URL, Expect: Expect{Contains: "ok"}}, "CHECK_FAILED", `the body's first 1 MiB does not contain "ok"`)
			want(t, direct, HTTP{URL: s.URL, Repeat: 2, Same: true}, "CHECK_FAILED", "first 1 MiB is all that could be compared")
		})
	}
}

func TestRedirects(t *testing.T) {
	var got atomic.Pointer[http.Header]
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { h := r.Header.Clone(); got.Store(&h) })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/there":
			h := r.Header.Clone()
			got.Store(&h)
		default:
			http.Redirect(w, r, "/there", http.StatusFound)
		}
	})
	secret := map[string]string{"X-Api-Key": "hunter2", "Authorization": "Bearer hunter2"}
	pass(t, direct, HTTP{URL: s.URL + "/here?key=hunter2", Header: secret})
	if h := *got.Load(); h.Get("X-Api-Key") != "hunter2" || h.Get("Referer") != "" {
		t.Errorf("to the same host went %v, want the headers, and not where they came from", h)
	}
	pass(t, direct, HTTP{URL: s.URL + "/away?key=hunter2", Header: secret})
	if h := fmt.Sprint(*got.Load()); strings.Contains(h, "hunter2") {
		t.Errorf("to another host went %v", h)
	}
	pass(t, direct, HTTP{URL: s.URL, Expect: Expect{Status: []int{302}, Header: map[string]string{"Location": "/there"}}})
	want(t, direct, HTTP{URL: s.URL, Method: "POST"}, "CHECK_FAILED", "status 302")
	f := want(t, direct, HTTP{URL: s.URL, Expect: Expect{Contains: "x"}}, "CHECK_FAILED", "does not contain")
	if !strings.Contains(f.Evidence[0], "from "+s.URL+"/there") {
		t.Errorf("evidence = %q, want who answered in the end", f.Evidence)
	}
}

func TestProxies(t *testing.T) {
	var asked atomic.Value
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method + " " + r.URL.Host + " " + r.Host)
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	through := func(address string) Client {
		return Client{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://user:hunter2@" + address) }}
	}
	address := strings.TrimPrefix(proxy.URL, "http://")
	pass(t, through(address), HTTP{URL: "http://[2001:db8::1]:8080/health"})
	if got := asked.Load(); got != "GET [2001:db8::1]:8080 [2001:db8::1]:8080" {
		t.Errorf("the proxy was asked for %q", got)
	}
	f := want(t, through(address), HTTP{URL: "https://api.example/health"}, "CHECK_UNREACHABLE", "the proxy http://"+address+" does not let it through: Forbidden")
	if text := fmt.Sprintf("%+v", f); strings.Contains(text, "hunter2") {
		t.Errorf("the failure shows the proxy's password: %s", text)
	}
	want(t, through(free(t)), HTTP{URL: "http://api.example/health"}, "CHECK_UNREACHABLE", "cannot be reached: dial tcp")
}

func TestFailuresShowNoSecret(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	u := "http://ana:hunter2@" + strings.TrimPrefix(s.URL, "http://") + "/a?token=hunter2#hunter2"
	for _, target := range []string{u, strings.Replace(u, s.Listener.Addr().String(), free(t), 1), "http://ana:hunter2@[::1/hunter2"} {
		f := want(t, direct, HTTP{Method: "POST", URL: target, Header: map[string]string{"X-Key": "hunter2"}, Body: []byte("hunter2")}, event.Code("CHECK_"+map[bool]string{true: "FAILED", false: "UNREACHABLE"}[target == u || strings.Contains(target, "::1")]), "")
		text, err := json.Marshal(f)
		if err != nil || strings.Contains(string(text), "hunter2") {
			t.Errorf("failure = %s, %v", text, err)
		}
	}
}

func TestFailingCheckIsTriedAgain(t *testing.T) {
	var n atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(502)
		}
	})
	pass(t, direct, HTTP{URL: s.URL, Retries: 2, Pause: time.Millisecond})
	if n.Load() != 3 {
		t.Errorf("%d requests, want 3", n.Load())
	}
	n.Store(0)
	f := want(t, direct, HTTP{URL: s.URL, Retries: 1, Pause: time.Millisecond}, "CHECK_FAILED", "status 502")
	if !strings.Contains(fmt.Sprint(f.Evidence), "it was tried 2 times, 1ms apart") {
		t.Errorf("evidence = %q", f.Evidence)
	}
}

func TestInterruptedCheckIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel(why); <-r.Context().Done() })
	if _, err := direct.Run(ctx, HTTP{URL: s.URL, Retries: 3}); !errors.Is(err, why) {
		t.Errorf("Run = %v, want the cause of the context", err)
	}
}
