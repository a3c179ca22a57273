package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Options say what to load.
type Options struct {
	Path    string   // --config; empty: WEELO_DEPLOY_CONFIG, else looked for from Dir upwards
	Dir     string   // working directory; empty: the process's
	Env     string   // --env; empty: WEELO_DEPLOY_ENV
	Environ []string // "NAME=value", as os.Environ gives it
	// Flags are the values of flags that were given, by the dotted key that each
	// sets: "cluster", "release.timeout".
	Flags map[string]string
	// Lists replace lists ("image.tags"), Maps are merged over mappings
	// ("build.args").
	Lists map[string][]string
	Maps  map[string]map[string]string
	// Lenient is for commands that only look, watch or go back: mistakes in parts
	// that these do not need are no errors (Config.LeftOut).
	Lenient bool
}

// Load reads the configuration. Flags win over variables, variables over the
// chosen environment, that over the rest of the file, and all over defaults.
// Having no file is fine unless Options name one: whether cluster and service are
// known is for the caller to judge.
//
// Every error is an event.Failure with CodeConfig, or CodeUsage where a flag is
// wrong; several are joined, in the order of the file.
func Load(o Options) (*Config, error) {
	if o.Lenient {
		return lenient(o)
	}
	c, err := loadWithout(o, nil)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// loadWithout is one reading, of a file without the given parts. Beside an error it gives
// what was read all the same, if anything was.
func loadWithout(o Options, leaveOut []string) (*Config, error) {
	l := &loader{Options: o, env: newEnviron(o.Environ), leaveOut: leaveOut}
	if err := l.locate(); err != nil {
		return nil, err
	}
	file := l.parse()
	base, chosen := l.split(file)
	variables := bare(l.env.variables(&l.out), leaveOut)
	tree := merge(merge(merge(base, chosen), variables), flagTree(o, &l.out))
	c := l.decode(tree)
	return c, l.out.err(l.src)
}

// loader is one Load.
type loader struct {
	Options
	env  environ
	out  problems
	src  *source // nil without a file
	file string  // absolute; empty without a file
	text []byte
	base string // folder of relative paths

	leaveOut []string // parts of the file that are not judged
}

// locate finds and reads the file.
func (l *loader) locate() (err error) {
	if l.Dir, err = absolute(l.Dir); err != nil {
		return err
	}
	l.base = l.Dir
	l.Env = cmp.Or(l.Env, l.env[VariableEnv])
	l.file = cmp.Or(l.Path, l.env[VariableConfig])
	if l.file == "" {
		if l.file, err = discover(l.Dir); l.file == "" || err != nil {
			return err
		}
	}
	if l.file, err = l.resolve(l.file, l.Dir); err != nil {
		return event.Fail(event.CodeConfig, "--config: "+err.Error()).Because(err)
	}
	l.base = filepath.Dir(l.file)
	l.text, err = read(l.file, shown(l.file, l.Dir))
	return err
}

func absolute(dir string) (string, error) {
	dir, err := filepath.Abs(cmp.Or(dir, "."))
	if err != nil {
		return "", fmt.Errorf("find working directory: %w", err)
	}
	return dir, nil
}

// parse is the file's tree; nil without a file, or when it cannot be read.
func (l *loader) parse() *node {
	if l.file == "" {
		return nil
	}
	if l.src = newSource(shown(l.file, l.Dir), l.text, &l.out); l.src == nil {
		return nil
	}
	return parseTree(l.src, &l.out)
}

// split judges every part of the file by itself, so that a mistake in an
// environment shows before somebody chooses it, and gives the part that always
// applies and the chosen environment.
func (l *loader) split(file *node) (base, chosen *node) {
	if file == nil {
		if l.Env != "" && l.file == "" {
			l.out.add(l.envOrigin(), fmt.Sprintf("there is no %s that could hold an environment %s", FileName, quote(l.Env)))
		}
		return nil, nil
	}
	base = l.draft(without(file, "environments"), "")
	names := l.environments(file.get("environments"))
	if l.Env == "" {
		return base, nil
	}
	chosen, ok := names[l.Env]
	if !ok {
		known := slices.Sorted(maps.Keys(names))
		hints := append(didYouMean(l.Env, known), fmt.Sprintf("environments in %s: %s", l.src.name, listed(known)))
		l.out.add(l.envOrigin(), fmt.Sprintf("no environment %s", quote(l.Env)), hints...)
		return base, nil
	}
	return base, from(chosen, FromEnvironment)
}

func (l *loader) envOrigin() Origin {
	if l.Options.Env != "" && l.env[VariableEnv] != l.Env {
		return Origin{Source: FromFlag, Name: "--env"}
	}
	return Origin{Source: FromVariable, Name: VariableEnv}
}

var environmentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// environments are the file's environments by name.
func (l *loader) environments(n *node) map[string]*node {
	names := map[string]*node{}
	if n == nil || n.isNull() {
		return names
	}
	if n.kind != mapping {
		l.out.add(n.at, "environments wants a mapping of names to settings, have "+describe(n))
		return names
	}
	for _, p := range n.pairs {
		if !environmentName.MatchString(p.key) {
			l.out.add(p.at, fmt.Sprintf("environments: want a name of letters, digits, _ . and -, have %s", quote(p.key)))
		}
		if p.value.get("environments") != nil {
			l.out.add(p.value.at, "an environment cannot hold environments")
		}
		names[p.key] = l.draft(without(p.value, "environments"), "environments."+p.key)
	}
	return names
}

// draft reports what is wrong with one part of the file, and gives what of it is
// read.
func (l *loader) draft(n *node, path string) *node {
	hideSecrets(l.src, n)
	n = bare(n, l.leaveOut)
	d := newDecoder(l.src, &l.out)
	d.draft = true
	var s Settings
	d.decode(n, reflect.ValueOf(&s).Elem(), place{path: path})
	return n
}

// decode makes the Config of the merged tree.
func (l *loader) decode(tree *node) *Config {
	c := &Config{File: l.file, Dir: l.base, Env: l.Env}
	if tree == nil {
		tree = &node{kind: mapping}
	}
	e := &expander{src: l.src, out: &l.out, lookup: l.env.lookup}
	tree = e.tree(tree, "")
	d := newDecoder(l.src, &l.out)
	d.decode(tree, reflect.ValueOf(&c.Settings).Elem(), place{})
	c.origins, c.keys, c.secrets = d.origins, d.keys, e.secrets
	c.check(&l.out)
	c.fillDefaults()
	l.absolutePaths(c)
	return c
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	out := names[0]
	for _, n := range names[1:] {
		out += ", " + n
	}
	return out
}
