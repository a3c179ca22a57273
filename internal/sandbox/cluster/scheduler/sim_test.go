package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// behaviour is what the tasks of one deployment do in a simulation.
type behaviour struct {
	cannotPull bool
	crash      bool // with an exit of the container, crashAfter it started
	crashAfter time.Duration
	unhealthy  bool // its health check fails, healthAfter the start
	healthy    bool // its health check passes, healthAfter the start
	healthAt   time.Duration
	stopTakes  time.Duration

	groups         []string // target groups
	cannotRegister string   // why they refuse it
	target         string   // what they say of it, targetAfter its registration
	targetWhy      string
	targetAfter    time.Duration
	drains         time.Duration // the deregistration delay
}

// sim drives a service with simulated tasks and its own clock.
type sim struct {
	t      *testing.T
	s      *Service
	now    time.Time
	env    Env
	does   map[string]behaviour // by deployment
	due    []pending
	tasks  int
	hooks  int
	alarms map[string]string
	calls  []string                    // stages at which functions were called
	answer func(call int) Answer       // of the n-th call, from 1
	trail  []string                    // stages and weights, as they were entered
	paused func(m *sim, hook *HookRun) // what somebody does at a pause
	began  time.Time
	starts []start
	// most and fewest running tasks that were ever seen since watch began
	watching     bool
	most, fewest int
}

type start struct {
	deployment string
	at         time.Duration
}

type pending struct {
	at time.Time
	do func()
}

func newSim(t *testing.T, desired int, l Limits, b Breaker) *sim {
	t0 := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	m := &sim{
		t: t, s: &Service{Name: "web", Desired: desired, Limits: l, Breaker: b},
		now: t0, began: t0, does: make(map[string]behaviour), alarms: make(map[string]string),
	}
	m.env = Env{
		Pace: PaceFor(1), CrashesCount: true,
		NewTaskID:  func() string { m.tasks++; return fmt.Sprintf("t%d", m.tasks) },
		NewEventID: func() string { return "" },
		NewHookID:  func(kind string) string { m.hooks++; return fmt.Sprintf("%s-%d", kind, m.hooks) },
		Alarm:      func(name string) (string, bool) { state, ok := m.alarms[name]; return state, ok },
	}
	return m
}

func (m *sim) at() Env {
	m.env.Now = m.now
	return m.env
}

// deploy begins a deployment whose tasks behave so.
func (m *sim) deploy(id string, b behaviour) *ServiceDeployment {
	m.does[id] = b
	d := &Deployment{ID: id, Revision: "rev-" + id, Template: Template{
		Fargate: true, ENI: true,
		Containers: []ContainerTemplate{{Name: "app", Essential: true, Checked: b.healthy || b.unhealthy}},
	}}
	for _, g := range b.groups {
		d.Template.Targets = append(d.Template.Targets, TargetTemplate{Group: g, Container: "app", Port: 8080})
	}
	return m.s.Deploy(d, "sd-"+id, m.at())
}

// run lets the simulated time pass.
func (m *sim) run(d time.Duration) {
	m.t.Helper()
	end := m.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 100000 {
			m.t.Fatal("the scheduler does not come to rest")
		}
		acts, wake := m.s.Step(m.at())
		for _, a := range acts {
			m.act(a)
		}
		m.check()
		m.follow()
		if m.callHooks() || len(acts) > 0 || m.fire() {
			continue
		}
		if !m.now.Before(end) {
			return
		}
		next := end
		if !wake.IsZero() && wake.Before(next) {
			next = wake
		}
		for _, p := range m.due {
			if p.at.Before(next) {
				next = p.at
			}
		}
		m.now = next
	}
}

// fire does what is due, and reports whether anything was.
func (m *sim) fire() bool {
	fired := false
	for i := 0; i < len(m.due); i++ {
		if p := m.due[i]; !p.at.After(m.now) {
			m.due = slices.Delete(m.due, i, i+1)
			i--
			p.do()
			fired = true
		}
	}
	return fired
}

