package cluster

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// maxReason is the length at which ECS cuts a reason.
const maxReason = 1024

// startError says why a task cannot be started, in ECS's words.
type startError struct {
	container string
	reason    string
	pull      bool // it was a pull, which ECS repeats for a while
}

// prepare resolves what a task needs before it can run, in the order in which
// the container agent does: environment files and secrets, log configuration, images. It runs
// without the lock.
func (c *Cluster) prepare(j job) {
	spec, digests, failed := c.specOf(j)
	c.mu.Lock()
	defer c.mu.Unlock()
	if failed != nil {
		j.Task.CannotPrepare(failed.container, cut(failed.reason), failed.pull, c.env())
	} else {
		c.specs[j.Task.ID] = spec
		j.Task.Prepared(digests)
		if !j.Task.Live() {
			delete(c.specs, j.Task.ID) // stopped in the meantime: it will not run
		}
	}
	j.owner.touch()
	c.notify()
}

func (c *Cluster) specOf(j job) (task.Spec, map[string]string, *startError) {
	o := j.owner
	spec := c.baseSpec(j)
	digests := make(map[string]string)
	if why := unmountable(o.def.Task.Volumes); why != "" {
		return spec, nil, &startError{reason: "CannotCreateVolumeError: " + why}
	}
	for i, def := range o.def.Task.ContainerDefinitions {
		if failed := c.environment(&spec.Containers[i], def, o); failed != nil {
			return spec, nil, failed
		}
	}
	if failed := c.checkLogs(o); failed != nil {
		return spec, nil, failed
	}
	for i, def := range o.def.Task.ContainerDefinitions {
		image, failed := c.resolve(o, def)
		if failed != nil {
			return spec, nil, failed
		}
		spec.Containers[i].Image, spec.Containers[i].PullAuth = image.Reference, image.Auth
		digests[*def.Name] = image.Digest
	}
	return spec, digests, nil
}

// checkLogs looks for the log groups of all containers, and creates those
// that are to be created.
func (c *Cluster) checkLogs(o *owner) *startError {
	for _, def := range o.def.Task.ContainerDefinitions {
		l := def.LogConfiguration
		if l == nil || l.LogDriver != types.LogDriverAwslogs {
			continue
		}
		group := l.Options["awslogs-group"]
		if c.cfg.Logs.HasGroup(group) {
			continue
		}
		//lint:ignore ST1005 these are the words of CloudWatch Logs
		err := errors.New("ResourceNotFoundException: The specified log group does not exist.")
		if l.Options["awslogs-create-group"] == "true" {
			err = c.cfg.Logs.CreateGroup(group)
		}
		if err != nil {
			return &startError{container: *def.Name, reason: fmt.Sprintf(
				"ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: %s : exit status 1", err)}
		}
	}
	return nil
}

// resolve finds the image of a container. A tag is resolved once for each
// service revision; from then on all its tasks get that digest (container
// image resolution, versionConsistency).
func (c *Cluster) resolve(o *owner, def types.ContainerDefinition) (Image, *startError) {
	name, image := *def.Name, *def.Image
	os, arch := platform(o.def.Task.RuntimePlatform)
	ref := image
	consistent := o.revision != nil && def.VersionConsistency != types.VersionConsistencyDisabled
	if consistent {
		ref = pinned(image, c.recorded(o.revision, name, ""))
	}
	got, err := c.cfg.Images.Resolve(ref, os, arch)
	if err == nil && consistent {
		if first := c.recorded(o.revision, name, got.Digest); first != got.Digest {
			ref = pinned(image, first) // another task was faster, and the tag moved in between
			got, err = c.cfg.Images.Resolve(ref, os, arch)
		}
	}
	if err == nil {
		return got, nil
	}
	return Image{}, &startError{
		container: name, reason: "CannotPullContainerError: " + pullReason(o, ref, os+"/"+arch, err), pull: true,
	}
}

// pullReason is what ECS says of a pull that failed, where the task runs.
func pullReason(o *owner, ref, platform string, err error) string {
	var whole PullError
	switch {
	case errors.As(err, &whole):
		return string(whole)
	case fargate(o):
		return fargatePullReason(ref, platform, err)
	}
	return instancePullReason(ref, platform, err)
}

// recorded returns the digest that a revision has for a container, after
// recording the given one if there was none.
func (c *Cluster) recorded(r *revision, container, digest string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.digests[container] == "" && digest != "" {
		r.digests[container] = digest
	}
	return r.digests[container]
}

// fargatePullReason is what containerd says on Fargate.
func fargatePullReason(ref, platform string, err error) string {
	var wrong *PlatformError
	switch {
	case errors.As(err, &wrong):
		return fmt.Sprintf("pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform '%s'", platform)
	case errors.Is(err, ErrImageNotFound):
		return fmt.Sprintf("pull image manifest has been retried 5 time(s): failed to resolve ref %s: %s: not found", ref, ref)
	case errors.Is(err, ErrImageDenied):
		return fmt.Sprintf("The task can’t pull the image. Check that the role has the permissions to pull images from the registry. pull image manifest has been retried 1 time(s): failed to resolve ref %s: denied: %s", ref, err)
	case errors.Is(err, ErrLayer):
		return fmt.Sprintf("ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: content of %s: not found", ref)
	}
	return fmt.Sprintf("pull image manifest has been retried 5 time(s): failed to resolve ref %s: %s", ref, err)
}

// instancePullReason is what Docker says on a container instance.
func instancePullReason(ref, platform string, err error) string {
	var wrong *PlatformError
	switch {
	case errors.As(err, &wrong):
		return fmt.Sprintf("Error response from daemon: no matching manifest for %s in the manifest list entries", platform)
	case errors.Is(err, ErrImageNotFound):
		return fmt.Sprintf("Error response from daemon: manifest for %s not found: manifest unknown: Requested image not found", ref)
	case errors.Is(err, ErrImageDenied):
		return fmt.Sprintf("Error response from daemon: pull access denied for %s, repository does not exist or may require 'docker login': denied: %s", ref, err)
	}
	return fmt.Sprintf("Error response from daemon: %s: %s", ref, err)
}

// platform is a task definition's platform in GOOS and GOARCH words. What is
// not said is linux/amd64.
func platform(p *types.RuntimePlatform) (os, arch string) {
	os, arch = "linux", "amd64"
	if p == nil {
		return os, arch
	}
	if strings.HasPrefix(string(p.OperatingSystemFamily), "WINDOWS") {
		os = "windows"
	}
	if p.CpuArchitecture == types.CPUArchitectureArm64 {
		arch = "arm64"
	}
	return os, arch
}

// pinned replaces the tag of an image reference by a digest, if there is one.
func pinned(image, digest string) string {
	if digest == "" {
		return image
	}
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image + "@" + digest
}

func cut(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "")
}
