package cluster

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// updates are a value for each member of UpdateService's request but those that say
// which service is meant, and whether the member begins a deployment
// (UpdateService, API reference). "shown" reads it back.
var updates = map[string]struct {
	in      ecs.UpdateServiceInput
	deploys bool
	shown   func(s types.Service, r types.ServiceRevision) any
	want    any
}{
	"AvailabilityZoneRebalancing": {ecs.UpdateServiceInput{AvailabilityZoneRebalancing: types.AvailabilityZoneRebalancingDisabled}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.AvailabilityZoneRebalancing }, types.AvailabilityZoneRebalancingDisabled},
	"CapacityProviderStrategy": {ecs.UpdateServiceInput{CapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}}}, false,
		func(s types.Service, _ types.ServiceRevision) any {
			return *s.CapacityProviderStrategy[0].CapacityProvider + string(s.LaunchType)
		}, "FARGATE_SPOT"},
	"DeploymentConfiguration": {ecs.UpdateServiceInput{DeploymentConfiguration: &types.DeploymentConfiguration{MaximumPercent: aws.Int32(150)}}, false,
		func(s types.Service, _ types.ServiceRevision) any {
			return [2]int32{*s.DeploymentConfiguration.MaximumPercent, *s.DeploymentConfiguration.MinimumHealthyPercent}
		}, [2]int32{150, 100}},
	"DeploymentController": {ecs.UpdateServiceInput{DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeEcs}}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.DeploymentController.Type }, types.DeploymentControllerTypeEcs},
	"DesiredCount": {ecs.UpdateServiceInput{DesiredCount: aws.Int32(3)}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.DesiredCount }, int32(3)},
	"EnableECSManagedTags": {ecs.UpdateServiceInput{EnableECSManagedTags: aws.Bool(true)}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.EnableECSManagedTags }, true},
	"EnableExecuteCommand": {ecs.UpdateServiceInput{EnableExecuteCommand: aws.Bool(true)}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.EnableExecuteCommand }, true},
	"ForceNewDeployment": {ecs.UpdateServiceInput{ForceNewDeployment: true}, true,
		func(s types.Service, _ types.ServiceRevision) any { return len(s.Deployments) }, 2},
	"GatewayConnectors": {ecs.UpdateServiceInput{GatewayConnectors: []types.GatewayConnector{{PortName: aws.String("p")}}}, true,
		func(_ types.Service, r types.ServiceRevision) any { return len(r.GatewayConnectors) }, 1},
	"HealthCheckGracePeriodSeconds": {ecs.UpdateServiceInput{HealthCheckGracePeriodSeconds: aws.Int32(90)}, false,
		func(s types.Service, _ types.ServiceRevision) any { return *s.HealthCheckGracePeriodSeconds }, int32(90)},
	"LoadBalancers": {ecs.UpdateServiceInput{LoadBalancers: []types.LoadBalancer{{ContainerName: aws.String("app"), ContainerPort: aws.Int32(80),
		TargetGroupArn: aws.String("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/t/1")}}}, true,
		func(s types.Service, _ types.ServiceRevision) any { return *s.LoadBalancers[0].ContainerPort }, int32(80)},
	"Monitoring": {ecs.UpdateServiceInput{Monitoring: &types.MonitoringConfiguration{}}, true,
		func(_ types.Service, r types.ServiceRevision) any { return r.Monitoring != nil }, true},
	"NetworkConfiguration": {ecs.UpdateServiceInput{NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-2"}}}}, true,
		func(s types.Service, _ types.ServiceRevision) any {
			return s.NetworkConfiguration.AwsvpcConfiguration.Subnets[0]
		}, "subnet-2"},
	"PlacementConstraints": {ecs.UpdateServiceInput{PlacementConstraints: []types.PlacementConstraint{{Type: types.PlacementConstraintTypeDistinctInstance}}}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.PlacementConstraints[0].Type }, types.PlacementConstraintTypeDistinctInstance},
	"PlacementStrategy": {ecs.UpdateServiceInput{PlacementStrategy: []types.PlacementStrategy{{Type: types.PlacementStrategyTypeSpread}}}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.PlacementStrategy[0].Type }, types.PlacementStrategyTypeSpread},
	"PlatformVersion": {ecs.UpdateServiceInput{PlatformVersion: aws.String("1.3.0")}, true,
		func(s types.Service, _ types.ServiceRevision) any { return *s.PlatformVersion }, "1.3.0"},
	"PropagateTags": {ecs.UpdateServiceInput{PropagateTags: types.PropagateTagsService}, false,
		func(s types.Service, _ types.ServiceRevision) any { return s.PropagateTags }, types.PropagateTagsService},
	"ServiceConnectConfiguration": {ecs.UpdateServiceInput{ServiceConnectConfiguration: &types.ServiceConnectConfiguration{Enabled: true, Namespace: aws.String("n")}}, true,
		func(s types.Service, _ types.ServiceRevision) any {
			return *s.Deployments[0].ServiceConnectConfiguration.Namespace
		}, "n"},
	"ServiceRegistries": {ecs.UpdateServiceInput{ServiceRegistries: []types.ServiceRegistry{{RegistryArn: aws.String("arn:r")}}}, true,
		func(s types.Service, _ types.ServiceRevision) any { return *s.ServiceRegistries[0].RegistryArn }, "arn:r"},
	"TaskDefinition": {ecs.UpdateServiceInput{TaskDefinition: aws.String("web:2")}, true,
		func(s types.Service, _ types.ServiceRevision) any {
			return strings.HasSuffix(*s.TaskDefinition, "/web:2")
		}, true},
	"VolumeConfigurations": {ecs.UpdateServiceInput{VolumeConfigurations: []types.ServiceVolumeConfiguration{{Name: aws.String("v")}}}, true,
		func(s types.Service, _ types.ServiceRevision) any {
			return *s.Deployments[0].VolumeConfigurations[0].Name
		}, "v"},
	"VpcLatticeConfigurations": {ecs.UpdateServiceInput{VpcLatticeConfigurations: []types.VpcLatticeConfiguration{{PortName: aws.String("p"), RoleArn: aws.String("arn:r"), TargetGroupArn: aws.String("arn:t")}}}, true,
		func(s types.Service, _ types.ServiceRevision) any {
			return *s.Deployments[0].VpcLatticeConfigurations[0].PortName
		}, "p"},
}

