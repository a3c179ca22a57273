package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"

	"github.com/weelo/weelo-deploy/internal/sandbox/control"
)

// Handler serves /_sandbox/faults and /_sandbox/calls.
func Handler(s *Set, l *Log) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		control.Answer(w, http.StatusOK, map[string]any{"faults": s.List()})
	})
	mux.HandleFunc("POST /_sandbox/faults", s.post)
	mux.HandleFunc("DELETE /_sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.Remove("")
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /_sandbox/faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !s.Remove(r.PathValue("id")) {
			control.Refuse(w, http.StatusNotFound, fmt.Errorf("there is no fault %q", r.PathValue("id")))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		calls, totals := l.Calls()
		control.Answer(w, http.StatusOK, map[string]any{"calls": calls, "totals": totals})
	})
	mux.HandleFunc("DELETE /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) {
		l.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// post takes one rule, or a list of them.
func (s *Set) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, control.MaxRequest))
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	rules, err := Parse(body)
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	ids, err := s.Add(rules...)
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	control.Answer(w, http.StatusCreated, map[string]any{"ids": ids})
}

// Parse reads one rule or a list of them from JSON. It is strict: a misspelt member
// would be a fault that never acts.
func Parse(body []byte) ([]Rule, error) {
	rules, err := control.OneOrMore[Rule](body)
	switch {
	case errors.Is(err, control.ErrMore):
		return nil, errors.New("there is something after the rule")
	case err != nil:
		return nil, errors.New(plain(err))
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
