package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template/parse"

	"github.com/weelo/weelo-deploy/internal/event"
)

// Vars are what tag templates can name. An empty field has no value, and a
// template that needs it is an error.
type Vars struct {
	GitSHA    string // 40 hexadecimal digits
	GitBranch string
	// Suffix ends the tags that name the commit, so that what was built from a tree
	// with changes does not pass for it.
	Suffix string
}

// tagFields are the names that a tag template takes.
var tagFields = []string{"GitSHA", "GitShortSHA", "GitBranch", "Env"}

// shortSHA is how many digits {{.GitShortSHA}} has: what git itself shows in a
// repository of middling size.
const shortSHA = 7

// tagPattern is what the distribution specification allows as a tag.
var tagPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`) })

// ExpandTags fills the templates of image.tags. A template without a value is a
// usage failure that names --tag; what is no valid tag is a failure too. Equal
// tags are given once.
func (c *Config) ExpandTags(v Vars) ([]string, error) {
	values := tagValues(v, c.Env)
	var tags []string
	var errs []error
	for i, text := range c.Image.Tags {
		tag, err := expandTag(text, values, v.Suffix)
		if err != nil {
			errs = append(errs, c.tagFailure(i, text, err))
			continue
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return tags, nil
}

func (c *Config) tagFailure(i int, text string, err error) error {
	message := fmt.Sprintf("tag %s: %s", quote(text), err)
	if at := c.Origin(fmt.Sprintf("image.tags[%d]", i)); at.Name != "" {
		message = at.String() + ": " + message
	}
	return event.Fail(event.CodeUsage, message).Hint("give a tag yourself: --tag TAG")
}

func tagValues(v Vars, env string) map[string]string {
	values := map[string]string{"GitSHA": v.GitSHA, "GitBranch": tagSafe(v.GitBranch), "Env": tagSafe(env)}
	if len(v.GitSHA) >= shortSHA {
		values["GitShortSHA"] = v.GitSHA[:shortSHA]
	}
	for name, value := range values {
		if value == "" {
			delete(values, name)
		}
	}
	return values
}

var unsafeInTag = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// tagSafe turns a name such as feature/x into what a tag can hold.
func tagSafe(s string) string {
	return strings.Trim(unsafeInTag.ReplaceAllString(s, "-"), "-")
}

// tagTemplate is the rule of image.tags: it can be parsed, names only known
// fields, and makes a valid tag out of plausible values.
var tagTemplate rule = ruleFunc(func(text string) error {
	_, err := expandTag(text, tagValues(Vars{GitSHA: strings.Repeat("0123456789", 4), GitBranch: "main"}, "production"), "")
	return err
})

// parsePrefix is what the parser says of the place, which is known better here.
var parsePrefix = regexp.MustCompile(`^template: tag:[0-9]+: `)

// expandTag fills in a template of text and {{.Field}}; suffix is for those that
// name the commit. The grammar is that of
// text/template, and only its parser is used: running templates would keep every
// method of every AWS client in the program, a third of its size.
func expandTag(text string, values map[string]string, suffix string) (string, error) {
	tree := parse.New("tag")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, "", "", map[string]*parse.Tree{}); err != nil {
		return "", fmt.Errorf("not a template: %s", parsePrefix.ReplaceAllString(err.Error(), ""))
	}
	var b strings.Builder
	if tree.Root != nil {
		commit := false
		for _, n := range tree.Root.Nodes {
			part, err := expandNode(n, values)
			if err != nil {
				return "", err
			}
			b.WriteString(part)
			commit = commit || namesCommit(n)
		}
		if commit {
			b.WriteString(suffix)
		}
	}
	if !tagPattern().MatchString(b.String()) {
		return "", fmt.Errorf("%s is no valid tag: want at most 128 letters, digits, _ . and -, not beginning with . or -", quote(b.String()))
	}
	return b.String(), nil
}

// expandNode is the text of one part of a template. Everything but text and
// {{.Field}} is refused.
func expandNode(n parse.Node, values map[string]string) (string, error) {
	switch n := n.(type) {
	case *parse.TextNode:
		return string(n.Text), nil
	case *parse.ActionNode:
		if name, ok := fieldOf(n.Pipe); ok {
			return expandField(name, values)
		}
	}
	return "", fmt.Errorf("only {{.%s}} are understood, have %s", strings.Join(tagFields, "}}, {{."), quote(n.String()))
}

func namesCommit(n parse.Node) bool {
	a, ok := n.(*parse.ActionNode)
	if !ok {
		return false
	}
	name, ok := fieldOf(a.Pipe)
	return ok && (name == "GitSHA" || name == "GitShortSHA")
}

func expandField(name string, values map[string]string) (string, error) {
	if !slices.Contains(tagFields, name) {
		return "", unknownField(name)
	}
	if values[name] == "" {
		return "", noValue(name)
	}
	return values[name], nil
}

func fieldOf(p *parse.PipeNode) (string, bool) {
	if p == nil || len(p.Decl) > 0 || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return "", false
	}
	f, ok := p.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(f.Ident) != 1 {
		return "", false
	}
	return f.Ident[0], true
}

func unknownField(name string) error {
	err := fmt.Errorf("unknown field {{.%s}}", name)
	if hints := didYouMean(name, tagFields); len(hints) > 0 {
		return &hinted{err, hints[0]}
	}
	return &hinted{err, "known: {{." + strings.Join(tagFields, "}}, {{.") + "}}"}
}

func noValue(name string) error {
	switch name {
	case "Env":
		return errors.New("{{.Env}} has no value: no environment was chosen by --env")
	case "GitBranch":
		return errors.New("{{.GitBranch}} has no value: no git branch is checked out")
	default:
		return fmt.Errorf("{{.%s}} has no value: this is no git work tree with a commit", name)
	}
}
