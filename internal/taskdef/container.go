package taskdef

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/nearest"
)

// Container is what the tool reads of a container definition.
type Container struct {
	Name, Image string
	// Essential says that the task stops when this container does; ECS takes it
	// for true where it is not given (ContainerDefinition, ECS API reference).
	Essential   bool
	Log         LogConfig
	Environment map[string]string
	Secrets     map[string]string // name → valueFrom
	HealthCheck bool
	EntryPoint  []string
	Command     []string
	User        string

	WorkingDirectory       string
	MemoryMiB              int // hard limit; 0 when there is none
	MemoryReservationMiB   int
	CPUUnits               int
	ReadonlyRootFilesystem bool
	Init                   bool     // linuxParameters.initProcessEnabled
	DropCapabilities       []string // linuxParameters.capabilities.drop
	Ports                  []int    // that a load balancer can reach: portMappings, ranges included

	Mounts []string // where volumes are put over the image's files

	// Restarts says that ECS starts the container again when it ends (restartPolicy).
	Restarts bool
}

// LogConfig says where a container's output goes. Group, StreamPrefix and
// Region are those of the awslogs driver.
type LogConfig struct {
	Driver, Group, StreamPrefix, Region string
	Options                             map[string]string
}

// rawContainer is a container definition in AWS's names.
type rawContainer struct {
	Name        string        `json:"name"`
	Image       string        `json:"image"`
	Essential   *bool         `json:"essential"`
	Environment []envVar      `json:"environment"`
	Secrets     []secret      `json:"secrets"`
	EntryPoint  []string      `json:"entryPoint"`
	Command     []string      `json:"command"`
	User        string        `json:"user"`
	WorkDir     string        `json:"workingDirectory"`
	Memory      float64       `json:"memory"` // whole, in any spelling of JSON
	Reservation float64       `json:"memoryReservation"`
	CPU         float64       `json:"cpu"`
	ReadOnly    bool          `json:"readonlyRootFilesystem"`
	HealthCheck *struct{}     `json:"healthCheck"`
	Ports       []portMapping `json:"portMappings"`
	Linux       struct {
		Init         bool `json:"initProcessEnabled"`
		Capabilities struct {
			Drop []string `json:"drop"`
		} `json:"capabilities"`
	} `json:"linuxParameters"`
	Mounts []struct {
		Path string `json:"containerPath"`
	} `json:"mountPoints"`
	Restart struct {
		Enabled bool `json:"enabled"`
	} `json:"restartPolicy"`
	Log *struct {
		Driver  string            `json:"logDriver"`
		Options map[string]string `json:"options"`
	} `json:"logConfiguration"`
}

// portMapping names one port, or a range such as "8000-8010".
type portMapping struct {
	Port  float64 `json:"containerPort"`
	Range string  `json:"containerPortRange"`
}

// ports are the container's ports that others can reach.
func (m portMapping) ports() []int {
	var first, last int
	if n, _ := fmt.Sscanf(m.Range, "%d-%d", &first, &last); n != 2 || last-first > 1<<16 {
		return []int{int(m.Port)}
	}
	var out []int
	for p := first; p <= last; p++ {
		out = append(out, p)
	}
	return out
}

type envVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type secret struct {
	Name      string `json:"name"`
	ValueFrom string `json:"valueFrom"`
}

func (r rawContainer) container() Container {
	c := Container{
		Name: r.Name, Image: r.Image, Essential: r.Essential == nil || *r.Essential,
		Environment: map[string]string{}, Secrets: map[string]string{}, HealthCheck: r.HealthCheck != nil,
		EntryPoint: r.EntryPoint, Command: r.Command, User: r.User, WorkingDirectory: r.WorkDir,
		MemoryMiB: int(r.Memory), MemoryReservationMiB: int(r.Reservation), CPUUnits: int(r.CPU),
		ReadonlyRootFilesystem: r.ReadOnly, Init: r.Linux.Init, DropCapabilities: r.Linux.Capabilities.Drop,
		Restarts: r.Restart.Enabled,
	}
	for _, m := range r.Mounts {
		c.Mounts = append(c.Mounts, m.Path)
	}
	for _, m := range r.Ports {
		c.Ports = append(c.Ports, m.ports()...)
	}
	for _, e := range r.Environment {
		c.Environment[e.Name] = e.Value
	}
	for _, s := range r.Secrets {
		c.Secrets[s.Name] = s.ValueFrom
	}
	if r.Log != nil {
		o := r.Log.Options
		c.Log = LogConfig{
			Driver: r.Log.Driver, Group: o["awslogs-group"], StreamPrefix: o["awslogs-stream-prefix"],
			Region: o["awslogs-region"], Options: o,
		}
	}
	return c
}

