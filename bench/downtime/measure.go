package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const (
	diesAfter = 200 * time.Millisecond // of a broken image
	patient   = 2 * time.Minute
	rolled    = 3 // the exit code of a release that was rolled back
)

// configuration is what a release of a service is told by its file.
const configuration = `region: us-east-1
cluster: bench
service: %[1]s
image: {repository: %[1]s}
task: {container: app}
release: {bake: 0s}
`

// measure sets an application up and loads it: while nothing happens, while good
// images are released, and while broken ones are.
func (s *site) measure(ctx context.Context, dir string, i int, a application, o options) ([]count, error) {
	service := fmt.Sprint("app", i)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "weelo-deploy.yaml"), fmt.Appendf(nil, configuration, service), 0o600); err != nil {
		return nil, err
	}
	group, address, err := s.balance(ctx, service, a.delay)
	if err != nil {
		return nil, err
	}
	if _, err := s.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: &service}); err != nil {
		return nil, err
	}
	first, err := s.push(ctx, service, "v0", s.app)
	if err != nil {
		return nil, err
	}
	if err := s.serve(ctx, service, first, a.drain, group); err != nil {
		return nil, err
	}
	counts := make([]count, len(kinds))
	for n := 1; n <= o.times; n++ {
		for kind := range kinds {
			err := counts[kind].under(ctx, address, o.rate, func(ctx context.Context) error { return s.do(ctx, dir, service, kind, n) })
			if err != nil {
				return nil, fmt.Errorf("%s %d: %w", kinds[kind], n, err)
			}
		}
	}
	return counts, nil
}

// do is what happens under load.
func (s *site) do(ctx context.Context, dir, service string, kind, n int) error {
	program, tag := s.app, fmt.Sprint("v", n)
	switch kind {
	case 0:
		moment(ctx)
		return nil
	case 2:
		program, tag = s.bad, fmt.Sprint("bad", n)
	}
	image, err := s.push(ctx, service, tag, program)
	if err != nil {
		return err
	}
	_, err = s.run(ctx, dir, "release", "--image", image, "--no-trial", "--output", "plain")
	var exit *exec.ExitError
	if kind == 2 && errors.As(err, &exit) && exit.ExitCode() == rolled {
		err = nil
	} else if kind == 2 && err == nil {
		err = errors.New("the release of a broken image succeeded")
	}
	return errors.Join(err, s.stable(ctx, service))
}

// stable waits until the service is as it should be, its old tasks gone.
func (s *site) stable(ctx context.Context, service string) error {
	waiter := ecs.NewServicesStableWaiter(s.ecs, func(o *ecs.ServicesStableWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 200*time.Millisecond
	})
	in := &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}}
	out, err := waiter.WaitForOutput(ctx, in, patient)
	if err == nil && out.Services[0].Deployments[0].RolloutState == types.DeploymentRolloutStateFailed {
		err = errors.New("the deployment failed")
	}
	return err
}

// push puts an image of one program into the registry; each tag is an image of its
// own.
func (s *site) push(ctx context.Context, repository, tag string, program []byte) (string, error) {
	image, err := imageOf(program, tag)
	if err != nil {
		return "", err
	}
	to := s.registry + "/" + repository + ":" + tag
	ref, err := name.ParseReference(to, name.Insecure)
	if err != nil {
		return "", err
	}
	return to, remote.Write(ref, image, remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: s.user, Password: s.secret}))
}

func imageOf(program []byte, tag string) (v1.Image, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Entrypoint, config.Config.Labels = []string{"/app"}, map[string]string{"tag": tag}
	return mutate.ConfigFile(image, config)
}