func TestAPI_UpdateServiceKeepsAndShowsEveryMember(t *testing.T) {
	for f := range reflect.TypeFor[ecs.UpdateServiceInput]().Fields() {
		c, known := updates[f.Name]
		switch {
		case !f.IsExported() || f.Name == "Cluster" || f.Name == "Service":
			continue
		case !known:
			t.Errorf("%s is not in the table", f.Name)
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				port := func(c *types.ContainerDefinition) {
					c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(80)}}
				}
				w.create(w.register(container("web:1", port)))
				w.register(container("web:2", port))
				w.pass(2 * time.Minute)
				in := c.in
				in.Cluster, in.Service = aws.String("prod"), aws.String("web")
				must(w.ecs.UpdateService(ctx, &in))
				shown := func() any {
					s := w.service()
					rev := must(w.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*s.CurrentServiceRevisions[0].Arn}})).ServiceRevisions[0]
					return c.shown(s, rev)
				}
				if got := shown(); got != c.want {
					t.Errorf("it is shown as %v, want %v", got, c.want)
				}
				if got := len(w.service().Deployments) == 2; got != c.deploys {
					t.Errorf("a deployment begins: %v, want %v", got, c.deploys)
				}
				// An update of something else leaves it alone.
				must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: in.Cluster, Service: in.Service, DesiredCount: in.DesiredCount}))
				if got := shown(); got != c.want {
					t.Errorf("after another update it is %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestAPI_capacityProvidersTakeEffectWithTheNextDeployment(t *testing.T) {
	inWorld(t, func(w *world) {
		one := w.register(container("web:1"))
		w.create(one, desired(4))
		w.pass(2 * time.Minute)
		strategy := func(items ...types.CapacityProviderStrategyItem) []types.CapacityProviderStrategyItem {
			return append([]types.CapacityProviderStrategyItem{}, items...)
		}
		change := func(s []types.CapacityProviderStrategyItem, force bool) {
			must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), CapacityProviderStrategy: s, ForceNewDeployment: force}))
			w.pass(3 * time.Minute)
		}
		on := func() string {
			var list []string
			for _, k := range w.tasks(types.DesiredStatusRunning) {
				list = append(list, aws.ToString(k.CapacityProviderName))
			}
			slices.Sort(list)
			return strings.Join(list, " ")
		}
		mixed := strategy(types.CapacityProviderStrategyItem{CapacityProvider: aws.String("FARGATE"), Base: 1, Weight: 1},
			types.CapacityProviderStrategyItem{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 2})
		change(mixed, false)
		if got := on(); strings.TrimSpace(got) != "" || len(w.deployments()) != 1 {
			t.Errorf("the strategy has an effect at once: tasks are on %q", got)
		}
		change(nil, true)
		if got := on(); got != "FARGATE FARGATE FARGATE_SPOT FARGATE_SPOT" {
			t.Errorf("tasks are on %q", got)
		}
		if s := w.service(); s.LaunchType != "" || len(s.Deployments[0].CapacityProviderStrategy) != 2 {
			t.Errorf("the service shows launch type %q and %v", s.LaunchType, s.Deployments[0].CapacityProviderStrategy)
		}
		if lost := w.c.LoseHost(HostSpot, 100); len(lost) != 2 {
			t.Errorf("%d tasks of Spot are interrupted, want 2", len(lost))
		}
		w.pass(3 * time.Minute)
		interrupted := 0
		for _, k := range w.tasks(types.DesiredStatusStopped) {
			if k.StopCode == types.TaskStopCodeSpotInterruption && *k.StoppedReason == "Your Spot Task was interrupted." && *k.Containers[0].ExitCode == 0 {
				interrupted++
			}
		}
		if interrupted != 2 || on() != "FARGATE FARGATE FARGATE_SPOT FARGATE_SPOT" {
			t.Errorf("%d tasks say that they were interrupted; now they are on %q", interrupted, on())
		}
		change(strategy(), true)
		if s := w.service(); s.LaunchType != types.LaunchTypeFargate || strings.TrimSpace(on()) != "" {
			t.Errorf("an empty strategy leads back to %q, tasks on %q", s.LaunchType, on())
		}
	})
}

