package awsquery

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Service is one service with its operations.
type Service struct {
	version, namespace string
	operations         map[string]func(context.Context, url.Values) (any, error)
}

// NewService returns a service without operations. version is that of its API,
// namespace that of its answers.
func NewService(version, namespace string) *Service {
	return &Service{version, namespace, make(map[string]func(context.Context, url.Values) (any, error))}
}

// Handle makes a service know an operation.
func Handle[In, Out any](s *Service, operation string, do func(context.Context, *In) (*Out, error)) {
	s.operations[operation] = func(ctx context.Context, form url.Values) (any, error) {
		in := new(In)
		if err := Unmarshal(form, in); err != nil {
			return nil, err
		}
		return do(ctx, in)
	}
}

// Operations lists the operations by name.
func (s *Service) Operations() []string { return slices.Sorted(maps.Keys(s.operations)) }

func (s *Service) answer(ctx context.Context, operation string, form url.Values) awsjson.Answer {
	do := s.operations[operation]
	if do == nil {
		return Refuse(awsjson.Errorf("InvalidAction", http.StatusBadRequest,
			"Could not find operation %s for version %s", operation, form.Get("Version")))
	}
	out, err := do(ctx, form)
	if err != nil {
		return Refuse(err)
	}
	return awsjson.Answer{Status: http.StatusOK, ContentType: "text/xml", Body: Marshal(s.namespace, operation, rand.Text(), out)}
}

// Mux serves several services at one address, told apart by their versions. It
// must not be changed once it serves.
type Mux struct {
	// Do runs a call through what stands before all services.
	Do func(ctx context.Context, c awsjson.Call, next func(context.Context) awsjson.Answer) awsjson.Answer

	// Others answer for themselves, by the versions of their APIs: services that
	// are spoken to in other protocols too.
	Others map[string]func(ctx context.Context, operation string, body []byte) awsjson.Answer

	names    map[string]string // version → short name
	services map[string]*Service
}

// Add makes the mux serve s under the short name that logs and faults use.
func (m *Mux) Add(name string, s *Service) {
	if m.services == nil {
		m.names, m.services = make(map[string]string), make(map[string]*Service)
	}
	m.names[s.version], m.services[s.version] = name, s
}

// Operations lists the operations of all services by their short names.
func (m *Mux) Operations() map[string][]string {
	all := make(map[string][]string)
	for version, s := range m.services {
		all[m.names[version]] = s.Operations()
	}
	return all
}

// ServeHTTP answers one call.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := awsjson.ReadBody(w, r)
	if err != nil {
		awsjson.Write(w, Refuse(err))
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		awsjson.Write(w, Refuse(awsjson.Errorf("MalformedQueryString", http.StatusBadRequest, "The request is no form: %s", err)))
		return
	}
	version, operation := form.Get("Version"), form.Get("Action")
	if other := m.Others[version]; other != nil {
		awsjson.Write(w, other(r.Context(), operation, body))
		return
	}
	s, name := m.services[version], m.names[version]
	if s == nil {
		s, name = new(Service), "query" // it knows no operation, and says so by name
	}
	c := awsjson.Call{Service: name, Operation: operation, Body: body, Refuse: Refuse}
	awsjson.Write(w, m.Do(r.Context(), c, func(ctx context.Context) awsjson.Answer { return s.answer(ctx, operation, form) }))
}

// errorResponse is an error. It has the namespace of its service on AWS, which
// clients do not look at.
type errorResponse struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// Refuse renders an error as the Query protocol does. It has names of its own for
// what the JSON protocol calls …Exception.
func Refuse(err error) awsjson.Answer {
	code, status, message := awsjson.ErrorParts(err)
	switch code {
	case "AccessDeniedException":
		code, status = "AccessDenied", http.StatusForbidden
	case "ThrottlingException":
		code = "Throttling"
	}
	sender := "Sender"
	if status >= http.StatusInternalServerError {
		sender = "Receiver"
	}
	// Texts always encode.
	body, _ := xml.Marshal(errorResponse{Type: sender, Code: code, Message: message, RequestID: rand.Text()})
	return awsjson.Answer{Status: status, ContentType: "text/xml", Body: body, ErrorCode: code}
}
