package output

import (
	"reflect"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// sanitizer makes copies of events that are fit to be shown.
type sanitizer struct {
	redactor *redact.Redactor
	lines    bool // for people: every string on one line, as Clean does
	commands bool // for GitHub Actions: nothing can be taken for a command
}

// record is a safe copy of r, whose event must not be nil.
func (s sanitizer) record(r event.Record) event.Record {
	v := reflect.ValueOf(r.Event)
	if v.Kind() == reflect.Pointer { // methods of the value, so a pointer is an Event too
		v = v.Elem()
	}
	r.Event = s.value(v).Interface().(event.Event)
	r.Stage = s.text(r.Stage)
	return r
}

func (s sanitizer) text(t string) string {
	t = s.redactor.String(t)
	// Control sequences may stand inside a secret; whoever strips them, we or the
	// reader of the JSON, must not get the secret back.
	if clean := words.Clean(t); clean != t {
		masked := s.redactor.String(clean)
		if s.lines || masked != clean {
			t = masked
		}
	}
	if s.commands {
		// The runner looks for "##[command]" anywhere in a line.
		t = strings.ReplaceAll(t, "##[", "# #[")
	}
	return t
}

// value is a deep copy of v with every string made safe. Nil lists become empty
// ones: in JSON a list is never null.
func (s sanitizer) value(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		out.SetString(s.text(v.String()))
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(s.value(v.Elem()))
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), 0, v.Len()))
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() != reflect.Pointer || !e.IsNil() {
				out.Set(reflect.Append(out, s.value(e)))
			}
		}
	case reflect.Map:
		out.Set(reflect.MakeMap(v.Type()))
		for _, k := range v.MapKeys() {
			out.SetMapIndex(s.value(k), s.value(v.MapIndex(k)))
		}
	case reflect.Struct:
		out.Set(v)
		if f, ok := v.Interface().(event.Failure); ok {
			// The cause belongs to the message, and nobody redacts an error value.
			f.Message, f.Cause = f.Error(), nil
			v = reflect.ValueOf(f)
			out.Set(v)
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Type.Kind() != reflect.Interface {
				out.Field(i).Set(s.value(v.Field(i)))
			}
		}
	default:
		out.Set(v)
	}
	return out
}