func TestCluster_withoutVersionConsistencyEveryTaskResolvesAnew(t *testing.T) {
	inWorld(t, func(w *world) {
		w.images.set("web:latest", "sha256:first")
		w.create(w.register(container("web:latest", func(c *types.ContainerDefinition) { c.VersionConsistency = types.VersionConsistencyDisabled })))
		w.pass(2 * time.Minute)
		w.images.set("web:latest", "sha256:second")
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DesiredCount: aws.Int32(2)}))
		w.pass(2 * time.Minute)
		w.wantDigests("sha256:first", "sha256:second")
		rev := must(w.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*w.service().CurrentServiceRevisions[0].Arn}})).ServiceRevisions[0]
		if got := rev.ContainerImages[0].ImageDigest; got != nil {
			t.Errorf("the revision has the digest %s", *got)
		}
	})
}

func TestAPI_ExecuteCommandIsRefusedAsAWSDoes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")))
		w.pass(2 * time.Minute)
		run := func(change func(*ecs.ExecuteCommandInput)) error {
			in := &ecs.ExecuteCommandInput{Cluster: aws.String("prod"), Task: w.tasks("")[0].TaskArn, Command: aws.String("sh"), Interactive: true}
			change(in)
			_, err := w.ecs.ExecuteCommand(ctx, in)
			return err
		}
		as := func(*ecs.ExecuteCommandInput) {}
		wantError(t, run(as), "InvalidParameterException", "execute command was not enabled when the task was run")
		wantError(t, run(func(in *ecs.ExecuteCommandInput) { in.Interactive = false }), "InvalidParameterException", "Interactive is the only mode")
		wantError(t, run(func(in *ecs.ExecuteCommandInput) { in.Container = aws.String("no") }), "InvalidParameterException", "no")
		wantError(t, run(func(in *ecs.ExecuteCommandInput) { in.Cluster = aws.String("no") }), "ClusterNotFoundException", "")

		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), EnableExecuteCommand: aws.Bool(true)}))
		wantError(t, run(as), "InvalidParameterException", "was not enabled when the task was run") // the task is of before
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), ForceNewDeployment: true}))
		w.pass(3 * time.Minute)
		if !w.tasks("")[0].EnableExecuteCommand {
			t.Error("the new task does not show enableExecuteCommand")
		}
		wantError(t, run(as), "TargetNotConnectedException", "The execute command failed due to an internal error. Try again later.")
	})
}

