package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/objects"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
)

// pipes is a listener of connections in memory, whose time a bubble can fake.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// dial is a client's end of a new connection.
func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// inServer runs a test against the parts of a sandbox that take bodies, in a bubble
// of fake time.
func inServer(t *testing.T, f func(t *testing.T, p *pipes, password string)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := registry.Open(dir, "000000000000", "us-east-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := store.CreateRepository("app", false); err != nil {
			t.Fatal(err)
		}
		s3 := objects.New("us-east-1", dir+"/objects", false)
		s3.CreateBucket("b")
		api := new(awsjson.Mux)
		mux := http.NewServeMux()
		mux.Handle("/v2/", store.Handler())
		mux.Handle("POST /{$}", api)
		mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 64<<20)) // until the client is given up
		})
		mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				fmt.Fprint(w, "data: x\n\n")
				w.(http.Flusher).Flush()
				time.Sleep(10 * stallTime)
			}
		})
		mux.Handle("/", s3.Handler(api.Do))
		server, p := newHTTP(guarded(mux, Config{}), slog.New(slog.DiscardHandler)), newPipes()
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(p) // until it is closed
		}()
		_, password := store.Credentials()
		f(t, p, password)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
		time.Sleep(time.Second) // of fake time: net/http lingers on what it has refused
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// ends is when the server ends a connection, after it was begun.
func ends(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	_, _ = io.Copy(io.Discard, c)
	return time.Since(began)
}

// login is a header of a registry's client.
func login(password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth("AWS", password)
	return "Authorization: " + r.Header.Get("Authorization") + "\r\n"
}

func TestHTTP_givesUpClientsThatStall(t *testing.T) {
	inServer(t, func(t *testing.T, p *pipes, password string) {
		upload := begin(t, p, password)
		const s3 = "Authorization: AWS4-HMAC-SHA256 Credential=a/20261101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000\r\n"
		for _, test := range []struct {
			name, sent string
			within     time.Duration
		}{
			{"says nothing", "", headerTime},
			{"stops in a header", "POST / HTTP/1.1\r\nHost: localhost\r\nX-A", headerTime},
			{"sends no body to the API", "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: X.Y\r\nContent-Length: 9\r\n\r\n{", stallTime},
			{"sends no layer", "PATCH " + upload + " HTTP/1.1\r\nHost: localhost\r\n" + login(password) + "Content-Length: 99\r\n\r\nx", stallTime},
			{"sends no manifest", "PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: localhost\r\n" + login(password) + "Content-Length: 99\r\n\r\n{", stallTime},
			{"sends no object", "PUT /b/k HTTP/1.1\r\nHost: localhost\r\n" + s3 + "Content-Length: 99\r\n\r\nx", stallTime},
		} {
			c := p.dial()
			go func() { _, _ = io.WriteString(c, test.sent) }()
			// The answer to a body that is not there may still be sent.
			if took := ends(t, c); took > test.within+idleTime || took < time.Second && test.sent == "" {
				t.Errorf("a client that %s is given up after %s, want at most %s", test.name, took, test.within)
			}
		}
	})
}

// begin begins an upload and gives its path.
func begin(t *testing.T, p *pipes, password string) string {
	t.Helper()
	c := p.dial()
	defer c.Close()
	go func() {
		_, _ = io.WriteString(c, "POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\n"+login(password)+"Content-Length: 0\r\n\r\n")
	}()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("the upload is answered %+v, %v", answer, err)
	}
	return answer.Header.Get("Location")
}

func TestHTTP_givesUpBodiesThatTrickle(t *testing.T) {
	inServer(t, func(t *testing.T, p *pipes, password string) {
		upload := begin(t, p, password)
		for _, head := range []string{
			"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: X.Y\r\nContent-Length: 1000000\r\n\r\n",
			"PATCH " + upload + " HTTP/1.1\r\nHost: localhost\r\n" + login(password) + "Content-Length: 1000000\r\n\r\n",
		} {
			c := p.dial()
			var client sync.WaitGroup
			client.Go(func() {
				_, err := io.WriteString(c, head)
				for ; err == nil; _, err = c.Write([]byte("x")) {
					time.Sleep(stallTime / 3)
				}
			})
			if took := ends(t, c); took > 2*stallTime+idleTime {
				t.Errorf("a body that trickles is given up after %s", took)
			}
			client.Wait()
		}
	})
}

