package sandbox

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster"
	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// resolver finds the images of task definitions in the sandbox's own registry.
// Images of other registries are left to the runtime: the sandbox cannot know
// their digests.
type resolver struct {
	store  *registry.Store
	host   func() string   // the registry's address
	served func() []string // those at which it was served before
	faults *fault.Set
}

func (s *Server) images() resolver {
	return resolver{s.registry, s.Registry, s.state.served, s.faults}
}

// Resolve is as [cluster.Resolver] wants it.
func (r resolver) Resolve(image, os, arch string) (cluster.Image, error) {
	repository, reference, own := r.split(image)
	if err := r.broken(repository, image, os, arch); err != nil {
		return cluster.Image{}, err
	}
	if !own {
		return cluster.Image{Reference: image}, nil
	}
	resolved, err := r.store.Resolve(repository, reference, os, arch)
	if err != nil {
		return cluster.Image{}, translate(err)
	}
	user, password := r.store.Credentials()
	return cluster.Image{
		Reference: r.host() + "/" + repository + "@" + resolved.Digest,
		Digest:    resolved.Digest,
		Auth:      &task.PullAuth{Username: user, Password: password, Server: r.host()},
	}, nil
}

// broken is why the faults do not let a task pull an image, or nil.
func (r resolver) broken(repository, image, os, arch string) error {
	if repository == "" { // not of this registry
		repository, _, _ = strings.Cut(image, "@")
		if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
			repository = repository[:i]
		}
	}
	switch kind, text := r.faults.TaskPull(repository, image); {
	case kind == fault.PullNotFound:
		return cluster.ErrImageNotFound
	case kind == fault.PullPlatform:
		return &cluster.PlatformError{Want: os + "/" + arch}
	case kind != "":
		return cluster.PullError(text)
	}
	return nil
}

// split takes an image reference apart when it is of the sandbox's registry.
func (r resolver) split(image string) (repository, reference string, own bool) {
	host, rest, ok := strings.Cut(image, "/")
	if !ok || !r.own(host) {
		return "", "", false
	}
	if repository, digest, ok := strings.Cut(rest, "@"); ok {
		repository, _, _ = strings.Cut(repository, ":") // a tag beside a digest does not count
		return repository, digest, true
	}
	repository, reference, ok = strings.Cut(rest, ":")
	if !ok {
		reference = "latest"
	}
	return repository, reference, true
}

// own says whether a host is the sandbox's, or was: what is kept over a restart
// names the registry by the port of that time.
func (r resolver) own(host string) bool {
	for _, address := range append([]string{r.host()}, r.served()...) {
		if _, port, err := net.SplitHostPort(address); err == nil && (host == address || host == "localhost:"+port) {
			return true
		}
	}
	return false
}

// translate says in the cluster's errors why an image cannot be had.
func translate(err error) error {
	var platform *registry.PlatformError
	switch {
	case errors.As(err, &platform):
		return &cluster.PlatformError{Want: platform.Want, Have: platform.Have}
	case errors.Is(err, registry.ErrRepository), errors.Is(err, registry.ErrReference):
		return fmt.Errorf("%w: %w", cluster.ErrImageNotFound, err)
	case errors.Is(err, registry.ErrDenied):
		return deniedError{err}
	case errors.Is(err, registry.ErrLayer):
		return fmt.Errorf("%w: %w", cluster.ErrLayer, err)
	}
	return err
}

// deniedError keeps the registry's text, which reaches clients as it is.
type deniedError struct{ error }

func (deniedError) Is(target error) bool { return target == cluster.ErrImageDenied }