func TestAPI_StartTask(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("prod")}))
		definition := must(w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: aws.String("job"),
			ContainerDefinitions: []types.ContainerDefinition{container("job:1")}})).TaskDefinition.TaskDefinitionArn
		start := func(instances ...string) (*ecs.StartTaskOutput, error) {
			instances = append([]string{}, instances...) // none is an empty list
			return w.ecs.StartTask(ctx, &ecs.StartTaskInput{Cluster: aws.String("prod"), TaskDefinition: definition, ContainerInstances: instances})
		}
		first := must(w.ecs.RunTask(ctx, &ecs.RunTaskInput{Cluster: aws.String("prod"), TaskDefinition: definition})).Tasks[0]
		instance := *first.ContainerInstanceArn
		out := must(start(instance, "no"))
		if len(out.Tasks) != 1 || *out.Tasks[0].ContainerInstanceArn != instance || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("StartTask answers %+v", out)
		}
		if out := must(start(instance[strings.LastIndexByte(instance, '/')+1:])); len(out.Tasks) != 1 {
			t.Errorf("StartTask by the instance's id answers %+v", out)
		}
		w.pass(time.Minute)
		if n := len(w.rt.Running()); n != 3 {
			t.Errorf("%d tasks run, want 3", n)
		}
		_, err := start()
		wantError(t, err, "InvalidParameterException", "Container instances cannot be empty.")
		_, err = start(slices.Repeat([]string{instance}, 11)...)
		wantError(t, err, "InvalidParameterException", "10")
	})
}

func TestAPI_StopTaskKeepsItsReason(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")), desired(2))
		w.pass(2 * time.Minute)
		tasks := w.tasks("")
		for i, reason := range []*string{aws.String("night shift"), nil} {
			must(w.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String("prod"), Task: tasks[i].TaskArn, Reason: reason}))
		}
		again := must(w.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String("prod"), Task: tasks[0].TaskArn, Reason: aws.String("too late")}))
		if *again.Task.StoppedReason != "night shift" {
			t.Errorf("a second StopTask changes the reason to %s", *again.Task.StoppedReason)
		}
		w.pass(2 * time.Minute)
		var got []string
		for _, k := range w.tasks(types.DesiredStatusStopped) {
			got = append(got, string(k.StopCode)+": "+*k.StoppedReason)
		}
		slices.Sort(got)
		if want := []string{"UserInitiated: Task stopped by user", "UserInitiated: night shift"}; !slices.Equal(got, want) {
			t.Errorf("stopped tasks say %q, want %q", got, want)
		}
	})
}

