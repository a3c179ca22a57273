package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

var prod = aws.String("prod")

// runInput runs the command migrate in the container app on Fargate.
func runInput(definition string) *ecs.RunTaskInput {
	return &ecs.RunTaskInput{Cluster: prod, TaskDefinition: &definition, LaunchType: types.LaunchTypeFargate, NetworkConfiguration: network,
		ClientToken: aws.String("once"), StartedBy: aws.String("weelo-deploy/run1"),
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("app"), Command: []string{"migrate"}}}}}
}

func (w *world) describe(arn string) types.Task {
	w.t.Helper()
	return must(w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: prod, Tasks: []string{arn}})).Tasks[0]
}

func TestAPI_RunTask(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: prod}))
		one := w.register(container("web:1"))
		w.rt.Set("web:1", scripted.Script{Exits: true, ExitAfter: 10 * time.Second, ExitCode: 4})
		in := runInput(one)
		arn := *must(w.ecs.RunTask(ctx, in)).Tasks[0].TaskArn
		if again := *must(w.ecs.RunTask(ctx, in)).Tasks[0].TaskArn; again != arn {
			t.Errorf("the same client token ran a second task")
		}
		w.pass(time.Minute)
		k := w.describe(arn)
		if *k.LastStatus != "STOPPED" || aws.ToInt32(k.Containers[0].ExitCode) != 4 || *k.Group != "family:web" || *k.StartedBy != *in.StartedBy {
			t.Errorf("task is %+v", k)
		}
		started := w.rt.Started()
		if len(started) != 1 || !slices.Equal(started[0].Containers[0].Command, []string{"migrate"}) {
			t.Errorf("started tasks are %+v", started)
		}
		if again := *must(w.ecs.RunTask(ctx, in)).Tasks[0].TaskArn; again != arn {
			t.Errorf("the client token ran a second task after the first had stopped")
		}
		w.pass(time.Hour)
		if out := must(w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: prod, Tasks: []string{arn}})); len(out.Failures) != 1 {
			t.Error("the task is told about for more than an hour")
		}
		if again := *must(w.ecs.RunTask(ctx, in)).Tasks[0].TaskArn; again == arn {
			t.Error("the client token is known for longer than the task")
		}
	})
}

func TestAPI_RunTaskRefusesATokenOfAnotherRequest(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: prod}))
		one := w.register(container("web:1"))
		in := runInput(one)
		arn := *must(w.ecs.RunTask(ctx, in)).Tasks[0].TaskArn
		in.Overrides.ContainerOverrides[0].Command = []string{"seed"}
		_, err := w.ecs.RunTask(ctx, in)
		wantError(t, err, "ConflictException", "clientToken is already in use with a different RunTask request")
		var c *types.ConflictException
		if !errors.As(err, &c) || !slices.Equal(c.ResourceIds, []string{arn}) {
			t.Errorf("error is %v, want the ARN of the task that the token ran", err)
		}
		must(w.ecs.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &one}))
		in.Overrides.ContainerOverrides[0].Command = []string{"migrate"}
		if again := *must(w.ecs.RunTask(ctx, in)).Tasks[0].TaskArn; again != arn {
			t.Error("a request that was answered before is not answered alike once the revision is INACTIVE")
		}
	})
}

func TestAPI_RunTaskChecksItsInput(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: prod}))
		one := w.register(container("web:1"))
		for name, c := range map[string]struct {
			change     func(*ecs.RunTaskInput)
			code, text string
		}{
			"another cluster":      {func(in *ecs.RunTaskInput) { in.Cluster = aws.String("x") }, "ClusterNotFoundException", "Cluster not found."},
			"an unknown revision":  {func(in *ecs.RunTaskInput) { in.TaskDefinition = aws.String("web:9") }, "ClientException", "TaskDefinition not found."},
			"no tasks":             {func(in *ecs.RunTaskInput) { in.Count = aws.Int32(0) }, "InvalidParameterException", "count must be between 1 and 10."},
			"eleven tasks":         {func(in *ecs.RunTaskInput) { in.Count = aws.Int32(11) }, "InvalidParameterException", "count must be between 1 and 10."},
			"an unknown container": {func(in *ecs.RunTaskInput) { in.Overrides.ContainerOverrides[0].Name = aws.String("db") }, "InvalidParameterException", "Override for container named db is not a container in the TaskDefinition."},
			"no network":           {func(in *ecs.RunTaskInput) { in.NetworkConfiguration = nil }, "InvalidParameterException", "Network Configuration must be provided"},
			"a strategy as well": {func(in *ecs.RunTaskInput) {
				in.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE")}}
			}, "InvalidParameterException", "Specifying both a launch type and capacity provider strategy"},
			"a blank in startedBy": {func(in *ecs.RunTaskInput) { in.StartedBy = aws.String("a b") }, "InvalidParameterException", "startedBy"},
			"a long client token":  {func(in *ecs.RunTaskInput) { in.ClientToken = aws.String(strings.Repeat("x", 65)) }, "InvalidParameterException", "clientToken"},
			"tags of the service":  {func(in *ecs.RunTaskInput) { in.PropagateTags = types.PropagateTagsService }, "InvalidParameterException", "SERVICE"},
			"8192 characters and more": {func(in *ecs.RunTaskInput) {
				in.Overrides.ContainerOverrides[0].Command = []string{strings.Repeat("x", 8192)}
			}, "InvalidParameterException", "8192"},
			"a reserved tag": {func(in *ecs.RunTaskInput) { in.Tags = []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("1")}} }, "InvalidParameterException", "aws:"},
			"no revision":    {func(in *ecs.RunTaskInput) { in.TaskDefinition = aws.String("") }, "InvalidParameterException", "TaskDefinition"},
		} {
			in := runInput(one)
			in.ClientToken = nil
			c.change(in)
			_, err := w.ecs.RunTask(ctx, in)
			if err == nil {
				t.Errorf("%s: it ran", name)
				continue
			}
			wantError(t, err, c.code, c.text)
		}
		if n := len(w.rt.Started()); n != 0 {
			t.Errorf("%d tasks were started by refused requests", n)
		}
	})
}

