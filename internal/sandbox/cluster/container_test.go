package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func restarting(period int32, ignored ...int32) func(*types.ContainerDefinition) {
	return func(c *types.ContainerDefinition) {
		c.RestartPolicy = &types.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: &period, IgnoredExitCodes: ignored}
	}
}

// ask reads one part of the metadata endpoint of web's only running task.
func (w *world) ask(container, what string, into any) int {
	w.t.Helper()
	started := w.rt.Started()
	spec := started[len(started)-1]
	path := "/v4/" + metadataID(spec.ID, container) + what
	if env := spec.Containers[0].Env; container == "app" && !slices.Contains(env, "ECS_CONTAINER_METADATA_URI_V4=http://"+task.MetadataHost+strings.TrimSuffix(path, what)) {
		w.t.Errorf("environment %q lacks the address of %s", env, path)
	}
	status, body := w.rt.Metadata(spec.ID, path)
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			w.t.Fatalf("GET %s = %d %s: %v", path, status, body, err)
		}
	}
	return status
}

func TestRestartPolicy_TheTaskRunsOnAndTheMetadataCounts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rt.Set("web", scripted.Script{Exits: true, ExitAfter: 70 * time.Second, ExitCode: 139})
		w.create(w.register(container("web:1", restarting(60))))
		w.pass(10 * time.Minute)
		running := w.tasks(types.DesiredStatusRunning)
		if len(running) != 1 || *running[0].LastStatus != "RUNNING" || running[0].Containers[0].ExitCode != nil || len(w.tasks(types.DesiredStatusStopped)) != 0 {
			t.Errorf("tasks are %+v, want the one that runs on", running)
		}
		var m containerMetadata
		if status := w.ask("app", "", &m); status != 200 || m.RestartCount == nil || *m.RestartCount < 7 || m.KnownStatus != "RUNNING" {
			t.Errorf("metadata = %d %+v, want 7 restarts or more", status, m)
		}
	})
}

func TestRestartPolicy_WhatEndsEarlyOrIsIgnoredStopsTheTask(t *testing.T) {
	for name, policy := range map[string]func(*types.ContainerDefinition){
		"too early": restarting(300), "ignored": restarting(60, 139),
		"switched off": func(c *types.ContainerDefinition) {
			c.RestartPolicy = &types.ContainerRestartPolicy{Enabled: aws.Bool(false)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.rt.Set("web", scripted.Script{Exits: true, ExitAfter: 70 * time.Second, ExitCode: 139})
				w.create(w.register(container("web:1", policy)))
				w.pass(2 * time.Minute)
				stopped := w.tasks(types.DesiredStatusStopped)
				if len(stopped) == 0 || stopped[0].StopCode != types.TaskStopCodeEssentialContainerExited || *stopped[0].Containers[0].ExitCode != 139 {
					t.Errorf("stopped tasks are %+v", stopped)
				}
			})
		})
	}
}

func TestMetadata_OfContainerTaskAndStatistics(t *testing.T) {
	inWorld(t, func(w *world) {
		side := container("side:1")
		side.Name, side.Essential = aws.String("side"), aws.Bool(false)
		w.create(w.register(container("web:1", func(c *types.ContainerDefinition) {
			c.DockerLabels = map[string]string{"team": "orders"}
			c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{"awslogs-group": "/web", "awslogs-create-group": "true", "awslogs-stream-prefix": "ecs"}}
		}), side), func(in *ecs.CreateServiceInput) {
			in.Tags, in.PropagateTags = []types.Tag{{Key: aws.String("stage"), Value: aws.String("test")}}, types.PropagateTagsService
		})
		w.pass(time.Minute)
		id := w.rt.Started()[0].ID
		var c containerMetadata
		if status := w.ask("app", "", &c); status != 200 {
			t.Fatalf("status %d", status)
		}
		if c.Name != "app" || c.DockerId != id+"-app" || c.Labels["team"] != "orders" || c.Labels["com.amazonaws.ecs.task-definition-version"] != "1" ||
			c.LogOptions["awslogs-stream"] != "ecs/app/"+id || c.Networks[0].NetworkMode != "awsvpc" || c.StartedAt == nil || c.RestartCount != nil ||
			!strings.HasPrefix(c.ContainerARN, "arn:aws:ecs:us-east-1:000000000000:container/prod/"+id+"/") {
			t.Errorf("container = %+v", c)
		}
		var all taskMetadata
		w.ask("side", "/task", &all)
		if all.TaskARN != w.rt.Started()[0].ARN || all.Family != "web" || all.Revision != "1" || all.ServiceName != "web" || all.LaunchType != "FARGATE" || len(all.Containers) != 2 ||
			all.Limits != (limits{0.25, 512}) || all.KnownStatus != "RUNNING" || all.TaskTags != nil {
			t.Errorf("task = %+v", all)
		}
		if w.ask("app", "/taskWithTags", &all); all.TaskTags["stage"] != "test" {
			t.Errorf("tags = %v", all.TaskTags)
		}
		var stats map[string]json.RawMessage
		if w.ask("app", "/stats", nil) != 200 || w.ask("app", "/task/stats", &stats) != 200 || len(stats) != 2 {
			t.Errorf("statistics = %v", stats)
		}
		if status := w.ask("nobody", "", nil); status != 404 {
			t.Errorf("metadata of a container that is not there: %d", status)
		}
	})
}

