package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/weelo/weelo-deploy/internal/event"
)

// flagNames are the flags whose name is not that of the last part of their key.
var flagNames = map[string]string{
	"image.tags": "--tag",
	"build.args": "--build-arg",
}

// flagOf is how people know the flag that sets a key: --allow-emulation for
// build.allowEmulation.
func flagOf(path string) string {
	return cmp.Or(flagNames[path], "--"+kebab(path[strings.LastIndex(path, ".")+1:]))
}

func kebab(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// flagTree is the tree of what flags set.
func flagTree(o Options, out *problems) *node {
	var tree *node
	known := scalarPaths()
	put := func(path string, leaf *node) { tree = merge(tree, nest(strings.Split(path, "."), leaf)) }
	for _, path := range slices.Sorted(maps.Keys(o.Flags)) {
		at := Origin{Source: FromFlag, Name: flagOf(path)}
		if !slices.Contains(known, path) {
			out.put(problem{at: at, text: "no key " + quote(path) + " that a flag could set", code: event.CodeInternal})
			continue
		}
		put(path, &node{text: o.Flags[path], at: at})
	}
	for _, path := range slices.Sorted(maps.Keys(o.Lists)) {
		leaf := &node{kind: list, at: Origin{Source: FromFlag, Name: flagOf(path)}}
		for _, v := range o.Lists[path] {
			leaf.items = append(leaf.items, &node{text: v, at: leaf.at})
		}
		put(path, leaf)
	}
	for _, path := range slices.Sorted(maps.Keys(o.Maps)) {
		leaf := &node{kind: mapping, at: Origin{Source: FromFlag, Name: flagOf(path)}}
		for _, k := range slices.Sorted(maps.Keys(o.Maps[path])) {
			leaf.pairs = append(leaf.pairs, pair{key: k, at: leaf.at, value: &node{text: o.Maps[path][k], at: leaf.at}})
		}
		put(path, leaf)
	}
	return tree
}
