package taskdef

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// object is a JSON object whose members keep their order and whose values keep
// their bytes. Editing one member leaves all others as they were sent.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

// parseObject reads one JSON object. A member that is there twice is kept
// twice: what it means is the sender's business.
func parseObject(raw json.RawMessage) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := delim(dec, '{'); err != nil {
		return nil, fmt.Errorf("read JSON object: %w", err)
	}
	var o object
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("read JSON object: %w", err)
		}
		name, _ := t.(string)
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("read JSON member %q: %w", name, err)
		}
		o = append(o, member{name, v})
	}
	return o, end(dec, '}')
}

// parseArray reads one JSON array; null and nothing are an empty one.
func parseArray(raw json.RawMessage) ([]json.RawMessage, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var a []json.RawMessage
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, fmt.Errorf("read JSON array: %w", err)
	}
	return a, nil
}

func delim(dec *json.Decoder, want json.Delim) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("got %v, want %v", t, want)
	}
	return nil
}

func end(dec *json.Decoder, want json.Delim) error {
	if err := delim(dec, want); err != nil {
		return fmt.Errorf("read JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read JSON object: more follows it")
	}
	return nil
}

// get is the value of a member, nil when it is not there. Of equal names the
// last counts, as in encoding/json.
func (o object) get(name string) json.RawMessage {
	for _, m := range slices.Backward(o) {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// text is the value of a member that is a string; "" otherwise.
func (o object) text(name string) string {
	var s string
	if json.Unmarshal(o.get(name), &s) != nil {
		return ""
	}
	return s
}

// with is o with a member set: in its place where it was there, at the end
// otherwise.
func (o object) with(name string, value json.RawMessage) object {
	out, done := make(object, 0, len(o)+1), false
	for _, m := range o {
		if m.name != name {
			out = append(out, m)
			continue
		}
		if !done {
			out, done = append(out, member{name, value}), true
		}
	}
	if !done {
		out = append(out, member{name, value})
	}
	return out
}

// without is o without the named members.
func (o object) without(names ...string) object {
	out := make(object, 0, len(o))
	for _, m := range o {
		if !slices.Contains(names, m.name) {
			out = append(out, m)
		}
	}
	return out
}

// bytes writes the object; the values are copied as they are.
func (o object) bytes() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quoted(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func arrayBytes(items []json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('[')
	b.Write(bytes.Join(asBytes(items), []byte{','}))
	b.WriteByte(']')
	return b.Bytes()
}

func asBytes(items []json.RawMessage) [][]byte {
	out := make([][]byte, len(items))
	for i, v := range items {
		out[i] = v
	}
	return out
}

// quoted is s as a JSON string, with <, > and & as themselves.
func quoted(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// A string always encodes: invalid UTF-8 becomes U+FFFD.
	_ = e.Encode(s)
	return bytes.TrimRight(b.Bytes(), "\n")
}
