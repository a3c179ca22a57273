package output

import (
	"encoding/json"
	"go/ast"
	"maps"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/event"
)

const docs = "../../docs/json-output.md"

func readDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the text under a heading, up to the next one.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, s, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Errorf("%s has no heading %q", docs, heading)
	}
	s, _, _ = strings.Cut(s, "\n#")
	return s
}

var memberRow = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| ([a-z ]+) \\| ([a-z ]+) \\|")

// documented are the members of a section's table as "name: type, when".
func documented(section string) []string {
	out := []string{}
	for _, m := range memberRow.FindAllStringSubmatch(section, -1) {
		out = append(out, m[1]+": "+m[2]+", "+m[3])
	}
	return out
}

// membersOf are those of a struct in the same form.
func membersOf(t reflect.Type) []string {
	out := []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		when := "always"
		switch {
		case f.Type.Kind() == reflect.Bool && options != "":
			when = "when true"
		case options != "" || f.Type.Kind() == reflect.Pointer || f.Type == reflect.TypeFor[time.Time]():
			when = "known"
		}
		out = append(out, name+": "+jsonType(f.Type)+", "+when)
	}
	return out
}

func jsonType(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t.Kind() == reflect.Pointer:
		return jsonType(t.Elem())
	case t.Kind() == reflect.Slice && jsonType(t.Elem()) == "object":
		return "list of objects"
	case t.Kind() == reflect.Slice:
		return "list of " + jsonType(t.Elem())
	case t.Kind() == reflect.Struct:
		return "object"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "boolean"
	default:
		return "number"
	}
}

// nested are the structs within events, by the heading of their table.
var nested = map[string]reflect.Type{
	"#### failure": reflect.TypeFor[event.Failure](), "#### stages": reflect.TypeFor[event.StageOutcome](), "#### timings": reflect.TypeFor[event.Timings](),
	"#### verified": reflect.TypeFor[event.VerifiedImage](), "#### binaries": reflect.TypeFor[event.Binaries](), "#### findings": reflect.TypeFor[event.BinaryFinding](),
}

func TestDocs_members(t *testing.T) {
	text := readDocs(t)
	types := maps.Clone(nested)
	for _, e := range everyEvent() {
		types["### "+string(e.Kind())] = reflect.TypeOf(e)
	}
	for heading, typ := range types {
		if d := cmp.Diff(membersOf(typ), documented(section(t, text, heading))); d != "" {
			t.Errorf("%s (-struct +docs):\n%s", heading, d)
		}
	}
	common := []string{"v: number, always", "seq: number, always", "time: time, always", "type: text, always", "stage: text, within a stage"}
	if d := cmp.Diff(common, documented(section(t, text, "## Every event"))); d != "" {
		t.Errorf("every event (-want +docs):\n%s", d)
	}
}

// The members of an event share an object with those of its record.
func TestEvents_membersDoNotClash(t *testing.T) {
	for _, e := range everyEvent() {
		for _, m := range membersOf(reflect.TypeOf(e)) {
			switch name, _, _ := strings.Cut(m, ":"); name {
			case "v", "seq", "time", "type", "stage":
				t.Errorf("%T has a member %q, which every record has", e, name)
			}
		}
	}
}

func TestDocs_examples(t *testing.T) {
	text := readDocs(t)
	for _, e := range everyEvent() {
		_, block, ok := strings.Cut(section(t, text, "### "+string(e.Kind())), "```json\n")
		if !ok {
			t.Errorf("%s has no example of %s", docs, e.Kind())
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
			checkExample(t, e, line)
		}
	}
}

// checkExample decodes a line and writes it again: it must come out as it was.
func checkExample(t *testing.T, e event.Event, line string) {
	t.Helper()
	var head struct {
		Seq   int       `json:"seq"`
		Time  time.Time `json:"time"`
		Stage string    `json:"stage"`
	}
	v := reflect.New(reflect.TypeOf(e))
	for _, into := range []any{&head, v.Interface()} {
		if err := json.Unmarshal([]byte(line), into); err != nil {
			t.Errorf("%v in the example %s", err, line)
			return
		}
	}
	var b strings.Builder
	(&jsonLines{w: &b}).record(event.Record{Seq: head.Seq, Time: head.Time, Stage: head.Stage, Event: v.Elem().Interface().(event.Event)})
	if d := cmp.Diff(line+"\n", b.String()); d != "" {
		t.Errorf("example of %s (-docs +written):\n%s", e.Kind(), d)
	}
}

// Every value of the closed lists is documented.
func TestDocs_values(t *testing.T) {
	text := readDocs(t)
	count := 0
	for typ, values := range constants(t) {
		for _, v := range values {
			if count++; !strings.Contains(text, "`"+v+"`") {
				t.Errorf("%s does not name the %s %s", docs, typ, v)
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d values were found", count)
	}
}

// constants are the values of the closed lists of internal/event, by type.
func constants(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, f := range sources(t, "../event") {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			typ, ok := spec.Type.(*ast.Ident)
			if !ok || len(spec.Values) != 1 || !strings.Contains(" Kind Status Level Outcome ", " "+typ.Name+" ") {
				return true
			}
			lit, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			value, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out[typ.Name] = append(out[typ.Name], value)
			return true
		})
	}
	return out
}
