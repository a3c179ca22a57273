package believed

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

var taskForm = regexp.MustCompile(`^` + arnOf + `task/c/[0-9a-f]{32}$`)

// onInstances makes a definition and a service of EC2 instances in the mode bridge.
func (w *world) onInstances(t *testing.T, image string, change ...func(*ecs.CreateServiceInput)) {
	t.Helper()
	definition := w.define(t, image, func(in *ecs.RegisterTaskDefinitionInput) {
		in.NetworkMode, in.RequiresCompatibilities = types.NetworkModeBridge, nil
	})
	w.create(t, definition, 1, append([]func(*ecs.CreateServiceInput){func(in *ecs.CreateServiceInput) {
		in.LaunchType, in.NetworkConfiguration = types.LaunchTypeEc2, nil
	}}, change...)...)
}

var tasks = []behaviour{
	{"a task's ARN has its cluster and 32 hexadecimal digits, and its id is enough", api + "DescribeTasks, tasks", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		arn := *w.tasks(t, types.DesiredStatusRunning)[0].TaskArn
		if !taskForm.MatchString(arn) {
			t.Errorf("ARN is %s", arn)
		}
		id := arn[strings.LastIndexByte(arn, '/')+1:]
		out := must(w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: new("c"), Tasks: []string{id, "absent"}}))(t)
		if len(out.Tasks) != 1 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("answer is %+v", out)
		}
	}},
	{"DescribeTasks takes a hundred tasks at most", api + "DescribeTasks, tasks", func(t *testing.T, w *world) {
		ids := make([]string, 101)
		for i := range ids {
			ids[i] = fmt.Sprintf("%032x", i)
		}
		wantError(t, "InvalidParameterException", "")(w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: new("c"), Tasks: ids}))
		if out := must(w.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: new("c"), Tasks: ids[:100]}))(t); len(out.Failures) != 100 {
			t.Errorf("%d failures", len(out.Failures))
		}
	}},
	{"ListTasks lists what is to run, and what is to stop only when asked", api + "ListTasks, desiredStatus", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.create(t, w.define(t, "bad"), 1)
		arn := *w.stopped(t).TaskArn
		for _, status := range []types.DesiredStatus{"", types.DesiredStatusRunning, types.DesiredStatusPending} {
			list := must(w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: new("c"), DesiredStatus: status}))(t)
			if strings.Contains(strings.Join(list.TaskArns, " "), arn) {
				t.Errorf("status %q lists the stopped task", status)
			}
		}
	}},
	{"startedBy is the only filter of its request", api + "ListTasks, startedBy", func(t *testing.T, w *world) {
		id := *w.serving(t, "nginx", 1).Deployments[0].Id
		if list := must(w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: new("c"), StartedBy: &id}))(t); len(list.TaskArns) != 1 {
			t.Errorf("there are %d", len(list.TaskArns))
		}
		wantError(t, "InvalidParameterException", "startedBy")(w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: new("c"), StartedBy: &id, ServiceName: new("web")}))
	}},
	{"tasks of a service that is not there cannot be listed", api + "ListTasks, errors", func(t *testing.T, w *world) {
		wantError(t, "ServiceNotFoundException", "")(w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: new("c"), ServiceName: new("absent")}))
	}},
	{"exit 139 is told by the exit code alone", agentText + "containers[].reason is of memory and Docker only", func(t *testing.T, w *world) {
		w.runtime.Set("bad", crash)
		w.create(t, w.define(t, "bad"), 1)
		task := w.stopped(t)
		c := task.Containers[0]
		if task.StopCode != types.TaskStopCodeEssentialContainerExited || *task.StoppedReason != "Essential container in task exited" || *c.ExitCode != 139 || c.Reason != nil || task.StartedAt == nil {
			t.Errorf("task stopped as %s: %s, container %+v", task.StopCode, *task.StoppedReason, c)
		}
	}},
	{"a container that takes too much memory is killed with 137 and the reason", agentText + "OutOfMemoryError", func(t *testing.T, w *world) {
		w.runtime.Set("hog", scripted.Script{OOM: true, ExitAfter: time.Millisecond})
		w.create(t, w.define(t, "hog"), 1)
		if c := w.stopped(t).Containers[0]; *c.ExitCode != 137 || !strings.HasPrefix(aws.ToString(c.Reason), "OutOfMemoryError: ") {
			t.Errorf("container is %+v", c)
		}
	}},
	{"on Fargate a failed pull is the task's reason, and nothing started", guide + "stopped-task-error-codes, CannotPullContainer", func(t *testing.T, w *world) {
		w.repository(t)
		w.create(t, w.define(t, w.Registry()+"/app:absent"), 1)
		task := w.stopped(t)
		if task.StopCode != types.TaskStopCodeTaskFailedToStart || !strings.HasPrefix(*task.StoppedReason, "CannotPullContainerError: ") || !strings.HasSuffix(*task.StoppedReason, "not found") {
			t.Errorf("task stopped as %s: %s", task.StopCode, *task.StoppedReason)
		}
		if task.StartedAt != nil || task.Containers[0].ExitCode != nil {
			t.Errorf("started at %v, exit code %v", task.StartedAt, task.Containers[0].ExitCode)
		}
	}},
	{"on instances a failed pull is the container's reason", examples + "stop-task; agent: errors.go", func(t *testing.T, w *world) {
		w.repository(t)
		w.onInstances(t, w.Registry()+"/app:absent")
		task := w.stopped(t)
		if *task.StoppedReason != "Task failed to start" || !strings.HasPrefix(aws.ToString(task.Containers[0].Reason), "CannotPullContainerError: ") {
			t.Errorf("task says %q, container %q", *task.StoppedReason, aws.ToString(task.Containers[0].Reason))
		}
	}},
	{"a missing log group fails the task before it starts", guide + "resource-initialization-error", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx", logged), 1)
		if task := w.stopped(t); task.StopCode != types.TaskStopCodeTaskFailedToStart || !strings.HasPrefix(*task.StoppedReason, "ResourceInitializationError: ") {
			t.Errorf("task stopped as %s: %s", task.StopCode, *task.StoppedReason)
		}
	}},
	{"a task that the user stops says so, and the service starts another", api + "StopTask; TaskStopCode", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		arn := *w.tasks(t, types.DesiredStatusRunning)[0].TaskArn
		out := must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: new("c"), Task: &arn, Reason: new("enough")}))(t)
		if *out.Task.DesiredStatus != "STOPPED" || *out.Task.StoppedReason != "enough" {
			t.Errorf("answer is %+v", out.Task)
		}
		if task := w.stopped(t); *task.TaskArn != arn || task.StopCode != types.TaskStopCodeUserInitiated {
			t.Errorf("%s stopped as %s", *task.TaskArn, task.StopCode)
		}
		await(t, "another", func() bool { return w.web(t).RunningCount == 1 })
	}},
	{"tasks have their times in order, their version and their network", api + "Task", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		task := w.tasks(t, types.DesiredStatusRunning)[0]
		times := []*time.Time{task.CreatedAt, task.PullStartedAt, task.PullStoppedAt, task.StartedAt}
		for i, at := range times {
			if at == nil || i > 0 && at.Before(*times[i-1]) {
				t.Errorf("times are %v", times)
			}
		}
		if task.LaunchType != types.LaunchTypeFargate || *task.PlatformVersion != "1.4.0" || task.ContainerInstanceArn != nil || len(task.Attachments) != 1 || task.Version == 0 || *task.Cpu != "256" {
			t.Errorf("task is %+v", task)
		}
	}},
	{"tasks-stopped waits until the containers have ended", waiters + "TasksStopped", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		arn := *w.tasks(t, types.DesiredStatusRunning)[0].TaskArn
		must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: new("c"), Task: &arn}))(t)
		waiter := ecs.NewTasksStoppedWaiter(w.ecs, func(o *ecs.TasksStoppedWaiterOptions) {
			o.MinDelay, o.MaxDelay = 2*time.Millisecond, 10*time.Millisecond
		})
		out, err := waiter.WaitForOutput(t.Context(), &ecs.DescribeTasksInput{Cluster: new("c"), Tasks: []string{arn}}, 20*time.Second)
		if err != nil || out.Tasks[0].Containers[0].ExitCode == nil || out.Tasks[0].StoppedAt == nil {
			t.Errorf("the waiter ends with %+v, %v", out, err)
		}
	}},
	{"without a health check health is UNKNOWN", api + "Task, healthStatus", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		if task := w.tasks(t, types.DesiredStatusRunning)[0]; task.HealthStatus != types.HealthStatusUnknown {
			t.Errorf("health is %s", task.HealthStatus)
		}
	}},
	{"a task that fails its health checks is stopped and replaced", guide + "stopped-task-error-codes", func(t *testing.T, w *world) {
		w.runtime.Set("ill", scripted.Script{Health: []scripted.Change{{After: time.Millisecond, Status: "UNHEALTHY"}}})
		w.create(t, w.define(t, "ill", func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].HealthCheck = &types.HealthCheck{Command: []string{"CMD", "true"}}
		}), 1)
		if task := w.stopped(t); task.StopCode != types.TaskStopCodeServiceSchedulerInitiated || *task.StoppedReason != "Task failed container health checks" {
			t.Errorf("task stopped as %s: %s", task.StopCode, *task.StoppedReason)
		}
	}},
}
