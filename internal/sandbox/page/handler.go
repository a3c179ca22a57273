package page

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Where the page's own requests go.
const (
	eventsPath = "/_sandbox/events"
	pressPath  = "/_sandbox/press"
)

// Patterns are what a [Handler] wants to be asked, besides GET /.
var Patterns = []string{"GET " + eventsPath, "POST " + pressPath}

// Bounds of the streams.
const (
	mostReaders = 32
	maxForm     = 16 << 10
	pressTime   = 10 * time.Second
)

// Handler serves the page. Make one with [New].
type Handler struct {
	view    View
	hand    Hand
	closing <-chan struct{}
	readers chan struct{} // a place for each stream
	patience
	mux *http.ServeMux
}

// New returns a handler of GET /, of the stream and of the buttons. Streams end
// when closing is closed.
func New(v View, hand Hand, closing <-chan struct{}) *Handler {
	p := &Handler{view: &painted{View: v}, hand: hand, closing: closing, readers: make(chan struct{}, mostReaders), patience: standard, mux: http.NewServeMux()}
	p.mux.HandleFunc("GET /{$}", p.page)
	p.mux.HandleFunc(Patterns[0], p.events)
	p.mux.HandleFunc(Patterns[1], p.press)
	return p
}

// policy allows the page's own script and style, known by their hashes, and
// requests to where it came from.
var policy = strings.Join([]string{
	"default-src 'none'", "script-src '" + hash(script) + "'", "style-src '" + hash(style) + "'",
	"connect-src 'self'", "img-src data:", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
}, "; ")

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// ServeHTTP refuses what a page of another site or port had a browser send: other
// ports of this machine count as the same site to a browser, and what listens
// there may be anybody's, a task of the sandbox for one.
func (p *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if from := r.Header.Get("Sec-Fetch-Site"); r.URL.Path != "/" && from != "" && from != "same-origin" && from != "none" {
		http.Error(w, "This is for the sandbox's own page.", http.StatusForbidden)
		return
	}
	p.mux.ServeHTTP(w, r)
}

func (p *Handler) page(w http.ResponseWriter, r *http.Request) {
	if len(r.URL.RawQuery) > maxQuery {
		http.Error(w, "The address is too long.", http.StatusRequestURITooLong)
		return
	}
	var b bytes.Buffer
	if err := render(&b, p.view, parseLook(r.URL.Query())); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // a reader that has gone does not need it
}

// press does what a button says. The script gets a line of text; a browser
// without script is sent back to the page.
func (p *Handler) press(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form cannot be read.", http.StatusBadRequest)
		return
	}
	form := r.PostForm
	pressed := Press{Do: form.Get("do"), Cluster: form.Get("cluster"), Name: form.Get("name"), Task: form.Get("task"), Fault: form.Get("fault"), Hook: form.Get("hook")}
	if !known(pressed.Do) {
		http.Error(w, "There is no such button.", http.StatusBadRequest)
		return
	}
	ctx, cancel := within(r.Context(), pressTime, p.closing)
	defer cancel()
	err := p.hand.Press(ctx, pressed)
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		http.Error(w, clean(refused.Why), http.StatusConflict)
	case err != nil:
		http.Error(w, clean(err.Error()), http.StatusInternalServerError)
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		http.Redirect(w, r, "/", http.StatusSeeOther)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, done(pressed))
	}
}

// Refused is why a button did nothing, in words for whoever pressed it.
type Refused struct{ Why string }

func (r *Refused) Error() string { return r.Why }

// done says what a press has done.
func done(p Press) string {
	switch p.Do {
	case DoDeploy:
		return "A new deployment of " + clean(p.Name) + " has begun."
	case DoContinue:
		return clean(p.Name) + " goes on."
	case DoRollBack, DoHookBack:
		return "The rollback of " + clean(p.Name) + " was asked for."
	case DoStopTask:
		return "Task " + shortID(p.Task) + " is being stopped."
	case DoTakeBack:
		return "Taken back."
	}
	for _, b := range append([]button{crash, noPull, slowHealth}, wide...) {
		if b.Do == p.Do {
			return "Armed: " + b.Effect + "."
		}
	}
	return "Done."
}

// NewInstance names a start of a sandbox, so that a page that finds another one at
// its address begins anew.
func NewInstance() string { return rand.Text() }
