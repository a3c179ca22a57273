package awsjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Marshal renders an SDK shape, or a structure made of them, as AWS sends it:
// nil pointers, lists and maps and empty strings are left out, zero numbers and
// false are kept, times are seconds since 1970 with milliseconds. A value that
// implements json.Marshaler is emitted as it says, json.RawMessage verbatim.
func Marshal(v any) ([]byte, error) {
	var e encoder
	if err := e.value(reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return e.out.Bytes(), nil
}

type encoder struct {
	out bytes.Buffer
}

// document is the SDK's free-form JSON value.
type document interface {
	MarshalSmithyDocument() ([]byte, error)
}

func (e *encoder) value(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Invalid:
		e.out.WriteString("null")
		return nil
	case reflect.Pointer, reflect.Interface:
		return e.pointed(v)
	}
	if done, err := e.special(v); done {
		return err
	}
	switch v.Kind() {
	case reflect.Struct:
		return e.structure(v)
	case reflect.Slice, reflect.Array:
		return e.list(v)
	case reflect.Map:
		return e.mapping(v)
	case reflect.Float32, reflect.Float64:
		e.float(v.Float())
		return nil
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64:
		return e.plain(v)
	}
	return fmt.Errorf("encode %s: not a shape of the AWS JSON protocol", v.Type())
}

// pointed writes what a pointer or an interface holds; the alternative of a
// union becomes {"name": value}.
func (e *encoder) pointed(v reflect.Value) error {
	if v.IsNil() {
		e.out.WriteString("null")
		return nil
	}
	if d, ok := v.Interface().(document); ok {
		return e.document(d)
	}
	v = v.Elem()
	name, isUnion := unions.names[v.Type()]
	if !isUnion {
		return e.value(v)
	}
	e.out.WriteString("{" + strconv.Quote(name) + ":")
	err := e.value(v.FieldByName("Value"))
	e.out.WriteByte('}')
	return err
}

// special handles the types that do not look like what they are on the wire.
func (e *encoder) special(v reflect.Value) (bool, error) {
	switch x := v.Interface().(type) {
	case time.Time:
		e.out.WriteString(strconv.FormatFloat(float64(x.UnixMilli())/1000, 'f', -1, 64))
		return true, nil
	case json.RawMessage:
		return true, e.raw(x)
	case []byte:
		e.out.WriteString(strconv.Quote(base64.StdEncoding.EncodeToString(x)))
		return true, nil
	case json.Marshaler:
		b, err := json.Marshal(x)
		e.out.Write(b)
		return true, err
	}
	return false, nil
}

func (e *encoder) raw(b json.RawMessage) error {
	if len(b) == 0 {
		b = json.RawMessage("null")
	}
	if !json.Valid(b) {
		return fmt.Errorf("encode raw message: not JSON")
	}
	e.out.Write(b)
	return nil
}

func (e *encoder) document(d document) error {
	b, err := d.MarshalSmithyDocument()
	e.out.Write(b)
	return err
}

func (e *encoder) structure(v reflect.Value) error {
	e.out.WriteByte('{')
	comma := ""
	for _, f := range infoOf(v.Type()).fields {
		x := v.FieldByIndex(f.index)
		if absent(x) {
			continue
		}
		e.out.WriteString(comma)
		comma = ","
		e.out.WriteString(strconv.Quote(f.name) + ":")
		if err := e.value(x); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	e.out.WriteByte('}')
	return nil
}

// absent says which members AWS leaves out. An empty enum is an unset one.
func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
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

// mapping writes the keys in order, so that equal answers are equal bytes.
func (e *encoder) mapping(v reflect.Value) error {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	e.out.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			e.out.WriteByte(',')
		}
		if err := e.plain(k); err != nil {
			return err
		}
		e.out.WriteByte(':')
		if err := e.value(v.MapIndex(k)); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	e.out.WriteByte('}')
	return nil
}

func (e *encoder) float(f float64) {
	switch {
	case math.IsNaN(f):
		e.out.WriteString(`"NaN"`)
	case math.IsInf(f, 1):
		e.out.WriteString(`"Infinity"`)
	case math.IsInf(f, -1):
		e.out.WriteString(`"-Infinity"`)
	default:
		e.out.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
	}
}

// plain writes strings, numbers and booleans with encoding/json, without its
// escaping of <, > and &, which AWS does not do.
func (e *encoder) plain(v reflect.Value) error {
	enc := json.NewEncoder(&e.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v.Interface()); err != nil {
		return err
	}
	e.out.Truncate(e.out.Len() - 1) // Encode ends its value with a newline
	return nil
}
