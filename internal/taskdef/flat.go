package taskdef

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// leaf is one value of a flattened definition. Two leaves are the same value
// exactly when they are ==.
type leaf struct {
	canonical string // JSON with sorted members and normal numbers
	masked    bool
}

// flat is the registration input as leaves by their paths. What cannot be read
// becomes one leaf, so that it never equals anything else.
func (d *Definition) flat() map[string]leaf {
	out := map[string]leaf{}
	body, err := d.registration(nil)
	if err != nil {
		body = d.raw
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return map[string]leaf{"": {canonical: string(d.raw), masked: true}}
	}
	flatten(out, "", "", v)
	return out
}

// keys name the member by which the entries of a list are told apart (the
// members of TaskDefinition, ECS API reference).
var keys = map[string]string{
	"containerDefinitions": "name", "environment": "name", "secrets": "name", "secretOptions": "name",
	"volumes": "name", "ulimits": "name", "properties": "name", "mountPoints": "containerPath",
	"dependsOn": "containerName", "systemControls": "namespace", "extraHosts": "hostname",
	"resourceRequirements": "type", "environmentFiles": "value", "portMappings": "containerPort",
	"volumesFrom": "sourceContainer", "tags": "key",
}

// flatten adds the leaves of v, which is the value of the named member (for an
// entry of a list: of that list) and stands at path. It returns how many.
func flatten(out map[string]leaf, path, member string, v any) int {
	switch v := v.(type) {
	case nil:
		return 0
	case map[string]any:
		return flattenObject(out, path, member, v)
	case []any:
		if len(v) == 0 {
			return 0
		}
		if entries, ok := objects(v); ok {
			return flattenEntries(out, path, member, entries)
		}
	}
	out[path] = leaf{canonical: canonical(v), masked: sensitive(member, v)}
	return 1
}

func flattenObject(out map[string]leaf, path, member string, o map[string]any) int {
	if _, pair := o["value"]; pair && o["name"] != nil {
		out[path] = leaf{canonical: canonical(o), masked: true}
		return 1
	}
	n := 0
	for name, v := range o {
		if name == keys[member] {
			continue // it is in the path
		}
		n += flatten(out, below(path, name), name, v)
	}
	if n == 0 {
		out[path] = leaf{canonical: "{}"}
		n = 1
	}
	return n
}

// flattenEntries names the entries of a list by their key where it tells them
// apart, by their place otherwise.
func flattenEntries(out map[string]leaf, path, member string, entries []map[string]any) int {
	names, distinct := make([]string, len(entries)), map[string]bool{}
	for i, e := range entries {
		names[i] = entryKey(member, e)
		distinct[names[i]] = true
	}
	byKey := len(distinct) == len(entries) && !distinct[""]
	n := 0
	for i, e := range entries {
		if byKey {
			n += flatten(out, path+"["+word(names[i])+"]", member, e)
			continue
		}
		n += flatten(out, path+"["+strconv.Itoa(i)+"]", "", e)
	}
	return n
}

// below is the path of a member. A name that is no plain word (a Docker label)
// stands in quotes, so that no two paths are alike.
func below(path, name string) string {
	w := word(name)
	switch {
	case w != name:
		return path + "[" + w + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

func word(name string) string {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-/:", r))
	}
	if name == "" || strings.ContainsFunc(name, odd) {
		return strconv.QuoteToASCII(name)
	}
	return name
}

func entryKey(member string, e map[string]any) string {
	switch k := e[keys[member]].(type) {
	case string:
		return k
	case json.Number:
		if p, ok := e["protocol"].(string); ok {
			return fmt.Sprint(k, "/", p)
		}
		return k.String()
	}
	return ""
}

func objects(list []any) ([]map[string]any, bool) {
	out := make([]map[string]any, len(list))
	for i, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		out[i] = o
	}
	return out, true
}

// canonical is v as JSON with sorted members and normal numbers.
func canonical(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(normal(v)); err != nil {
		return fmt.Sprintf("%v", v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func normal(v any) any {
	switch v := v.(type) {
	case json.Number:
		return json.Number(normalNumber(v.String()))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = normal(v[k])
		}
		return out
	}
	return v
}

// normalNumber gives equal numbers equal spellings: 1, 1.0, 10e-1 become 1. It
// works on the digits, so that 1e999999999 costs nothing.
func normalNumber(s string) string {
	digits, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	exp, err := strconv.ParseInt(strings.TrimPrefix(exponent, "+"), 10, 64)
	if exponent != "" && (err != nil || exp < -1<<40 || exp > 1<<40) {
		return s // an exponent beyond all use: only its own spelling equals it
	}
	digits, negative := strings.CutPrefix(digits, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	exp -= int64(len(fraction))
	digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	exp += int64(len(digits) - len(short))
	if short == "" {
		return "0"
	}
	switch {
	case exp >= 0 && exp <= 20:
		short += strings.Repeat("0", int(exp))
	case exp < 0 && exp >= -20:
		short = strings.Repeat("0", max(0, 1-int(exp)-len(short))) + short
		point := len(short) + int(exp)
		short = short[:point] + "." + short[point:]
	default:
		short += "e" + strconv.FormatInt(exp, 10)
	}
	if negative {
		short = "-" + short
	}
	return short
}
