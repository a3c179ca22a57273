package check

import (
	"cmp"
	"fmt"
	"maps"
	"mime"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/jsonpath"
)

// Judge lists what is wrong with an answer, in one line each.
func (e Expect) Judge(a Answer) []string {
	var wrong []string
	if !e.status(a.Status) {
		wrong = append(wrong, fmt.Sprintf("status %d, want %s", a.Status, e.statuses()))
	}
	wrong = append(wrong, e.headers(a)...)
	wrong = append(wrong, e.json(a)...)
	if e.Contains != "" && !strings.Contains(string(a.Body), e.Contains) {
		wrong = append(wrong, fmt.Sprintf("%s does not contain %q", a.body(), excerpt(e.Contains)))
	}
	if e.Matches != nil && !e.Matches.Match(a.Body) {
		wrong = append(wrong, fmt.Sprintf("%s does not match %q", a.body(), excerpt(e.Matches.String())))
	}
	if e.Within > 0 && a.Took > e.Within {
		wrong = append(wrong, fmt.Sprintf("took %s, want at most %s", span(a.Took), e.Within))
	}
	return wrong
}

func (e Expect) status(have int) bool {
	if len(e.Status) == 0 {
		return have >= 200 && have <= 299
	}
	return slices.Contains(e.Status, have)
}

func (e Expect) statuses() string {
	if len(e.Status) == 0 {
		return "200 to 299"
	}
	words := make([]string, len(e.Status))
	for i, s := range e.Status {
		words[i] = fmt.Sprint(s)
	}
	return strings.Join(words, " or ")
}

func (e Expect) headers(a Answer) []string {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		want, have := e.Header[name], a.Header.Values(name)
		switch {
		case len(have) == 0:
			wrong = append(wrong, fmt.Sprintf("no header %s, want %q", name, want))
		case !slices.ContainsFunc(have, func(v string) bool { return sameHeader(name, v, want) }):
			wrong = append(wrong, fmt.Sprintf("header %s is %q, want %q", name, excerpt(have[0]), want))
		}
	}
	return wrong
}

// sameHeader compares a header's value. A media type is the same with more
// parameters: application/json; charset=utf-8 is application/json.
func sameHeader(name, have, want string) bool {
	if have == want {
		return true
	}
	if textproto.CanonicalMIMEHeaderKey(name) != "Content-Type" {
		return false
	}
	haveType, haveParameters, err := mime.ParseMediaType(have)
	wantType, wantParameters, err2 := mime.ParseMediaType(want)
	if err != nil || err2 != nil || haveType != wantType {
		return false
	}
	for k, v := range wantParameters {
		if haveParameters[k] != v {
			return false
		}
	}
	return true
}

func (e Expect) json(a Answer) []string {
	if len(e.JSON) == 0 {
		return nil
	}
	if a.Cut {
		return []string{a.body() + " is too large to be read as JSON"}
	}
	doc, err := jsonpath.Decode(a.Body)
	if err != nil {
		return []string{fmt.Sprintf("the body is not JSON but %s: %v", cmp.Or(a.Header.Get("Content-Type"), "of no declared type"), err)}
	}
	var wrong []string
	for _, f := range e.JSON {
		switch v, err := f.Path.Find(doc); {
		case err != nil:
			wrong = append(wrong, "JSON: "+excerpt(err.Error()))
		case !jsonpath.Equal(v, f.Want):
			wrong = append(wrong, fmt.Sprintf("JSON: %s is %q, want %q", f.Path, excerpt(jsonpath.Text(v)), excerpt(f.Want)))
		}
	}
	return wrong
}

// body is what was read of the body, for people.
func (a Answer) body() string {
	if a.Cut {
		return fmt.Sprintf("the body's first %d MiB", maxBody>>20)
	}
	return "the body"
}

// String is the answer for people, with the beginning of its body.
func (a Answer) String() string {
	s := fmt.Sprintf("%d in %s", a.Status, span(a.Took))
	if a.From != "" {
		s += " from " + a.From
	}
	switch {
	case len(a.Body) == 0:
		return s + ", no body"
	case a.Cut:
		s += fmt.Sprintf(", more than %d MiB", maxBody>>20)
	}
	if t := a.Header.Get("Content-Type"); t != "" {
		s += ", " + excerpt(t)
	}
	return s + ": " + excerpt(string(a.Body))
}

// excerpt is the beginning of a foreign text.
func excerpt(s string) string {
	const most = 200
	s = strings.ToValidUTF8(s[:min(len(s), 4*most)], "\uFFFD")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.TrimSpace(s)
}

// span is a duration as exact as somebody wants to read it.
func span(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Second:
		return d.Round(time.Second)
	case d > time.Second:
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Millisecond)
}
