package page

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// quick is patience for tests; a reader of theirs may be kept from reading for a
// while by whatever else the machine does.
var quick = patience{look: time.Millisecond, beat: 20 * time.Millisecond, write: 2 * time.Second}

// site is a page that is served.
type site struct {
	*httptest.Server
	handler *Handler
	world   *world
	closing chan struct{}
}

func serve(t *testing.T, w *world) *site {
	t.Helper()
	s := &site{world: w, closing: make(chan struct{})}
	s.handler = New(w, w, s.closing)
	s.handler.patience = quick
	s.Server = httptest.NewUnstartedServer(s.handler)
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if err := c.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil { // or the kernel takes megabytes for a reader
			t.Error(err)
		}
		return ctx
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// reader reads a stream.
type reader struct {
	t    *testing.T
	body io.ReadCloser
	scan *bufio.Scanner
}

func (s *site) listen(t *testing.T, query string) *reader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+eventsPath+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the stream answers %s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	scan := bufio.NewScanner(answer.Body)
	scan.Buffer(nil, 8<<20)
	return &reader{t, answer.Body, scan}
}

// next is the next event: its name ("" for parts, ":" for a sign of life) and data.
// ok is false at the end of the stream.
func (r *reader) next() (name, data string, ok bool) {
	for r.scan.Scan() {
		field, value, _ := strings.Cut(r.scan.Text(), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data":
			data = value
		case field == "" && value != "":
			name = ":"
		case r.scan.Text() == "" && (name != "" || data != ""):
			return name, data, true
		}
	}
	return "", "", false
}

// parts are the parts that come next, by id.
func (r *reader) parts() map[string]string {
	r.t.Helper()
	for {
		name, data, ok := r.next()
		if !ok {
			r.t.Fatal("the stream has ended")
		}
		if name != "" {
			continue
		}
		var pairs [][2]string
		if err := json.Unmarshal([]byte(data), &pairs); err != nil {
			r.t.Fatal(err)
		}
		parts := make(map[string]string)
		for _, p := range pairs {
			parts[p[0]] = p[1]
		}
		return parts
	}
}

func TestStream_sendsAllAndThenWhatChanged(t *testing.T) {
	s := serve(t, incident())
	r := s.listen(t, "")
	if name, data, _ := r.next(); name != "hello" || data != `"FIRST"` {
		t.Fatalf("the first event is %s %s, want the instance", name, data)
	}
	id := s.world.clusters[0].Services[0].id()
	all := r.parts()
	for _, part := range []string{"sum", "list", "traffic", "faults", "calls", "images", id, id + "-h", id + "-p", id + "-t", id + "-l"} {
		if _, there := all[part]; !there {
			t.Errorf("the part %s was not sent at first", part)
		}
	}
	if strings.Contains(all["list"], "503b103d") {
		t.Error("a part contains what lies in another")
	}
	s.world.change(func() { s.world.lines = append(s.world.lines, Line{Key: "503b-1", Text: "<new>"}) })
	changed := r.parts()
	if len(changed) != 1 || !strings.Contains(changed[id+"-l"], "&lt;new&gt;") {
		t.Errorf("after a line of a log these parts come: %v", changed)
	}
}

func TestStream_outerPartsComeFirst(t *testing.T) {
	var order []string
	for _, p := range changes(incident(), look{}) {
		order = append(order, p.ID)
	}
	id := incident().clusters[0].Services[0].id()
	if slices.Index(order, "list") > slices.Index(order, id) || slices.Index(order, id) > slices.Index(order, id+"-h") {
		t.Errorf("the order is %v", order)
	}
}

func TestStream_whoComesAgainGetsAll(t *testing.T) {
	s := serve(t, incident())
	first := s.listen(t, "")
	all := len(first.parts())
	first.body.Close()
	s.world.change(func() { s.world.calls = nil })
	if again := s.listen(t, "").parts(); len(again) != all {
		t.Errorf("%d parts at first and %d after coming again", all, len(again))
	}
}

func TestStream_showsSignsOfLife(t *testing.T) {
	r := serve(t, &world{}).listen(t, "")
	r.parts()
	if name, _, ok := r.next(); !ok || name != ":" {
		t.Errorf("while nothing changes comes %q", name)
	}
}

func TestStream_sendsWhatTheReaderHasOpened(t *testing.T) {
	s := serve(t, crowd(50))
	id := s.world.clusters[0].Services[7].id()
	if _, open := s.listen(t, "").parts()[id+"-t"]; open {
		t.Error("tasks of a service are sent to whom it is closed")
	}
	if _, open := s.listen(t, "?open=prod%2Fservice-007").parts()[id+"-t"]; !open {
		t.Error("tasks of an open service are not sent")
	}
}

func TestStream_endsWithTheSandbox(t *testing.T) {
	s := serve(t, incident())
	r := s.listen(t, "")
	r.parts()
	close(s.closing)
	for {
		name, _, ok := r.next()
		if !ok {
			t.Fatal("the stream ended without a word")
		}
		if name == "gone" {
			break
		}
	}
	if _, _, more := r.next(); more {
		t.Error("the stream goes on after the sandbox has gone")
	}
}

func TestStream_dropsWhoDoesNotRead(t *testing.T) {
	s := serve(t, crowd(100))
	slow, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(slow, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", eventsPath)
	good := s.listen(t, "")
	good.parts()
	for i := 0; len(s.handler.readers) > 1 || i == 0; i++ { // until the slow one's place is free
		s.world.change(func() {
			services := slices.Clone(s.world.clusters[0].Services)
			for k := range services {
				services[k].Revision = fmt.Sprint("web:", i+2)
			}
			s.world.clusters = []Cluster{{Name: "prod", Services: services}}
		})
		good.parts()
		if t.Context().Err() != nil {
			t.Fatal("the slow reader was never dropped")
		}
	}
}

func TestStream_hasPlacesForSoMany(t *testing.T) {
	s := serve(t, &world{})
	for range mostReaders {
		s.listen(t, "").parts()
	}
	answer, err := s.Client().Get(s.URL + eventsPath)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one reader too many gets %s", answer.Status)
	}
}

func TestWithin_endsWithTheSandbox(t *testing.T) {
	closing := make(chan struct{})
	ctx, cancel := within(context.Background(), time.Hour, closing)
	defer cancel()
	close(closing)
	<-ctx.Done()
}
