package page

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/http"
	"strings"
	"time"
)

// patience is how often a stream looks, and how long it waits.
type patience struct {
	look  time.Duration // between two looks
	beat  time.Duration // between two signs of life
	write time.Duration // for a reader to take what it is sent
}

var standard = patience{look: 250 * time.Millisecond, beat: 10 * time.Second, write: 5 * time.Second}

// restraint is how much longer than a look took a stream waits until the next:
// with it a tenth of a processor is the most that a reader can cost.
const restraint = 9

// within is a context that ends after a while, and with closing.
func within(parent context.Context, most time.Duration, closing <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(parent, most)
	go func() {
		select {
		case <-closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// events is the stream of one reader: all parts at first, and from then on those
// that changed. It runs in the goroutine of its request and waits for nobody
// else's; a reader that does not take what it is sent is dropped.
func (p *Handler) events(w http.ResponseWriter, r *http.Request) {
	if len(r.URL.RawQuery) > maxQuery {
		http.Error(w, "The address is too long.", http.StatusRequestURITooLong)
		return
	}
	select {
	case p.readers <- struct{}{}:
		defer func() { <-p.readers }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("%d pages are open already.", mostReaders), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s := stream{Handler: p, w: w, control: http.NewResponseController(w), look: parseLook(r.URL.Query()), sent: make(map[string]uint64)}
	s.run(r.Context())
}

// stream is what one reader has been sent.
type stream struct {
	*Handler
	w       http.ResponseWriter
	control *http.ResponseController
	look    look
	sent    map[string]uint64 // hashes of parts by id
	last    time.Time         // that something was written
}

var seed = maphash.MakeSeed()

func (s *stream) run(ctx context.Context) {
	hello, _ := json.Marshal(s.view.Place().Instance) // a string always can be
	if s.write("retry: 1000\nevent: hello\ndata: %s\n\n", hello) != nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		case <-s.closing:
			_ = s.write("event: gone\ndata: {}\n\n") // whether it is heard or not
			return
		}
		began := time.Now()
		parts := s.news()
		took := time.Since(began)
		if s.send(parts) != nil {
			return
		}
		timer.Reset(max(s.patience.look, restraint*took))
	}
}

// news are the parts that are not as they were sent.
func (s *stream) news() []Part {
	var changed []Part
	all := changes(s.view, s.look)
	now := make(map[string]uint64, len(all))
	for _, p := range all {
		sum := maphash.String(seed, p.HTML)
		if old, sent := s.sent[p.ID]; !sent || old != sum {
			changed = append(changed, p)
		}
		now[p.ID] = sum
	}
	s.sent = now
	return changed
}

// send writes parts as one event, or a sign of life when it is time for one.
func (s *stream) send(parts []Part) error {
	if len(parts) == 0 {
		if time.Since(s.last) < s.beat {
			return nil
		}
		return s.write(": still here\n\n")
	}
	pairs := make([][2]string, 0, len(parts))
	for _, p := range parts {
		pairs = append(pairs, [2]string{p.ID, p.HTML})
	}
	var data strings.Builder
	e := json.NewEncoder(&data) // on one line, with a line end
	e.SetEscapeHTML(false)      // it is no part of a document here
	if err := e.Encode(pairs); err != nil {
		return err
	}
	return s.write("data: %s\n", data.String())
}

func (s *stream) write(format string, args ...any) error {
	s.last = time.Now()
	// A writer without deadlines (tests) is not waited for either.
	_ = s.control.SetWriteDeadline(s.last.Add(s.patience.write))
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.control.Flush()
}
