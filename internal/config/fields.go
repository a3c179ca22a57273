package config

import (
	"reflect"
	"strings"
	"time"
)

// field is a key that a struct takes.
type field struct {
	name   string
	index  int
	number bool // text, but a number is taken as it is written
	alone  bool // text that stands where the whole mapping could
	single bool // a list, of which one entry may stand alone
	typ    reflect.Type
}

var durationType = reflect.TypeFor[time.Duration]()

func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		also := f.Tag.Get("also")
		out = append(out, field{name: name, index: i, number: also == "number", alone: also == "alone", single: also == "single", typ: f.Type})
	}
	return out
}

func names(fs []field) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.name)
	}
	return out
}

// scalarPaths are the dotted keys that hold one value: those that a variable or
// a flag can set.
func scalarPaths() []string { return leaves(reflect.TypeFor[Settings](), "") }

func leaves(t reflect.Type, prefix string) []string {
	var out []string
	for _, f := range fieldsOf(t) {
		switch f.typ.Kind() {
		case reflect.Struct:
			out = append(out, leaves(f.typ, prefix+f.name+".")...)
		case reflect.Slice, reflect.Map:
		default:
			out = append(out, prefix+f.name)
		}
	}
	return out
}
