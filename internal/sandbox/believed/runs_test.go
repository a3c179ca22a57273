package believed

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func runTask(change ...func(*ecs.RunTaskInput)) *ecs.RunTaskInput {
	in := &ecs.RunTaskInput{Cluster: new("c"), TaskDefinition: new("web"), LaunchType: types.LaunchTypeFargate, NetworkConfiguration: subnet("subnet-1")}
	for _, f := range change {
		f(in)
	}
	return in
}

// runs are about tasks by themselves, and tags about what every kind of thing has.
var runs = []behaviour{
	{"RunTask starts ten tasks at most", api + "RunTask, count", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		wantError(t, "InvalidParameterException", "")(w.ecs.RunTask(t.Context(), runTask(func(in *ecs.RunTaskInput) { in.Count = new(int32(11)) })))
		out := must(w.ecs.RunTask(t.Context(), runTask(func(in *ecs.RunTaskInput) { in.Count = new(int32(10)) })))(t)
		if len(out.Tasks) != 10 || *out.Tasks[0].Group != "family:web" || *out.Tasks[0].LastStatus != "PROVISIONING" || *out.Tasks[0].DesiredStatus != "RUNNING" {
			t.Errorf("answer is %+v", out)
		}
	}},
	{"a client token runs a task once, and is refused for another request", api + "RunTask, clientToken and ConflictException", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		in := runTask(func(in *ecs.RunTaskInput) { in.ClientToken = new("once") })
		first := must(w.ecs.RunTask(t.Context(), in))(t)
		again := must(w.ecs.RunTask(t.Context(), in))(t)
		if *first.Tasks[0].TaskArn != *again.Tasks[0].TaskArn {
			t.Errorf("two tasks run: %s and %s", *first.Tasks[0].TaskArn, *again.Tasks[0].TaskArn)
		}
		in.StartedBy = new("ben")
		wantError(t, "ConflictException", "")(w.ecs.RunTask(t.Context(), in))
	}},
	{"an override must name a container of the task definition", api + "RunTask, overrides", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		wantError(t, "InvalidParameterException", "Override for container named db is not a container in the TaskDefinition.")(w.ecs.RunTask(t.Context(), runTask(func(in *ecs.RunTaskInput) {
			in.Overrides = &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: new("db")}}}
		})))
	}},
	{"tasks-running fails as soon as a task has stopped", waiters + "TasksRunning", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.define(t, "bad")
		arn := *must(w.ecs.RunTask(t.Context(), runTask()))(t).Tasks[0].TaskArn
		w.stopped(t)
		waiter := ecs.NewTasksRunningWaiter(w.ecs, func(o *ecs.TasksRunningWaiterOptions) {
			o.MinDelay, o.MaxDelay = 2*time.Millisecond, 10*time.Millisecond
		})
		err := waiter.Wait(t.Context(), &ecs.DescribeTasksInput{Cluster: new("c"), Tasks: []string{arn}}, 20*time.Second)
		if err == nil || inVain(err) {
			t.Errorf("the waiter ends with %v", err)
		}
	}},
	{"nobody replaces a task that was run by itself", api + "RunTask", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.define(t, "bad")
		must(w.ecs.RunTask(t.Context(), runTask(func(in *ecs.RunTaskInput) { in.StartedBy = new("ana") })))(t)
		if task := w.stopped(t); *task.StartedBy != "ana" || *task.Containers[0].ExitCode != 139 {
			t.Errorf("task is %+v", task)
		}
		if n := len(w.runtime.Started()); n != 1 {
			t.Errorf("%d tasks were started", n)
		}
	}},
	{"a host of too little memory is a failure in the answer, not an exception", api + "RunTask; guide: api_failures_messages", func(t *testing.T, w *world) {
		w.define(t, "nginx", func(in *ecs.RegisterTaskDefinitionInput) {
			in.NetworkMode, in.RequiresCompatibilities, in.Memory = types.NetworkModeBridge, nil, new("999999")
		})
		out := must(w.ecs.RunTask(t.Context(), runTask(func(in *ecs.RunTaskInput) { in.LaunchType, in.NetworkConfiguration = types.LaunchTypeEc2, nil })))(t)
		if len(out.Tasks) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != "RESOURCE:MEMORY" {
			t.Errorf("answer is %+v", out)
		}
	}},
	{"StopTask of a task that is not there", api + "StopTask, errors", func(t *testing.T, w *world) {
		wantError(t, "InvalidParameterException", "The referenced task was not found.")(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: new("c"), Task: new(strings.Repeat("0", 32))}))
	}},
}

var tags = []behaviour{
	{"tags of a service come only with include TAGS", api + "DescribeServices, include", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx"), 0, func(in *ecs.CreateServiceInput) {
			in.Tags = []types.Tag{{Key: new("team"), Value: new("orders")}}
		})
		in := describe("web")
		without := must(w.ecs.DescribeServices(t.Context(), in))(t)
		in.Include = []types.ServiceField{types.ServiceFieldTags}
		with := must(w.ecs.DescribeServices(t.Context(), in))(t)
		if len(without.Services[0].Tags) != 0 || len(with.Services[0].Tags) != 1 {
			t.Errorf("%d tags without, %d with", len(without.Services[0].Tags), len(with.Services[0].Tags))
		}
	}},
	{"a tag is overwritten, removed, and none begins with aws:", api + "TagResource, UntagResource", func(t *testing.T, w *world) {
		arn := w.define(t, "nginx")
		set := func(key, value string) (any, error) {
			return w.ecs.TagResource(t.Context(), &ecs.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: &key, Value: &value}}})
		}
		for _, value := range []string{"1", "2"} {
			must(set("a", value))(t)
		}
		must(set("b", "x"))(t)
		must(w.ecs.UntagResource(t.Context(), &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"b", "absent"}}))(t)
		got := must(w.ecs.ListTagsForResource(t.Context(), &ecs.ListTagsForResourceInput{ResourceArn: &arn}))(t).Tags
		if len(got) != 1 || *got[0].Key != "a" || *got[0].Value != "2" {
			t.Errorf("tags are %+v", got)
		}
		wantError(t, "InvalidParameterException", "aws:")(set("aws:x", "1"))
	}},
	{"a service's tags reach its tasks when they are to", api + "CreateService, propagateTags", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1, func(in *ecs.CreateServiceInput) {
			in.PropagateTags, in.Tags = types.PropagateTagsService, []types.Tag{{Key: new("team"), Value: new("orders")}}
		})
		arn := *w.tasks(t, types.DesiredStatusRunning)[0].TaskArn
		out := must(w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: new("c"), Tasks: []string{arn}, Include: []types.TaskField{types.TaskFieldTags}}))(t)
		if got := out.Tasks[0].Tags; len(got) != 1 || *got[0].Key != "team" {
			t.Errorf("tags are %+v", got)
		}
	}},
	{"a resource that is not there has no tags to list", api + "ListTagsForResource, errors", func(t *testing.T, w *world) {
		arn := arnOf + "service/c/absent"
		if _, err := w.ecs.ListTagsForResource(t.Context(), &ecs.ListTagsForResourceInput{ResourceArn: &arn}); err == nil {
			t.Error("no error")
		}
	}},
}
