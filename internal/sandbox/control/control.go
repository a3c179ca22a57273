// Package control reads and answers the requests below /_sandbox/, which are the
// sandbox's own and not AWS's: JSON, and strict.
package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
)

// MaxRequest bounds a request, in bytes.
const MaxRequest = 1 << 20

// ErrMore says that something stands after the value that was to be read.
var ErrMore = errors.New("there is something after it")

// OneOrMore reads a value or a list of them. A member that no field has is an
// error: misspelt, it would be a wish that is never granted.
func OneOrMore[T any](body []byte) ([]T, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	list := make([]T, 1)
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		err = d.Decode(&list)
	} else {
		err = d.Decode(&list[0])
	}
	if err != nil {
		return nil, err
	}
	if d.More() {
		return nil, ErrMore
	}
	return list, nil
}

// Answer writes v as the answer.
func Answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has gone does not need it
}

// Refuse writes an error as the answer.
func Refuse(w http.ResponseWriter, status int, err error) {
	Answer(w, status, map[string]string{"error": err.Error()})
}