func TestLogs_StreamWithoutAPrefixIsCalledAsTheContainerIs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rt.Set("web", scripted.Script{Lines: []scripted.Line{{Text: "hello"}}})
		w.create(w.register(container("web:1", func(c *types.ContainerDefinition) {
			c.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{"awslogs-group": "/web", "awslogs-create-group": "true"}}
		})))
		w.pass(time.Minute)
		id := *w.tasks(types.DesiredStatusRunning)[0].Containers[0].RuntimeId
		if got := w.logs.all(); !slices.Equal(got, []string{"/web " + id + " hello"}) {
			t.Errorf("lines = %q, want the stream %s", got, id)
		}
	})
}

func TestSpec_TakesOverWhatAContainerMayHave(t *testing.T) {
	d := container("web:1", func(c *types.ContainerDefinition) {
		c.StartTimeout, c.PseudoTerminal, c.Interactive = aws.Int32(9), aws.Bool(true), aws.Bool(true)
		c.Ulimits = []types.Ulimit{{Name: types.UlimitNameNofile, SoftLimit: 10, HardLimit: 20}}
		c.SystemControls = []types.SystemControl{{Namespace: aws.String("net.core.somaxconn"), Value: aws.String("512")}}
		c.ExtraHosts = []types.HostEntry{{Hostname: aws.String("db"), IpAddress: aws.String("10.0.0.1")}}
		c.Links, c.DnsServers, c.DnsSearchDomains = []string{"side:other", "plain"}, []string{"10.0.0.2"}, []string{"example.com"}
		c.DockerLabels, c.DockerSecurityOptions = map[string]string{"a": "b"}, []string{"no-new-privileges"}
		c.MountPoints = []types.MountPoint{{SourceVolume: aws.String("data"), ContainerPath: aws.String("/data"), ReadOnly: aws.Bool(true)}}
		c.VolumesFrom = []types.VolumeFrom{{SourceContainer: aws.String("side")}}
		c.LinuxParameters = &types.LinuxParameters{
			InitProcessEnabled: aws.Bool(true), SharedMemorySize: aws.Int32(64), Tmpfs: []types.Tmpfs{{ContainerPath: aws.String("/t"), Size: 8, MountOptions: []string{"noexec"}}},
			Capabilities: &types.KernelCapabilities{Add: []string{"SYS_PTRACE"}, Drop: []string{"NET_RAW"}},
		}
	})
	c := New(Config{Runtime: scripted.New(), Images: newImages(), Logs: &logs{}})
	defer c.Close(t.Context())
	got := c.container(d, "awsvpc")
	want := task.Linux{
		CapAdd: []string{"SYS_PTRACE"}, CapDrop: []string{"NET_RAW"}, Ulimits: []task.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}},
		Sysctls: map[string]string{"net.core.somaxconn": "512"}, SharedMemoryMiB: 64, Tmpfs: []task.Tmpfs{{Path: "/t", SizeMiB: 8, Options: []string{"noexec"}}},
		SecurityOptions: []string{"no-new-privileges"}, Labels: map[string]string{"a": "b"}, TTY: true, OpenStdin: true,
		ExtraHosts: []string{"db:10.0.0.1", "other:127.0.0.1", "plain:127.0.0.1"}, DNS: []string{"10.0.0.2"}, DNSSearch: []string{"example.com"},
	}
	if diff := cmp.Diff(want, got.Linux); diff != "" {
		t.Errorf("Linux (-want +got):\n%s", diff)
	}
	if !got.Init || got.StartTimeout != 9*time.Second || !slices.Equal(got.Mounts, []task.Mount{{Volume: "data", Path: "/data", ReadOnly: true}}) || !slices.Equal(got.VolumesFrom, []task.VolumesFrom{{Container: "side"}}) {
		t.Errorf("container = %+v", got)
	}
}

