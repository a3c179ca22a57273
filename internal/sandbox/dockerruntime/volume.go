package dockerruntime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// volumeName is what a volume is called in the engine. Those with a key are shared
// by all tasks of the sandbox.
func (t *running) volumeName(v task.Volume) string {
	of := "task " + t.spec.ID + " " + v.Name
	if v.Key != "" {
		of = "key " + v.Key
	}
	sum := sha256.Sum256([]byte(of))
	return fmt.Sprintf("weelo-sandbox-%s-%s", t.rt.id, hex.EncodeToString(sum[:10]))
}

// makeVolumes makes the volumes of the task. They carry the sandbox's labels, and
// those of the task alone its ARN too: that is how they are found again.
func (t *running) makeVolumes() error {
	for _, v := range t.spec.Volumes {
		labels := t.rt.labels
		if v.Key == "" {
			labels = t.rt.labelled(t.spec.ARN, "")
		}
		if err := t.rt.engine.CreateVolume(t.rt.ctx, t.volumeName(v), labels); err != nil {
			return err
		}
	}
	return nil
}

// removeVolumes removes the volumes that are the task's alone. Its containers have
// gone.
func (t *running) removeVolumes(ctx context.Context) {
	for _, v := range t.spec.Volumes {
		if v.Key == "" {
			_ = t.rt.engine.RemoveVolume(ctx, t.volumeName(v)) // Close lists them again
		}
	}
}

// mounts are the container's. A shared volume begins empty, as a disk does that
// the image knows nothing of; a task's own one with the image's files.
func (t *running) mounts(c task.Container) []engine.VolumeMount {
	var all []engine.VolumeMount
	for _, m := range c.Mounts {
		for _, v := range t.spec.Volumes {
			if v.Name == m.Volume {
				all = append(all, engine.VolumeMount{Volume: t.volumeName(v), Path: m.Path, ReadOnly: m.ReadOnly, Empty: v.Key != ""})
			}
		}
	}
	return all
}
