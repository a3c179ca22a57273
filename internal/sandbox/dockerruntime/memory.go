package dockerruntime

import (
	"encoding/json"
	"fmt"
	"time"
)

// memoryPace is how often the containers of a task are weighed together.
const memoryPace = 500 * time.Millisecond

// watchMemory enforces the memory limit of the task as a whole. The engine has no
// limit for several containers: it cannot be told to make a cgroup around them. So
// they are weighed now and then, and when they are too heavy together the heaviest is
// killed, as the kernel would. What is taken and given back in between is not seen.
func (t *running) watchMemory(done <-chan struct{}) {
	every := time.NewTicker(memoryPace)
	defer every.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.stopping:
			return
		case <-every.C:
		}
		if id := heaviest(t.weigh(), uint64(t.spec.MemoryMiB)<<20); id != "" {
			_ = t.rt.engine.KillContainer(t.rt.ctx, id, "SIGKILL") // weighed again, if it lives
		}
	}
}

// together reports whether containers could use more than the task may although
// each keeps to its own limit.
func (t *running) together() bool {
	sum := 0
	for _, c := range t.spec.Containers {
		sum += t.memory(c)
	}
	return t.spec.MemoryMiB > 0 && sum > t.spec.MemoryMiB && len(t.spec.Containers) > 1
}

// weigh is the memory that each container uses, by its id in the engine.
func (t *running) weigh() map[string]uint64 {
	all := map[string]uint64{}
	for _, c := range t.spec.Containers {
		t.mu.Lock()
		id := t.ids[c.Name]
		t.mu.Unlock()
		if id == "" {
			continue
		}
		if stats, err := t.rt.engine.Stats(t.rt.ctx, id); err == nil {
			all[id], _ = memoryUse(stats) // 0 for one that has ended
		}
	}
	return all
}

// heaviest is the container that uses most, when all together use more than the
// limit, and "" otherwise.
func heaviest(use map[string]uint64, limit uint64) (id string) {
	sum, most := uint64(0), uint64(0)
	for k, n := range use {
		sum += n
		if n > most || n == most && k < id {
			id, most = k, n
		}
	}
	if sum <= limit {
		return ""
	}
	return id
}

// memoryUse is how much memory the engine's statistics say a container uses,
// without what the kernel can take back at any time, as the docker command counts.
func memoryUse(stats []byte) (uint64, error) {
	var s struct {
		Memory struct {
			Usage uint64            `json:"usage"`
			Stats map[string]uint64 `json:"stats"`
		} `json:"memory_stats"`
	}
	if err := json.Unmarshal(stats, &s); err != nil {
		return 0, fmt.Errorf("read statistics: %w", err)
	}
	reclaimable, v1 := s.Memory.Stats["total_inactive_file"] // cgroup version 1
	if !v1 {
		reclaimable = s.Memory.Stats["inactive_file"]
	}
	return s.Memory.Usage - min(reclaimable, s.Memory.Usage), nil
}
