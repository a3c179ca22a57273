package mishap

import (
	"slices"
	"sync"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// killed is the exit code of a container that SIGKILL ended.
const killed = 137

// victim is one task with its faults.
type victim struct {
	spec    task.Spec
	forward func(task.Event)
	kill    func(taskID, container string)

	mu      sync.Mutex // also keeps the order of what is forwarded
	ended   bool
	faults  []fault.TaskFault
	started map[string]time.Time       // when, by container
	dying   map[string]fault.TaskFault // containers that are being killed
	exited  map[string]bool            // containers that have ended, and were not started again
	health  map[string]string          // what their checks say
	told    map[string]string          // what was told of it
	timers  []*time.Timer
}

func newVictim(spec task.Spec, forward func(task.Event), kill func(taskID, container string)) *victim {
	return &victim{
		spec: spec, forward: forward, kill: kill,
		started: make(map[string]time.Time), dying: make(map[string]fault.TaskFault), exited: make(map[string]bool),
		health: make(map[string]string), told: make(map[string]string),
	}
}

// acted are the rules that have acted on the task.
func (v *victim) acted() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var rules []string
	for _, f := range v.faults {
		rules = append(rules, f.Rule)
	}
	return rules
}

// rest is the task without the containers that have ended: no fault can act on them.
func (v *victim) rest() task.Spec {
	v.mu.Lock()
	defer v.mu.Unlock()
	spec := v.spec
	spec.Containers = slices.DeleteFunc(slices.Clone(spec.Containers), func(c task.Container) bool { return v.exited[c.Name] })
	return spec
}

// suffer takes faults on.
func (v *victim) suffer(faults []fault.TaskFault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range faults {
		v.faults = append(v.faults, f)
		if at, ok := v.started[f.Container]; ok {
			v.schedule(f, at)
		}
	}
}

// schedule sets the clock for a fault of a container that started then.
func (v *victim) schedule(f fault.TaskFault, started time.Time) {
	if v.ended {
		return
	}
	v.timers = append(v.timers, time.AfterFunc(time.Until(started.Add(f.Delay)), func() {
		if f.Dies {
			v.die(f)
			return
		}
		v.tellHealth()
	}))
}

// die kills a container, unless the fault was taken back.
func (v *victim) die(f fault.TaskFault) {
	v.mu.Lock()
	_, twice := v.dying[f.Container]
	over := v.ended || twice || gone(f)
	if !over {
		v.dying[f.Container] = f
	}
	v.mu.Unlock()
	if !over {
		v.kill(v.spec.ID, f.Container)
	}
}

func gone(f fault.TaskFault) bool {
	select {
	case <-f.Removed:
		return true
	default:
		return false
	}
}

// happens takes an event of the runtime and hands on what is to be seen of it.
func (v *victim) happens(e task.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Kind {
	case task.ContainerStarted, task.ContainerRestarted:
		v.forward(v.disguise(e))
		v.begin(e.Container)
		return
	case task.ContainerHealth:
		v.health[e.Container] = e.Health
		v.tell(e.Container)
		return
	case task.ContainerExited:
		e = v.disguise(e)
		v.exited[e.Container] = true
	case task.Ended:
		v.stopTimers()
	}
	v.forward(e)
}

// begin starts the clocks of the faults of a container that runs now.
func (v *victim) begin(container string) {
	now := time.Now()
	v.started[container] = now
	delete(v.exited, container)
	for _, f := range v.faults {
		if f.Container == container {
			v.schedule(f, now)
		}
	}
}

// disguise puts the fault's end in the place of SIGKILL's. A container that ended
// by itself in the same moment tells the truth.
func (v *victim) disguise(e task.Event) task.Event {
	if f, dying := v.dying[e.Container]; dying && e.ExitCode != nil && *e.ExitCode == killed {
		code := f.ExitCode
		e.ExitCode, e.Reason = &code, f.Reason
	}
	delete(v.dying, e.Container)
	return e
}

// tellHealth tells of every container what is now to be seen of its health.
func (v *victim) tellHealth() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return
	}
	for container := range v.started {
		v.tell(container)
	}
}

func (v *victim) tell(container string) {
	seen := v.seen(container)
	if seen == "" || seen == v.told[container] {
		return
	}
	v.told[container] = seen
	v.forward(task.Event{Kind: task.ContainerHealth, At: time.Now(), Container: container, Health: seen})
}

// seen is what the faults leave of a container's health; "" is nothing yet.
func (v *victim) seen(container string) string {
	truth := v.health[container]
	for _, f := range v.faults {
		if f.Dies || f.Container != container || gone(f) {
			continue
		}
		due := !time.Now().Before(v.started[container].Add(f.Delay))
		switch {
		case f.Failing && due && (truth != "" || f.Delay > 0):
			return task.Unhealthy
		case !f.Failing && !due:
			return "" // a slow check has not said anything
		}
	}
	return truth
}

func (v *victim) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopTimers()
}

func (v *victim) stopTimers() {
	v.ended = true
	for _, t := range v.timers {
		t.Stop()
	}
}
