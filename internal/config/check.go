package config

import (
	"fmt"
	"maps"
	"slices"
)

// check reports what no single value shows: entries that are not complete, and
// values that contradict each other.
func (c *Config) check(out *problems) {
	c.checkBuildSecrets(out)
	c.checkTask(out)
	for i := range c.Verify.Allow {
		c.need(out, fmt.Sprintf("verify.allow[%d]", i), "path")
	}
	for i := range c.Release.Before {
		c.need(out, fmt.Sprintf("release.before[%d]", i), "command")
	}
	c.checkLive(out)
	for i := range c.Notify {
		c.need(out, fmt.Sprintf("notify[%d]", i), "url")
	}
}

// need reports the keys that the entry at path lacks.
func (c *Config) need(out *problems, path string, keys ...string) {
	for _, k := range keys {
		if _, ok := c.keys[path+"."+k]; !ok {
			out.add(c.Origin(path), fmt.Sprintf("%s needs the key %q", path, k))
			return // one at a time: they share their place
		}
	}
}

func (c *Config) checkBuildSecrets(out *problems) {
	first := map[string]int{}
	for i, s := range c.Build.Secrets {
		path := fmt.Sprintf("build.secrets[%d]", i)
		_, file := c.keys[path+".file"]
		_, env := c.keys[path+".env"]
		c.need(out, path, "id")
		if file == env {
			out.add(c.Origin(path), path+` needs exactly one of the keys "file" and "env"`)
		}
		if j, twice := first[s.ID]; twice && s.ID != "" {
			out.add(c.Origin(path+".id"), fmt.Sprintf("%s has the same id as build.secrets[%d]", path, j))
			continue
		}
		first[s.ID] = i
	}
}

// checkTask: a container takes a name either as a value or as a secret. Between
// a file and what is laid over it the stronger source decides.
func (c *Config) checkTask(out *problems) {
	for _, name := range slices.Sorted(maps.Keys(c.Task.Secrets)) {
		if _, both := c.Task.Environment[name]; !both {
			continue
		}
		value, secret := c.Origin("task.environment."+name), c.keyOrigin("task.secrets."+name)
		switch {
		case value.Source == secret.Source:
			out.add(secret, fmt.Sprintf("%s is in task.environment and in task.secrets", quote(name)))
		case value.Source == FromEnvironment:
			delete(c.Task.Secrets, name)
		default:
			delete(c.Task.Environment, name)
		}
	}
}
