package cluster

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// defaultStopTimeout is ECS's time between the stop signal and SIGKILL.
const defaultStopTimeout = 30 * time.Second

// baseSpec is a task's spec as far as it follows from the task definition.
func (c *Cluster) baseSpec(j job) task.Spec {
	o, def := j.owner, j.owner.def
	spec := task.Spec{
		ARN:         c.arns.task(o.cluster.name, j.Task.ID),
		ID:          j.Task.ID,
		Family:      def.Family,
		Revision:    def.Revision,
		Cluster:     o.cluster.name,
		Group:       o.group(),
		NetworkMode: string(def.NetworkMode()),
		CPUUnits:    definition.CPUUnits(deref(def.Task.Cpu)),
		MemoryMiB:   definition.MemoryMiB(deref(def.Task.Memory)),
		Isolated:    c.cfg.Isolated,
	}
	if o.service != nil {
		spec.Service = o.service.name
	}
	for _, d := range def.Task.ContainerDefinitions {
		k := c.container(d, spec.NetworkMode)
		if fargate(o) {
			k.Env = append(k.Env, "AWS_EXECUTION_ENV=AWS_ECS_FARGATE",
				"AWS_REGION="+c.cfg.Region, "AWS_DEFAULT_REGION="+c.cfg.Region)
		}
		spec.Containers = append(spec.Containers, k)
	}
	if o.loose != nil {
		override(&spec, o.loose.overrides)
	}
	spec.Volumes = volumes(def.Task.Volumes)
	c.offerMetadata(&spec, j)
	return spec
}

func (c *Cluster) container(d types.ContainerDefinition, mode string) task.Container {
	k := task.Container{
		Name:                 *d.Name,
		Image:                *d.Image,
		Essential:            essential(d),
		EntryPoint:           d.EntryPoint,
		Command:              d.Command,
		User:                 deref(d.User),
		WorkingDir:           deref(d.WorkingDirectory),
		Hostname:             deref(d.Hostname),
		CPUUnits:             int(d.Cpu),
		MemoryMiB:            int(deref(d.Memory)),
		MemoryReservationMiB: int(deref(d.MemoryReservation)),
		ReadonlyRoot:         deref(d.ReadonlyRootFilesystem),
		StopTimeout:          defaultStopTimeout,
		Health:               c.health(d.HealthCheck),
		Ports:                ports(d.PortMappings, mode),
		StartTimeout:         time.Duration(deref(d.StartTimeout)) * time.Second,
		Restart:              restart(d.RestartPolicy),
		Linux:                linux(d),
	}
	if d.LinuxParameters != nil {
		k.Init = deref(d.LinuxParameters.InitProcessEnabled)
	}
	if s := deref(d.StopTimeout); s > 0 {
		k.StopTimeout = time.Duration(s) * time.Second
	}
	for _, m := range d.MountPoints {
		k.Mounts = append(k.Mounts, task.Mount{Volume: deref(m.SourceVolume), Path: deref(m.ContainerPath), ReadOnly: deref(m.ReadOnly)})
	}
	for _, v := range d.VolumesFrom {
		k.VolumesFrom = append(k.VolumesFrom, task.VolumesFrom{Container: deref(v.SourceContainer), ReadOnly: deref(v.ReadOnly)})
	}
	for _, e := range d.Environment {
		k.Env = append(k.Env, deref(e.Name)+"="+deref(e.Value))
	}
	for _, dep := range d.DependsOn {
		k.DependsOn = append(k.DependsOn, task.Dependency{Container: deref(dep.ContainerName), Condition: string(dep.Condition)})
	}
	return k
}

func essential(d types.ContainerDefinition) bool { return d.Essential == nil || *d.Essential }

// health is a health check with ECS's defaults. Its interval is one of the
// times that the sandbox shortens.
func (c *Cluster) health(h *types.HealthCheck) *task.Health {
	if h == nil {
		return nil
	}
	test := h.Command
	if len(test) == 1 {
		test = []string{"CMD-SHELL", test[0]}
	}
	interval := seconds(h.Interval, 30)
	if c.cfg.Speed > 1 {
		interval = time.Duration(float64(interval) / c.cfg.Speed)
	}
	retries := 3
	if h.Retries != nil {
		retries = int(*h.Retries)
	}
	return &task.Health{
		Test: test, Interval: interval, Timeout: seconds(h.Timeout, 5),
		StartPeriod: seconds(h.StartPeriod, 0), Retries: retries,
	}
}

