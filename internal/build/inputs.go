package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/platforms"
	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/weelo/weelo-deploy/internal/event"
)

// inputs are a request's files and values, read and found good.
type inputs struct {
	platform   ocispec.Platform
	dockerfile dockerfile
	secrets    map[string][]byte
	agents     []sshprovider.AgentConfig
	contexts   []namedContext
	cacheFrom  []bkclient.CacheOptionsEntry
	cacheTo    []bkclient.CacheOptionsEntry
}

// read finds everything that is wrong with the request without asking an
// engine, all at once.
func (b *Builder) read(r Request) (inputs, error) {
	var in inputs
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	in.platform, err = parsePlatform(r.Platform)
	note(err)
	note(checkContext(r.Context))
	in.dockerfile, err = readDockerfile(r.Dockerfile)
	note(err)
	in.secrets, err = b.readSecrets(r.Secrets)
	note(err)
	in.agents, err = b.agents(r.SSH)
	note(err)
	in.contexts, err = readContexts(r.Contexts)
	note(err)
	in.cacheFrom, in.cacheTo, err = readCaches(r.CacheFrom, r.CacheTo)
	note(err)
	return in, errors.Join(errs...)
}

// CheckFiles is the part of Check that needs no engine: what is wrong with the
// request's files and values.
func (b *Builder) CheckFiles(r Request) error {
	_, err := b.read(r)
	return err
}

func parsePlatform(s string) (ocispec.Platform, error) {
	p, err := platforms.Parse(s)
	if err != nil {
		return p, event.Fail(event.CodeUsage, fmt.Sprintf("build platform %q is none", s)).Because(err).
			Hint("build.platform is linux/amd64 or linux/arm64")
	}
	return p, nil
}

func checkContext(dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return event.Fail(event.CodeUsage, "there is no build context "+dir).Because(err)
	}
	if !fi.IsDir() {
		return event.Fail(event.CodeUsage, "build context "+dir+" is not a folder")
	}
	return nil
}

// readSecrets reads the secrets' values. They never appear in an error.
func (b *Builder) readSecrets(list []Secret) (map[string][]byte, error) {
	values := make(map[string][]byte, len(list))
	var errs []error
	for _, s := range list {
		v, err := b.readSecret(s)
		if _, twice := values[s.ID]; twice && err == nil {
			err = errors.New("it is given twice")
		}
		if err != nil {
			errs = append(errs, event.Fail(event.CodeUsage, fmt.Sprintf("build secret %q", s.ID)).Because(err))
			continue
		}
		values[s.ID] = v
	}
	return values, errors.Join(errs...)
}

func (b *Builder) readSecret(s Secret) ([]byte, error) {
	switch {
	case s.ID == "":
		return nil, errors.New("it has no id")
	case (s.File == "") == (s.Env == ""):
		return nil, errors.New("it needs a file or an environment variable, one of the two")
	case s.Env != "":
		v, ok := b.lookup(s.Env)
		if !ok {
			return nil, fmt.Errorf("environment variable %s is not set", s.Env)
		}
		return []byte(v), nil
	}
	v, err := os.ReadFile(s.File)
	if err != nil {
		return nil, err
	}
	if len(v) > secretsprovider.MaxSecretSize {
		return nil, fmt.Errorf("%s has %d bytes; BuildKit takes %d at most", s.File, len(v), secretsprovider.MaxSecretSize)
	}
	return v, nil
}

// agents reads SSH forwardings as `docker build --ssh` takes them: "default",
// or "id=path,path" with sockets or key files.
func (b *Builder) agents(list []string) ([]sshprovider.AgentConfig, error) {
	var all []sshprovider.AgentConfig
	var errs []error
	for _, s := range list {
		id, paths, _ := strings.Cut(s, "=")
		a := sshprovider.AgentConfig{ID: id}
		if paths != "" {
			a.Paths = strings.Split(paths, ",")
		} else if sock, _ := b.lookup("SSH_AUTH_SOCK"); sock != "" {
			a.Paths = []string{sock}
		}
		err := checkAgent(a)
		if err != nil {
			errs = append(errs, event.Fail(event.CodeUsage, fmt.Sprintf("build.ssh %q", s)).Because(err))
			continue
		}
		all = append(all, a)
	}
	return all, errors.Join(errs...)
}

func checkAgent(a sshprovider.AgentConfig) error {
	if len(a.Paths) == 0 {
		return errors.New("no SSH agent is running (SSH_AUTH_SOCK is not set)")
	}
	for _, p := range a.Paths {
		if _, err := os.Stat(p); err != nil {
			return err
		}
	}
	_, err := sshprovider.NewSSHAgentProvider([]sshprovider.AgentConfig{a})
	return err
}

// dockerfileDir is the folder that BuildKit reads the Dockerfile from.
func (r Request) dockerfileDir() string { return filepath.Dir(r.Dockerfile) }
