package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder fills structs from a tree and reports every value that does not fit.
type decoder struct {
	src *source
	out *problems
	// draft: the tree is a part of the configuration (the file without an
	// environment, or one environment) whose ${VAR} are not expanded; values that
	// hold one are not judged, and whole-file rules do not apply.
	draft   bool
	origins map[string]Origin
	keys    map[string]Origin
}

func newDecoder(src *source, out *problems) *decoder {
	return &decoder{src: src, out: out, origins: map[string]Origin{}, keys: map[string]Origin{}}
}

// place is where in the configuration the decoder is: path for people and
// origins, rule for the table of rules, where indices are [] and names *.
type place struct {
	path, rule     string
	number, single bool
}

func (p place) key(f field) place {
	return place{path: join(p.path, f.name), rule: join(p.rule, f.name), number: f.number, single: f.single}
}

func (p place) item(i int) place {
	return place{path: fmt.Sprintf("%s[%d]", p.path, i), rule: p.rule + "[]"}
}

func (p place) entry(name string) place {
	return place{path: p.path + "." + name, rule: p.rule + ".*"}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

// decode fills v, which must be settable, from n.
func (d *decoder) decode(n *node, v reflect.Value, p place) {
	if n.kind != scalar && len(n.items)+len(n.pairs) > 0 || n.kind == scalar && !n.isNull() {
		d.origins[p.path] = n.at
	}
	switch {
	case v.Type() == durationType:
		d.duration(n, v, p)
	case v.Kind() == reflect.String:
		if text, ok := d.text(n, p, "text"); ok && d.obeys(n, p, text) {
			v.SetString(text)
		}
	case v.Kind() == reflect.Bool:
		d.boolean(n, v, p)
	case v.Kind() == reflect.Int:
		d.integer(n, v, p)
	case v.Kind() == reflect.Slice:
		d.slice(n, v, p)
	case v.Kind() == reflect.Map:
		d.table(n, v, p)
	case v.Kind() == reflect.Struct:
		d.structure(n, v, p)
	}
}

// text is the scalar's text; false when there is none to judge, which has been
// reported where it is wrong. want says for people what belongs there.
func (d *decoder) text(n *node, p place, want string) (string, bool) {
	switch {
	case n.kind != scalar:
		d.wrong(n, p, want)
		return "", false
	case n.isNull():
		d.out.add(n.at, fmt.Sprintf("%s has no value", p.path), "write a value, or remove the key")
		return "", false
	case d.draft && strings.Contains(n.text, "${"):
		return "", false
	case want != "text" || n.tag == "str" || n.tag == "" || strings.HasSuffix(p.rule, ".*"):
		return n.text, true
	case p.number && (n.tag == "int" || n.tag == "float"):
		return n.text, true
	}
	d.out.add(n.at, fmt.Sprintf("%s wants text, have %s", p.path, article(n.tag)), fmt.Sprintf("quote it: %q", n.text))
	return "", false
}

func article(tag string) string {
	return map[string]string{"int": "a number", "float": "a number", "bool": "true or false"}[tag]
}

func (d *decoder) wrong(n *node, p place, want string) {
	path := p.path
	if path == "" {
		path = "the file"
	}
	d.out.add(n.at, fmt.Sprintf("%s wants %s, have %s", path, want, describe(n)))
}

func describe(n *node) string {
	if n.kind != scalar {
		return n.kind.String()
	}
	return "a single value"
}

// obeys applies the rule of the place, if there is one.
func (d *decoder) obeys(n *node, p place, text string) bool {
	r, ok := rules[p.rule]
	if !ok {
		return true
	}
	if err := r.judge(text); err != nil {
		d.out.add(n.at, p.path+": "+err.Error(), hintsOf(err)...)
		return false
	}
	return true
}

func (d *decoder) duration(n *node, v reflect.Value, p place) {
	text, ok := d.text(n, p, "a duration such as 10m or 1m30s")
	if !ok {
		return
	}
	t, err := time.ParseDuration(text)
	if err != nil && text != "0" {
		hint := []string(nil)
		if _, numeric := strconv.Atoi(text); numeric == nil {
			hint = []string{fmt.Sprintf("say the unit: %ss or %sm", text, text)}
		}
		d.out.add(n.at, fmt.Sprintf("%s wants a duration such as 10m or 1m30s, have %s", p.path, quote(text)), hint...)
		return
	}
	if d.obeys(n, p, text) {
		v.SetInt(int64(t))
	}
}

func (d *decoder) boolean(n *node, v reflect.Value, p place) {
	text, ok := d.text(n, p, "true or false")
	switch {
	case !ok:
	case n.tag == "str" || text != "true" && text != "false":
		d.out.add(n.at, fmt.Sprintf("%s wants true or false, have %s", p.path, quote(text)))
	default:
		v.SetBool(text == "true")
	}
}

func (d *decoder) integer(n *node, v reflect.Value, p place) {
	text, ok := d.text(n, p, "a whole number")
	if !ok {
		return
	}
	i, err := strconv.Atoi(text)
	if err != nil || n.tag == "str" {
		d.out.add(n.at, fmt.Sprintf("%s wants a whole number, have %s", p.path, quote(text)))
		return
	}
	if d.obeys(n, p, text) {
		v.SetInt(int64(i))
	}
}

func (d *decoder) slice(n *node, v reflect.Value, p place) {
	if n.isNull() {
		return
	}
	if n.kind == scalar && p.single {
		n = &node{kind: list, at: n.at, items: []*node{n}}
	}
	if n.kind != list {
		d.wrong(n, p, "a list")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.decode(item, out.Index(i), p.item(i))
	}
	if r, ok := listRules[p.rule]; ok {
		if err := r(len(n.items)); err != nil {
			d.out.add(n.at, p.path+": "+err.Error())
		}
	}
	v.Set(out)
}

// table decodes a mapping of names to text. Numbers and booleans are taken as
// they are written: PORT: 3000 and VERSION: 1.10 mean what they look like.
func (d *decoder) table(n *node, v reflect.Value, p place) {
	if n.isNull() {
		return
	}
	if n.kind != mapping {
		d.wrong(n, p, "a mapping of names to values")
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, pr := range n.pairs {
		at := p.entry(pr.key)
		d.keys[at.path] = pr.at
		if r, ok := nameRules[p.rule]; ok {
			if err := r.judge(pr.key); err != nil {
				d.out.add(pr.at, p.path+": "+err.Error())
			}
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(pr.value, value, at)
		out.SetMapIndex(reflect.ValueOf(pr.key), value)
	}
	v.Set(out)
}

func (d *decoder) structure(n *node, v reflect.Value, p place) {
	fields := fieldsOf(v.Type())
	if i := slices.IndexFunc(fields, func(f field) bool { return f.alone }); i >= 0 && n.kind == scalar {
		d.alone(n, v, p, fields[i])
		return
	}
	if n.isNull() {
		return
	}
	if n.kind != mapping {
		d.wrong(n, p, "a mapping of keys to values")
		return
	}
	for _, pr := range n.pairs {
		f, ok := find(fields, pr.key)
		if !ok {
			d.unknown(pr, p, fields)
			continue
		}
		at := p.key(f)
		d.keys[at.path] = pr.at
		d.decode(pr.value, v.Field(f.index), at)
	}
}

// alone decodes a text that stands for a mapping with one key.
func (d *decoder) alone(n *node, v reflect.Value, p place, f field) {
	d.origins[join(p.path, f.name)] = n.at
	at := p.key(f)
	at.path = p.path // for people it has no key of its own
	d.keys[p.path+"."+f.name] = n.at
	d.decode(n, v.Field(f.index), at)
}

func find(fs []field, name string) (field, bool) {
	for _, f := range fs {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}
