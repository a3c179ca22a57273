package config

import "fmt"

// Source is the kind of place that a value came from.
type Source string

// The sources, weakest first.
const (
	FromDefault     Source = "default"
	FromFile        Source = "file"
	FromEnvironment Source = "environment" // an entry of environments: in the file
	FromVariable    Source = "variable"    // WEELO_DEPLOY_*
	FromFlag        Source = "flag"
)

// Origin is where a value came from.
type Origin struct {
	Source Source
	// Name is the file's path for people, the variable or the flag.
	Name string
	// Line and Column are 1-based, in characters; 0 outside of a file.
	Line, Column int
}

// String is the origin for people: "weelo-deploy.yaml:3:5", "--cluster".
func (o Origin) String() string {
	switch {
	case o.Source == "" || o.Source == FromDefault:
		return string(FromDefault)
	case o.Line > 0:
		return fmt.Sprintf("%s:%d:%d", o.Name, o.Line, o.Column)
	default:
		return o.Name
	}
}

// Origin is where the value of a key came from, by its dotted path: "cluster",
// "build.secrets[0].file", "task.environment.REDIS_URL".
func (c *Config) Origin(path string) Origin {
	if o, ok := c.origins[path]; ok {
		return o
	}
	return Origin{Source: FromDefault}
}

// keyOrigin is where the key itself stands, which for a list or a mapping is a
// better place to point at than its first entry.
func (c *Config) keyOrigin(path string) Origin {
	if o, ok := c.keys[path]; ok {
		return o
	}
	return c.Origin(path)
}

// configured reports whether somebody set the key, or anything below it.
func (c *Config) configured(path string) bool {
	_, ok := c.origins[path]
	return ok
}
