package dockerruntime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
)

// sweep removes what sandboxes of this machine have left in the engine whose lock
// is free, and their lock files and folders. The error is an engine that does not answer; what
// cannot be removed is a warning, and the next sweep's.
func sweep(ctx context.Context, e Engine, host, dir string, warn func(error)) error {
	all, err := owners(ctx, e, host)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+lockSuffix))
	if err != nil {
		return err
	}
	for _, path := range files {
		all[strings.TrimSuffix(filepath.Base(path), lockSuffix)] = path
	}
	for id, path := range all {
		if err := sweepOne(ctx, e, id, path); err != nil && warn != nil {
			warn(fmt.Errorf("remove what the sandbox %s has left: %w", id, err))
		}
	}
	return nil
}

// owners lists the sandboxes that have something in the engine, with the paths of
// their lock files. Those of other machines that share the engine are theirs to
// judge.
func owners(ctx context.Context, e Engine, host string) (map[string]string, error) {
	all := map[string]string{}
	add := func(labels map[string]string) {
		if id, path := labels[LabelSandbox], labels[labelLock]; labels[labelHost] == host && id != "" && path != "" {
			all[id] = path
		}
	}
	containers, err := e.Containers(ctx, LabelSandbox)
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		add(c.Labels)
	}
	networks, err := e.Networks(ctx, LabelSandbox)
	if err != nil {
		return nil, err
	}
	for _, n := range networks {
		add(n.Labels)
	}
	volumes, err := e.Volumes(ctx, LabelSandbox)
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		add(v.Labels)
	}
	images, err := e.Images(ctx, LabelSandbox)
	if err != nil {
		return nil, err
	}
	for _, i := range images {
		add(i.Labels)
	}
	return all, nil
}

// sweepOne does nothing when the owner lives, or when it cannot be told because
// the file is another user's.
func sweepOne(ctx context.Context, e Engine, id, path string) error {
	lock, err := lockAt(path, false)
	switch {
	case errors.Is(err, errHeld), errors.Is(err, fs.ErrPermission):
		return nil
	case errors.Is(err, fs.ErrNotExist): // the owner had it removed, and was cut off after
		return removeLabelled(ctx, e, id)
	case err != nil:
		return err
	}
	held, err := lock.images()
	if err == nil {
		err = removeLabelled(ctx, e, id)
	}
	if err == nil {
		err = releaseImages(ctx, e, held)
	}
	if err != nil {
		lock.abandon()
		return err
	}
	return lock.release()
}

// removeLabelled removes a sandbox's containers, then its networks, its volumes and
// its pause image.
func removeLabelled(ctx context.Context, e Engine, id string) error {
	label := LabelSandbox + "=" + id
	containers, err := e.Containers(ctx, label)
	if err != nil {
		return err
	}
	errs := make([]error, len(containers))
	var wg sync.WaitGroup
	for i, c := range containers {
		wg.Go(func() { errs[i] = e.RemoveContainer(ctx, c.ID) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	networks, err := e.Networks(ctx, label)
	if err != nil {
		return err
	}
	for _, n := range networks {
		errs = append(errs, e.RemoveNetwork(ctx, n.ID))
	}
	volumes, err := e.Volumes(ctx, label)
	if err != nil {
		return err
	}
	for _, v := range volumes {
		errs = append(errs, e.RemoveVolume(ctx, v.Name))
	}
	images, err := e.Images(ctx, label)
	if err != nil {
		return err
	}
	for _, i := range images {
		errs = append(errs, e.RemoveImage(ctx, i.ID))
	}
	return errors.Join(errs...)
}
