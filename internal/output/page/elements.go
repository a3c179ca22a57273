package page

import (
	"fmt"

	g "maragu.dev/gomponents"
)

// The functions of this file are gomponents' own, called and not inlined: a copy of what they return for
// every place that they are called at would make a tenth of a megabyte.

// el is an element with its attributes and what is in it.
//
//go:noinline
func el(name string, inside ...g.Node) g.Node { return g.El(name, inside...) }

// at is an attribute, without a value one that is there or not.
//
//go:noinline
func at(name string, value ...string) g.Node { return g.Attr(name, value...) }

// txt is text, which is escaped.
//
//go:noinline
func txt(s string) g.Node { return g.Text(s) }

// txtf is formatted text, which is escaped.
//
//go:noinline
func txtf(format string, args ...any) g.Node { return g.Text(fmt.Sprintf(format, args...)) }
