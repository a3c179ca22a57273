package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// message is one object of the streams that push, pull and load answer with.
// The HTTP status of such an answer is 200 whatever happens: the failure is an
// object in the stream.
type message struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	Stream         string `json:"stream"`
	ProgressDetail struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
	Aux         json.RawMessage `json:"aux"`
	Error       string          `json:"error"`
	ErrorDetail *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"errorDetail"`
}

// StreamError is a failure that the engine reported inside a stream, in the
// words of the engine or of the registry behind it.
type StreamError struct {
	Code    int // an HTTP status where the engine gives one, else 0
	Message string
}

func (s *StreamError) Error() string { return s.Message }

// decodeStream reads messages to the end of the stream, or to the first that
// reports a failure, which is a *StreamError.
func decodeStream(r io.Reader, each func(message)) error {
	d := json.NewDecoder(r)
	for {
		var m message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the engine's answer: %w", err)
		}
		if m.ErrorDetail != nil && m.ErrorDetail.Message != "" {
			return &StreamError{Code: m.ErrorDetail.Code, Message: strings.TrimSpace(m.ErrorDetail.Message)}
		}
		if m.Error != "" {
			return &StreamError{Message: strings.TrimSpace(m.Error)}
		}
		each(m)
	}
}
