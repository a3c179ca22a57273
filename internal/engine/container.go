package engine

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/strslice"
	"github.com/docker/go-connections/nat"
	"github.com/docker/go-units"
)

// ContainerSpec is what CreateContainer makes. A zero field leaves the image's
// or the engine's own setting, unless it says otherwise.
type ContainerSpec struct {
	Name       string
	Image      string // reference or id, present in the engine
	Entrypoint []string
	Cmd        []string
	Env        []string // NAME=value, on top of the image's
	User       string
	WorkingDir string
	Hostname   string // ignored when Network is another container's
	Labels     map[string]string

	// Network is "none", "bridge", a network's name or id, or "container:ID".
	Network string
	Publish []PortBinding

	MemoryBytes            int64 // hard limit; swap is limited to the same
	MemoryReservationBytes int64
	NanoCPUs               int64 // 1e9 is one CPU
	PidsLimit              int64
	Ulimits                []Ulimit

	ReadonlyRootfs  bool
	Init            bool
	StopSignal      string
	Health          *HealthCheck // nil switches the image's HEALTHCHECK off
	CapAdd, CapDrop []string
	NoNewPrivileges bool
	SecurityOptions []string
	CPUShares       int64 // relative weight
	ShmBytes        int64 // size of /dev/shm
	Sysctls         map[string]string
	Tmpfs           map[string]string // options by path
	Mounts          []VolumeMount
	VolumesFrom     []string // ids or names of containers, ":ro" behind them or not
	ExtraHosts      []string // NAME:ADDRESS
	DNS, DNSSearch  []string
	TTY             bool
	OpenStdin       bool
	NoLog           bool // Logs will have nothing: the output goes to Attach only
}

// VolumeMount puts a volume into a container.
type VolumeMount struct {
	Volume   string // its name
	Path     string
	ReadOnly bool
	Empty    bool // the image's files at Path are not copied into a new volume
}

// HealthCheck is a command that tells whether a container is healthy. Zero
// durations and retries are the engine's defaults.
type HealthCheck struct {
	Test        []string // {"CMD", …} or {"CMD-SHELL", command}
	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration
	Retries     int
}

// PortBinding publishes a container's port on the host.
type PortBinding struct {
	ContainerPort int
	Protocol      string // "tcp" when empty
	HostIP        string
	HostPort      int // 0: the engine chooses one
}

// Ulimit is a resource limit of the processes in a container.
type Ulimit struct {
	Name       string // "nofile"
	Soft, Hard int64
}

// CreateContainer makes a container and does not start it. Its output is kept
// in the engine's json-file log, 20 MB at most. The error is ErrNotFound when
// the image is not in the engine.
func (e *Engine) CreateContainer(ctx context.Context, s ContainerSpec) (string, error) {
	host, exposed, err := hostConfig(s)
	if err != nil {
		return "", fmt.Errorf("create container %s: %w", s.Name, err)
	}
	cfg := &container.Config{
		Image: s.Image, Entrypoint: strslice.StrSlice(s.Entrypoint), Cmd: strslice.StrSlice(s.Cmd), Env: s.Env,
		User: s.User, WorkingDir: s.WorkingDir, Hostname: s.Hostname, Labels: s.Labels,
		StopSignal: s.StopSignal, ExposedPorts: exposed, Healthcheck: healthConfig(s.Health),
		Tty: s.TTY, OpenStdin: s.OpenStdin,
	}
	if host.NetworkMode.IsContainer() {
		cfg.Hostname = "" // the namespace's owner has it; the engine refuses both
	}
	r, err := e.c.ContainerCreate(ctx, cfg, host, nil, nil, s.Name)
	if err != nil {
		return "", e.wrap("create container "+s.Name, err)
	}
	return r.ID, nil
}

