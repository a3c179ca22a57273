// Package outputtest helps tests hold what the tool writes against its published
// schema. It is imported by tests only.
package outputtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	return jsonschema.NewCompiler().Compile(path)
})

// find looks for the schema from the working directory upwards: a test runs in the
// folder of its package.
func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "docs", "events.schema.json")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("docs/events.schema.json is in no folder above the test")
		}
		dir = up
	}
}

// Validate says what is wrong with one line of --output json.
func Validate(line []byte) error {
	s, err := schema()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// Lines is a writer that validates every line that is written to it.
type Lines struct {
	Bad func(error) // told of each line that is not valid

	rest []byte
}

func (l *Lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		if err := Validate(line); err != nil {
			l.Bad(fmt.Errorf("%w\n%s", err, line))
		}
		l.rest = rest
	}
}
