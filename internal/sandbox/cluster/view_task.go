package cluster

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
)

// taskRef is a task with what it belongs to.
type taskRef struct {
	sched *scheduler.Task
	owner *owner
}

// allTasks lists a cluster's tasks, oldest first.
func (cl *clusterRecord) allTasks() []taskRef {
	var list []taskRef
	for _, s := range cl.sortedServices() {
		list = append(list, s.tasks()...)
	}
	for _, id := range slices.Sorted(maps.Keys(cl.loose)) {
		t := cl.loose[id]
		list = append(list, taskRef{t.sched, &owner{cluster: cl, def: t.def, loose: t}})
	}
	slices.SortStableFunc(list, func(a, b taskRef) int { return a.sched.Created.Compare(b.sched.Created) })
	return list
}

func (s *service) tasks() []taskRef {
	if s.sched == nil {
		return nil
	}
	var list []taskRef
	for _, t := range s.sched.Tasks {
		list = append(list, taskRef{t, s.ownerOf(t)})
	}
	return list
}

// task finds a task of a cluster by id or ARN.
func (c *Cluster) task(cl *clusterRecord, ref string) (taskRef, bool) {
	id := c.arns.nameIn("task", cl.name, ref)
	if t := cl.loose[id]; t != nil {
		return taskRef{t.sched, &owner{cluster: cl, def: t.def, loose: t}}, true
	}
	for _, s := range cl.services {
		if s.sched == nil {
			continue
		}
		if t := s.sched.Task(id); t != nil {
			return taskRef{t, s.ownerOf(t)}, true
		}
	}
	return taskRef{}, false
}

// startedBy is who started the task: its deployment, or what RunTask said.
func (t taskRef) startedBy() string {
	if t.owner.loose != nil {
		return t.owner.loose.startedBy
	}
	return t.sched.Deployment
}

func (t taskRef) launchType() types.LaunchType {
	if t.owner.loose != nil {
		return t.owner.loose.launchType
	}
	return t.owner.revision.input.LaunchType
}

// effectiveLaunchType is what DescribeTasks shows, also of a task that a
// capacity provider placed.
func (t taskRef) effectiveLaunchType() types.LaunchType {
	if l := t.launchType(); l != "" {
		return l
	}
	if fargate(t.owner) {
		return types.LaunchTypeFargate
	}
	return types.LaunchTypeEc2
}

// viewTask is the task as DescribeTasks tells it.
func (c *Cluster) viewTask(t taskRef, tags bool) types.Task {
	s, def, cl := t.sched, t.owner.def, t.owner.cluster
	v := types.Task{
		TaskArn: ptr(c.arns.task(cl.name, s.ID)), ClusterArn: &cl.arn, TaskDefinitionArn: &def.ARN,
		LastStatus: ptr(s.Status.String()), DesiredStatus: ptr(s.Desired()), HealthStatus: types.HealthStatus(s.Health()),
		Group: ptr(t.owner.group()), StartedBy: ptr(t.startedBy()), LaunchType: t.effectiveLaunchType(),
		Cpu: ptr(strconv.Itoa(definition.CPUUnits(deref(def.Task.Cpu)))), Memory: ptr(strconv.Itoa(definition.MemoryMiB(deref(def.Task.Memory)))),
		AvailabilityZone: ptr(c.cfg.Region + "a"),
		CreatedAt:        at(s.Created), PullStartedAt: at(s.PullStarted), PullStoppedAt: at(s.PullStopped), StartedAt: at(s.Started),
		StoppingAt: at(s.Stopping), ExecutionStoppedAt: at(s.ExecutionStopped), StoppedAt: at(s.StoppedAt),
		StopCode:    types.TaskStopCode(s.StopCode),
		Attachments: c.attachments(t), Attributes: architecture(def),
		//lint:ignore SA1019 ECS still answers with the empty list
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{}, InferenceAcceleratorOverrides: []types.InferenceAcceleratorOverride{}},
		Version:   s.Version, EnableExecuteCommand: s.Exec,
	}
	if s.Provider != "" {
		v.CapacityProviderName = &s.Provider
	}
	if s.StopReason != "" {
		v.StoppedReason = &s.StopReason
	}
	if l := t.owner.loose; l != nil && l.overrides != nil {
		v.Overrides = l.overrides
	}
	if s.Status >= scheduler.Pending {
		v.Connectivity, v.ConnectivityAt = types.ConnectivityConnected, at(s.Created)
	}
	if v.LaunchType == types.LaunchTypeFargate {
		v.PlatformVersion, v.PlatformFamily = ptr(platformVersion(t.givenPlatformVersion())), ptr(platformFamily(def))
	} else {
		v.ContainerInstanceArn = ptr(c.containerInstance(cl))
	}
	for i, k := range s.Containers {
		v.Containers = append(v.Containers, c.viewContainer(t, k, def.Task.ContainerDefinitions[i]))
	}
	if tags {
		v.Tags = orEmpty(t.tags())
	}
	return v
}

