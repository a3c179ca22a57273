package cluster

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// placeholder is the value of a secret that a rehearsal has none for.
const placeholder = "sandbox-placeholder"

// environment adds what is kept elsewhere to the environment of a container:
// environment files, then secrets. In a rehearsal that is somebody's real
// configuration, whose values are not here: a secret has a placeholder, and a
// file nothing.
func (c *Cluster) environment(k *task.Container, def types.ContainerDefinition, o *owner) *startError {
	files := def.EnvironmentFiles
	if o.loose != nil {
		if own := overrideOf(o.loose.overrides, k.Name).EnvironmentFiles; own != nil {
			files = own
		}
	}
	for _, f := range files {
		vars, err := c.environmentFile(deref(f.Value))
		switch {
		case err != nil && c.cfg.Isolated:
			continue
		case err != nil:
			return &startError{container: k.Name, reason: fmt.Sprintf(
				"ResourceInitializationError: failed to download env files: file download command: non empty error stream: error while downloading env file: %s: %s", deref(f.Value), err)}
		}
		k.Env = append(k.Env, absent(k.Env, vars)...) // what is named first, or in the definition, is kept
	}
	for _, s := range def.Secrets {
		value, err := c.secret(deref(s.ValueFrom))
		if err != nil {
			return &startError{container: k.Name, reason: fmt.Sprintf(
				"ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: %s", err)}
		}
		k.Env = setEnv(k.Env, deref(s.Name), value)
	}
	return nil
}

// secret reads the value behind a valueFrom.
func (c *Cluster) secret(from string) (string, error) {
	if c.cfg.Secrets == nil {
		return placeholder, nil
	}
	value, err := c.cfg.Secrets.Value(from)
	if err != nil && c.cfg.Isolated {
		return placeholder, nil
	}
	return value, err
}

// environmentFile reads a file by its ARN, arn:aws:s3:::BUCKET/KEY.
func (c *Cluster) environmentFile(arn string) ([]string, error) {
	location, ok := strings.CutPrefix(arn, "arn:aws:s3:::")
	if !ok || c.cfg.Objects == nil {
		return nil, fmt.Errorf("%q is no ARN of an object here", arn)
	}
	body, err := c.cfg.Objects.Get(location)
	if err != nil {
		return nil, err
	}
	return variables(string(body)), nil
}

// variables are the lines NAME=value of an environment file. Quotation marks and
// spaces belong to a value (specifying environment variables in a file,
// Developer Guide).
func variables(text string) []string {
	var vars []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		name, _, ok := strings.Cut(line, "=")
		if ok && name != "" && !strings.HasPrefix(line, "#") {
			vars = append(vars, absent(vars, []string{line})...)
		}
	}
	return vars
}

// absent are those of more whose names are not in env.
func absent(env, more []string) []string {
	have := make(map[string]bool, len(env))
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		have[name] = true
	}
	var out []string
	for _, e := range more {
		if name, _, _ := strings.Cut(e, "="); !have[name] {
			out = append(out, e)
		}
	}
	return out
}