func TestAPI_RunTaskTellsInBandWhatHasNoPlace(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: prod}))
		def := container("web:1")
		one := *must(w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: aws.String("web"), NetworkMode: types.NetworkModeBridge, ContainerDefinitions: []types.ContainerDefinition{def}})).TaskDefinition.TaskDefinitionArn
		in := &ecs.RunTaskInput{Cluster: prod, TaskDefinition: &one, ClientToken: aws.String("once"),
			Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("app"), Memory: aws.Int32(1 << 20)}}}}
		out := must(w.ecs.RunTask(ctx, in))
		if len(out.Tasks) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != "RESOURCE:MEMORY" {
			t.Errorf("answer is %+v, want the failure RESOURCE:MEMORY and no task", out)
		}
		in.Overrides.ContainerOverrides[0].Memory = aws.Int32(64)
		if out := must(w.ecs.RunTask(ctx, in)); len(out.Tasks) != 1 {
			t.Errorf("answer is %+v: a request that ran nothing has used its client token up", out)
		}
	})
}

func TestAPI_RunTaskOverrides(t *testing.T) {
	inWorld(t, func(w *world) {
		must(w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: prod}))
		def := container("web:1")
		def.Environment = []types.KeyValuePair{{Name: aws.String("LEVEL"), Value: aws.String("info")}, {Name: aws.String("URL"), Value: aws.String("a=b")}}
		one := w.register(def)
		in := runInput(one)
		in.Group, in.Tags = aws.String("weelo-deploy:web"), []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}
		in.Overrides.ContainerOverrides[0].Environment = []types.KeyValuePair{{Name: aws.String("LEVEL"), Value: aws.String("debug")}, {Name: aws.String("NEW"), Value: aws.String("")}}
		out := must(w.ecs.RunTask(ctx, in)).Tasks[0]
		if *out.Group != "weelo-deploy:web" || len(out.Tags) != 1 || len(out.Overrides.ContainerOverrides) != 1 {
			t.Errorf("answer is %+v", out)
		}
		w.pass(time.Minute)
		env := slices.DeleteFunc(w.rt.Started()[0].Containers[0].Env, func(e string) bool { return strings.HasPrefix(e, "AWS_") || strings.HasPrefix(e, "ECS_") })
		if d := cmp.Diff([]string{"URL=a=b", "LEVEL=debug", "NEW="}, env); d != "" {
			t.Errorf("environment (-want +got):\n%s", d)
		}
		list := func(in *ecs.ListTasksInput) int {
			in.Cluster = prod
			return len(must(w.ecs.ListTasks(ctx, in)).TaskArns)
		}
		if n := list(&ecs.ListTasksInput{StartedBy: in.StartedBy}); n != 1 {
			t.Errorf("ListTasks by startedBy names %d tasks", n)
		}
		if n := list(&ecs.ListTasksInput{Family: aws.String("web")}); n != 1 {
			t.Errorf("ListTasks by family names %d tasks", n)
		}
		must(w.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: prod, Task: out.TaskArn, Reason: aws.String("enough")}))
		if n := list(&ecs.ListTasksInput{StartedBy: in.StartedBy}); n != 0 {
			t.Errorf("a task that is being stopped is still listed as desired to run")
		}
		w.pass(2 * time.Minute)
		if k := w.describe(*out.TaskArn); k.StopCode != types.TaskStopCodeUserInitiated || *k.StoppedReason != "enough" {
			t.Errorf("stopped with %s: %s", k.StopCode, *k.StoppedReason)
		}
		if n := list(&ecs.ListTasksInput{Family: aws.String("web"), DesiredStatus: types.DesiredStatusStopped}); n != 1 {
			t.Errorf("ListTasks of stopped tasks of the family names %d", n)
		}
	})
}
