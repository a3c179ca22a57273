package config

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// object is a part of a JSON schema.
type object map[string]any

const schemaID = "https://raw.githubusercontent.com/weelo/weelo-deploy/main/schema/weelo-deploy.schema.json"

// required are the keys without which an entry is refused, by rule path.
var required = map[string][]string{
	"build.secrets[]":  {"id"},
	"release.before[]": {"command"},
	"checks.http[]":    {"name", "url"},
	"checks.logs[]":    {"name"},
	"notify[]":         {"url"},
	"verify.allow[]":   {"path"},
}

// more is what the schema says of values whose rule is code, by rule path.
var more = map[string]object{
	"account":          {"minimum": 100_000_000_000, "maximum": 999_999_999_999}, // where it is a number
	"build.on":         {"examples": []string{"docker", "ssh://user@host", "codebuild:PROJECT"}},
	"build.secrets[]":  {"oneOf": []object{{"required": []string{"file"}}, {"required": []string{"env"}}}},
	"checks.logs[]":    {"oneOf": []object{{"required": []string{"contains"}}, {"required": []string{"matches"}}, {"required": []string{"absent"}}}},
	"release.tolerate": {"pattern": `^([0-9]+|([0-9]|[1-9][0-9]|100)%)$`},
	"image.repository": {"pattern": `^[A-Za-z0-9][A-Za-z0-9._:-]*(/[A-Za-z0-9._-]+)*$`},
}

// durationPattern is what time.ParseDuration takes, without a sign.
const durationPattern = `^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$|^0$`

// key is a row of the table of keys in the docs.
type key struct{ kind, fallback, meaning string }

// documented are the keys of docs/configuration.md.
func documented(t *testing.T) map[string]key {
	t.Helper()
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Keys\n")
	out := map[string]key{}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*?) ?\\| (.*?) ?\\| (.*?) \\|$")
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		out[m[1]] = key{m[2], m[3], m[4]}
	}
	return out
}

// generator makes the schema of the configuration's types.
type generator struct{ docs map[string]key }

// generate is the schema as it is kept in schema/.
func generate(t *testing.T) string {
	t.Helper()
	g := generator{documented(t)}
	root := g.structure(reflect.TypeFor[Settings](), "")
	definitions, keys := object{}, object{}
	for name, s := range root["properties"].(object) {
		definitions[name] = s
		keys[name] = object{"$ref": "#/definitions/" + name}
	}
	settings := object{"type": []string{"object", "null"}, "additionalProperties": false, "properties": keys}
	definitions["settings"] = settings
	definitions["variable"] = object{"type": "string", "pattern": `\$\{[A-Za-z_][A-Za-z0-9_]*\}`, "description": "a value with a variable of the process"}
	all := object{"environments": object{
		"type": []string{"object", "null"}, "description": g.docs["environments"].meaning,
		"propertyNames": object{"pattern": environmentName.String()}, "additionalProperties": object{"$ref": "#/definitions/settings"},
	}}
	for name, ref := range keys {
		all[name] = ref
	}
	text, err := json.MarshalIndent(object{
		"$schema": "http://json-schema.org/draft-07/schema#", "$id": schemaID,
		"title": FileName, "description": "What weelo-deploy releases, where and how. See docs/configuration.md.",
		"type": []string{"object", "null"}, "additionalProperties": false, "properties": all, "definitions": definitions,
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// structure is the schema of a mapping with known keys. path is a rule path.
func (g generator) structure(t reflect.Type, path string) object {
	keys := object{}
	for _, f := range fieldsOf(t) {
		at := join(path, f.name)
		s := g.value(f.typ, at, f.number)
		if f.single {
			s = object{"anyOf": []object{s, g.value(f.typ.Elem(), at+"[]", false)}}
		}
		g.describe(s, at)
		keys[f.name] = s
	}
	out := object{"type": []string{"object", "null"}, "additionalProperties": false, "properties": keys}
	if need := required[path]; need != nil {
		out["type"], out["required"] = "object", need
	}
	for k, v := range more[path] {
		out[k] = v
	}
	for _, f := range fieldsOf(t) {
		if f.alone {
			return object{"anyOf": []object{out, text(join(path, f.name), f.number)}}
		}
	}
	return out
}

func (g generator) value(t reflect.Type, path string, number bool) object {
	switch {
	case t == durationType:
		return variable(object{"type": "string", "pattern": durationPattern})
	case t.Kind() == reflect.String:
		return text(path, number)
	case t.Kind() == reflect.Bool:
		return variable(object{"type": "boolean"})
	case t.Kind() == reflect.Int:
		out := object{"type": "integer"}
		if r, ok := rules[path].(bounds); ok {
			out["minimum"], out["maximum"] = r.least, r.most
		}
		return variable(out)
	case t.Kind() == reflect.Slice:
		out := object{"type": []string{"array", "null"}, "items": g.value(t.Elem(), path+"[]", false)}
		if r, ok := listRules[path]; ok && r(0) != nil {
			out["minItems"] = 1
		}
		return out
	case t.Kind() == reflect.Map:
		return mappingSchema(path)
	}
	return g.structure(t, path)
}

// text is the schema of a single text. Where its rule is data, it says the same.
func text(path string, number bool) object {
	out := object{"type": "string"}
	if number {
		out["type"] = []string{"string", "number"}
	}
	for k, v := range facets(rules[path]) {
		out[k] = v
	}
	for k, v := range more[path] {
		out[k] = v
	}
	if len(out) == 1 {
		return out
	}
	return variable(out)
}

func facets(r rule) object {
	switch r := r.(type) {
	case pattern:
		return object{"pattern": r.expression}
	case choice:
		return object{"enum": []string(r)}
	case filled:
		return object{"pattern": `\S`}
	}
	return nil
}

// mappingSchema is a mapping of names to texts, which are taken as they are written.
func mappingSchema(path string) object {
	value := object{"type": []string{"string", "number", "boolean"}}
	for k, v := range facets(rules[path+".*"]) {
		value[k] = v
	}
	out := object{"type": []string{"object", "null"}, "additionalProperties": value}
	if r, ok := nameRules[path].(pattern); ok {
		out["propertyNames"] = object{"pattern": r.expression}
	}
	return out
}

// variable takes ${NAME} instead of a value too.
func variable(s object) object {
	return object{"anyOf": []object{s, {"$ref": "#/definitions/variable"}}}
}

// describe says what the docs say of a key.
func (g generator) describe(s object, path string) {
	k, ok := g.docs[path]
	if !ok {
		return
	}
	s["description"] = strings.ToUpper(k.meaning[:1]) + k.meaning[1:]
	literal := strings.Trim(k.fallback, "`")
	if "`"+literal+"`" != k.fallback {
		return
	}
	var value any = literal
	if err := json.Unmarshal([]byte(literal), &value); err != nil || strings.HasSuffix(path, "tolerate") {
		value = literal
	}
	s["default"] = value
}
