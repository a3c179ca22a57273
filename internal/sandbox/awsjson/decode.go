package awsjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	ecsdocument "github.com/aws/aws-sdk-go-v2/service/ecs/document"
	smithydocument "github.com/aws/smithy-go/document"
)

// SerializationError says why a request's body does not fit the operation's
// shape. It answers as SerializationException.
type SerializationError struct {
	Reason string
}

func (e *SerializationError) Error() string { return e.Reason }

func misfit(format string, a ...any) error {
	return &SerializationError{Reason: fmt.Sprintf(format, a...)}
}

// Unmarshal decodes a request's body into an SDK input, or into a structure made
// of SDK shapes. As on AWS, null and unknown members are ignored and an empty
// body is an empty structure; names must match exactly. The error is always a
// *SerializationError.
func Unmarshal(body []byte, into any) error {
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = bytes.Clone(body)
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	tree, err := parse(body)
	if err != nil {
		return misfit("%s", err)
	}
	if _, ok := tree.(map[string]any); !ok {
		return misfit("Unexpected value: the body must be a JSON object")
	}
	return assign(reflect.ValueOf(into).Elem(), tree)
}

// maxValues bounds the values of one body. The most that AWS takes are the two
// members of 10,000 log events; a body of nothing but small values would cost many
// times its size in memory.
const maxValues = 100_000

// values is how many values a body has at most, whether it is JSON or not.
func values(body []byte) int {
	n, quoted := 1, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case !quoted && (c == ',' || c == '[' || c == '{' || c == ':'):
			n++
		}
	}
	return n
}

// parse reads exactly one JSON value, keeping numbers as they were written.
func parse(body []byte) (any, error) {
	if values(body) > maxValues {
		return nil, fmt.Errorf("it has more than %d values", maxValues)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("unexpected data after the JSON value")
	}
	return tree, nil
}

// assign sets v from one value of the tree.
func assign(v reflect.Value, tree any) error {
	if tree == nil {
		return nil
	}
	switch v.Type() {
	case timeType:
		return assignTime(v, tree)
	case documentType:
		if nameless(tree) { // the SDK's document could not be written again
			return misfit("a member of a document must have a name")
		}
		v.Set(reflect.ValueOf(ecsdocument.NewLazyDocument(documentValue(tree))))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		v.Set(p)
		return assign(p.Elem(), tree)
	case reflect.Interface:
		return assignUnion(v, tree)
	case reflect.Struct:
		return assignStruct(v, tree)
	case reflect.Map:
		return assignMap(v, tree)
	case reflect.Slice:
		return assignList(v, tree)
	}
	return assignScalar(v, tree)
}

func assignStruct(v reflect.Value, tree any) error {
	members, ok := tree.(map[string]any)
	if !ok {
		return misfit("%s can not be converted to a structure", kindOf(tree))
	}
	info := infoOf(v.Type())
	for name, x := range members {
		f, known := info.byName[name]
		if !known {
			continue
		}
		if err := assign(v.FieldByIndex(f.index), x); err != nil {
			return err
		}
	}
	return nil
}

func assignUnion(v reflect.Value, tree any) error {
	members, ok := tree.(map[string]any)
	if !ok || len(members) != 1 {
		return misfit("a union must have exactly one member set")
	}
	for name, x := range members {
		alternative, err := unions.value(v.Type(), name)
		if err != nil {
			return misfit("%s", err)
		}
		if err := assign(alternative.Elem().FieldByName("Value"), x); err != nil {
			return err
		}
		v.Set(alternative)
	}
	return nil
}

func assignMap(v reflect.Value, tree any) error {
	members, ok := tree.(map[string]any)
	if !ok {
		return misfit("%s can not be converted to a map", kindOf(tree))
	}
	m := reflect.MakeMapWithSize(v.Type(), len(members))
	for name, x := range members {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := assign(e, x); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), e)
	}
	v.Set(m)
	return nil
}

func assignList(v reflect.Value, tree any) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return assignBlob(v, tree)
	}
	items, ok := tree.([]any)
	if !ok {
		return misfit("%s can not be converted to a list", kindOf(tree))
	}
	l := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, x := range items {
		if err := assign(l.Index(i), x); err != nil {
			return err
		}
	}
	v.Set(l)
	return nil
}

func assignBlob(v reflect.Value, tree any) error {
	s, ok := tree.(string)
	if !ok {
		return misfit("%s can not be converted to a Blob", kindOf(tree))
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return misfit("a Blob must be base64: %s", err)
	}
	v.SetBytes(b)
	return nil
}

func assignScalar(v reflect.Value, tree any) error {
	switch x := tree.(type) {
	case string:
		if v.Kind() == reflect.String {
			v.SetString(x)
			return nil
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(x)
			return nil
		}
	case json.Number:
		return assignNumber(v, x)
	}
	return misfit("%s can not be converted to %s", kindOf(tree), wordFor(v.Kind()))
}

func assignNumber(v reflect.Value, n json.Number) error {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		f, err := n.Float64()
		if err != nil {
			return misfit("number %s is out of range", n)
		}
		v.SetFloat(f)
		return nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := integer(n)
		if err != nil || v.OverflowInt(i) {
			return misfit("number %s can not be converted to %s", n, wordFor(v.Kind()))
		}
		v.SetInt(i)
		return nil
	}
	return misfit("%s can not be converted to %s", kindOf(n), wordFor(v.Kind()))
}

// integer reads a whole number, also when it is written with a fraction of zero.
func integer(n json.Number) (int64, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, strconv.ErrSyntax
	}
	return int64(f), nil
}

// latestTime bounds what a request may give as a time: the year 9999 in epoch
// seconds, beyond which time.Time no longer encodes.
const latestTime = 253402300799

func assignTime(v reflect.Value, tree any) error {
	n, ok := tree.(json.Number)
	if !ok {
		return misfit("%s can not be converted to a Timestamp", kindOf(tree))
	}
	f, err := n.Float64()
	if err != nil || math.Abs(f) > latestTime {
		return misfit("number %s is out of range for a Timestamp", n)
	}
	v.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(f * 1000))).UTC()))
	return nil
}

// nameless says whether an object in a tree has a member without a name.
func nameless(tree any) bool {
	switch x := tree.(type) {
	case []any:
		return slices.ContainsFunc(x, nameless)
	case map[string]any:
		for name, value := range x {
			if name == "" || nameless(value) {
				return true
			}
		}
	}
	return false
}

// documentValue turns the tree into what the SDK's documents are made of.
func documentValue(tree any) any {
	switch x := tree.(type) {
	case json.Number:
		return smithydocument.Number(x)
	case []any:
		l := make([]any, len(x))
		for i := range x {
			l[i] = documentValue(x[i])
		}
		return l
	case map[string]any:
		m := make(map[string]any, len(x))
		for k := range x {
			m[k] = documentValue(x[k])
		}
		return m
	}
	return tree
}

// kindOf names a JSON value as AWS's front end does in its messages.
func kindOf(tree any) string {
	switch x := tree.(type) {
	case string:
		return "STRING_VALUE"
	case json.Number:
		return "NUMBER_VALUE"
	case bool:
		if x {
			return "TRUE_VALUE"
		}
		return "FALSE_VALUE"
	case []any:
		return "START_ARRAY"
	}
	return "START_OBJECT"
}

func wordFor(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a String"
	case reflect.Bool:
		return "a Boolean"
	case reflect.Int, reflect.Int32:
		return "an Integer"
	case reflect.Int64:
		return "a Long"
	case reflect.Float32, reflect.Float64:
		return "a Double"
	}
	return "this member's type"
}
