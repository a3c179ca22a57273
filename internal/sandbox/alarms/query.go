package alarms

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// node is a form as a tree: a name with dots is a path in it.
type node struct {
	value    string
	children map[string]*node
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = make(map[string]*node)
	}
	if n.children[name] == nil {
		n.children[name] = new(node)
	}
	return n.children[name]
}

// readForm reads a request in the Query protocol: Name, Name.Member and
// Name.member.1 for lists.
func readForm(form url.Values, into any) error {
	root := new(node)
	for name, values := range form {
		at := root
		for _, part := range strings.SplitN(name, ".", 16) {
			at = at.child(part)
		}
		at.value = values[0]
	}
	return assign(reflect.ValueOf(into).Elem(), root)
}

func assign(v reflect.Value, n *node) error {
	if v.Type() == reflect.TypeFor[time.Time]() {
		t, err := time.Parse(time.RFC3339Nano, n.value)
		v.Set(reflect.ValueOf(t))
		return malformed(n, err)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return assign(v.Elem(), n)
	case reflect.Struct:
		return assignMembers(v, n)
	case reflect.Slice:
		return assignList(v, n.child("member"))
	case reflect.String:
		v.SetString(n.value)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(n.value)
		v.SetBool(b)
		return malformed(n, err)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.value, 64)
		v.SetFloat(f)
		return malformed(n, err)
	}
	i, err := strconv.ParseInt(n.value, 10, 32) // all that is left in the shapes
	v.SetInt(i)
	return malformed(n, err)
}

func assignMembers(v reflect.Value, n *node) error {
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			if err := assignMembers(v.Field(i), n); err != nil {
				return err
			}
			continue
		}
		if member := n.children[wireName(v.Type().Field(i))]; member != nil {
			if err := assign(v.Field(i), member); err != nil {
				return err
			}
		}
	}
	return nil
}

func assignList(v reflect.Value, members *node) error {
	for i := 1; members.children[strconv.Itoa(i)] != nil; i++ {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := assign(item, members.children[strconv.Itoa(i)]); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
	return nil
}

func malformed(n *node, err error) error {
	if err == nil {
		return nil
	}
	return awsjson.Errorf("MalformedInput", http.StatusBadRequest, "%q cannot be read: %s", n.value, err)
}

func wireName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// writeXML writes an answer in the Query protocol. encoding/xml leaves empty
// lists out, which clients of this protocol take for lists that are not there.
func writeXML(operation string, out any, requestID string) []byte {
	var b bytes.Buffer
	b.WriteString("<" + operation + `Response xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/">`)
	if v := reflect.ValueOf(out).Elem(); v.NumField() > 0 {
		writeElement(&b, operation+"Result", v)
	}
	b.WriteString("<ResponseMetadata><RequestId>" + requestID + "</RequestId></ResponseMetadata></" + operation + "Response>")
	return b.Bytes()
}

func writeElement(b *bytes.Buffer, name string, v reflect.Value) {
	b.WriteString("<" + name + ">")
	writeValue(b, v)
	b.WriteString("</" + name + ">")
}

func writeValue(b *bytes.Buffer, v reflect.Value) {
	if t, ok := v.Interface().(time.Time); ok {
		b.WriteString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		writeValue(b, v.Elem())
	case reflect.Struct:
		writeMembers(b, v)
	case reflect.Slice:
		for i := range v.Len() {
			writeElement(b, "member", v.Index(i))
		}
	case reflect.String:
		_ = xml.EscapeText(b, []byte(v.String())) // a buffer takes everything
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Float64:
		b.WriteString(strconv.FormatFloat(v.Float(), 'f', -1, 64))
	default:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	}
}

func writeMembers(b *bytes.Buffer, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Anonymous:
			writeMembers(b, v.Field(i))
		case v.Field(i).IsZero() && strings.HasSuffix(f.Tag.Get("json"), ",omitzero"):
		default:
			writeElement(b, wireName(f), v.Field(i))
		}
	}
}
