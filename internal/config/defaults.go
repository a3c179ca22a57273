package config

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fillDefaults sets what nobody set.
func (c *Config) fillDefaults() {
	if len(c.Image.Tags) == 0 {
		c.Image.Tags = []string{"{{.GitSHA}}"}
	}
	b := &c.Build
	b.Context = cmp.Or(b.Context, ".")
	b.Platform = cmp.Or(b.Platform, "linux/amd64")
	b.On = cmp.Or(b.On, "docker")
	r := &c.Release
	r.Timeout = cmp.Or(r.Timeout, 10*time.Minute)
	if !c.configured("release.bake") { // 0s is a choice
		r.Bake = 30 * time.Second
	}
	r.Tolerate = cmp.Or(r.Tolerate, "0")
	r.Rollback = cmp.Or(r.Rollback, "on-failure")
	r.Backstop = cmp.Or(r.Backstop, "enforce")
	for i := range r.Before {
		r.Before[i].Timeout = cmp.Or(r.Before[i].Timeout, time.Hour)
		r.Before[i].OnInterrupt = cmp.Or(r.Before[i].OnInterrupt, "leave")
	}
	c.fillChecks()
}

// absolutePaths makes every path absolute: those of the file start from its
// folder, those of variables and flags from the working directory.
func (l *loader) absolutePaths(c *Config) {
	b := &c.Build
	b.Context = l.path(c, "build.context", b.Context)
	if b.Dockerfile == "" {
		b.Dockerfile = filepath.Join(b.Context, "Dockerfile")
	} else {
		b.Dockerfile = l.path(c, "build.dockerfile", b.Dockerfile)
	}
	for i := range b.Secrets {
		if s := &b.Secrets[i]; s.File != "" {
			s.File = l.path(c, "build.secrets", s.File)
		}
	}
	for i, s := range b.SSH {
		if id, path, ok := strings.Cut(s, "="); ok {
			b.SSH[i] = id + "=" + l.path(c, "build.ssh", path)
		}
	}
	for i := range c.Checks.HTTP {
		h := &c.Checks.HTTP[i]
		if h.BodyFile != "" {
			h.BodyFile = l.path(c, "checks.http", h.BodyFile)
		}
		for name, f := range h.HeaderFiles {
			h.HeaderFiles[name] = l.path(c, "checks.http", f)
		}
	}
	for name, s := range b.Contexts {
		if !strings.HasPrefix(s, imageContext) {
			b.Contexts[name] = l.path(c, "build.contexts", s)
		}
	}
}

func (l *loader) path(c *Config, key, path string) string {
	at := c.Origin(key)
	dir := l.base
	if at.Source == FromVariable || at.Source == FromFlag {
		dir = l.Dir
	}
	abs, err := l.resolve(path, dir)
	if err != nil {
		l.out.add(at, key+": "+err.Error())
	}
	return abs
}

// resolve makes a path absolute, from dir when it is relative. "~/" is the home
// folder.
func (l *loader) resolve(path, dir string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		home := l.home()
		if home == "" {
			return path, errors.New("~ stands for the home folder, which is not known: HOME is not set")
		}
		return filepath.Join(home, filepath.FromSlash(path[1:])), nil
	}
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	return filepath.Join(dir, path), nil
}

func (l *loader) home() string {
	if h := cmp.Or(l.env["HOME"], l.env["USERPROFILE"]); h != "" || len(l.env) > 0 {
		return h
	}
	h, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return h
}
