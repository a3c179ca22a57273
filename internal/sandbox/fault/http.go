package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
)

// Handler serves /_sandbox/faults and /_sandbox/calls.
func Handler(s *Set, l *Log) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"faults": s.List()})
	})
	mux.HandleFunc("POST /_sandbox/faults", s.post)
	mux.HandleFunc("DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.Remove("")
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /_sandbox/faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !s.Remove(r.PathValue("id")) {
			refuse(w, http.StatusNotFound, fmt.Errorf("there is no fault %q", r.PathValue("id")))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		calls, totals := l.Calls()
		answer(w, http.StatusOK, map[string]any{"calls": calls, "totals": totals})
	})
	mux.HandleFunc("DELETE /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		l.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// maxRequest bounds a request with rules, in bytes.
const maxRequest = 1 << 20

// post takes one rule, or a list of them.
func (s *Set) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	rules, err := Parse(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	ids, err := s.Add(rules...)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, http.StatusCreated, map[string]any{"ids": ids})
}

// Parse reads one rule or a list of them from JSON. It is strict: a misspelt member
// would be a fault that never acts.
func Parse(body []byte) ([]Rule, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var rules []Rule
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		err = d.Decode(&rules)
	} else {
		rules = make([]Rule, 1)
		err = d.Decode(&rules[0])
	}
	if err != nil {
		return nil, errors.New(plain(err))
	}
	if d.More() {
		return nil, errors.New("there is something after the rule")
	}
	return rules, nil
}

// unknownMember is what the library says of a member that no field has.
var unknownMember = regexp.MustCompile(`^json: unknown field "(.*)"$`)

// plain says what is wrong with a rule without words of Go.
func plain(err error) string {
	var kind *json.UnmarshalTypeError
	if m := unknownMember.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Sprintf("there is no member %q", m[1])
	}
	if !errors.As(err, &kind) {
		return err.Error()
	}
	what := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Int64: `a duration such as "2s"`,
	}[kind.Type.Kind()]
	if kind.Field == "" || what == "" {
		return "a rule is an object, not " + kind.Value
	}
	return fmt.Sprintf("%s is %s, not %s", kind.Field, what, kind.Value)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone does not need it
}

func refuse(w http.ResponseWriter, status int, err error) {
	answer(w, status, map[string]string{"error": err.Error()})
}
