package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// expander replaces ${NAME} in the values of the file by variables of the
// process. "$$" stands for one "$"; a "$" before anything else stays.
type expander struct {
	src    *source
	out    *problems
	lookup func(string) (string, bool)
	// secrets are the values of variables whose name promises a secret.
	secrets []string
}

// shellPaths are the keys whose values a shell expands: it knows ${NAME} better.
var shellPaths = map[string]bool{"build.before": true}

func (e *expander) tree(n *node, path string) *node {
	if shellPaths[path] {
		return n
	}
	if n.kind == scalar {
		return e.scalar(n)
	}
	out := *n
	out.items, out.pairs = nil, nil
	for _, c := range n.items {
		out.items = append(out.items, e.tree(c, path+"[]"))
	}
	for _, p := range n.pairs {
		p.value = e.tree(p.value, join(path, p.key))
		out.pairs = append(out.pairs, p)
	}
	return &out
}

func (e *expander) scalar(n *node) *node {
	if n.at.Line == 0 || !strings.Contains(n.text, "$") {
		return n
	}
	text, changed := e.text(n)
	out := *n
	if out.text = text; changed {
		out.tag = ""
	}
	return &out
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// text expands a value; changed reports whether a variable was put in.
func (e *expander) text(n *node) (text string, changed bool) {
	var b strings.Builder
	rest := n.text
	for {
		i := strings.IndexByte(rest, '$')
		if i < 0 || i+1 == len(rest) {
			return b.String() + rest, changed
		}
		b.WriteString(rest[:i])
		switch rest[i+1] {
		case '$':
			b.WriteByte('$')
			rest = rest[i+2:]
		case '{':
			name, after, closed := strings.Cut(rest[i+2:], "}")
			if !closed {
				e.out.add(e.place(n, "${"), `"${" without "}"`, `write "$${" for the characters themselves`)
				return b.String(), true
			}
			b.WriteString(e.value(n, name))
			rest, changed = after, true
		default:
			b.WriteByte('$')
			rest = rest[i+1:]
		}
	}
}

func (e *expander) value(n *node, name string) string {
	at := e.place(n, "${"+name)
	if !variableName.MatchString(name) {
		e.out.add(at, fmt.Sprintf("%s is not a variable: only ${NAME} is understood", quote("${"+name+"}")), `write "$${" for the characters themselves`)
		return ""
	}
	v, ok := e.lookup(name)
	if !ok {
		e.out.add(at, fmt.Sprintf("the variable %s is not set", name))
		return ""
	}
	if redact.SecretName(name) {
		e.secrets = append(e.secrets, v)
	}
	return v
}

// place is where the text stands in the source: within the value when that is
// on the value's first line, its beginning otherwise.
func (e *expander) place(n *node, text string) Origin {
	at := n.at
	if e.src == nil || at.Line > len(e.src.lines) || at.Column > len(e.src.lines[at.Line-1]) {
		return at
	}
	tail := string(e.src.lines[at.Line-1][at.Column-1:])
	if i := strings.Index(tail, text); i >= 0 {
		at.Column += utf8.RuneCountInString(tail[:i])
	}
	return at
}
