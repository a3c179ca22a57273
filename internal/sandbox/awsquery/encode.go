package awsquery

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"strconv"
	"time"
)

// Empty is the result of an operation whose result has no members. One that has no
// result at all answers a struct{}.
type Empty struct{}

// Marshal writes the answer of an operation. out points to a structure.
func Marshal(namespace, operation, requestID string, out any) []byte {
	var b bytes.Buffer
	b.WriteString("<" + operation + `Response xmlns="` + namespace + `">`)
	if v := reflect.ValueOf(out).Elem(); v.Type().Name() != "" {
		element(&b, operation+"Result", v)
	}
	b.WriteString("<ResponseMetadata><RequestId>" + requestID + "</RequestId></ResponseMetadata></" + operation + "Response>")
	return b.Bytes()
}

func element(b *bytes.Buffer, name string, v reflect.Value) {
	b.WriteString("<" + name + ">")
	write(b, v)
	b.WriteString("</" + name + ">")
}

func write(b *bytes.Buffer, v reflect.Value) {
	if t, ok := v.Interface().(time.Time); ok {
		b.WriteString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		write(b, v.Elem())
	case reflect.Struct:
		writeMembers(b, v)
	case reflect.Slice:
		for i := range v.Len() {
			element(b, "member", v.Index(i))
		}
	case reflect.String:
		_ = xml.EscapeText(b, []byte(v.String())) // a buffer takes everything
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Float64:
		b.WriteString(strconv.FormatFloat(v.Float(), 'f', -1, 64))
	default: // integers are all that is left in the shapes
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	}
}

func writeMembers(b *bytes.Buffer, v reflect.Value) {
	for i := range v.NumField() {
		f, member := v.Type().Field(i), v.Field(i)
		switch {
		case f.Anonymous:
			writeMembers(b, member)
		case member.IsZero() && (omitsZero(f) || member.Kind() == reflect.Pointer):
		default:
			element(b, WireName(f), member)
		}
	}
}
