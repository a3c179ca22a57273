package control

import (
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

type wish struct {
	Name string `json:"name"`
}

func TestOneOrMore_readsOneOrAList(t *testing.T) {
	for body, want := range map[string][]wish{
		`{"name":"a"}`: {{"a"}}, ` [{"name":"a"},{"name":"b"}]`: {{"a"}, {"b"}}, `[]`: {},
	} {
		if got, err := OneOrMore[wish]([]byte(body)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, %v; want %v", body, got, err, want)
		}
	}
}

func TestOneOrMore_isStrict(t *testing.T) {
	for _, body := range []string{`{"nmae":"a"}`, `[{"name":1}]`, `{"name":"a"`, ``} {
		if got, err := OneOrMore[wish]([]byte(body)); err == nil || errors.Is(err, ErrMore) {
			t.Errorf("%q is taken as %v, %v", body, got, err)
		}
	}
	if got, err := OneOrMore[wish]([]byte(`{"name":"a"} {"name":"b"}`)); !errors.Is(err, ErrMore) {
		t.Errorf("what stands after the first is taken as %v, %v", got, err)
	}
}

func TestRefuse_tellsTheErrorAsJSON(t *testing.T) {
	w := httptest.NewRecorder()
	Refuse(w, 409, errors.New(`not "a"`))
	if got := strings.TrimSpace(w.Body.String()); w.Code != 409 || w.Header().Get("Content-Type") != "application/json" || got != `{"error":"not \"a\""}` {
		t.Errorf("%d %s %s", w.Code, w.Header(), got)
	}
}
