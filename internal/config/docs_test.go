package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docs = "../../docs/configuration.md"

// everyKey are the keys of a Document as docs/configuration.md spells them.
func everyKey(t reflect.Type, prefix string) []string {
	var out []string
	for _, f := range fieldsOf(t) {
		path := prefix + f.name
		switch {
		case f.typ.Kind() == reflect.Struct:
			out = append(out, everyKey(f.typ, path+".")...)
			continue
		case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct:
			out = append(out, everyKey(f.typ.Elem(), path+"[].")...)
		}
		out = append(out, path)
	}
	return out
}

func TestDocs_keys(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, keys, _ := strings.Cut(string(text), "\n## Keys\n")
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(keys, -1) {
		got = append(got, m[1])
	}
	want := append(everyKey(reflect.TypeFor[Settings](), ""), "environments", "verify.trial")
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("keys in %s (-types +docs):\n%s", docs, d)
	}
}

func TestDocs_example(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "\n## Example\n\n```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	load(t, example, Options{Env: "staging"})
}

func TestRules_namePlaces(t *testing.T) {
	known := everyKey(reflect.TypeFor[Settings](), "")
	base := func(path string) string { return strings.TrimSuffix(strings.TrimSuffix(path, "[]"), ".*") }
	for path := range rules {
		if !slices.Contains(known, path) && !slices.Contains(known, base(path)) {
			t.Errorf("rules[%q] is for no key", path)
		}
	}
	for path := range nameRules {
		if !slices.Contains(known, path) {
			t.Errorf("nameRules[%q] is for no key", path)
		}
	}
	for path := range listRules {
		if !slices.Contains(known, path) {
			t.Errorf("listRules[%q] is for no key", path)
		}
	}
}

func TestVariableOf_isUnique(t *testing.T) {
	seen := map[string]string{VariableConfig: "--config", VariableEnv: "--env", VariableOutput: "--output"}
	for _, path := range scalarPaths() {
		if other, twice := seen[VariableOf(path)]; twice {
			t.Errorf("%s stands for %s and %s", VariableOf(path), path, other)
		}
		seen[VariableOf(path)] = path
	}
}
