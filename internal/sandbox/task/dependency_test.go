package task_test

import (
	"strings"
	"testing"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

func TestCheckDependencies(t *testing.T) {
	on := func(name string, checked bool, conditions ...string) task.Container {
		c := task.Container{Name: name}
		if checked {
			c.Health = &task.Health{}
		}
		for _, d := range conditions {
			container, condition, _ := strings.Cut(d, " ")
			c.DependsOn = append(c.DependsOn, task.Dependency{Container: container, Condition: condition})
		}
		return c
	}
	for name, x := range map[string]struct {
		containers []task.Container
		want       string // part of the error; empty for none
	}{
		"none":                {[]task.Container{on("a", false), on("b", false)}, ""},
		"a chain, backwards":  {[]task.Container{on("a", false, "b START"), on("b", false, "c SUCCESS"), on("c", false)}, ""},
		"health":              {[]task.Container{on("a", false, "b HEALTHY"), on("b", true)}, ""},
		"health unchecked":    {[]task.Container{on("a", false, "b HEALTHY"), on("b", false)}, "b to be HEALTHY, which has no health check"},
		"stranger":            {[]task.Container{on("a", false, "z START")}, "depends on z, which the task does not have"},
		"itself":              {[]task.Container{on("a", false, "a START")}, "container a depends on itself"},
		"volumes of a circle": {[]task.Container{{Name: "a", VolumesFrom: []task.VolumesFrom{{Container: "b"}}}, on("b", false, "a START")}, "container a depends on itself"},
		"volumes of none":     {[]task.Container{{Name: "a", VolumesFrom: []task.VolumesFrom{{Container: "z"}}}}, "has volumes from z"},
		"circle":              {[]task.Container{on("a", false), on("b", false, "c START"), on("c", false, "b COMPLETE", "a START")}, "container b depends on itself"},
	} {
		t.Run(name, func(t *testing.T) {
			err := task.CheckDependencies(x.containers)
			switch {
			case x.want == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
				t.Errorf("got %v, want %q in it", err, x.want)
			}
		})
	}
}

func TestDependency_Unmet(t *testing.T) {
	code := func(n int) *int { return &n }
	for _, c := range []struct {
		condition string
		code      *int
		met       bool
		want      string
	}{
		{task.DependStart, code(1), true, ""},
		{task.DependStart, nil, false, "b ended before it was so far (START)"},
		{task.DependHealthy, code(0), true, ""},
		{task.DependHealthy, code(0), false, "b ended before it was so far (HEALTHY)"},
		{task.DependComplete, code(3), true, ""},
		{task.DependComplete, nil, true, "exit code is unknown"},
		{task.DependSuccess, code(0), true, ""},
		{task.DependSuccess, code(3), true, "b exited with code 3 (SUCCESS)"},
	} {
		err := task.Dependency{Container: "b", Condition: c.condition}.Unmet(c.code, c.met)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s met %v: %v, want %q", c.condition, c.met, err, c.want)
		}
	}
}
