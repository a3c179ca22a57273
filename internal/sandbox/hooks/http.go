package hooks

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/weelo/weelo-deploy/internal/sandbox/control"
)

// Handler serves /_sandbox/hooks. With programs a script may name one of this
// machine.
func (s *Store) Handler(programs bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sandbox/hooks", func(w http.ResponseWriter, _ *http.Request) {
		scripts, calls := s.List()
		control.Answer(w, http.StatusOK, map[string]any{"hooks": scripts, "calls": calls})
	})
	mux.HandleFunc("POST /_sandbox/hooks", func(w http.ResponseWriter, r *http.Request) { s.post(w, r, programs) })
	mux.HandleFunc("DELETE /_sandbox/hooks", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// post takes one script, or a list of them.
func (s *Store) post(w http.ResponseWriter, r *http.Request, programs bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, control.MaxRequest))
	var scripts []Script
	if err == nil {
		scripts, err = parse(body)
	}
	if !programs && slices.ContainsFunc(scripts, func(x Script) bool { return x.URL != "" }) {
		err = errors.New("a url is of this machine, whose programs are not for other machines to reach")
	}
	if err == nil {
		err = s.Add(scripts...)
	}
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, err)
		return
	}
	control.Answer(w, http.StatusCreated, map[string]int{"added": len(scripts)})
}

// parse is strict: a misspelt member would be a script that never acts.
func parse(body []byte) ([]Script, error) {
	scripts, err := control.OneOrMore[Script](body)
	if err != nil {
		return nil, fmt.Errorf("read hook script: %w", err)
	}
	return scripts, nil
}
