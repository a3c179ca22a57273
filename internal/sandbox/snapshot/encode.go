package snapshot

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Marshal writes what root, a pointer, points at. Equal states give equal bytes.
func Marshal(root any) (json.RawMessage, error) {
	e := encoder{ids: make(map[unsafeID]int)}
	if err := e.value(reflect.ValueOf(root)); err != nil {
		return nil, fmt.Errorf("keep %T: %w", root, err)
	}
	return e.out.Bytes(), nil
}

// unsafeID tells pointers apart. A structure and its first field are at one
// address, so the type belongs to it.
type unsafeID struct {
	at  uintptr
	typ reflect.Type
}

type encoder struct {
	out bytes.Buffer
	ids map[unsafeID]int
}

func (e *encoder) value(v reflect.Value) error {
	switch t := v.Type(); {
	case t == timeType:
		return e.json(v.Interface().(time.Time).UTC())
	case t == rawType:
		if v.IsNil() {
			return e.json(nil)
		}
		return e.json(string(v.Bytes())) // as a text: its bytes are to stay as they are
	case isShape(t):
		b, err := awsjson.Marshal(v.Interface())
		e.out.Write(b)
		return err
	}
	switch v.Kind() {
	case reflect.Pointer:
		return e.pointer(v)
	case reflect.Struct:
		return e.structure(v, 0)
	case reflect.Slice:
		return e.slice(v)
	case reflect.Array:
		return e.list(v)
	case reflect.Map:
		return e.mapping(v)
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return e.json(v.Interface())
	}
	return fmt.Errorf("%s cannot be kept", v.Type())
}

func (e *encoder) json(v any) error {
	b, err := json.Marshal(v)
	e.out.Write(b)
	return err
}

// pointer writes what is pointed at, or that it was written before.
func (e *encoder) pointer(v reflect.Value) error {
	if v.IsNil() {
		return e.json(nil)
	}
	if !hasIdentity(v.Type().Elem()) {
		return e.value(v.Elem())
	}
	id := unsafeID{v.Pointer(), v.Type()}
	if n, known := e.ids[id]; known {
		fmt.Fprintf(&e.out, `{"%s":%d}`, refMember, n)
		return nil
	}
	e.ids[id] = len(e.ids) + 1
	return e.structure(v.Elem(), e.ids[id])
}

func (e *encoder) structure(v reflect.Value, id int) error {
	if !v.CanAddr() { // a map's value: of a copy the fields have an address
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		v = c
	}
	e.out.WriteByte('{')
	comma := ""
	if id > 0 {
		fmt.Fprintf(&e.out, `"%s":%d`, idMember, id)
		comma = ","
	}
	for _, i := range kept(v.Type()) {
		name := v.Type().Field(i).Name
		e.out.WriteString(comma + `"` + name + `":`)
		comma = ","
		if err := e.value(field(v, i)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	e.out.WriteByte('}')
	return nil
}

func (e *encoder) slice(v reflect.Value) error {
	switch {
	case v.IsNil():
		return e.json(nil)
	case v.Type().Elem().Kind() == reflect.Uint8:
		return e.json(base64.StdEncoding.EncodeToString(v.Bytes()))
	}
	return e.list(v)
}

func (e *encoder) list(v reflect.Value) error {
	e.out.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			e.out.WriteByte(',')
		}
		if err := e.value(v.Index(i)); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	e.out.WriteByte(']')
	return nil
}

// mapping writes the keys in order, so that equal states are equal bytes.
func (e *encoder) mapping(v reflect.Value) error {
	if v.IsNil() {
		return e.json(nil)
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(keyText(a)), []byte(keyText(b))) })
	e.out.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			e.out.WriteByte(',')
		}
		if err := e.json(keyText(k)); err != nil {
			return err
		}
		e.out.WriteByte(':')
		if err := e.value(v.MapIndex(k)); err != nil {
			return fmt.Errorf("%s: %w", keyText(k), err)
		}
	}
	e.out.WriteByte('}')
	return nil
}

func keyText(k reflect.Value) string {
	if k.Kind() == reflect.String {
		return k.String()
	}
	return strconv.FormatInt(k.Int(), 10)
}
