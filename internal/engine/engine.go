// Package engine talks to a Docker engine: it finds the endpoint the way the
// docker command does, and offers the calls that this program makes, in types
// of its own. Open is the place to start.
//
// It is the one package that imports github.com/docker/docker and
// github.com/docker/cli, and no type of theirs leaves it: replacing the client
// library touches this folder only. API versions are negotiated, so engines
// from 20.10 (API 1.41) on work.
//
// The package knows nothing of builds, releases or AWS. Its errors are plain
// Go errors: ErrNotFound, ErrUnreachable and *StreamError are there to branch
// on; whoever tells the story turns them into advice.
package engine

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/client"
)

// answerTimeout bounds the first question to an engine. An ssh connection
// alone may take 30 s (the ConnectTimeout that the docker command uses).
const answerTimeout = 40 * time.Second

// Options choose an engine.
type Options struct {
	// On names the engine: empty or "docker" for the one that the docker
	// command would use (DOCKER_HOST, then DOCKER_CONTEXT, then the current
	// context of config.json, then the default socket); a context's name; or an
	// address: ssh://user@host, tcp://host:port, unix:///path, npipe:////./pipe/name.
	On string

	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
}

// Engine is a connection to one Docker engine. Its methods may be called from
// any goroutine.
type Engine struct {
	c  *client.Client
	ep endpoint
}

// Open finds the engine's endpoint and prepares a client. It reads the docker
// command's configuration, and does no network I/O: an engine that is away
// shows at the first call.
func Open(o Options) (*Engine, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	ep, err := resolve(o.On, getenv)
	if err != nil {
		return nil, fmt.Errorf("find the docker engine: %w", err)
	}
	opts, err := ep.clientOptions()
	if err != nil {
		return nil, fmt.Errorf("connect to the docker engine at %s: %w", ep.host, err)
	}
	if v := getenv(client.EnvOverrideAPIVersion); v != "" {
		opts = append(opts, client.WithVersion(strings.TrimPrefix(v, "v")))
	}
	c, err := client.NewClientWithOpts(append(opts,
		client.WithAPIVersionNegotiation(), client.WithUserAgent("weelo-deploy"))...)
	if err != nil {
		return nil, fmt.Errorf("connect to the docker engine at %s: %w", ep.host, err)
	}
	return &Engine{c: c, ep: ep}, nil
}

// Close gives up idle connections.
func (e *Engine) Close() error { return e.c.Close() }

// Endpoint is the engine's address, for people: "unix:///var/run/docker.sock".
func (e *Engine) Endpoint() string { return e.ep.host }

// From says where the endpoint was found: "DOCKER_HOST", `docker context "ci"`.
func (e *Engine) From() string { return e.ep.from }

// Local reports whether the endpoint is a socket or pipe of this machine. The
// engine behind it may still run in a virtual machine.
func (e *Engine) Local() bool { return e.ep.isSocket() }

// Info is what the engine says of itself. Nothing in it is the client's.
type Info struct {
	ID              string // the engine's own, kept across restarts; may be empty
	Version         string // "20.10.24+dfsg1"
	APIVersion      string // negotiated, "1.41"
	OS              string // "linux"
	Arch            string // GOARCH spelling: "amd64", "arm64"
	OperatingSystem string // "Docker Desktop", "Debian GNU/Linux 12"
	Name            string // host name
	CPUs            int
	MemoryBytes     int64
	ContainerdStore bool // images live in containerd's store, not in a graph driver
	CgroupVersion   string

	// InsecureRegistries are those to which the engine speaks plain HTTP: HOST:PORT,
	// and networks in CIDR form. Sorted.
	InsecureRegistries []string
}

// Info asks the engine what it is. The error is an *UnreachableError
// (ErrUnreachable) when it does not answer.
func (e *Engine) Info(ctx context.Context) (Info, error) {
	asked, cancel := context.WithTimeoutCause(ctx, answerTimeout, errSilent)
	defer cancel()
	v, err := e.c.ServerVersion(asked)
	if err != nil {
		return Info{}, e.wrapAsked(ctx, asked, "ask the engine's version", err)
	}
	i, err := e.c.Info(asked)
	if err != nil {
		return Info{}, e.wrapAsked(ctx, asked, "ask the engine for its description", err)
	}
	info := Info{
		ID: i.ID, Version: v.Version, APIVersion: e.c.ClientVersion(), OS: v.Os, Arch: goArch(v.Arch),
		OperatingSystem: i.OperatingSystem, Name: i.Name, CPUs: i.NCPU, MemoryBytes: i.MemTotal,
		CgroupVersion: i.CgroupVersion,
	}
	if info.OS == "" {
		info.OS = i.OSType
	}
	if info.Arch == "" {
		info.Arch = goArch(i.Architecture)
	}
	if r := i.RegistryConfig; r != nil {
		for _, n := range r.InsecureRegistryCIDRs {
			info.InsecureRegistries = append(info.InsecureRegistries, n.String())
		}
		for name, index := range r.IndexConfigs {
			if index != nil && !index.Secure {
				info.InsecureRegistries = append(info.InsecureRegistries, name)
			}
		}
		slices.Sort(info.InsecureRegistries)
	}
	for _, kv := range i.DriverStatus {
		if kv[0] == "driver-type" && strings.HasPrefix(kv[1], "io.containerd.snapshotter") {
			info.ContainerdStore = true
		}
	}
	return info, nil
}

// goArch turns the spellings of uname -m into those of GOARCH.
func goArch(arch string) string {
	switch arch {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l", "armv6l":
		return "arm"
	case "i386", "i686":
		return "386"
	}
	return arch
}

// DialHijack upgrades a connection at an unversioned path of the API ("/grpc",
// "/session") to proto, with meta as request headers, and returns the raw
// connection.
func (e *Engine) DialHijack(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	// The client's handshake does not heed ctx, so it is left behind when ctx
	// ends first.
	done := make(chan dialled, 1)
	go func() {
		conn, err := e.c.DialHijack(ctx, path, proto, meta)
		done <- dialled{conn, err}
	}()
	select {
	case d := <-done:
		if d.err != nil {
			return nil, e.wrap("open "+path+" of the engine", d.err)
		}
		return d.conn, nil
	case <-ctx.Done():
		go func() {
			if d := <-done; d.conn != nil {
				d.conn.Close()
			}
		}()
		return nil, fmt.Errorf("open %s of the engine: %w", path, context.Cause(ctx))
	}
}
