package dockerruntime

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// memory is the container's limit in MiB, 0 for none: the smaller of its own and
// the task's.
func (t *running) memory(c task.Container) int {
	if c.MemoryMiB > 0 && t.spec.MemoryMiB > 0 {
		return min(c.MemoryMiB, t.spec.MemoryMiB)
	}
	return cmp.Or(c.MemoryMiB, t.spec.MemoryMiB)
}

// containerSpec is the container as the engine wants it.
func (t *running) containerSpec(c task.Container) engine.ContainerSpec {
	s := engine.ContainerSpec{
		Name: t.name(c.Name), Image: c.Image, Labels: t.labels(c),
		Entrypoint: c.EntryPoint, Cmd: c.Command, Env: c.Env, User: c.User, WorkingDir: c.WorkingDir,
		Network:     "container:" + t.pause,
		MemoryBytes: int64(t.memory(c)) << 20, MemoryReservationBytes: int64(c.MemoryReservationMiB) << 20, CPUShares: shares(c.CPUUnits),
		ReadonlyRootfs: c.ReadonlyRoot, Init: c.Init, StopSignal: c.StopSignal,
		CapAdd: t.capabilities(c), CapDrop: c.CapDrop, SecurityOptions: harmless(c.SecurityOptions),
		ShmBytes: int64(c.SharedMemoryMiB) << 20, Sysctls: sysctls(c, false), Tmpfs: tmpfs(c.Tmpfs), TTY: c.TTY, OpenStdin: c.OpenStdin,
		Mounts: t.mounts(c),
	}
	for _, v := range c.VolumesFrom {
		from := t.name(v.Container)
		if v.ReadOnly {
			from += ":ro"
		}
		s.VolumesFrom = append(s.VolumesFrom, from)
	}
	for _, u := range c.Ulimits {
		s.Ulimits = append(s.Ulimits, engine.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	if c.Health != nil {
		s.Health = &engine.HealthCheck{
			Test: c.Health.Test, Interval: c.Health.Interval, Timeout: c.Health.Timeout,
			StartPeriod: c.Health.StartPeriod, Retries: c.Health.Retries,
		}
	}
	return s
}

// ownNamespace are the capabilities, besides those that every container has, that
// reach nothing outside of a container's own namespaces and limits.
var ownNamespace = []string{"SYS_PTRACE", "NET_ADMIN", "IPC_LOCK", "SYS_NICE"}

// capabilities are those that a definition adds and that a container of the
// sandbox can have. Whoever reaches the sandbox's port can start tasks: none of
// them may become root of this machine by it. So there are no privileged
// containers either.
func (t *running) capabilities(c task.Container) []string {
	var all []string
	for _, k := range c.CapAdd {
		if slices.Contains(ownNamespace, strings.TrimPrefix(k, "CAP_")) && !t.spec.Isolated {
			all = append(all, k)
		}
	}
	return all
}

// harmless are the security options that take something away.
func harmless(options []string) []string {
	var all []string
	for _, o := range options {
		if strings.HasPrefix(o, "no-new-privileges") {
			all = append(all, "no-new-privileges")
		}
	}
	return all
}

// labels are the definition's and the sandbox's, which nobody may take.
func (t *running) labels(c task.Container) map[string]string {
	all := t.rt.labelled(t.spec.ARN, c.Name)
	for k, v := range c.Labels {
		if _, ours := all[k]; !ours {
			all[k] = v
		}
	}
	return all
}

// shares is the relative weight that ECS gives the engine: at least 2, the least
// that the kernel takes.
func shares(units int) int64 { return int64(max(units, 2)) }

// sysctls are the kernel parameters of a container, or those of the network
// namespace, which are the pause container's to set.
func sysctls(c task.Container, network bool) map[string]string {
	some := map[string]string{}
	for k, v := range c.Sysctls {
		if strings.HasPrefix(k, "net.") == network {
			some[k] = v
		}
	}
	return some
}

// tmpfs are file systems in memory, with the options of their mounts.
func tmpfs(all []task.Tmpfs) map[string]string {
	byPath := map[string]string{}
	for _, f := range all {
		options := slices.Clone(f.Options)
		if f.SizeMiB > 0 {
			options = append(options, "size="+strconv.Itoa(f.SizeMiB)+"m")
		}
		byPath[f.Path] = strings.Join(options, ",")
	}
	return byPath
}
