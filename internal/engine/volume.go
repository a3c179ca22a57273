package engine

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/volume"
)

// VolumeSummary is one volume in a list.
type VolumeSummary struct {
	Name   string
	Labels map[string]string
}

// CreateVolume makes a volume of the engine's own kind. One of this name stays.
func (e *Engine) CreateVolume(ctx context.Context, name string, labels map[string]string) error {
	_, err := e.c.VolumeCreate(ctx, volume.CreateOptions{Name: name, Driver: "local", Labels: labels})
	return e.wrap("create volume "+name, err)
}

// RemoveVolume removes a volume that no container uses. One that is not there is
// fine.
func (e *Engine) RemoveVolume(ctx context.Context, name string) error {
	err := e.c.VolumeRemove(ctx, name, false)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.wrap("remove volume "+name, err)
}

// Volumes lists the volumes that have every one of the labels.
func (e *Engine) Volumes(ctx context.Context, labels ...string) ([]VolumeSummary, error) {
	list, err := e.c.VolumeList(ctx, volume.ListOptions{Filters: labelled(labels)})
	if err != nil {
		return nil, e.wrap("list volumes", err)
	}
	all := make([]VolumeSummary, 0, len(list.Volumes))
	for _, v := range list.Volumes {
		all = append(all, VolumeSummary{Name: v.Name, Labels: v.Labels})
	}
	return all, nil
}
