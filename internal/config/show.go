package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// Value is one value of the configuration as it applies.
type Value struct {
	Path string // "build.secrets[0].file"
	Text string // masked where it may be secret
	// Kind is "text", "number", "boolean" or "duration".
	Kind   string
	Origin Origin

	keys []string // the path taken apart: "build", "secrets", "[0]", "file"
}

// Values are all values that apply, defaults among them, in the order of the
// types. What may be secret is masked, and so are credentials within a value.
func (c *Config) Values() []Value {
	w := walker{config: c, secrets: c.SecretValues()}
	w.walk(reflect.ValueOf(c.Settings), "", nil)
	return w.values
}

// walker collects values.
type walker struct {
	config  *Config
	secrets []string
	values  []Value
}

func (w *walker) walk(v reflect.Value, path string, keys []string) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			w.walk(v.Field(f.index), join(path, f.name), under(keys, f.name))
		}
	case reflect.Slice:
		for i := range v.Len() {
			index := fmt.Sprintf("[%d]", i)
			w.walk(v.Index(i), path+index, under(keys, index))
		}
	case reflect.Map:
		table := v.Interface().(map[string]string)
		for _, name := range slices.Sorted(maps.Keys(table)) {
			w.put(path+"."+name, table[name], "text", under(keys, name))
		}
	default:
		w.scalar(v, path, keys)
	}
}

func under(keys []string, key string) []string { return append(slices.Clone(keys), key) }

func (w *walker) scalar(v reflect.Value, path string, keys []string) {
	switch value := v.Interface().(type) {
	case string:
		if value != "" {
			w.put(path, value, "text", keys)
		}
	case bool:
		if value || w.config.configured(path) {
			w.put(path, strconv.FormatBool(value), "boolean", keys)
		}
	case int:
		if value != 0 {
			w.put(path, strconv.Itoa(value), "number", keys)
		}
	case time.Duration:
		if value != 0 || w.config.configured(path) {
			w.put(path, shortDuration(value), "duration", keys)
		}
	}
}

// shortDuration is 10m where time.Duration says 10m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (w *walker) put(path, text, kind string, keys []string) {
	if slices.Contains(w.secrets, text) {
		text = redact.Mask
	}
	w.values = append(w.values, Value{Path: path, Text: redact.Patterns(text), Kind: kind, Origin: w.config.Origin(path), keys: keys})
}

// YAML is the configuration as it applies, as a file that could be loaded again
// but for what is masked. With origins every value is followed by where it came
// from.
func YAML(values []Value, origins bool) string {
	var lines []line
	var open []string // the keys that are open above
	for _, v := range values {
		keys := v.keys
		same := 0
		for same < len(keys)-1 && same < len(open) && keys[same] == open[same] {
			same++
		}
		for ; same < len(keys)-1; same++ {
			lines = append(lines, line{text: opening(keys, same)})
		}
		lines = append(lines, line{opening(keys, len(keys)-1) + scalarYAML(v), v.Origin.String()})
		open = keys
	}
	return render(joinItems(lines), origins)
}

// line is a line of YAML with the origin of its value; empty: it has none.
type line struct{ text, origin string }

// opening is the beginning of the line of keys[i]: its indentation and name.
func opening(keys []string, i int) string {
	indent := strings.Repeat("  ", i)
	if strings.HasPrefix(keys[i], "[") {
		return indent + "- "
	}
	if name := keys[i]; !plainText.MatchString(name) {
		return indent + quoteYAML(name) + ": "
	}
	return indent + keys[i] + ": "
}

// joinItems puts the first key of a list's entry on the line of its dash.
func joinItems(lines []line) []line {
	var out []line
	for _, l := range lines {
		if n := len(out) - 1; n >= 0 && strings.HasSuffix(out[n].text, "- ") && out[n].origin == "" {
			out[n] = line{out[n].text + strings.TrimLeft(l.text, " "), l.origin}
			continue
		}
		out = append(out, l)
	}
	return out
}

func render(lines []line, origins bool) string {
	width := 0
	for i := range lines {
		lines[i].text = strings.TrimRight(lines[i].text, " ")
		if n := len([]rune(lines[i].text)); lines[i].origin != "" && n <= 60 {
			width = max(width, n)
		}
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
		if origins && l.origin != "" {
			fmt.Fprintf(&b, "%s  # %s", strings.Repeat(" ", max(0, width-len([]rune(l.text)))), l.origin)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func scalarYAML(v Value) string {
	list, _, _ := strings.Cut(v.Path, "[")
	switch {
	case v.Kind != "text":
		return v.Text
	case shellPaths[list]: // ${NAME} is the shell's
		return strings.ReplaceAll(plain(v.Text), "$${", "${")
	}
	return plain(v.Text)
}

// plain is text as YAML; quoted unless it cannot be taken for anything else.
func plain(s string) string {
	if plainText.MatchString(s) && !otherType.MatchString(s) {
		return s
	}
	return quoteYAML(s)
}