func hostConfig(s ContainerSpec) (*container.HostConfig, nat.PortSet, error) {
	h := &container.HostConfig{
		NetworkMode: container.NetworkMode(s.Network), ExtraHosts: s.ExtraHosts, DNS: s.DNS, DNSSearch: s.DNSSearch,
		ReadonlyRootfs: s.ReadonlyRootfs, SecurityOpt: slices.Clone(s.SecurityOptions),
		CapAdd: strslice.StrSlice(s.CapAdd), CapDrop: strslice.StrSlice(s.CapDrop),
		ShmSize: s.ShmBytes, Sysctls: s.Sysctls, Tmpfs: s.Tmpfs, VolumesFrom: s.VolumesFrom,
		// Spelled out, because Logs cannot read every driver that an engine may
		// have for its default.
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "2"}},
		Resources: container.Resources{
			Memory: s.MemoryBytes, MemorySwap: s.MemoryBytes, MemoryReservation: s.MemoryReservationBytes, NanoCPUs: s.NanoCPUs,
			CPUShares: s.CPUShares,
		},
	}
	if s.NoLog {
		h.LogConfig = container.LogConfig{Type: "none"}
	}
	for _, m := range s.Mounts {
		h.Mounts = append(h.Mounts, mount.Mount{
			Type: mount.TypeVolume, Source: m.Volume, Target: m.Path, ReadOnly: m.ReadOnly, VolumeOptions: &mount.VolumeOptions{NoCopy: m.Empty},
		})
	}
	if s.Init {
		h.Init = &s.Init
	}
	if s.NoNewPrivileges {
		h.SecurityOpt = append(h.SecurityOpt, "no-new-privileges")
	}
	if s.PidsLimit > 0 {
		h.PidsLimit = &s.PidsLimit
	}
	for _, u := range s.Ulimits {
		h.Ulimits = append(h.Ulimits, &units.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	exposed := nat.PortSet{}
	for _, p := range s.Publish {
		port, err := nat.NewPort(cmp.Or(p.Protocol, "tcp"), strconv.Itoa(p.ContainerPort))
		if err != nil {
			return nil, nil, fmt.Errorf("publish port %d: %w", p.ContainerPort, err)
		}
		exposed[port] = struct{}{}
		if h.PortBindings == nil {
			h.PortBindings = nat.PortMap{}
		}
		b := nat.PortBinding{HostIP: p.HostIP}
		if p.HostPort != 0 {
			b.HostPort = strconv.Itoa(p.HostPort)
		}
		h.PortBindings[port] = append(h.PortBindings[port], b)
	}
	return h, exposed, nil
}

func healthConfig(h *HealthCheck) *container.HealthConfig {
	if h == nil {
		return &container.HealthConfig{Test: []string{"NONE"}}
	}
	return &container.HealthConfig{
		Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries,
	}
}

// StartContainer starts a container that was made or has ended.
func (e *Engine) StartContainer(ctx context.Context, id string) error {
	return e.wrap("start container "+short(id), e.c.ContainerStart(ctx, id, container.StartOptions{}))
}

// Exit is how a container ended.
type Exit struct {
	Code       int // 128 + signal when a signal ended it
	OOMKilled  bool
	Error      string // why it could not be started, in the engine's words
	FinishedAt time.Time
}

// exitKilled is the exit code after a SIGKILL.
const exitKilled = 137

// OutOfMemory says whether a memory limit, in any unit and 0 for none, has ended a
// container that nobody had killed. OOMKilled is not the whole truth: 20.10 on a busy
// machine missed 3 of 24 (measured, cgroup version 1; it sent no "oom" event either).
// So a SIGKILL that nobody asked for is the limit's: nothing inside a container can
// send one to its first process.
func (x Exit) OutOfMemory(limit int64) bool {
	return x.OOMKilled || x.Code == exitKilled && limit > 0
}

// WaitContainer blocks until the container is not running. It returns at once
// for one that was never started.
func (e *Engine) WaitContainer(ctx context.Context, id string) (Exit, error) {
	done, failed := e.c.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select { // the request carries ctx, so one of the two always answers
	case err := <-failed:
		return Exit{}, e.wrap("wait for container "+short(id), err)
	case r := <-done:
		s, err := e.Container(ctx, id)
		if err != nil {
			return Exit{Code: int(r.StatusCode)}, err
		}
		return Exit{Code: int(r.StatusCode), OOMKilled: s.OOMKilled, Error: s.Error, FinishedAt: s.FinishedAt}, nil
	}
}

// StopContainer sends the container's stop signal, and SIGKILL after timeout
// (rounded up to seconds; the engine counts in those). It returns when the
// container has ended. One that is not running is fine.
func (e *Engine) StopContainer(ctx context.Context, id string, timeout time.Duration) error {
	seconds := int(math.Ceil(timeout.Seconds()))
	return e.wrap("stop container "+short(id), e.c.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds}))
}

// KillContainer sends a signal ("SIGKILL", "SIGHUP"). A container that is not
// running is fine.
func (e *Engine) KillContainer(ctx context.Context, id, signal string) error {
	err := e.c.ContainerKill(ctx, id, signal)
	if errdefs.IsConflict(err) {
		return nil
	}
	return e.wrap("kill container "+short(id), err)
}

// RemoveContainer kills the container if it runs, and removes it with its
// anonymous volumes. One that is not there, or is being removed, is fine.
func (e *Engine) RemoveContainer(ctx context.Context, id string) error {
	err := e.c.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress") {
		return nil
	}
	return e.wrap("remove container "+short(id), err)
}
