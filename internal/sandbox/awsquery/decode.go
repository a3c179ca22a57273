package awsquery

import (
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// maxDepth bounds how deep a name in a form leads.
const maxDepth = 16

// tree is a form by the parts of its names, which dots separate.
type tree struct {
	value string
	given bool
	below map[string]*tree
}

func (t *tree) at(name string) *tree {
	if t.below == nil {
		t.below = make(map[string]*tree)
	}
	if t.below[name] == nil {
		t.below[name] = new(tree)
	}
	return t.below[name]
}

// Unmarshal reads a form into the structure that into points to. Lists are
// Name.member.1, Name.member.2, …; names that the structure does not have are
// ignored, as AWS does.
func Unmarshal(form url.Values, into any) error {
	root := new(tree)
	for name, values := range form {
		at := root
		for _, part := range strings.SplitN(name, ".", maxDepth) {
			at = at.at(part)
		}
		at.value, at.given = values[0], true
	}
	return read(reflect.ValueOf(into).Elem(), root)
}

func read(v reflect.Value, t *tree) error {
	if v.Type() == reflect.TypeFor[time.Time]() {
		at, err := time.Parse(time.RFC3339Nano, t.value)
		v.Set(reflect.ValueOf(at))
		return malformed(t, err)
	}
	var err error
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return read(v.Elem(), t)
	case reflect.Struct:
		return readMembers(v, t)
	case reflect.Slice:
		return readList(v, t.below["member"])
	case reflect.String:
		v.SetString(t.value)
	case reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(t.value)
		v.SetBool(b)
	case reflect.Float64:
		var f float64
		f, err = strconv.ParseFloat(t.value, 64)
		v.SetFloat(f)
	default: // integers are all that is left in the shapes
		var n int64
		n, err = strconv.ParseInt(t.value, 10, 32)
		v.SetInt(n)
	}
	return malformed(t, err)
}

func readMembers(v reflect.Value, t *tree) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			if err := readMembers(v.Field(i), t); err != nil {
				return err
			}
			continue
		}
		if below := t.below[WireName(f)]; below != nil {
			if err := read(v.Field(i), below); err != nil {
				return err
			}
		}
	}
	return nil
}

// readList reads members until the first number that is not there. A list that is
// given as Name= has none.
func readList(v reflect.Value, members *tree) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if members == nil {
		return nil
	}
	for i := 1; ; i++ {
		below := members.below[strconv.Itoa(i)]
		if below == nil {
			return nil
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := read(item, below); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
}

func malformed(t *tree, err error) error {
	if err == nil {
		return nil
	}
	return awsjson.Errorf("MalformedInput", http.StatusBadRequest, "%q cannot be read", t.value)
}

// WireName is the name of a member in the protocol.
func WireName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

func omitsZero(f reflect.StructField) bool {
	_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return options == "omitzero"
}
