package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/sandbox/registry"
)

const (
	ourName   = "weelo-deploy"
	theirName = "docker push"
)

// side pushes an image. Only push is timed.
type side interface {
	name() string
	prepare(ctx context.Context, name string, r *served) (undo func() error, err error)
	push(ctx context.Context, name string, r *served) error
}

// ours is what the stage push does.
type ours struct{ e *engine.Engine }

func (*ours) name() string { return ourName }

func (*ours) prepare(context.Context, string, *served) (func() error, error) {
	return func() error { return nil }, nil
}

func (o *ours) push(ctx context.Context, name string, r *served) error {
	auth := engine.Auth{Username: r.user, Password: r.password, Server: r.host}
	p := image.PushRequest{ImageID: name, Repository: r.host + "/" + repository, Tags: []string{tag}, Auth: auth}
	digest, err := image.Push(ctx, o.e, p, event.Discard)
	if err != nil {
		return err
	}
	_, err = image.NewRemote(auth, nil).Pin(ctx, p.Repository, digest)
	return err
}

// theirs is the docker command, logged in by a configuration of its own.
type theirs struct{ docker string }

func (*theirs) name() string { return theirName }

func (t *theirs) prepare(ctx context.Context, name string, r *served) (func() error, error) {
	login := base64.StdEncoding.EncodeToString([]byte(r.user + ":" + r.password))
	config, err := json.Marshal(map[string]any{"auths": map[string]any{r.host: map[string]string{"auth": login}}})
	if err != nil {
		return nil, fmt.Errorf("encode docker's configuration: %w", err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "config.json"), config, 0o600); err != nil {
		return nil, err
	}
	undo := func() error { return t.run(context.WithoutCancel(ctx), r, "rmi", r.reference()) }
	return undo, t.run(ctx, r, "tag", name, r.reference())
}

func (t *theirs) push(ctx context.Context, _ string, r *served) error {
	return t.run(ctx, r, "push", "--quiet", r.reference())
}

func (t *theirs) run(ctx context.Context, r *served, args ...string) error {
	cmd := exec.CommandContext(ctx, t.docker, args...)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+r.dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("docker %s: %w\n%s", args[0], err, out.String())
	}
	return nil
}

const repository, tag = "bench", "v1"

// served is an empty registry of the sandbox on loopback.
type served struct {
	store          *registry.Store
	server         *http.Server
	host           string
	user, password string
	dir            string // of docker's configuration
}

func serve() (*served, error) {
	store, err := registry.Open("", "000000000000", "us-east-1")
	if err != nil {
		return nil, err
	}
	if err := store.CreateRepository(repository, false); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	dir, err := os.MkdirTemp("", "bench-push-")
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir), store.Close())
	}
	r := &served{store: store, server: &http.Server{Handler: store.Handler()}, host: l.Addr().String(), dir: dir}
	r.user, r.password = store.Credentials()
	go func() { _ = r.server.Serve(l) }() // ends with close
	return r, nil
}

func (r *served) reference() string { return r.host + "/" + repository + ":" + tag }

func (r *served) close() error {
	return errors.Join(r.server.Close(), r.store.Close(), os.RemoveAll(r.dir))
}
