package config

import (
	"maps"
	"slices"
)

// EnvironmentNames are the names of the environments in the file that Load would
// read, sorted. A file that cannot be read has none: this is for suggestions.
func EnvironmentNames(o Options) []string {
	o.Env = ""
	l := &loader{Options: o, env: newEnviron(o.Environ)}
	if err := l.locate(); err != nil {
		return nil
	}
	file := l.parse()
	if file == nil || file.kind != mapping {
		return nil
	}
	return slices.Sorted(maps.Keys(l.environments(file.get("environments"))))
}
