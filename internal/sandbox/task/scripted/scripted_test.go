package scripted

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record notes events as "seconds kind container detail".
type record struct {
	mu    sync.Mutex
	began time.Time
	list  []string
}

func (r *record) event(e task.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf("%.0f %s", e.At.Sub(r.began).Seconds(), e.Kind)
	if e.Container != "" {
		text += " " + e.Container
	}
	if e.ExitCode != nil {
		text += fmt.Sprint(" ", *e.ExitCode)
	}
	for _, s := range []string{e.Reason, e.Health, e.Line} {
		if s != "" {
			text += " " + s
		}
	}
	r.list = append(r.list, text)
}

func (r *record) want(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.list, want) {
		t.Errorf("events are\n%q, want\n%q", r.list, want)
	}
}

func spec(containers ...task.Container) task.Spec {
	return task.Spec{ID: "t", Family: "web", Revision: 3, Containers: containers}
}

func app(change ...func(*task.Container)) task.Container {
	c := task.Container{Name: "app", Image: "127.0.0.1:5000/web:v1", Essential: true, StopTimeout: 30 * time.Second}
	for _, f := range change {
		f(&c)
	}
	return c
}

// play runs a task by scripts in fake time: for life, and then it is stopped.
func play(t *testing.T, scripts map[string]Script, s task.Spec, life time.Duration, want ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := New()
		for key, script := range scripts {
			r.Set(key, script)
		}
		rec := &record{began: time.Now()}
		r.Start(s, rec.event)
		time.Sleep(life)
		r.Stop(s.ID)
		r.Stop("somebody else")
		time.Sleep(time.Hour)
		if err := r.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		rec.want(t, want...)
	})
}

func TestRuntime_without_a_script(t *testing.T) {
	checked := app(func(c *task.Container) { c.Health = &task.Health{Interval: 5 * time.Second} })
	play(t, nil, spec(checked), time.Minute,
		"0 pull started", "0 pull stopped", "0 container started app", "5 container health app HEALTHY", "60 container exited app 0", "60 ended")
}

func TestRuntime_exits(t *testing.T) {
	play(t, map[string]Script{"web:3": {PullTakes: 2 * time.Second, Exits: true, ExitAfter: time.Second, ExitCode: 139, Lines: []Line{{time.Second, "bye"}}}},
		spec(app()), time.Minute,
		"0 pull started", "2 pull stopped", "2 container started app", "3 log line app bye", "3 container exited app 139", "3 ended")
	play(t, map[string]Script{"web": {OOM: true}}, spec(app()), time.Minute,
		"0 pull started", "0 pull stopped", "0 container started app", "0 container exited app 137 OutOfMemoryError: Container killed due to memory usage", "0 ended")
}

func TestRuntime_does_not_start(t *testing.T) {
	play(t, map[string]Script{"127.0.0.1:5000/web": {PullError: "not found"}}, spec(app()), time.Minute,
		"0 pull started", "0 start failed app CannotPullContainerError: not found", "0 ended")
	side := app(func(c *task.Container) { c.Name = "side" })
	play(t, map[string]Script{"web:3/side": {StartError: "no such file"}}, spec(app(), side), time.Minute,
		"0 pull started", "0 pull stopped", "0 container started app", "0 start failed side CannotStartContainerError: no such file", "0 container exited app 0", "0 ended")
	play(t, map[string]Script{"web:3": {PullTakes: time.Hour}}, spec(app()), time.Minute,
		"0 pull started", "60 ended")
}

func TestRuntime_stops(t *testing.T) {
	slow := app(func(c *task.Container) { c.Name = "slow" })
	play(t, map[string]Script{"web:3/app": {IgnoresTERM: true}, "web:3/slow": {StopTakes: 10 * time.Second, StopCode: 143}}, spec(app(), slow), time.Minute,
		"0 pull started", "0 pull stopped", "0 container started app", "0 container started slow",
		"70 container exited slow 143", "90 container exited app 137", "90 ended")
}

func TestRuntime_health_changes(t *testing.T) {
	checked := app(func(c *task.Container) { c.Health = &task.Health{Interval: 5 * time.Second} })
	play(t, map[string]Script{"127.0.0.1:5000/web:v1": {Health: []Change{{3 * time.Second, task.Healthy}, {8 * time.Second, task.Unhealthy}}}}, spec(checked), time.Minute,
		"0 pull started", "0 pull stopped", "0 container started app", "3 container health app HEALTHY", "8 container health app UNHEALTHY", "60 container exited app 0", "60 ended")
}

func TestRuntime_does_as_it_is_told(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		rec := &record{began: time.Now()}
		r.Start(spec(app()), rec.event)
		synctest.Wait()
		if got := r.Running(); !slices.Equal(got, []string{"t"}) {
			t.Errorf("running tasks are %v", got)
		}
		if !r.Health("t", "app", task.Unhealthy) || !r.Exit("t", "app", 7) {
			t.Error("the task cannot be told anything")
		}
		synctest.Wait()
		if r.Exit("t", "app", 8) || len(r.Running()) != 0 {
			t.Error("a task that has ended takes orders")
		}
		rec.want(t, "0 pull started", "0 pull stopped", "0 container started app", "0 container health app UNHEALTHY", "0 container exited app 7", "0 ended")
	})
}

func TestRuntime_Close_kills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		r.Set("web", Script{IgnoresTERM: true})
		rec := &record{began: time.Now()}
		r.Start(spec(app()), rec.event)
		synctest.Wait()
		if err := r.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		rec.want(t, "0 pull started", "0 pull stopped", "0 container started app", "0 container exited app 137", "0 ended")
		late := &record{began: time.Now()}
		r.Start(spec(app()), late.event)
		if err := r.Close(context.Background()); err != nil {
			t.Errorf("second Close: %v", err)
		}
		late.want(t, "0 pull started", "0 ended")
	})
}

func TestAContainerCanServeHTTPAsLongAsItRuns(t *testing.T) {
	r := New()
	r.Set("web", Script{Serve: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })})
	started, ended := make(chan task.Event, 1), make(chan struct{})
	r.Start(task.Spec{ID: "t", Containers: []task.Container{{Name: "app", Image: "host/web:1", StopTimeout: time.Second, Ports: []task.Port{{ContainerPort: 8080}}}}}, func(e task.Event) {
		switch e.Kind {
		case task.ContainerStarted:
			started <- e
		case task.Ended:
			close(ended)
		}
	})
	at := (<-started).Ports[0]
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	url := fmt.Sprintf("http://%s:%d", at.HostIP, at.HostPort)
	resp, err := client.Get(url)
	if err != nil || resp.StatusCode != 200 || at.ContainerPort != 8080 {
		t.Fatalf("GET %s: %v, %v", url, resp, err)
	}
	resp.Body.Close()
	r.Stop("t")
	<-ended
	if resp, err := client.Get(url); err == nil {
		resp.Body.Close()
		t.Error("it answers after its end")
	}
}
