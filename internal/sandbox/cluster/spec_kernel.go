package cluster

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// defaultRestartPeriod is ECS's restartAttemptPeriod.
const defaultRestartPeriod = 300 * time.Second

// restart is a container's restart policy. Its period is real time: it is
// something that a real process must meet.
func restart(p *types.ContainerRestartPolicy) *task.Restart {
	if p == nil || !deref(p.Enabled) {
		return nil
	}
	r := &task.Restart{Period: defaultRestartPeriod}
	if p.RestartAttemptPeriod != nil {
		r.Period = time.Duration(*p.RestartAttemptPeriod) * time.Second
	}
	for _, code := range p.IgnoredExitCodes {
		r.Ignored = append(r.Ignored, int(code))
	}
	return r
}

// linux is what a container definition says of the kernel's side.
func linux(d types.ContainerDefinition) task.Linux {
	l := task.Linux{
		SecurityOptions: d.DockerSecurityOptions, Labels: d.DockerLabels,
		TTY: deref(d.PseudoTerminal), OpenStdin: deref(d.Interactive),
		DNS: d.DnsServers, DNSSearch: d.DnsSearchDomains, Sysctls: make(map[string]string),
	}
	for _, u := range d.Ulimits {
		l.Ulimits = append(l.Ulimits, task.Ulimit{Name: string(u.Name), Soft: int64(u.SoftLimit), Hard: int64(u.HardLimit)})
	}
	for _, s := range d.SystemControls {
		l.Sysctls[deref(s.Namespace)] = deref(s.Value)
	}
	for _, h := range d.ExtraHosts {
		l.ExtraHosts = append(l.ExtraHosts, deref(h.Hostname)+":"+deref(h.IpAddress))
	}
	for _, link := range d.Links { // a task's containers share their addresses here
		name, alias, _ := strings.Cut(link, ":")
		if alias == "" {
			alias = name
		}
		l.ExtraHosts = append(l.ExtraHosts, alias+":127.0.0.1")
	}
	p := d.LinuxParameters
	if p == nil {
		return l
	}
	l.SharedMemoryMiB = int(deref(p.SharedMemorySize))
	for _, f := range p.Tmpfs {
		l.Tmpfs = append(l.Tmpfs, task.Tmpfs{Path: deref(f.ContainerPath), SizeMiB: int(f.Size), Options: f.MountOptions})
	}
	if p.Capabilities != nil {
		l.CapAdd, l.CapDrop = p.Capabilities.Add, p.Capabilities.Drop
	}
	return l
}

// volumes are a task definition's. What is on the disk of a container instance, in
// a shared Docker volume or on a file system of the network is one place for all
// tasks; everything else is the task's own.
func volumes(all []types.Volume) []task.Volume {
	var list []task.Volume
	for _, v := range all {
		t := task.Volume{Name: deref(v.Name)}
		switch d := v.DockerVolumeConfiguration; {
		case v.Host != nil && deref(v.Host.SourcePath) != "":
			t.Key = "host " + *v.Host.SourcePath
		case d != nil && d.Scope == types.ScopeShared:
			t.Key = "docker " + t.Name
		case v.EfsVolumeConfiguration != nil:
			e := v.EfsVolumeConfiguration
			t.Key = "efs " + deref(e.FileSystemId) + " " + deref(e.RootDirectory)
			if a := e.AuthorizationConfig; a != nil {
				t.Key += " " + deref(a.AccessPointId)
			}
		case v.S3filesVolumeConfiguration != nil:
			t.Key = "s3files " + deref(v.S3filesVolumeConfiguration.FileSystemArn) + " " + deref(v.S3filesVolumeConfiguration.RootDirectory)
		}
		list = append(list, t)
	}
	return list
}

// unmountable names the first volume that there is nothing for.
func unmountable(all []types.Volume) (why string) {
	for _, v := range all {
		d := v.DockerVolumeConfiguration
		switch {
		case v.FsxWindowsFileServerVolumeConfiguration != nil:
			return "volume " + deref(v.Name) + ": the sandbox has no FSx for Windows File Server"
		case d != nil && deref(d.Driver) != "" && *d.Driver != "local":
			return "volume " + deref(v.Name) + ": the sandbox has no volume driver " + *d.Driver
		}
	}
	return ""
}

// ports are a container's ports. In the mode awsvpc a task has an address of its
// own on AWS; here it shares the host, so that the port is any free one. In the mode
// host it is the container's port itself.
func ports(mappings []types.PortMapping, mode string) []task.Port {
	var list []task.Port
	for _, m := range mappings {
		protocol := string(m.Protocol)
		if protocol == "" {
			protocol = "tcp"
		}
		first, last := portRange(m)
		for n := first; n > 0 && n <= last; n++ {
			p := task.Port{ContainerPort: n, Protocol: protocol}
			switch mode {
			case string(types.NetworkModeBridge):
				p.HostPort = int(deref(m.HostPort))
			case string(types.NetworkModeHost):
				p.HostPort = n
			}
			list = append(list, p)
		}
	}
	return list
}

// mostInRange is how many ports a containerPortRange may have (ECS's limit for a
// task definition).
const mostInRange = 100

// portRange is the first and the last port of a mapping.
func portRange(m types.PortMapping) (first, last int) {
	if from, to, ok := strings.Cut(deref(m.ContainerPortRange), "-"); ok {
		first, _ = strconv.Atoi(from)
		last, _ = strconv.Atoi(to)
		return first, min(last, first+mostInRange-1)
	}
	n := int(deref(m.ContainerPort))
	return n, n
}