// InVolume is the program that the definition has the container start, when it lies
// where a volume is put: another container brings it, and the image need not have it.
func (c Container) InVolume() (program string, ok bool) {
	words := c.EntryPoint
	if len(words) == 0 {
		words = c.Command
	}
	if len(words) == 0 || !path.IsAbs(words[0]) {
		return "", false
	}
	program = path.Clean(words[0])
	return program, slices.ContainsFunc(c.Mounts, func(m string) bool { return strings.HasPrefix(program, path.Clean(m)+"/") })
}

// Containers are the definition's containers, in its order. The result is the
// caller's to change.
func (d *Definition) Containers() []Container {
	out := slices.Clone(d.containers)
	for i, c := range out {
		out[i].Environment, out[i].Secrets = maps.Clone(c.Environment), maps.Clone(c.Secrets)
		out[i].EntryPoint, out[i].Command = slices.Clone(c.EntryPoint), slices.Clone(c.Command)
		out[i].Log.Options, out[i].Ports = maps.Clone(c.Log.Options), slices.Clone(c.Ports)
		out[i].Mounts = slices.Clone(c.Mounts)
	}
	return out
}

// Log says where the output of a container goes: its log driver, and the group,
// stream prefix and region of awslogs. All are empty for a container that has no
// log configuration or is not there.
func (d *Definition) Log(container string) (driver, group, prefix, region string) {
	c, _ := d.find(container)
	return c.Log.Driver, c.Log.Group, c.Log.StreamPrefix, c.Log.Region
}

// Essential says whether the task stops when the container does; known is false
// for a container that the definition does not have, such as one that ECS adds.
func (d *Definition) Essential(container string) (essential, known bool) {
	c, known := d.find(container)
	return c.Essential, known
}

// RestartsInPlace are the containers that ECS starts again within their task when
// they end, so that no task shows it.
func (d *Definition) RestartsInPlace() []string {
	var names []string
	for _, c := range d.containers {
		if c.Restarts {
			names = append(names, c.Name)
		}
	}
	return names
}

// HealthChecked says whether an essential container has a health check, so that
// ECS gives its tasks a health status.
func (d *Definition) HealthChecked() bool {
	for _, c := range d.containers {
		if c.Essential && c.HealthCheck {
			return true
		}
	}
	return false
}

func (d *Definition) find(container string) (Container, bool) {
	for _, c := range d.containers {
		if c.Name == container {
			return c, true
		}
	}
	return Container{}, false
}

// Released is the container that a release changes: the named one, or, without
// a name, the only essential one. Its errors are a *event.Failure that names
// the containers to choose from: CONFIG when the choice is not clear, NOT_FOUND
// when no container has the name.
func (d *Definition) Released(name string) (Container, error) {
	var names, essential []string
	for _, c := range d.containers {
		names = append(names, c.Name)
		if c.Essential {
			essential = append(essential, c.Name)
		}
	}
	if name == "" && len(essential) == 1 {
		name = essential[0]
	}
	for _, c := range d.Containers() {
		if c.Name == name && name != "" {
			return c, nil
		}
	}
	if name == "" {
		return Container{}, d.unclear(names, essential)
	}
	return Container{}, d.noContainer(name, names)
}

func (d *Definition) unclear(names, essential []string) error {
	f := event.Fail(event.CodeConfig, fmt.Sprintf("choose the container of %s to release: %d of its containers are essential",
		d.Name(), len(essential)))
	return f.See("containers: " + strings.Join(names, ", ")).
		Hint("name it: task.container in weelo-deploy.yaml")
}

func (d *Definition) noContainer(name string, names []string) error {
	f := event.Fail(event.CodeNotFound, fmt.Sprintf("find container %q in %s: there is none of that name", name, d.Name())).
		See("containers: " + strings.Join(names, ", "))
	if near := nearest.Names(name, names, 1); len(near) > 0 {
		f.Hint(fmt.Sprintf("did you mean %q?", near[0]))
	}
	return f
}