func seconds(n *int32, otherwise int) time.Duration {
	if n != nil {
		return time.Duration(*n) * time.Second
	}
	return time.Duration(otherwise) * time.Second
}

// override applies RunTask's overrides.
func override(spec *task.Spec, o *types.TaskOverride) {
	if o == nil {
		return
	}
	for i := range spec.Containers {
		k, c := &spec.Containers[i], overrideOf(o, spec.Containers[i].Name)
		if c.Command != nil {
			k.Command = c.Command
		}
		for _, e := range c.Environment {
			k.Env = setEnv(k.Env, deref(e.Name), deref(e.Value))
		}
		if c.Memory != nil {
			k.MemoryMiB = int(*c.Memory)
		}
		if c.MemoryReservation != nil {
			k.MemoryReservationMiB = int(*c.MemoryReservation)
		}
		if c.Cpu != nil {
			k.CPUUnits = int(*c.Cpu)
		}
	}
	if o.Cpu != nil {
		spec.CPUUnits = definition.CPUUnits(*o.Cpu)
	}
	if o.Memory != nil {
		spec.MemoryMiB = definition.MemoryMiB(*o.Memory)
	}
}

// setEnv sets a variable, in the place of an earlier one of its name: a process
// that finds two may take either.
func setEnv(env []string, name, value string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
	return append(env, name+"="+value)
}

// template is what the scheduler has to know of a revision's tasks.
func template(def *definition.Definition, launch types.LaunchType, providers []types.CapacityProviderStrategyItem) scheduler.Template {
	t := scheduler.Template{Fargate: onFargate(launch, providers), ENI: def.NetworkMode() == types.NetworkModeAwsvpc}
	for _, p := range providers {
		t.Providers = append(t.Providers, scheduler.Provider{Name: deref(p.CapacityProvider), Base: int(p.Base), Weight: int(p.Weight)})
	}
	for _, d := range def.Task.ContainerDefinitions {
		t.Containers = append(t.Containers, scheduler.ContainerTemplate{
			Name: *d.Name, Image: *d.Image, Essential: essential(d), Checked: d.HealthCheck != nil,
		})
	}
	return t
}

// fargate reports whether the owner's tasks run on Fargate: by launch type or
// by a capacity provider of Fargate's.
func fargate(o *owner) bool {
	if o.loose != nil {
		return onFargate(o.loose.launchType, o.loose.providers)
	}
	return onFargate(o.revision.input.LaunchType, o.revision.input.CapacityProviderStrategy)
}

func onFargate(t types.LaunchType, providers []types.CapacityProviderStrategyItem) bool {
	if t != "" {
		return t == types.LaunchTypeFargate
	}
	for _, p := range providers {
		if n := deref(p.CapacityProvider); n == "FARGATE" || n == "FARGATE_SPOT" {
			return true
		}
	}
	return false
}

// group is the task group that ECS gives.
func (o *owner) group() string {
	switch {
	case o.service != nil:
		return "service:" + o.service.name
	case o.loose != nil && o.loose.group != "":
		return o.loose.group
	}
	return "family:" + o.def.Family
}

// logTarget is where a container's lines go.
type logTarget struct {
	group, stream string
	byID          bool // the stream is called as the container is
}

// targets are the streams of a task's containers, by name: with the awslogs driver
// prefix/container/task, and the container's id without a prefix.
type targets map[string]logTarget

func logTargets(def *definition.Definition, taskID string) targets {
	all := make(targets)
	for _, d := range def.Task.ContainerDefinitions {
		if d.LogConfiguration == nil || d.LogConfiguration.LogDriver != types.LogDriverAwslogs {
			continue
		}
		options := d.LogConfiguration.Options
		t := logTarget{group: options["awslogs-group"], stream: derivedUUID(taskID, *d.Name), byID: true}
		if prefix := options["awslogs-stream-prefix"]; prefix != "" {
			t.stream, t.byID = prefix+"/"+*d.Name+"/"+taskID, false
		}
		all[*d.Name] = t
	}
	return all
}

// started names the stream of a container whose id names it.
func (t targets) started(container, id string) {
	if k, ok := t[container]; ok && k.byID && id != "" {
		k.stream = id
		t[container] = k
	}
}

// platformFamily is what tasks and services say of their platform on Fargate.
func platformFamily(def *definition.Definition) string {
	if p := def.Task.RuntimePlatform; p != nil && p.OperatingSystemFamily != "" && p.OperatingSystemFamily != types.OSFamilyLinux {
		return string(p.OperatingSystemFamily)
	}
	return "Linux"
}
