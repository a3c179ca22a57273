package snapshot

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// Unmarshal reads into what root, a pointer, points at. After an error it is
// half read and of no use.
func Unmarshal(data json.RawMessage, root any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	v := reflect.ValueOf(root)
	r := decoder{made: make(map[int]reflect.Value), missing: make(map[int]bool)}
	if members, ok := tree.(map[string]any); ok {
		if id, err := number(members[idMember]); err == nil {
			r.made[id] = v
		}
	}
	if err := r.value(v.Elem(), tree); err != nil {
		return err
	}
	for id := range r.missing {
		return fmt.Errorf("what %s %d means is not there", refMember, id)
	}
	return nil
}

type decoder struct {
	made    map[int]reflect.Value // pointers by id
	missing map[int]bool          // ids that were referred to and not yet read
}

func misfit(tree any, t reflect.Type) error {
	return fmt.Errorf("%T does not fit %s", tree, t)
}

func (d *decoder) value(v reflect.Value, tree any) error {
	if tree == nil {
		v.SetZero()
		return nil
	}
	switch t := v.Type(); {
	case t == timeType:
		return setTime(v, tree)
	case t == rawType:
		text, ok := tree.(string)
		if !ok {
			return misfit(tree, t)
		}
		v.SetBytes([]byte(text))
		return nil
	case isShape(t):
		raw, err := json.Marshal(tree)
		if err != nil {
			return err
		}
		return awsjson.Unmarshal(raw, v.Addr().Interface())
	}
	switch v.Kind() {
	case reflect.Pointer:
		return d.pointer(v, tree)
	case reflect.Struct:
		return d.structure(v, tree)
	case reflect.Slice, reflect.Array:
		return d.list(v, tree)
	case reflect.Map:
		return d.mapping(v, tree)
	}
	return setScalar(v, tree)
}

func setTime(v reflect.Value, tree any) error {
	text, _ := tree.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(at))
	return nil
}

// setScalar reads a number, a text or a boolean as encoding/json does.
func setScalar(v reflect.Value, tree any) error {
	raw, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v.Addr().Interface())
}

// pointer makes what is pointed at, once for each id. A reference may come before
// what it means.
func (d *decoder) pointer(v reflect.Value, tree any) error {
	elem := v.Type().Elem()
	if !hasIdentity(elem) {
		v.Set(reflect.New(elem))
		return d.value(v.Elem(), tree)
	}
	members, ok := tree.(map[string]any)
	if !ok {
		return misfit(tree, v.Type())
	}
	if ref, ok := members[refMember]; ok {
		id, err := number(ref)
		if err != nil {
			return err
		}
		if _, known := d.made[id]; !known {
			d.made[id], d.missing[id] = reflect.New(elem), true
		}
		return d.point(v, id)
	}
	id, err := number(members[idMember])
	if err != nil {
		return fmt.Errorf("%s: %w", idMember, err)
	}
	if _, known := d.made[id]; !known {
		d.made[id] = reflect.New(elem)
	} else if !d.missing[id] {
		return fmt.Errorf("%s %d is there twice", idMember, id)
	}
	delete(d.missing, id)
	if err := d.point(v, id); err != nil {
		return err
	}
	return d.structure(v.Elem(), tree)
}

func (d *decoder) point(v reflect.Value, id int) error {
	p := d.made[id]
	if p.Type() != v.Type() {
		return fmt.Errorf("%s %d is a %s, not a %s", refMember, id, p.Type(), v.Type())
	}
	v.Set(p)
	return nil
}

func number(tree any) (int, error) {
	n, ok := tree.(json.Number)
	if !ok {
		return 0, errors.New("it is no number")
	}
	return strconv.Atoi(string(n))
}

func (d *decoder) structure(v reflect.Value, tree any) error {
	members, ok := tree.(map[string]any)
	if !ok {
		return misfit(tree, v.Type())
	}
	known := map[string]bool{idMember: true}
	for _, i := range kept(v.Type()) {
		name := v.Type().Field(i).Name
		known[name] = true
		m, there := members[name]
		if !there {
			continue
		}
		if err := d.value(field(v, i), m); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name := range members {
		if !known[name] {
			return fmt.Errorf("%s has no member %q: it was written by another version", v.Type(), name)
		}
	}
	return nil
}

func (d *decoder) list(v reflect.Value, tree any) error {
	if text, ok := tree.(string); ok && v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
		b, err := base64.StdEncoding.DecodeString(text)
		v.SetBytes(b)
		return err
	}
	items, ok := tree.([]any)
	if !ok || v.Kind() == reflect.Array && len(items) != v.Len() {
		return misfit(tree, v.Type())
	}
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	}
	for i, item := range items {
		if err := d.value(v.Index(i), item); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func (d *decoder) mapping(v reflect.Value, tree any) error {
	members, ok := tree.(map[string]any)
	if !ok {
		return misfit(tree, v.Type())
	}
	m := reflect.MakeMapWithSize(v.Type(), len(members))
	for name, item := range members {
		key := reflect.New(v.Type().Key()).Elem()
		if key.Kind() == reflect.String {
			key.SetString(name)
		} else {
			n, err := strconv.ParseInt(name, 10, 64)
			if err != nil {
				return err
			}
			key.SetInt(n)
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(e, item); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		m.SetMapIndex(key, e)
	}
	v.Set(m)
	return nil
}
