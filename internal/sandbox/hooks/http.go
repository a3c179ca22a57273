package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// maxRequest bounds a request with scripts, in bytes.
const maxRequest = 1 << 20

// Handler serves /_sandbox/hooks. With programs a script may name one of this
// machine.
func (s *Store) Handler(programs bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sandbox/hooks", func(w http.ResponseWriter, _ *http.Request) {
		scripts, calls := s.List()
		answer(w, http.StatusOK, map[string]any{"hooks": scripts, "calls": calls})
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
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
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
		answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	answer(w, http.StatusCreated, map[string]int{"added": len(scripts)})
}

// parse is strict: a misspelt member would be a script that never acts.
func parse(body []byte) ([]Script, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	scripts := make([]Script, 1)
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		err = d.Decode(&scripts)
	} else {
		err = d.Decode(&scripts[0])
	}
	if err != nil {
		return nil, fmt.Errorf("read hook script: %w", err)
	}
	if d.More() {
		return nil, errors.New("read hook script: there is something after it")
	}
	return scripts, nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone does not need it
}
