package awsjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// MaxBody bounds a request's body, in bytes. The largest requests that AWS
// takes are a few MiB (PutImage manifests, PutLogEvents batches of 1 MiB).
const MaxBody = 10 << 20

// Call is one API call as an [Interceptor] sees it.
type Call struct {
	Service   string // "ecs", "ecr", "logs", "sts"
	Operation string
	Body      []byte
	// Refuse renders an error in the protocol of the call.
	Refuse func(err error) Answer
}

// Answer is what a call returns to its client.
type Answer struct {
	Status      int
	ContentType string
	Header      map[string]string // further headers, of protocols that need some
	Body        []byte
	ErrorCode   string // "" when the call succeeded
	Cut         bool   // close the connection instead of answering
	Half        bool   // close it in the middle of the answer
}

// Interceptor sees every call before and after it is done; next does it. It
// serves the faults and the log of calls.
type Interceptor func(ctx context.Context, c Call, next func(context.Context) Answer) Answer

// Mux serves several services at one address, told apart by X-Amz-Target. The
// zero Mux serves none. It must not be changed once it serves.
type Mux struct {
	Intercept Interceptor // may be nil

	names    map[string]string // target prefix → short name
	services map[string]*Service
}

// Add makes the mux serve s under the short name that logs and faults use.
func (m *Mux) Add(name string, s *Service) {
	if m.services == nil {
		m.names, m.services = make(map[string]string), make(map[string]*Service)
	}
	m.names[s.prefix], m.services[s.prefix] = name, s
}

// Service returns the service of a short name, nil when there is none.
func (m *Mux) Service(name string) *Service {
	for prefix, n := range m.names {
		if n == name {
			return m.services[prefix]
		}
	}
	return nil
}

// ServeHTTP answers one call.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	prefix, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok || r.Method != http.MethodPost {
		Write(w, ErrorAnswer(Errorf("UnknownOperationException", 400,
			"%s %s carries no operation in X-Amz-Target.", r.Method, r.URL.Path)))
		return
	}
	body, err := ReadBody(w, r)
	if err != nil {
		Write(w, ErrorAnswer(err))
		return
	}
	Write(w, m.call(r.Context(), prefix, operation, body))
}

// Call does one call by the short name of its service, as if a client had sent it.
func (m *Mux) Call(ctx context.Context, service, operation string, body []byte) Answer {
	for prefix, name := range m.names {
		if name == service {
			return m.call(ctx, prefix, operation, body)
		}
	}
	return ErrorAnswer(Errorf("UnknownOperationException", http.StatusBadRequest, "there is no service %s", service))
}

func (m *Mux) call(ctx context.Context, prefix, operation string, body []byte) Answer {
	s := m.services[prefix]
	if s == nil {
		s = NewService(prefix) // knows no operation, and says so by name
	}
	name := m.names[prefix]
	if name == "" {
		name = prefix
	}
	c := Call{Service: name, Operation: operation, Body: body, Refuse: ErrorAnswer}
	return m.Do(ctx, c, func(ctx context.Context) Answer { return s.answer(ctx, operation, body) })
}

// Do runs one call through the interceptor.
func (m *Mux) Do(ctx context.Context, c Call, next func(context.Context) Answer) Answer {
	if m.Intercept == nil {
		return next(ctx)
	}
	return m.Intercept(ctx, c, next)
}

// ReadBody reads a request's body up to [MaxBody].
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, Errorf("RequestEntityTooLargeException", 413, "The request exceeds %d bytes.", int64(MaxBody))
	case err != nil:
		return nil, &SerializationError{Reason: fmt.Sprintf("read the request: %s", err)}
	}
	return body, nil
}

// Write sends an answer, or cuts the connection when it says so.
func Write(w http.ResponseWriter, a Answer) {
	if a.Cut {
		panic(http.ErrAbortHandler) // net/http's way to close without an answer
	}
	Head(w, a, int64(len(a.Body)))
	if a.Half {
		_, _ = w.Write(a.Body[:len(a.Body)/2])
		_ = http.NewResponseController(w).Flush() // else nothing of it would leave
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.Body) // a client that has gone does not need the answer
}

// Head begins an answer whose body, of that size, its caller sends.
func Head(w http.ResponseWriter, a Answer, size int64) {
	h := w.Header()
	h.Set("Content-Type", a.ContentType)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("X-Amzn-Requestid", NewUUID())
	for name, value := range a.Header {
		h.Set(name, value)
	}
	if a.ErrorCode != "" {
		h.Set("X-Amzn-Errortype", a.ErrorCode)
	}
	w.WriteHeader(a.Status)
}
