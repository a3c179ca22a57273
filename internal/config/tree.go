package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxNodes bounds the tree after aliases are followed, so that a small file
// cannot grow into a large one ("billion laughs").
const maxNodes = 20_000

type kind int

const (
	scalar kind = iota
	list
	mapping
)

// String is the kind for people.
func (k kind) String() string { return [...]string{"a value", "a list", "a mapping"}[k] }

// node is a value of the configuration with its place. Unlike a yaml.Node it is
// a tree (aliases are followed), its keys are unique strings, and it may come
// from a variable or a flag. Nodes are never changed once made.
type node struct {
	kind kind
	// tag is the YAML type of a scalar: str, int, float, bool, null; empty for
	// text of any type (flags, variables, what ${VAR} was expanded in).
	tag   string
	text  string
	at    Origin
	items []*node
	pairs []pair
}

// pair is an entry of a mapping.
type pair struct {
	key   string
	at    Origin
	value *node
}

func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, p := range n.pairs {
		if p.key == key {
			return p.value
		}
	}
	return nil
}

// isNull reports an empty value: "key:" with nothing after it.
func (n *node) isNull() bool { return n.kind == scalar && n.tag == "null" }

// treeBuilder turns yaml nodes into ours and reports what we do not take.
type treeBuilder struct {
	src   *source
	out   *problems
	count int
	open  map[*yaml.Node]bool // the ancestors of the node at hand
}

// parseTree reads the source into a tree. Without a document the tree is an empty
// mapping; nil means that the problems say why there is none.
func parseTree(src *source, out *problems) *node {
	var doc yaml.Node
	if err := yaml.Load(src.data, &doc); err != nil {
		if len(doc.Content) == 0 && strings.Contains(err.Error(), "no documents in stream") {
			return &node{kind: mapping, at: src.at(1, 1)}
		}
		src.syntaxError(err, out)
		return nil
	}
	b := &treeBuilder{src: src, out: out, open: map[*yaml.Node]bool{}}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		root = doc.Content[0]
	}
	n := b.build(root)
	src.seal()
	switch {
	case n == nil:
		return nil
	case n.isNull():
		return &node{kind: mapping, at: n.at}
	case n.kind != mapping:
		out.add(n.at, fmt.Sprintf("want a mapping of keys to values, have %s", n.kind))
		return nil
	}
	return n
}

func (b *treeBuilder) build(y *yaml.Node) *node {
	at := b.src.at(y.Line, y.Column)
	if b.count++; b.count > maxNodes {
		if b.count == maxNodes+1 {
			b.out.add(at, fmt.Sprintf("more than %d values, aliases counted each time", maxNodes))
		}
		return nil
	}
	switch y.Kind {
	case yaml.ScalarNode:
		return b.scalar(y, at)
	case yaml.SequenceNode:
		return b.list(y, at)
	case yaml.MappingNode:
		return b.mapping(y, at)
	case yaml.AliasNode:
		if y.Alias == nil || b.open[y.Alias] {
			b.out.add(at, fmt.Sprintf("alias *%s contains itself", y.Value))
			return nil
		}
		return b.build(y.Alias)
	default:
		b.out.add(at, "not a value")
		return nil
	}
}

func (b *treeBuilder) scalar(y *yaml.Node, at Origin) *node {
	b.src.token(y)
	tag := strings.TrimPrefix(y.ShortTag(), "!!")
	switch tag {
	case "str", "int", "float", "bool", "null":
	case "timestamp": // a plain date is text to us
		tag = "str"
	default:
		b.out.add(at, fmt.Sprintf("the YAML tag %s is not supported", y.ShortTag()))
		return nil
	}
	return &node{kind: scalar, tag: tag, text: y.Value, at: at}
}

func (b *treeBuilder) list(y *yaml.Node, at Origin) *node {
	b.open[y] = true
	defer delete(b.open, y)
	n := &node{kind: list, at: at}
	for _, c := range y.Content {
		if item := b.build(c); item != nil {
			n.items = append(n.items, item)
		}
	}
	return n
}

func (b *treeBuilder) mapping(y *yaml.Node, at Origin) *node {
	b.open[y] = true
	defer delete(b.open, y)
	n := &node{kind: mapping, at: at}
	lines := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		b.src.token(k)
		keyAt := b.src.at(k.Line, k.Column)
		value := b.build(y.Content[i+1])
		switch first := lines[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			b.out.add(keyAt, "a key must be plain text")
		case k.ShortTag() == "!!merge":
			b.out.add(keyAt, "merge keys (<<) are not supported", "use environments: for settings that differ")
		case first > 0:
			b.out.add(keyAt, fmt.Sprintf("key %q is set twice, first in line %d", k.Value, first))
		case value != nil:
			n.pairs = append(n.pairs, pair{key: k.Value, at: keyAt, value: value})
			fallthrough
		default:
			lines[k.Value] = k.Line
		}
	}
	return n
}

// syntaxError reports what the YAML parser could not read.
func (s *source) syntaxError(err error, out *problems) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		out.add(s.at(1, 1), "not YAML: "+err.Error())
		return
	}
	at, msg := le.Mark, strings.TrimPrefix(le.Message, "yaml: ")
	var hints []string
	switch {
	case strings.Contains(msg, "found multiple"):
		at.Line = s.secondDocument()
		msg = "more than one YAML document"
		hints = append(hints, "keep everything in one document; environments: holds what differs")
	case strings.Contains(msg, "unexpected end of stream") && le.ContextMark.Line > 0:
		at = le.ContextMark
		msg = strings.TrimPrefix(le.ContextMsg, "while scanning ") + " never ends"
	case le.ContextMsg != "" && le.ContextMark.Line > 0 && le.ContextMark != le.Mark:
		hints = append(hints, fmt.Sprintf("%s that begins at %d:%d", le.ContextMsg, le.ContextMark.Line, le.ContextMark.Column))
	}
	line, column := max(at.Line, 1), max(at.Column, 1)
	switch s.char(line, column) {
	case '\t':
		hints = append(hints, "YAML is indented with spaces, not tabs")
	case '@', '`', '%':
		hints = append(hints, "quote a value that begins with this character")
	}
	s.unparsed = true
	out.add(s.at(line, column), "not YAML: "+msg, hints...)
}
