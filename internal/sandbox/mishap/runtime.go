package mishap

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/weelo/weelo-deploy/internal/sandbox/fault"
	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// Faults says what is to happen to tasks; *fault.Set has it.
type Faults interface {
	TaskFaults(t task.Spec, acted []string, running bool) []fault.TaskFault
	OnChange(f func())
}

// Runtime is a [task.Runtime] whose tasks have faults.
type Runtime struct {
	task.Runtime
	faults Faults

	choosing sync.Mutex // held from asking which faults a task has until it has them
	mu       sync.Mutex
	tasks    map[string]*victim // those that run, by id
}

// Wrap returns rt with faults. It is the one that is told of their changes.
func Wrap(rt task.Runtime, faults Faults) *Runtime {
	r := &Runtime{Runtime: rt, faults: faults, tasks: make(map[string]*victim)}
	faults.OnChange(r.reconsider)
	return r
}

// Start implements [task.Runtime].
func (r *Runtime) Start(spec task.Spec, events func(task.Event)) {
	v := newVictim(spec, events, r.Kill)
	r.mu.Lock()
	r.tasks[spec.ID] = v
	r.mu.Unlock()
	r.choose(v, false)
	r.Runtime.Start(spec, func(e task.Event) {
		if e.Kind == task.Ended {
			r.mu.Lock()
			delete(r.tasks, spec.ID)
			r.mu.Unlock()
		}
		v.happens(e)
	})
}

// reconsider applies to the tasks that run what was added and what has gone.
func (r *Runtime) reconsider() {
	r.mu.Lock()
	tasks := slices.Collect(maps.Values(r.tasks))
	r.mu.Unlock()
	for _, v := range tasks {
		r.choose(v, true)
		v.tellHealth()
	}
}

func (r *Runtime) choose(v *victim, running bool) {
	r.choosing.Lock()
	defer r.choosing.Unlock()
	v.suffer(r.faults.TaskFaults(v.rest(), v.acted(), running))
}

// Close implements [task.Runtime].
func (r *Runtime) Close(ctx context.Context) error {
	err := r.Runtime.Close(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.tasks {
		v.end()
	}
	return err
}
