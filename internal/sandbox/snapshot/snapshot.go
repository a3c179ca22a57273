// Package snapshot writes state that is in memory as JSON, and reads it back.
//
// It walks structures by reflection, fields that are not exported too, so that a
// field somebody adds to a structure is kept without a word about it. What is not
// to be kept says so with the tag state:"-". What several pointers point at is
// written once and is one thing again afterwards, so graphs and cycles are fine.
//
//	{"@id": 3, "Name": "web", …}   a structure behind a pointer
//	{"@ref": 3}                    the same one, pointed at again
//
// Shapes of the AWS SDK are written as AWS does (package awsjson), because they
// hold documents and unions. Functions, channels, interfaces and structures of the
// standard library have no form here; [Check] finds them in a type, so that a test
// can say it before a user's state does.
//
// [Marshal] and [Unmarshal] are all there is to use. A member that is missing is
// left as it is, and one that the type does not have is an error: it was written
// by another version, and ignoring it would lose it.
package snapshot

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"
)

// ours and shapes are where the structures come from that can be kept.
const (
	ours   = "github.com/weelo/weelo-deploy/"
	shapes = "github.com/aws/aws-sdk-go-v2/service/"
)

const (
	idMember  = "@id"
	refMember = "@ref"
)

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
)

// isShape says whether a type is a structure of the AWS SDK.
func isShape(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), shapes)
}

// hasIdentity says whether a pointer to the type is one of several to one thing.
func hasIdentity(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != timeType && !isShape(t)
}

// kept are the fields of a structure that are written, by index.
func kept(t reflect.Type) []int {
	var list []int
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("state") != "-" {
			list = append(list, i)
		}
	}
	return list
}

// field is a field that can be read and set, also when it is not exported.
func field(v reflect.Value, i int) reflect.Value {
	f := v.Field(i)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// Check says which part of a type cannot be written; nil: all of it can.
func Check(t reflect.Type) error { return check(t, t.String(), map[reflect.Type]bool{}) }

func check(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[t] || t == timeType || t == rawType || isShape(t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return check(t.Elem(), path, seen)
	case reflect.Map:
		if k := t.Key().Kind(); k != reflect.String && k != reflect.Int {
			return fmt.Errorf("%s: keys of type %s cannot be kept", path, t.Key())
		}
		return check(t.Elem(), path, seen)
	case reflect.Struct:
		if t.PkgPath() != "" && !strings.HasPrefix(t.PkgPath(), ours) {
			return fmt.Errorf(`%s: %s cannot be kept; the tag state:"-" leaves it out`, path, t)
		}
		for _, i := range kept(t) {
			if err := check(t.Field(i).Type, path+"."+t.Field(i).Name, seen); err != nil {
				return err
			}
		}
		return nil
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Errorf(`%s: %s cannot be kept; the tag state:"-" leaves it out`, path, t)
	}
	return nil
}
