package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/redact"
)

// hideSecrets keeps the values that may be secret out of excerpts. n is a part
// of the file: settings, not judged yet.
func hideSecrets(src *source, n *node) {
	hideURLs(src, n.get("notify"))
	hideChecks(src, n.get("checks").get("http"))
	src.hide(n.get("task").get("environment"))
	src.hide(n.get("verify").get("trial").get("env"))
	if before := n.get("release").get("before"); before != nil {
		for _, item := range before.items {
			src.hide(item.get("environment"))
		}
	}
	if args := n.get("build").get("args"); args != nil {
		for _, p := range args.pairs {
			if redact.SecretName(p.key) {
				src.hide(p.value)
			}
		}
	}
}

// hideURLs hides the webhooks, and whatever stands where one should.
func hideURLs(src *source, notify *node) {
	if notify == nil || notify.kind != list {
		src.hide(notify)
		return
	}
	for _, item := range notify.items {
		if item.kind != mapping {
			src.hide(item)
		}
		src.hide(item.get("url"))
	}
}

// SecretValues are the values of this configuration that no output may show: for
// a redact.Redactor. They are values of task.environment and verify.trial.env
// but for plain words that our own output needs, webhook URLs, build arguments
// and expanded variables whose name promises a secret, and passwords in URLs.
func (c *Config) SecretValues() []string {
	out := slices.Clone(c.secrets)
	for name, v := range c.Build.Args {
		if redact.SecretName(name) {
			out = append(out, v)
		}
		out = append(out, passwordOf(v)...)
	}
	environments := []map[string]string{c.Task.Environment, c.Verify.Trial.Env}
	for _, b := range c.Release.Before {
		environments = append(environments, b.Environment)
	}
	for _, env := range environments {
		out = append(out, c.SecretsIn(env)...)
	}
	for _, n := range c.Notify {
		out = append(out, n.URL, secretPart(n.URL))
	}
	for _, h := range c.Checks.HTTP {
		out = append(out, h.secretValues()...)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return strings.TrimSpace(s) == "" })
}

// SecretsIn are the values of an environment, such as that of a task definition in
// ECS, that should not be shown: all but plain words, and passwords in URLs.
func (c *Config) SecretsIn(env map[string]string) []string {
	var out []string
	for name, v := range env {
		if redact.SecretName(name) || !c.plain(v) {
			out = append(out, v)
		}
		out = append(out, passwordOf(v)...)
	}
	return out
}

// SecretVariables are the values of a process's environment ("NAME=value") whose
// name promises a secret: build.before and what it runs get them, and may print them.
func SecretVariables(environ []string) []string {
	var out []string
	for _, kv := range environ {
		name, v, _ := strings.Cut(kv, "=")
		if name == "PWD" || name == "OLDPWD" { // a shell's folders, and no passwords
			continue
		}
		if v != "" && redact.SecretName(name) && !plainValue.MatchString(v) {
			out = append(out, v)
		}
	}
	return out
}

// plainValue is what can be no secret: true, 3000, 10m, info, production,
// ap-south-1.
var plainValue = regexp.MustCompile(`^(?i:[0-9]{1,6}(\.[0-9]+)?[a-z]{0,2}|[a-z]{1,12}|[a-z]{2,4}(-[a-z]+)+-[0-9])$`)

// plain reports whether masking v would only make our output unreadable.
func (c *Config) plain(v string) bool {
	if plainValue.MatchString(v) {
		return true
	}
	for _, own := range []string{c.Cluster, c.Service, c.Account, c.Image.Repository, c.Task.Container, c.Region} {
		if v == own && own != "" {
			return true
		}
	}
	return false
}

// secretPart is what of a webhook's URL stays a secret without the host.
func secretPart(webhook string) string {
	u, err := url.Parse(webhook)
	if err != nil || len(u.RequestURI()) < len("/a/short") {
		return ""
	}
	return u.RequestURI()
}

func passwordOf(v string) []string {
	u, err := url.Parse(v)
	if err != nil || u.User == nil {
		return nil
	}
	if p, ok := u.User.Password(); ok {
		return []string{p}
	}
	return nil
}
