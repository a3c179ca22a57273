package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weelo/weelo-deploy/internal/release"
)

// repeated are the flags of a release that a command to type next has to repeat,
// in the order of the help: they choose the image, or what is done with it.
var repeated = []string{
	"image", "tag", "build-arg", "no-cache", "pull", "target", "move-tag", "no-trial", "no-rollback", "redeploy", "rebuild",
	"timeout", "bake", "tolerate", "base", "keep-failed", "allow-emulation", "on-interrupt",
}

// given are the flags of this run that a command to type next has to repeat. cmd
// is nil for commands that have none of a release's.
func (a *app) given(cmd *cobra.Command) release.Given {
	var g release.Given
	for _, f := range []struct{ name, value string }{{"--config", a.flags.config}, {"--env", a.flags.env}} {
		if f.value != "" {
			g.Where = append(g.Where, release.Flag{Name: f.name, Text: f.name + " " + shellWord(f.value)})
		}
	}
	if cmd == nil {
		return g
	}
	for _, name := range repeated {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			values := []string{f.Value.String()}
			if list, ok := f.Value.(interface{ GetSlice() []string }); ok {
				values = list.GetSlice()
			}
			g.What = append(g.What, release.Flag{Name: "--" + name, Text: typed(name, f.Value.Type(), values)})
		}
	}
	return g
}

// typed is a flag as it is typed. The value of a build argument may be a secret
// and is left out.
func typed(name, kind string, values []string) string {
	var words []string
	for _, v := range values {
		switch {
		case kind == "bool" && v == "true":
			words = append(words, "--"+name)
			continue
		case kind == "bool":
			words = append(words, "--"+name+"="+v)
			continue
		case name == "build-arg" && strings.Contains(v, "="):
			arg, _, _ := strings.Cut(v, "=")
			words = append(words, "--"+name, shellWord(arg)+"=…")
			continue
		}
		words = append(words, "--"+name, shellWord(v))
	}
	return strings.Join(words, " ")
}

// plain are values that a shell hands on as they are.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// shellWord quotes a value for a POSIX shell where it has to be.
func shellWord(v string) string {
	if plain.MatchString(v) {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'"
}