func TestPorts_OfEachNetworkMode(t *testing.T) {
	mappings := []types.PortMapping{{ContainerPort: aws.Int32(80), HostPort: aws.Int32(8080)}, {ContainerPortRange: aws.String("9000-9001"), Protocol: types.TransportProtocolUdp}, {ContainerPortRange: aws.String("x")}}
	for mode, want := range map[string][]task.Port{
		"awsvpc": {{ContainerPort: 80, Protocol: "tcp"}, {ContainerPort: 9000, Protocol: "udp"}, {ContainerPort: 9001, Protocol: "udp"}},
		"bridge": {{ContainerPort: 80, HostPort: 8080, Protocol: "tcp"}, {ContainerPort: 9000, Protocol: "udp"}, {ContainerPort: 9001, Protocol: "udp"}},
		"host":   {{ContainerPort: 80, HostPort: 80, Protocol: "tcp"}, {ContainerPort: 9000, HostPort: 9000, Protocol: "udp"}, {ContainerPort: 9001, HostPort: 9001, Protocol: "udp"}},
	} {
		if got := ports(mappings, mode); !slices.Equal(got, want) {
			t.Errorf("ports in %s = %+v, want %+v", mode, got, want)
		}
	}
}

func TestVolumes_WhichAreSharedAndWhichAreATasksOwn(t *testing.T) {
	got := volumes([]types.Volume{
		{Name: aws.String("scratch")},
		{Name: aws.String("empty"), Host: &types.HostVolumeProperties{}},
		{Name: aws.String("disk"), Host: &types.HostVolumeProperties{SourcePath: aws.String("/var/run/docker.sock")}},
		{Name: aws.String("own"), DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Scope: types.ScopeTask}},
		{Name: aws.String("all"), DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Scope: types.ScopeShared, DriverOpts: map[string]string{"o": "bind", "device": "/"}}},
		{Name: aws.String("efs"), EfsVolumeConfiguration: &types.EFSVolumeConfiguration{FileSystemId: aws.String("fs-1"), RootDirectory: aws.String("/a")}},
	})
	want := []task.Volume{{Name: "scratch"}, {Name: "empty"}, {Name: "disk", Key: "host /var/run/docker.sock"}, {Name: "own"}, {Name: "all", Key: "docker all"}, {Name: "efs", Key: "efs fs-1 /a"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("volumes (-want +got):\n%s", d)
	}
}

func TestVolumes_ThatThereIsNothingForFailTheStart(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: prod}))
		out := must(w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
			Family: aws.String("web"), ContainerDefinitions: []types.ContainerDefinition{container("web:1")},
			Volumes: []types.Volume{{Name: aws.String("v"), DockerVolumeConfiguration: &types.DockerVolumeConfiguration{Driver: aws.String("rexray/ebs")}}},
		}))
		ran := must(w.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: prod, TaskDefinition: out.TaskDefinition.TaskDefinitionArn})).Tasks[0]
		w.pass(time.Minute)
		if k := w.describe(*ran.TaskArn); k.StopCode != types.TaskStopCodeTaskFailedToStart || !strings.Contains(*k.Containers[0].Reason, "CannotCreateVolumeError: volume v: the sandbox has no volume driver rexray/ebs") {
			t.Errorf("task is %+v", k)
		}
	})
}
