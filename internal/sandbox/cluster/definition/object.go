package definition

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// object is a JSON object whose members keep their order and their bytes.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

// parseObject reads the members of a JSON object. Of members with one name
// the last one counts, as in most decoders.
func parseObject(raw []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("read a JSON object: it begins with %v", t)
	}
	var o object
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read a JSON object: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("read member %v: %w", name, err)
		}
		o.set(name.(string), value)
	}
	return o, nil
}

func (o object) get(name string) (json.RawMessage, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

func (o *object) set(name string, value json.RawMessage) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, member{name, value})
}

// setDefault sets a member that is missing or null.
func (o *object) setDefault(name, value string) {
	if v, ok := o.get(name); !ok || bytes.Equal(bytes.TrimSpace(v), []byte("null")) {
		o.set(name, json.RawMessage(value))
	}
}

func (o object) without(names ...string) object {
	var rest object
next:
	for _, m := range o {
		for _, n := range names {
			if m.name == n {
				continue next
			}
		}
		rest = append(rest, m)
	}
	return rest
}

func (o object) json() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(m.name) // a string always has a JSON form
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// mapList applies f to every object of a JSON list. What is no list of
// objects is left as it is.
func mapList(raw json.RawMessage, f func(object) object) json.RawMessage {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return raw
	}
	for i, item := range items {
		if o, err := parseObject(item); err == nil {
			items[i] = f(o).json()
		}
	}
	var b bytes.Buffer
	b.WriteByte('[')
	b.Write(bytes.Join(rawBytes(items), []byte(",")))
	b.WriteByte(']')
	return b.Bytes()
}

func rawBytes(items []json.RawMessage) [][]byte {
	out := make([][]byte, len(items))
	for i, item := range items {
		out[i] = item
	}
	return out
}
