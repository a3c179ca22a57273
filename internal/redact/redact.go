// Package redact takes secrets out of text before anybody sees it.
//
// It knows two kinds: values that it was told of (Redactor.Add), wherever they
// appear, and text that looks like a credential (Patterns): passwords in URLs,
// Authorization headers, NAME=value pairs whose name promises a secret, and the
// tokens of well-known services. It errs on the side of hiding too much.
package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Mask stands for a secret.
const Mask = "***"

// shortest is the length in runes below which a value is not masked by itself:
// masking "1" or "on" everywhere would make the output unreadable and would give
// the value away by its absence.
const shortest = 5

// Redactor masks values that it was told of, and what Patterns finds. The zero
// value and nil know no values. Its methods may be called from any goroutine.
type Redactor struct {
	mu       sync.RWMutex
	values   []string // masked forms, longest first
	replacer *strings.Replacer
}

// New makes a redactor that knows values.
func New(values ...string) *Redactor {
	r := &Redactor{}
	r.Add(values...)
	return r
}

// Add makes further values known, each also in the forms in which it may reappear:
// line by line, base64, URL-escaped and JSON-escaped. Values shorter than five
// characters are left alone.
func (r *Redactor) Add(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		for _, f := range forms(v) {
			if utf8.RuneCountInString(f) >= shortest && !slices.Contains(r.values, f) {
				r.values = append(r.values, f)
			}
		}
	}
	// Longest first: strings.Replacer prefers the earlier of two that match at the
	// same place, and a prefix must not leave the rest of a longer secret behind.
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(r.values))
	for _, v := range r.values {
		pairs = append(pairs, v, Mask)
	}
	r.replacer = strings.NewReplacer(pairs...)
}

// String is s with every secret masked.
func (r *Redactor) String(s string) string {
	if r != nil {
		r.mu.RLock()
		if r.replacer != nil {
			s = r.replacer.Replace(s)
			if strings.Contains(s, ellipsis) {
				s = cut(s, r.values)
			}
		}
		r.mu.RUnlock()
	}
	return Patterns(s)
}

func forms(v string) []string {
	v = strings.TrimSpace(v)
	out := []string{
		v, url.QueryEscape(v), url.PathEscape(v), jsonEscaped(v),
		base64.StdEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v)),
	}
	if lines := strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
		for _, l := range lines {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}

func jsonEscaped(v string) string {
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	return string(b[1 : len(b)-1])
}
