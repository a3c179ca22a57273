package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/go-connections/nat"
)

// ContainerState is how a container is.
type ContainerState struct {
	Status     string // created, running, paused, restarting, removing, exited, dead
	Running    bool
	OOMKilled  bool
	ExitCode   int
	Error      string
	Health     string // starting, healthy, unhealthy; empty without a health check
	IP         string // its address in its first network; empty when it has none
	ImageID    string
	Ports      []PortBinding // as bound, host ports filled in
	StartedAt  time.Time
	FinishedAt time.Time
}

// Container describes one container.
func (e *Engine) Container(ctx context.Context, id string) (ContainerState, error) {
	r, err := e.c.ContainerInspect(ctx, id)
	if err != nil {
		return ContainerState{}, e.wrap("inspect container "+short(id), err)
	}
	if r.ContainerJSONBase == nil || r.State == nil {
		return ContainerState{}, fmt.Errorf("inspect container %s: the engine's answer has no state", short(id))
	}
	s := ContainerState{
		Status: r.State.Status, Running: r.State.Running, OOMKilled: r.State.OOMKilled, ExitCode: r.State.ExitCode,
		Error: r.State.Error, ImageID: r.Image, StartedAt: engineTime(r.State.StartedAt), FinishedAt: engineTime(r.State.FinishedAt),
	}
	if r.State.Health != nil {
		s.Health = r.State.Health.Status
	}
	if r.NetworkSettings != nil {
		for _, name := range slices.Sorted(maps.Keys(r.NetworkSettings.Networks)) {
			if n := r.NetworkSettings.Networks[name]; n != nil && n.IPAddress != "" {
				s.IP = n.IPAddress
				break
			}
		}
		s.Ports = bindings(r.NetworkSettings.Ports)
	}
	return s, nil
}

// bindings lists published ports in a stable order.
func bindings(m nat.PortMap) []PortBinding {
	var all []PortBinding
	for port, bound := range m {
		for _, b := range bound {
			n, err := strconv.Atoi(b.HostPort)
			if err != nil {
				continue
			}
			all = append(all, PortBinding{ContainerPort: port.Int(), Protocol: port.Proto(), HostIP: b.HostIP, HostPort: n})
		}
	}
	slices.SortFunc(all, func(a, b PortBinding) int {
		return strings.Compare(fmt.Sprintf("%05d%v", a.ContainerPort, a), fmt.Sprintf("%05d%v", b.ContainerPort, b))
	})
	return all
}

// engineTime reads a time as the engine writes it; its zero time is ours.
func engineTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// ContainerSummary is one container in a list.
type ContainerSummary struct {
	ID, Name, State string
	Labels          map[string]string
}

// Containers lists containers in any state that have every one of the labels,
// each "name" or "name=value".
func (e *Engine) Containers(ctx context.Context, labels ...string) ([]ContainerSummary, error) {
	list, err := e.c.ContainerList(ctx, container.ListOptions{All: true, Filters: labelled(labels)})
	if err != nil {
		return nil, e.wrap("list containers", err)
	}
	all := make([]ContainerSummary, 0, len(list))
	for _, c := range list {
		s := ContainerSummary{ID: c.ID, State: c.State, Labels: c.Labels}
		if len(c.Names) > 0 {
			s.Name = strings.TrimPrefix(c.Names[0], "/")
		}
		all = append(all, s)
	}
	return all, nil
}

func labelled(labels []string) filters.Args {
	f := filters.NewArgs()
	for _, l := range labels {
		f.Add("label", l)
	}
	return f
}

// short is an id as people read it.
func short(id string) string {
	if len(id) == 64 {
		return id[:12]
	}
	return id
}
