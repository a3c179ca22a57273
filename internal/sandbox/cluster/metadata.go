package cluster

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/definition"
	"github.com/weelo/weelo-deploy/internal/sandbox/cluster/scheduler"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// The structures of the task metadata endpoint, version 4 (Developer Guide, "Amazon
// ECS task metadata endpoint version 4"). What the sandbox does not know is left out.
type (
	taskMetadata struct {
		Cluster          string
		TaskARN          string
		Family           string
		Revision         string
		ServiceName      string `json:",omitempty"`
		DesiredStatus    string
		KnownStatus      string
		Limits           limits
		PullStartedAt    *time.Time `json:",omitempty"`
		PullStoppedAt    *time.Time `json:",omitempty"`
		AvailabilityZone string
		LaunchType       string
		TaskTags         map[string]string `json:",omitempty"`
		Containers       []containerMetadata

		FaultInjectionEnabled bool
	}

	containerMetadata struct {
		DockerId      string `json:",omitempty"`
		Name          string
		DockerName    string `json:",omitempty"`
		Image         string
		ImageID       string `json:",omitempty"`
		Labels        map[string]string
		DesiredStatus string
		KnownStatus   string
		ExitCode      *int `json:",omitempty"`
		Limits        limits
		CreatedAt     *time.Time `json:",omitempty"`
		StartedAt     *time.Time `json:",omitempty"`
		FinishedAt    *time.Time `json:",omitempty"`
		Type          string
		Health        *healthMetadata   `json:",omitempty"`
		LogDriver     string            `json:",omitempty"`
		LogOptions    map[string]string `json:",omitempty"`
		ContainerARN  string
		Networks      []networkMetadata
		Ports         []portMetadata `json:",omitempty"`
		RestartCount  *int           `json:",omitempty"`
	}

	limits struct {
		CPU    float64 `json:",omitempty"`
		Memory int     `json:",omitempty"`
	}

	healthMetadata struct {
		Status string `json:"status"`
	}

	networkMetadata struct {
		NetworkMode   string
		IPv4Addresses []string `json:",omitempty"`
	}

	portMetadata struct {
		ContainerPort int
		Protocol      string
		HostPort      int    `json:",omitempty"`
		HostIp        string `json:",omitempty"`
	}
)

// offerMetadata gives the task its metadata endpoint, and each container the address
// of its own part of it.
func (c *Cluster) offerMetadata(spec *task.Spec, j job) {
	for i := range spec.Containers {
		k := &spec.Containers[i]
		base := "http://" + task.MetadataHost
		k.Env = append(k.Env, "ECS_CONTAINER_METADATA_URI="+base+"/v3/"+metadataID(spec.ID, k.Name),
			"ECS_CONTAINER_METADATA_URI_V4="+base+"/v4/"+metadataID(spec.ID, k.Name))
	}
	spec.Metadata = func(path string, stats func(string) ([]byte, error)) (int, []byte) { return c.metadata(j, path, stats) }
}

// metadataID is how a container is called in the address, in Fargate's form.
func metadataID(taskID, container string) string {
	return taskID + "-" + strconv.Itoa(int(crc32.ChecksumIEEE([]byte(container))))
}

// metadata answers a request of one of the task's containers.
func (c *Cluster) metadata(j job, path string, stats func(string) ([]byte, error)) (int, []byte) {
	words := strings.Split(strings.Trim(path, "/"), "/")
	if len(words) < 2 || words[0] != "v3" && words[0] != "v4" {
		return http.StatusNotFound, []byte("404 page not found\n")
	}
	for i, d := range j.owner.def.Task.ContainerDefinitions {
		if metadataID(j.Task.ID, *d.Name) != words[1] {
			continue
		}
		status, answer := c.metadataOf(j, i, strings.Join(words[2:], "/"), stats)
		body, err := json.Marshal(answer)
		if err != nil {
			return http.StatusInternalServerError, []byte(strconv.Quote(err.Error()))
		}
		return status, body
	}
	return http.StatusNotFound, []byte(fmt.Sprintf("%q", "V"+words[0][1:]+" metadata handler: unable to get container ID from request: unable to get docker ID from v3 endpoint ID: "+words[1]))
}

