package awsjson

import (
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// field is one member of a structure: its name on the wire and where its value
// is, as reflect's FieldByIndex takes it.
type field struct {
	name  string
	index []int
}

// structInfo lists the members of one structure type in their declared order.
type structInfo struct {
	fields []field
	byName map[string]field
}

var structs sync.Map // reflect.Type → *structInfo

// infoOf returns the members of the structure type t.
func infoOf(t reflect.Type) *structInfo {
	if known, ok := structs.Load(t); ok {
		return known.(*structInfo)
	}
	info := &structInfo{byName: make(map[string]field)}
	info.add(t, nil)
	known, _ := structs.LoadOrStore(t, info)
	return known.(*structInfo)
}

// add collects the members of t. Embedded structures are flattened, so that an
// answer can be an SDK shape plus members that the SDK does not know.
func (s *structInfo) add(t reflect.Type, path []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(append([]int(nil), path...), i)
		if !f.IsExported() || f.Name == "ResultMetadata" {
			continue
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			s.add(f.Type, index)
			continue
		}
		m := field{name: wireName(t, f), index: index}
		s.fields = append(s.fields, m)
		s.byName[m.name] = m
	}
}

// wireName is the member's name in JSON: the json tag of a structure of ours,
// else the Go name with its first letter lowered, but for the shapes whose
// members are upper case in AWS's model.
func wireName(t reflect.Type, f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	if upperCased[t] {
		return f.Name
	}
	return lowerFirst(f.Name)
}

func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[size:]
}
