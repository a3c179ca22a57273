package config

import (
	"fmt"
	"slices"
	"strings"
)

// variablePrefix begins the name of every variable that sets a key.
const variablePrefix = "WEELO_DEPLOY_"

// Variables that are no keys of the file. VariableOutput is read by the output
// package.
const (
	VariableConfig = variablePrefix + "CONFIG" // like --config
	VariableEnv    = variablePrefix + "ENV"    // like --env
	VariableOutput = variablePrefix + "OUTPUT" // like --output
)

// VariableOf is the variable that sets a scalar key.
func VariableOf(path string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// environ is the process environment. An empty value counts as not set for
// WEELO_DEPLOY_*: that is what a CI system gives where a setting is missing.
type environ map[string]string

func newEnviron(list []string) environ {
	e := environ{}
	for _, kv := range list {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
			e[name] = value
		}
	}
	return e
}

func (e environ) lookup(name string) (string, bool) {
	v, ok := e[name]
	return v, ok
}

// variables is the tree of what WEELO_DEPLOY_* variables set. A variable of that
// kind which nobody knows is a problem.
func (e environ) variables(out *problems) *node {
	known := map[string]string{}
	names := []string{VariableConfig, VariableEnv, VariableOutput}
	for _, path := range scalarPaths() {
		known[VariableOf(path)] = path
		names = append(names, VariableOf(path))
	}
	var set []string
	for name := range e {
		if strings.HasPrefix(name, variablePrefix) {
			set = append(set, name)
		}
	}
	slices.Sort(set)
	var tree *node
	for _, name := range set {
		at := Origin{Source: FromVariable, Name: name}
		switch path := known[name]; {
		case path != "" && e[name] != "":
			tree = merge(tree, nest(strings.Split(path, "."), &node{text: e[name], at: at}))
		case path == "" && !slices.Contains(names, name):
			out.add(at, "unknown variable", variableHints(name, names)...)
		}
	}
	return tree
}

func variableHints(name string, names []string) []string {
	// Compared without the underscores inside a key: people write ALLOW_EMULATION.
	squeezed := strings.ReplaceAll(strings.TrimPrefix(name, variablePrefix), "_", "")
	for _, n := range names {
		if strings.ReplaceAll(strings.TrimPrefix(n, variablePrefix), "_", "") == squeezed {
			return []string{fmt.Sprintf("did you mean %q?", n)}
		}
	}
	short := make([]string, 0, len(names))
	for _, n := range names {
		short = append(short, strings.TrimPrefix(n, variablePrefix))
	}
	if hints := didYouMean(strings.TrimPrefix(name, variablePrefix), short); len(hints) > 0 {
		return []string{strings.Replace(hints[0], `"`, `"`+variablePrefix, 1)}
	}
	return []string{"a variable is " + variablePrefix + " and a key in upper case, dots as _; lists and mappings have none"}
}
