// Package form holds the patterns of AWS's APIs that texts must have. They are
// compiled when they are first needed: one that counts to 255 is large, and every
// command of the program would wait for it at its start.
package form

import (
	"regexp"
	"sync"
)

// Form is a pattern.
type Form struct{ compiled func() *regexp.Regexp }

// New is the form of a regular expression, which must be one.
func New(expression string) Form {
	return Form{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

// MatchString says whether a text has the form.
func (f Form) MatchString(s string) bool { return f.compiled().MatchString(s) }
