package config

import "slices"

// merge lays over on base: mappings are merged key by key, everything else (a
// list, a scalar) is replaced. An empty value ("key:") changes nothing. Neither
// argument is changed; base may be nil.
func merge(base, over *node) *node {
	switch {
	case base == nil, over == nil:
		if over == nil {
			return base
		}
		return over
	case over.isNull():
		return base
	case base.kind != mapping || over.kind != mapping:
		return over
	}
	out := &node{kind: mapping, at: base.at, pairs: slices.Clone(base.pairs)}
	for _, p := range over.pairs {
		i := slices.IndexFunc(out.pairs, func(b pair) bool { return b.key == p.key })
		if i < 0 {
			out.pairs = append(out.pairs, p)
			continue
		}
		merged := merge(out.pairs[i].value, p.value)
		if merged == p.value {
			out.pairs[i].at = p.at
		}
		out.pairs[i].value = merged
	}
	return out
}

// without is a mapping less one key.
func without(n *node, key string) *node {
	out := *n
	out.pairs = slices.DeleteFunc(slices.Clone(n.pairs), func(p pair) bool { return p.key == key })
	return &out
}

// from is the tree with another source in every origin.
func from(n *node, s Source) *node {
	out := *n
	out.at.Source = s
	out.items, out.pairs = nil, nil
	for _, c := range n.items {
		out.items = append(out.items, from(c, s))
	}
	for _, p := range n.pairs {
		p.at.Source = s
		p.value = from(p.value, s)
		out.pairs = append(out.pairs, p)
	}
	return &out
}

// nest is a tree that holds leaf at the path and nothing else.
func nest(path []string, leaf *node) *node {
	for i := len(path) - 1; i >= 0; i-- {
		leaf = &node{kind: mapping, at: leaf.at, pairs: []pair{{key: path[i], at: leaf.at, value: leaf}}}
	}
	return leaf
}
