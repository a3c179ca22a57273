// Package jsonpath finds a value in a JSON document by a dotted path, and
// compares it with text.
//
// A path is names and list positions with dots between: status, items.0.id. A
// name that holds a dot or a quote is written as a JSON string: "a.b".c. That is
// all: there are no wildcards and no expressions.
package jsonpath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Path leads to a value.
type Path []string

// Parse reads a path.
func Parse(s string) (Path, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("it is no UTF-8 text")
	}
	var p Path
	for rest := s; ; {
		name, after, err := segment(rest)
		if err != nil {
			return nil, err
		}
		p = append(p, name)
		if after == "" {
			return p, nil
		}
		if after[0] != '.' {
			return nil, fmt.Errorf("want a dot after %s", strconv.Quote(name))
		}
		rest = after[1:]
	}
}

// segment takes the first name off a path.
func segment(s string) (name, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		dec := json.NewDecoder(strings.NewReader(s))
		if err := dec.Decode(&name); err != nil {
			return "", "", errors.New("a name in quotes does not end, or is no JSON string")
		}
		return name, s[dec.InputOffset():], nil
	}
	end := strings.IndexByte(s, '.')
	if end < 0 {
		end = len(s)
	}
	if name = s[:end]; name == "" {
		return "", "", errors.New("a name is empty: want names with dots between, such as items.0.id")
	}
	return name, s[end:], nil
}

// Decode reads a document. Numbers keep the digits that they were written with.
func Decode(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the first JSON value")
	}
	return doc, nil
}

// Find is the value that the path leads to in a document of Decode.
func (p Path) Find(doc any) (any, error) {
	for i, name := range p {
		switch at := doc.(type) {
		case map[string]any:
			v, ok := at[name]
			if !ok {
				return nil, fmt.Errorf("%s has no member %s", p.upTo(i), strconv.Quote(name))
			}
			doc = v
		case []any:
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(at) {
				return nil, fmt.Errorf("%s is a list of %d, and has no entry %s", p.upTo(i), len(at), strconv.Quote(name))
			}
			doc = at[n]
		default:
			return nil, fmt.Errorf("%s is %s, and has no members", p.upTo(i), Text(doc))
		}
	}
	return doc, nil
}

func (p Path) upTo(n int) string {
	if n == 0 {
		return "the document"
	}
	return p[:n].String()
}

// String is the path as Parse reads it.
func (p Path) String() string {
	names := make([]string, len(p))
	for i, name := range p {
		if names[i] = name; name == "" || strings.ContainsAny(name, `."`) {
			quoted, _ := json.Marshal(name) // a string can always be written
			names[i] = string(quoted)
		}
	}
	return strings.Join(names, ".")
}

// Text is a value as it is compared: a string itself, everything else as JSON.
func Text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// Equal says whether a value is what the text says. Configurations are text: 3
// means the number and the string alike. Numbers are equal by value: 1.0 is 1.
func Equal(v any, want string) bool {
	if Text(v) == want {
		return true
	}
	n, ok := v.(json.Number)
	return ok && sameNumber(string(n), want)
}

// digits is how exactly numbers are compared, in bits.
const digits = 256

func sameNumber(a, b string) bool {
	x, ok := number(a)
	y, ok2 := number(b)
	return ok && ok2 && x.Cmp(y) == 0
}

func number(s string) (*big.Float, bool) {
	if len(s) > 64 { // nobody writes such a number by hand
		return nil, false
	}
	f, _, err := big.ParseFloat(s, 10, digits, big.ToNearestEven)
	return f, err == nil && !f.IsInf()
}
