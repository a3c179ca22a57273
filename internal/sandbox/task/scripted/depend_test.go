package scripted

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// history runs a task to its end, which comes by itself or after an
// hour, and returns its events as "seconds kind container detail".
func history(t *testing.T, scripts map[string]Script, containers ...task.Container) []string {
	t.Helper()
	var got []string
	synctest.Test(t, func(t *testing.T) {
		rt := New()
		for image, s := range scripts {
			rt.Set(image, s)
		}
		began := time.Now()
		ended := make(chan struct{})
		for i := range containers {
			containers[i].Image, containers[i].StopTimeout = containers[i].Name, 30*time.Second
		}
		rt.Start(task.Spec{ID: "1", Containers: containers}, func(e task.Event) {
			line := fmt.Sprint(int(e.At.Sub(began).Seconds()), " ", e.Kind, " ", e.Container, " ", e.Reason)
			if e.ExitCode != nil {
				line += fmt.Sprint(*e.ExitCode)
			}
			switch e.Kind {
			case task.PullStarted, task.PullStopped:
			case task.Ended:
				close(ended)
			default:
				got = append(got, strings.TrimSpace(line))
			}
		})
		select {
		case <-ended:
		case <-time.After(time.Hour):
			rt.Stop("1")
			<-ended
		}
		if err := rt.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return got
}

func on(name, dependsOn, condition string) task.Container {
	return task.Container{Name: name, DependsOn: []task.Dependency{{Container: dependsOn, Condition: condition}}}
}

func TestDependencies_HoldAContainerBack(t *testing.T) {
	migrate := map[string]Script{"migrate": {Exits: true, ExitAfter: 5 * time.Second}, "app": {Exits: true, ExitAfter: time.Second}}
	checked := task.Container{Name: "db", Health: &task.Health{Interval: 7 * time.Second}}
	for name, c := range map[string]struct {
		scripts    map[string]Script
		containers []task.Container
		want       []string
	}{
		"START":   {migrate, []task.Container{on("app", "migrate", task.DependStart), {Name: "migrate"}}, []string{"0 container started migrate", "0 container started app", "1 container exited app 0", "5 container exited migrate 0"}},
		"SUCCESS": {migrate, []task.Container{on("app", "migrate", task.DependSuccess), {Name: "migrate"}}, []string{"0 container started migrate", "5 container exited migrate 0", "5 container started app", "6 container exited app 0"}},
		"SUCCESS of a failure": {map[string]Script{"migrate": {Exits: true, ExitAfter: 5 * time.Second, ExitCode: 4}}, []task.Container{on("app", "migrate", task.DependSuccess), {Name: "migrate"}},
			[]string{"0 container started migrate", "5 container exited migrate 4", "5 start failed app TaskDependencyError: container app: migrate exited with code 4 (SUCCESS)"}},
		"HEALTHY": {map[string]Script{"db": {Exits: true, ExitAfter: 9 * time.Second}, "app": {Exits: true}}, []task.Container{on("app", "db", task.DependHealthy), checked},
			[]string{"0 container started db", "7 container health db", "7 container started app", "7 container exited app 0", "9 container exited db 0"}},
		"startTimeout": {map[string]Script{"db": {Health: []Change{}}}, []task.Container{on("app", "db", task.DependHealthy), {Name: "db", Health: checked.Health, StartTimeout: 3 * time.Second}},
			[]string{"0 container started db", "3 start failed app TaskDependencyError: container app: db was not so far (HEALTHY) within its startTimeout of 3s", "3 container exited db 0"}},
		"circle": {nil, []task.Container{on("app", "app", task.DependStart)}, []string{"0 start failed  TaskDependencyError: container app depends on itself, through others or directly"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := history(t, c.scripts, c.containers...); !slices.Equal(got, c.want) {
				t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestRestart_PlaysTheScriptAgainUntilThePolicySaysNo(t *testing.T) {
	crash := map[string]Script{"app": {Exits: true, ExitAfter: 25 * time.Minute, ExitCode: 139}}
	policy := &task.Restart{Period: time.Minute}
	got := history(t, crash, task.Container{Name: "app", Restart: policy})
	want := []string{"0 container started app", "1500 container restarted app 139", "3000 container restarted app 139", "3600 container exited app 0"}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	crash["app"] = Script{Exits: true, ExitAfter: 59 * time.Second, ExitCode: 139}
	got = history(t, crash, task.Container{Name: "app", Restart: policy})
	if want := []string{"0 container started app", "59 container exited app 139"}; !slices.Equal(got, want) {
		t.Errorf("a container that ends within the period: %q, want %q", got, want)
	}
}
