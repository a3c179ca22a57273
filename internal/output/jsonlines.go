package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/words"
	"github.com/weelo/weelo-deploy/internal/redact"
)

// schemaVersion is the "v" of every JSON line. Members are added under the same
// version; it grows when one is removed or changes its meaning.
const schemaVersion = 1

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// jsonLines writes each record as one JSON object on one line
// (docs/json-output.md).
type jsonLines struct{ w io.Writer }

func (j *jsonLines) record(r event.Record) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"v":%d,"seq":%d,"time":"%s","type":"%s"`, schemaVersion, r.Seq, r.Time.UTC().Format(timeFormat), r.Event.Kind())
	if r.Stage != "" {
		b.WriteString(`,"stage":`)
		encodeText(&b, r.Stage)
	}
	members(&b, reflect.ValueOf(r.Event), true)
	b.WriteString("}\n")
	j.w.Write(b.Bytes()) // a reader that went away must not end the release
}

// members writes the members of a struct, each behind a comma when more is true.
func members(b *bytes.Buffer, v reflect.Value, more bool) {
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" || leftOut(v.Field(i), options) {
			continue
		}
		if more {
			b.WriteByte(',')
		}
		more = true
		encodeText(b, name)
		b.WriteByte(':')
		encode(b, v.Field(i))
	}
}

// leftOut reports members that do not appear: what is unknown, and what no JSON
// number can express.
func leftOut(v reflect.Value, options string) bool {
	if t, ok := v.Interface().(time.Time); ok {
		return t.IsZero()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Map:
		return strings.Contains(options, "omitempty") && v.Len() == 0
	case reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return true
		}
	case reflect.Slice:
		return strings.Contains(options, "omitempty") && v.Len() == 0
	}
	return strings.Contains(options, "omit") && v.IsZero()
}

func encode(b *bytes.Buffer, v reflect.Value) {
	if t, ok := v.Interface().(time.Time); ok {
		encodeText(b, t.UTC().Format(timeFormat))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		encode(b, v.Elem())
	case reflect.Struct:
		b.WriteByte('{')
		members(b, v, false)
		b.WriteByte('}')
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			encode(b, v.Index(i))
		}
		b.WriteByte(']')
	case reflect.String:
		encodeText(b, v.String())
	case reflect.Map:
		encodeMap(b, v)
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Float64:
		b.WriteString(strconv.FormatFloat(math.Round(v.Float()*1000)/1000, 'f', -1, 64))
	default:
		b.WriteString("null")
	}
}

// encodeMap writes a map with text keys as an object, its members in order.
func encodeMap(b *bytes.Buffer, v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		encodeText(b, k.String())
		b.WriteByte(':')
		encode(b, v.MapIndex(k))
	}
	b.WriteByte('}')
}

// WriteObject writes the answer of a read command: a struct as one JSON object
// on one line, with the rules of the JSON lines (secrets masked, unknown times
// left out, lists never null, nothing that a terminal could act on). r may be nil.
func WriteObject(w io.Writer, r *redact.Redactor, answer any) error {
	v := reflect.Indirect(reflect.ValueOf(answer))
	if v.Kind() != reflect.Struct {
		return fmt.Errorf("write JSON object: %T is no struct", answer)
	}
	var b bytes.Buffer
	encode(&b, sanitizer{redactor: r}.value(v))
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// encodeText writes a JSON string in which everything that a terminal could act
// on is escaped: the lines may be looked at as they are.
func encodeText(b *bytes.Buffer, s string) {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		b.WriteString(`""`)
		return
	}
	for _, r := range strings.TrimSuffix(raw.String(), "\n") {
		switch {
		case !words.Harmful(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
}
