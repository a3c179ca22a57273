package config

import (
	"slices"
	"strings"
)

// spare are the parts that a command can do without which only looks, watches or
// goes back. What says which service it is about, and guards it, is none of them;
// nor is a key that nobody knows, which may be a misspelt "cluster".
var spare = []string{
	"image", "build", "verify", "checks", "notify",
	"task.environment", "task.secrets", "task.base",
	"release.before", "release.backstop", "release.requireClean",
}

// lenient is Load for such a command: a variable that is not set on this machine
// must not keep anybody from going back. Of the parts that are spare it leaves out
// those with mistakes, and only those.
func lenient(o Options) (*Config, error) {
	whole, wrong := loadWithout(o, nil)
	if wrong == nil {
		return whole, nil
	}
	left := spare
	c, err := loadWithout(o, left)
	if err != nil {
		return nil, err
	}
	for _, part := range spare {
		fewer := slices.DeleteFunc(slices.Clone(left), func(s string) bool { return s == part })
		if with, err := loadWithout(o, fewer); err == nil {
			c, left = with, fewer
		}
	}
	c.LeftOut, c.Mistakes = left, wrong
	c.secrets = append(c.secrets, whole.SecretValues()...) // no output may show them, left out or not
	return c, nil
}

// Lacks says whether a part of the file was left out because of its mistakes.
func (c *Config) Lacks(part string) bool { return slices.Contains(c.LeftOut, part) }

// bare is the tree without the parts.
func bare(n *node, parts []string) *node {
	for _, part := range parts {
		n = cut(n, strings.Split(part, "."))
	}
	return n
}

// cut is the tree without what is at the path.
func cut(n *node, path []string) *node {
	inner := n.get(path[0])
	switch {
	case inner == nil:
		return n
	case len(path) == 1:
		return without(n, path[0])
	case inner.kind != mapping:
		return n // wrong in itself, which is told
	}
	out := *n
	out.pairs = slices.Clone(n.pairs)
	for i, p := range out.pairs {
		if p.key == path[0] {
			out.pairs[i].value = cut(inner, path[1:])
		}
	}
	return &out
}