func (c *Cluster) metadataOf(j job, container int, what string, stats func(string) ([]byte, error)) (int, any) {
	switch what {
	case "stats":
		one, err := stats(j.Task.Containers[container].Name)
		if err != nil {
			return http.StatusInternalServerError, err.Error()
		}
		return http.StatusOK, json.RawMessage(one)
	case "task/stats":
		return http.StatusOK, c.allStats(j, stats)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch what {
	case "":
		return http.StatusOK, c.describeContainer(j, container)
	case "task", "taskWithTags":
		return http.StatusOK, c.describeTask(j, what == "taskWithTags")
	}
	return http.StatusNotFound, "404 page not found"
}

// allStats are the statistics of the task's containers by their id, null for those
// that have none.
func (c *Cluster) allStats(j job, stats func(string) ([]byte, error)) map[string]json.RawMessage {
	c.mu.Lock()
	ids := make(map[string]string)
	for _, k := range j.Task.Containers {
		if k.RuntimeID != "" {
			ids[k.Name] = k.RuntimeID
		}
	}
	c.mu.Unlock()
	all := make(map[string]json.RawMessage)
	for name, id := range ids {
		if one, err := stats(name); err == nil {
			all[id] = one
		} else {
			all[id] = nil
		}
	}
	return all
}

// describeTask is the task's part. c.mu is held.
func (c *Cluster) describeTask(j job, tags bool) taskMetadata {
	t, o := j.Task, j.owner
	ref := taskRef{t, o}
	m := taskMetadata{
		Cluster: o.cluster.name, TaskARN: c.arns.task(o.cluster.name, t.ID), Family: o.def.Family, Revision: strconv.Itoa(o.def.Revision),
		DesiredStatus: t.Desired(), KnownStatus: t.Status.String(), PullStartedAt: at(t.PullStarted), PullStoppedAt: at(t.PullStopped),
		Limits:           limits{float64(definition.CPUUnits(deref(o.def.Task.Cpu))) / 1024, definition.MemoryMiB(deref(o.def.Task.Memory))},
		AvailabilityZone: c.cfg.Region + "a", LaunchType: string(ref.effectiveLaunchType()),
	}
	if t.Fargate {
		m.Cluster = o.cluster.arn
	}
	if o.service != nil {
		m.ServiceName = o.service.name
	}
	if tags {
		m.TaskTags = make(map[string]string)
		for _, tag := range ref.tags() {
			m.TaskTags[deref(tag.Key)] = deref(tag.Value)
		}
	}
	for i := range t.Containers {
		m.Containers = append(m.Containers, c.describeContainer(j, i))
	}
	return m
}

// describeContainer is one container's part. c.mu is held.
func (c *Cluster) describeContainer(j job, i int) containerMetadata {
	t, o, k := j.Task, j.owner, j.Task.Containers[i]
	d := o.def.Task.ContainerDefinitions[i]
	arn := c.arns.task(o.cluster.name, t.ID)
	m := containerMetadata{
		DockerId: k.RuntimeID, Name: k.Name, Image: k.Image, ImageID: k.Digest, Type: "NORMAL",
		DesiredStatus: t.Desired(), KnownStatus: containerStatus(t, k), ExitCode: k.ExitCode,
		Limits: limits{float64(d.Cpu), int(deref(d.Memory))}, CreatedAt: at(t.PullStopped), StartedAt: at(k.StartedAt), FinishedAt: at(k.EndedAt),
		ContainerARN: c.arns.container(o.cluster.name, t.ID, k.Name), Networks: networks(o.def, k),
		Labels: map[string]string{
			"com.amazonaws.ecs.cluster": o.cluster.arn, "com.amazonaws.ecs.container-name": k.Name, "com.amazonaws.ecs.task-arn": arn,
			"com.amazonaws.ecs.task-definition-family": o.def.Family, "com.amazonaws.ecs.task-definition-version": strconv.Itoa(o.def.Revision),
		},
	}
	for name, value := range d.DockerLabels {
		m.Labels[name] = value
	}
	if k.RuntimeID != "" {
		m.DockerName = fmt.Sprintf("ecs-%s-%d-%s-%s", o.def.Family, o.def.Revision, k.Name, k.RuntimeID[:min(12, len(k.RuntimeID))])
	}
	if k.Checked {
		m.Health = &healthMetadata{k.Health}
	}
	if restart(d.RestartPolicy) != nil {
		m.RestartCount = &k.Restarts
	}
	if l := d.LogConfiguration; l != nil {
		m.LogDriver, m.LogOptions = string(l.LogDriver), logOptions(o.def, t, k.Name, l.Options)
	}
	for _, p := range k.Ports {
		m.Ports = append(m.Ports, portMetadata{p.ContainerPort, p.Protocol, p.HostPort, p.HostIP})
	}
	return m
}

func networks(def *definition.Definition, k scheduler.Container) []networkMetadata {
	n := networkMetadata{NetworkMode: string(def.NetworkMode())}
	if k.Address != "" {
		n.IPv4Addresses = []string{k.Address}
	}
	return []networkMetadata{n}
}

// logOptions are those of the definition, with the name of the stream.
func logOptions(def *definition.Definition, t *scheduler.Task, container string, given map[string]string) map[string]string {
	options := make(map[string]string, len(given)+1)
	for k, v := range given {
		if k != "awslogs-stream-prefix" {
			options[k] = v
		}
	}
	all := logTargets(def, t.ID)
	for _, k := range t.Containers {
		all.started(k.Name, k.RuntimeID)
	}
	if target, ok := all[container]; ok {
		options["awslogs-stream"] = target.stream
	}
	return options
}
