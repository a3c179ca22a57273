package engine

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
)

// NetworkSpec is what CreateNetwork makes: a bridge network.
type NetworkSpec struct {
	Name     string
	Labels   map[string]string
	Internal bool // no way out of it
}

// NetworkSummary is one network in a list.
type NetworkSummary struct {
	ID, Name string
	Labels   map[string]string
}

// CreateNetwork makes a network and returns its id.
func (e *Engine) CreateNetwork(ctx context.Context, s NetworkSpec) (string, error) {
	r, err := e.c.NetworkCreate(ctx, s.Name, network.CreateOptions{Driver: "bridge", Internal: s.Internal, Labels: s.Labels})
	if err != nil {
		return "", e.wrap("create network "+s.Name, err)
	}
	return r.ID, nil
}

// RemoveNetwork removes a network that no container uses. One that is not
// there is fine.
func (e *Engine) RemoveNetwork(ctx context.Context, id string) error {
	err := e.c.NetworkRemove(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.wrap("remove network "+short(id), err)
}

// Networks lists the networks that have every one of the labels.
func (e *Engine) Networks(ctx context.Context, labels ...string) ([]NetworkSummary, error) {
	list, err := e.c.NetworkList(ctx, network.ListOptions{Filters: labelled(labels)})
	if err != nil {
		return nil, e.wrap("list networks", err)
	}
	all := make([]NetworkSummary, 0, len(list))
	for _, n := range list {
		all = append(all, NetworkSummary{ID: n.ID, Name: n.Name, Labels: n.Labels})
	}
	return all, nil
}