func (m *sim) later(d time.Duration, do func()) {
	m.due = append(m.due, pending{m.now.Add(d), do})
}

func (m *sim) act(a Action) {
	b, t := m.does[a.Task.Deployment], a.Task
	switch a.Kind {
	case Prepare:
		if b.cannotPull {
			t.CannotPrepare("app", "CannotPullContainerError: no such image", true, m.at())
			return
		}
		t.Prepared(map[string]string{"app": "sha256:1"})
	case Run:
		m.starts = append(m.starts, start{t.Deployment, m.now.Sub(m.began)})
		t.Apply(task.Event{Kind: task.ContainerStarted, Container: "app"}, m.now)
		if b.crash {
			m.later(b.crashAfter, func() { m.exit(t, 139) })
		}
		if b.healthy || b.unhealthy {
			status := task.Healthy
			if b.unhealthy {
				status = task.Unhealthy
			}
			m.later(b.healthAt, func() {
				t.Apply(task.Event{Kind: task.ContainerHealth, Container: "app", Health: status}, m.now)
			})
		}
	case Register:
		for _, g := range t.Targets {
			t.Registered(g.Group, b.cannotRegister)
			if b.target != "" {
				m.later(b.targetAfter, func() { t.TargetHealth(g.Group, b.target, b.targetWhy) })
			}
		}
	case Deregister:
		for _, g := range t.Targets {
			t.Deregistered(g.Group, "")
			m.later(b.drains, func() { t.TargetHealth(g.Group, TargetUnused, "") })
		}
	case Stop:
		m.later(b.stopTakes, func() { m.exit(t, 0) })
	}
}

func (m *sim) exit(t *Task, code int) {
	t.Apply(task.Event{Kind: task.ContainerExited, Container: "app", ExitCode: &code}, m.now)
	t.Apply(task.Event{Kind: task.Ended}, m.now)
}

// watch begins to note how many tasks run, and how many are healthy.
func (m *sim) watch() {
	m.watching, m.most, m.fewest = true, 0, m.s.Desired
}

func (m *sim) check() {
	if !m.watching {
		return
	}
	m.most = max(m.most, m.s.live(nil))
	m.fewest = min(m.fewest, m.s.healthy(nil))
}

// state is the service's deployments in short, PRIMARY first:
// "b IN_PROGRESS 1/2 f3, a COMPLETED 2/2".
func (m *sim) state() string {
	var list []string
	for _, d := range m.s.Deployments {
		n := m.s.Count(d.ID)
		text := fmt.Sprintf("%s %s %d/%d", d.ID, d.Rollout, n.Running, n.Desired)
		if d.FailedTasks > 0 {
			text += fmt.Sprintf(" f%d", d.FailedTasks)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func (m *sim) want(state string) {
	m.t.Helper()
	if got := m.state(); got != state {
		m.t.Fatalf("after %s: deployments are %q, want %q\nevents:\n%s", m.now.Sub(m.began), got, state, strings.Join(m.events(), "\n"))
	}
}

func (m *sim) wantStatus(sd *ServiceDeployment, status string) {
	m.t.Helper()
	if sd.Status != status {
		m.t.Errorf("service deployment %s is %s (%s), want %s", sd.ID, sd.Status, sd.StatusReason, status)
	}
}

// events are the texts of the service events, oldest first, without the name.
func (m *sim) events() []string {
	var list []string
	for _, e := range m.s.Events {
		list = append(list, strings.TrimPrefix(e.Message, "(service web) "))
	}
	return list
}

func (m *sim) wantEvents(from int, want ...string) {
	m.t.Helper()
	if diff := cmp.Diff(want, m.events()[from:]); diff != "" {
		m.t.Errorf("service events (-want +got):\n%s", diff)
	}
}

// serve brings deployment a into service.
func (m *sim) serve() {
	m.t.Helper()
	m.deploy("a", behaviour{})
	m.run(5 * time.Minute)
	if got := m.s.Deployments[0].Rollout; got != Completed || len(m.s.Deployments) != 1 {
		m.t.Fatalf("the first deployment is not completed: %s", m.state())
	}
}
