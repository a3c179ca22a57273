package output

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/output/outputtest"
)

const schemaFile = "../../docs/events.schema.json"

// The published schema is what the types say, in the words of docs/json-output.md.
// After a change: go test ./internal/output -run TestSchema -update
func TestSchema_isThatOfTheTypes(t *testing.T) {
	b := schemaBuilder{t: t, docs: readDocs(t), values: constants(t), defs: map[string]any{}}
	var kinds []any
	for _, e := range everyEvent() {
		kind := string(e.Kind())
		b.object(kind, "### "+kind, reflect.TypeOf(e), kind)
		kinds = append(kinds, map[string]any{"$ref": "#/$defs/" + kind})
	}
	schema := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     "https://raw.githubusercontent.com/weelo/weelo-deploy/main/docs/events.schema.json",
		"title":   "weelo-deploy events",
		"description": "One line of weelo-deploy --output json. It describes what this version writes: later ones add members and types, " +
			"which readers must ignore.",
		"oneOf": kinds, "$defs": b.defs,
	}
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s is not what the types say; go test ./internal/output -run TestSchema -update (-file +types):\n%s", schemaFile, d)
	}
}

// schemaBuilder makes definitions from types and from the tables of the document.
type schemaBuilder struct {
	t      *testing.T
	docs   string
	values map[string][]string
	defs   map[string]any
}

// object defines a struct. kind is that of an event, which shares its object with
// the members of its record; empty for others.
func (b *schemaBuilder) object(name, heading string, typ reflect.Type, kind string) {
	if b.defs[name] != nil {
		return
	}
	properties, required := map[string]any{}, []any{}
	b.defs[name] = map[string]any{} // failures hold failures
	if kind != "" {
		properties["v"] = map[string]any{"const": schemaVersion, "description": "version of this form"}
		properties["seq"] = map[string]any{"type": "integer", "minimum": 1}
		properties["time"] = map[string]any{"$ref": "#/$defs/time"}
		properties["type"] = map[string]any{"const": kind}
		properties["stage"] = map[string]any{"type": "string", "description": "the stage that it belongs to"}
		required = append(required, "v", "seq", "time", "type")
	}
	meaning := meanings(section(b.t, b.docs, heading))
	for i := range typ.NumField() {
		f := typ.Field(i)
		member, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if member == "" || member == "-" {
			continue
		}
		p := b.property(f.Type)
		if text := meaning[member]; text != "" {
			p["description"] = text
		}
		properties[member] = p
		if options == "" && f.Type.Kind() != reflect.Pointer && f.Type != reflect.TypeFor[time.Time]() {
			required = append(required, member)
		}
	}
	b.defs[name] = map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// headingOf is the heading of a nested struct's table.
func (b *schemaBuilder) headingOf(typ reflect.Type) string {
	for heading, t := range nested {
		if t == typ {
			return heading
		}
	}
	b.t.Fatalf("%s has no table in %s: name its heading in nested, in docs_test.go", typ, docs)
	return ""
}

func (b *schemaBuilder) property(typ reflect.Type) map[string]any {
	switch {
	case typ == reflect.TypeFor[time.Time]():
		b.defs["time"] = map[string]any{"type": "string", "pattern": `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`}
		return map[string]any{"$ref": "#/$defs/time"}
	case typ.Kind() == reflect.Pointer:
		return b.property(typ.Elem())
	case typ.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": b.property(typ.Elem())}
	case typ.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": b.property(typ.Elem())}
	case typ.Kind() == reflect.Struct:
		heading := b.headingOf(typ)
		name := strings.TrimPrefix(heading, "#### ")
		b.object(name, heading, typ, "")
		return map[string]any{"$ref": "#/$defs/" + name}
	case typ == reflect.TypeFor[event.Code]():
		return map[string]any{"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"}
	case b.values[typ.Name()] != nil:
		var list []any
		for _, v := range b.values[typ.Name()] {
			list = append(list, v)
		}
		return map[string]any{"type": "string", "enum": list}
	}
	kinds := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number", reflect.Int: "integer", reflect.Int64: "integer"}
	if kinds[typ.Kind()] == "" {
		b.t.Fatalf("schema_test.go does not know %s", typ)
	}
	return map[string]any{"type": kinds[typ.Kind()]}
}

// meanings are the last columns of a table, by member.
func meanings(section string) map[string]string {
	out := map[string]string{}
	for _, l := range strings.Split(section, "\n") {
		cells := strings.Split(strings.Trim(l, "| "), " | ")
		if len(cells) >= 4 && strings.HasPrefix(cells[0], "`") {
			out[strings.Trim(cells[0], "`")] = strings.ReplaceAll(strings.Join(cells[3:], " | "), "`", "")
		}
	}
	return out
}

// The sample runs, and the document's examples, are what the schema describes; what
// it does not describe is found.
func TestSchema_validates(t *testing.T) {
	var lines []string
	for _, steps := range [][]step{goodRun(), crashRun()} {
		lines = append(lines, strings.Split(strings.TrimSpace(draw(t, JSON, nil, steps...).stdout.String()), "\n")...)
	}
	for _, l := range strings.Split(readDocs(t), "\n") {
		if strings.HasPrefix(l, `{"v":1,"seq"`) {
			lines = append(lines, l)
		}
	}
	if len(lines) < 60 {
		t.Fatalf("only %d lines to validate", len(lines))
	}
	for _, l := range lines {
		if err := outputtest.Validate([]byte(l)); err != nil {
			t.Errorf("%v\n%s", err, l)
		}
	}
	for _, bad := range []string{
		`{}`, `{"v":1,"seq":1,"time":"2026-11-22T09:14:01.200Z","type":"note","level":"info"}`,
		`{"v":2,"seq":1,"time":"2026-11-22T09:14:01.200Z","type":"note","level":"info","text":"x"}`,
		`{"v":1,"seq":1,"time":"2026-11-22 09:14","type":"note","level":"info","text":"x"}`,
		`{"v":1,"seq":1,"time":"2026-11-22T09:14:01.200Z","type":"note","level":"bad","text":"x"}`,
		`{"v":1,"seq":1,"time":"2026-11-22T09:14:01.200Z","type":"note","level":"info","text":"x","more":1}`, `nonsense`,
	} {
		if outputtest.Validate([]byte(bad)) == nil {
			t.Errorf("%s is valid", bad)
		}
	}
}