func TestHTTP_takesABodyThatIsSlowAndLong(t *testing.T) {
	inServer(t, func(t *testing.T, p *pipes, password string) {
		upload := begin(t, p, password)
		c := p.dial()
		defer c.Close()
		const parts, size = 60, 64 << 10
		go func() {
			_, err := io.WriteString(c, fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n", upload, login(password), parts*size))
			for i := 0; i < parts && err == nil; i++ {
				time.Sleep(stallTime / 2)
				_, err = c.Write(make([]byte, size))
			}
		}()
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != http.StatusAccepted {
			t.Errorf("half an hour of a layer is answered %+v, %v", answer, err)
		}
	})
}

func TestHTTP_givesUpReadersThatDoNotRead(t *testing.T) {
	inServer(t, func(t *testing.T, p *pipes, _ string) {
		c := p.dial()
		defer c.Close()
		if _, err := io.WriteString(c, "GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stallTime + time.Second)
		synctest.Wait()
		if n, _ := io.Copy(io.Discard, c); n > 8<<20 {
			t.Errorf("after a minute it still got %d bytes", n)
		}
	})
}

func TestHTTP_letsEventsComeSlowly(t *testing.T) {
	inServer(t, func(t *testing.T, p *pipes, _ string) {
		c := p.dial()
		defer c.Close()
		go func() { _, _ = io.WriteString(c, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		events, err := io.ReadAll(answer.Body)
		if err != nil || bytes.Count(events, []byte("data")) != 3 {
			t.Errorf("the events are %q, %v", events, err)
		}
	})
}

func TestHTTP_answersWhileOthersStall(t *testing.T) {
	inServer(t, func(t *testing.T, p *pipes, password string) {
		upload := begin(t, p, password)
		for i := range mostIdle + 50 {
			c := p.dial()
			defer c.Close()
			if i%10 == 0 {
				go func() {
					_, _ = io.WriteString(c, "PATCH "+upload+" HTTP/1.1\r\nHost: localhost\r\n"+login(password)+"Content-Length: 99\r\n\r\nx")
				}()
			}
		}
		synctest.Wait()
		began := time.Now()
		begin(t, p, password)
		if took := time.Since(began); took > 0 {
			t.Errorf("beside %d silent connections an answer takes %s", mostIdle+50, took)
		}
	})
}

func TestHTTP_refusesLargeHeaders(t *testing.T) {
	inServer(t, func(t *testing.T, p *pipes, _ string) {
		c := p.dial()
		defer c.Close()
		go func() {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "+strings.Repeat("a", 2*headerSize))
		}()
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("it is answered %+v, %v", answer, err)
		}
	})
}

func TestCrowd_closesWhatWasSilentLongest(t *testing.T) {
	var c crowd
	var here []net.Conn
	for range mostIdle + 1 {
		mine, theirs := net.Pipe()
		defer mine.Close()
		here = append(here, mine)
		c.state(theirs, http.StateNew)
		if len(here) == 1 { // the first one asks
			c.state(theirs, http.StateActive)
			c.state(theirs, http.StateIdle)
			c.state(theirs, http.StateActive)
		}
	}
	extra, theirs := net.Pipe()
	defer extra.Close()
	c.state(theirs, http.StateNew)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok {
		_ = here[1].SetReadDeadline(deadline)
	}
	if _, err := here[1].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection that was silent longest is not closed: %v", err)
	}
	if len(c.silent) != mostIdle {
		t.Errorf("%d silent connections are left, want %d", len(c.silent), mostIdle)
	}
}