func TestAPI_CreateServiceIsIdempotentByItsToken(t *testing.T) {
	inWorld(t, func(w *world) {
		one := w.register(container("web:1"))
		token := func(s string) func(*ecs.CreateServiceInput) {
			return func(in *ecs.CreateServiceInput) { in.ClientToken = &s }
		}
		create := func(change ...func(*ecs.CreateServiceInput)) error {
			in := &ecs.CreateServiceInput{Cluster: aws.String("prod"), ServiceName: aws.String("web"), TaskDefinition: &one,
				DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network}
			for _, f := range change {
				f(in)
			}
			_, err := w.ecs.CreateService(ctx, in)
			return err
		}
		w.create(one, token("t"))
		if err := create(token("t")); err != nil {
			t.Errorf("the same request with its token: %v", err)
		}
		wantError(t, create(token("u")), "InvalidParameterException", "Creation of service was not idempotent.")
		wantError(t, create(), "InvalidParameterException", "Creation of service was not idempotent.")
		wantError(t, create(token(strings.Repeat("t", 37))), "InvalidParameterException", "36 characters")
		must(w.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), Force: aws.Bool(true)}))
		wantError(t, create(token("v")), "InvalidParameterException", "Unable to Start a service that is still Draining.")
		w.pass(2 * time.Minute)
		if err := create(token("t")); err != nil {
			t.Errorf("after the deletion: %v", err)
		}
		w.pass(2 * time.Minute)
		if got := len(w.deployments()); got != 1 {
			t.Errorf("the new service has %d service deployments, want its own alone", got)
		}
	})
}

func TestAPI_ListServicesFilters(t *testing.T) {
	inWorld(t, func(w *world) {
		one := w.register(container("web:1"))
		w.create(one)
		w.create(one, func(in *ecs.CreateServiceInput) {
			in.ServiceName, in.SchedulingStrategy, in.DesiredCount, in.LaunchType = aws.String("daemon"), types.SchedulingStrategyDaemon, nil, types.LaunchTypeEc2
		})
		for name, c := range map[string]struct {
			in   ecs.ListServicesInput
			want int
		}{
			"all":      {ecs.ListServicesInput{}, 2},
			"replica":  {ecs.ListServicesInput{SchedulingStrategy: types.SchedulingStrategyReplica}, 1},
			"daemon":   {ecs.ListServicesInput{SchedulingStrategy: types.SchedulingStrategyDaemon}, 1},
			"fargate":  {ecs.ListServicesInput{LaunchType: types.LaunchTypeFargate}, 1},
			"ec2":      {ecs.ListServicesInput{LaunchType: types.LaunchTypeEc2}, 1},
			"external": {ecs.ListServicesInput{LaunchType: types.LaunchTypeExternal}, 0},
			"both":     {ecs.ListServicesInput{LaunchType: types.LaunchTypeFargate, SchedulingStrategy: types.SchedulingStrategyDaemon}, 0},
		} {
			c.in.Cluster = aws.String("prod")
			if got := must(w.ecs.ListServices(ctx, &c.in)).ServiceArns; len(got) != c.want {
				t.Errorf("%s: %v, want %d", name, got, c.want)
			}
		}
	})
}

func TestAPI_aDaemonRunsOnceOnTheInstance(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")), func(in *ecs.CreateServiceInput) {
			in.SchedulingStrategy, in.DesiredCount, in.LaunchType = types.SchedulingStrategyDaemon, nil, types.LaunchTypeEc2
		})
		w.pass(2 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		w.update(w.register(container("web:2")))
		w.pass(3 * time.Minute)
		w.wantDeployments("web:2 PRIMARY COMPLETED 1/1")
		if s := w.service(); *s.DeploymentConfiguration.MaximumPercent != 100 || *s.DeploymentConfiguration.MinimumHealthyPercent != 0 {
			t.Errorf("its percentages are %+v", s.DeploymentConfiguration)
		}
		err := w.tryCreate("fargate", func(in *ecs.CreateServiceInput) {
			in.SchedulingStrategy, in.DesiredCount = types.SchedulingStrategyDaemon, nil
		})
		wantError(t, err, "InvalidParameterException", "DAEMON")
	})
}

// tryCreate makes a service of web:1 in the cluster prod, if it can be.
func (w *world) tryCreate(name string, change func(*ecs.CreateServiceInput)) error {
	in := &ecs.CreateServiceInput{Cluster: aws.String("prod"), ServiceName: &name, TaskDefinition: aws.String("web:1"),
		DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network}
	change(in)
	_, err := w.ecs.CreateService(ctx, in)
	return err
}