// containerInstance is the ARN of the one container instance of a cluster.
func (c *Cluster) containerInstance(cl *clusterRecord) string {
	return c.arns.prefix() + "container-instance/" + cl.name + "/" + c.instanceID(cl)
}

func (c *Cluster) instanceID(cl *clusterRecord) string {
	return strings.ReplaceAll(derivedUUID(cl.arn), "-", "")
}

func (t taskRef) givenPlatformVersion() *string {
	if t.owner.loose != nil {
		return &t.owner.loose.platformVersion
	}
	return t.owner.revision.input.PlatformVersion
}

// tags are those that RunTask gave, or that the service propagates.
func (t taskRef) tags() []types.Tag {
	if t.owner.loose != nil {
		return t.owner.loose.tags
	}
	switch t.owner.service.settings.PropagateTags {
	case types.PropagateTagsService:
		return t.owner.service.tags
	case types.PropagateTagsTaskDefinition:
		return t.owner.def.Tags
	}
	return nil
}

func (c *Cluster) viewContainer(t taskRef, k scheduler.Container, def types.ContainerDefinition) types.Container {
	cl := t.owner.cluster.name
	v := types.Container{
		ContainerArn: ptr(c.arns.container(cl, t.sched.ID, k.Name)), TaskArn: ptr(c.arns.task(cl, t.sched.ID)),
		Name: ptr(k.Name), Image: ptr(k.Image), LastStatus: ptr(containerStatus(t.sched, k)),
		HealthStatus: types.HealthStatus(k.Health), Cpu: ptr(strconv.Itoa(int(def.Cpu))),
		NetworkBindings: []types.NetworkBinding{}, NetworkInterfaces: []types.NetworkInterface{},
	}
	if def.Memory != nil {
		v.Memory = ptr(strconv.Itoa(int(*def.Memory)))
	}
	if def.MemoryReservation != nil {
		v.MemoryReservation = ptr(strconv.Itoa(int(*def.MemoryReservation)))
	}
	if k.ExitCode != nil {
		v.ExitCode = ptr(int32(*k.ExitCode))
	}
	if k.Reason != "" {
		v.Reason = ptr(cut(k.Reason))
	}
	if k.Digest != "" {
		v.ImageDigest = ptr(k.Digest)
	}
	if k.RuntimeID != "" {
		v.RuntimeId = ptr(k.RuntimeID)
	}
	if t.sched.ENI {
		if k.Address != "" {
			v.NetworkInterfaces = append(v.NetworkInterfaces, types.NetworkInterface{
				AttachmentId: ptr(derivedUUID(t.sched.ID, "eni")), PrivateIpv4Address: ptr(k.Address),
			})
		}
		return v
	}
	for _, p := range k.Ports {
		v.NetworkBindings = append(v.NetworkBindings, types.NetworkBinding{
			BindIP: ptr(cmp.Or(p.HostIP, "0.0.0.0")), ContainerPort: ptr(int32(p.ContainerPort)),
			HostPort: ptr(int32(p.HostPort)), Protocol: types.TransportProtocol(p.Protocol),
		})
	}
	return v
}

// containerStatus is a container's lastStatus.
func containerStatus(t *scheduler.Task, k scheduler.Container) string {
	switch {
	case k.Exited, t.Status >= scheduler.Deprovisioning:
		return "STOPPED"
	case k.Started:
		return "RUNNING"
	}
	return "PENDING"
}

// attachments are a task's network interface in the mode awsvpc.
func (c *Cluster) attachments(t taskRef) []types.Attachment {
	if !t.sched.ENI {
		return []types.Attachment{}
	}
	status := "ATTACHED"
	switch {
	case t.sched.Status == scheduler.Provisioning:
		status = "PRECREATED"
	case t.sched.Status == scheduler.Stopped:
		status = "DELETED"
	}
	a := types.Attachment{Id: ptr(derivedUUID(t.sched.ID, "eni")), Type: ptr("ElasticNetworkInterface"), Status: &status}
	detail := func(name, value string) {
		a.Details = append(a.Details, types.KeyValuePair{Name: &name, Value: &value})
	}
	for _, k := range t.sched.Containers {
		if k.Address != "" {
			detail("networkInterfaceId", "eni-"+strings.ReplaceAll(derivedUUID(t.sched.ID), "-", "")[:17])
			detail("privateIPv4Address", k.Address)
			break
		}
	}
	return []types.Attachment{a}
}

// architecture is the attribute that every task has.
func architecture(def *definition.Definition) []types.Attribute {
	value := "x86_64"
	if p := def.Task.RuntimePlatform; p != nil && p.CpuArchitecture == types.CPUArchitectureArm64 {
		value = "arm64"
	}
	return []types.Attribute{{Name: ptr("ecs.cpu-architecture"), Value: &value}}
}

func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
