package jsonpath_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/jsonpath"
)

const document = `{"status":"ok","count":3,"big":9007199254740993,"ratio":1.0,"none":null,"ready":true,
	"items":[{"id":"a"},{"id":"b"}],"a.b":{"c":1},"":{"x":"y"},"0":"zero"}`

func TestPathsLeadToValues(t *testing.T) {
	for path, want := range map[string]string{
		"status": "ok", "count": "3", "ratio": "1", "none": "null", "ready": "true", "items.1.id": "b",
		`"a.b".c`: "1", `"".x`: "y", "0": "zero", "items.0": `{"id":"a"}`, "big": "9007199254740993",
	} {
		t.Run(path, func(t *testing.T) {
			if got, ok := find(t, path); !ok || !jsonpath.Equal(got, want) {
				t.Errorf("%s = %v, %v; want %s", path, got, ok, want)
			}
		})
	}
}

func TestOtherValuesAreNotEqual(t *testing.T) {
	for path, other := range map[string]string{
		"status": "OK", "count": "4", "big": "9007199254740992", "none": "", "ready": "True", "items.0": "a", "ratio": "one",
	} {
		if got, _ := find(t, path); jsonpath.Equal(got, other) {
			t.Errorf("%s = %v equals %q", path, got, other)
		}
	}
}

func TestWhereAPathEndsIsSaid(t *testing.T) {
	doc, err := jsonpath.Decode([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"nope": `the document has no member "nope"`, "items.2.id": `items is a list of 2, and has no entry "2"`,
		"items.-1": "no entry", "items.0.id.x": "items.0.id is a, and has no members", "none.x": "none is null",
	} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Find(doc); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestBadPathsAreRefused(t *testing.T) {
	for _, path := range []string{"", ".a", "a.", "a..b", `"a`, `"a"b`, `"a".`} {
		if p, err := jsonpath.Parse(path); err == nil {
			t.Errorf("Parse(%q) = %q, want an error", path, p)
		}
	}
}

func TestOneDocumentOnly(t *testing.T) {
	for _, text := range []string{"", "{}{}", "<html>", `{"a":`} {
		if _, err := jsonpath.Decode([]byte(text)); err == nil {
			t.Errorf("Decode(%q): want an error", text)
		}
	}
}

func find(t *testing.T, path string) (any, bool) {
	t.Helper()
	doc, err := jsonpath.Decode([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	p, err := jsonpath.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Find(doc)
	return v, err == nil
}

func FuzzPath(f *testing.F) {
	f.Add("items.0.id", document, "a")
	f.Add(`"a.b".c`, document, "1e999999999")
	f.Add(`"\u0000".`, `[[[[1e400]]]]`, "0x1p-2")
	f.Fuzz(func(t *testing.T, path, document, want string) {
		p, err := jsonpath.Parse(path)
		if err != nil {
			return
		}
		again, err := jsonpath.Parse(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q is written as %q, which is read as %q, %v", path, p, again, err)
		}
		doc, err := jsonpath.Decode([]byte(document))
		if err != nil {
			return
		}
		v, err := p.Find(doc)
		if err != nil {
			return
		}
		if !jsonpath.Equal(v, jsonpath.Text(v)) {
			t.Errorf("%v does not equal its own text", v)
		}
		jsonpath.Equal(v, want)
	})
}
