package dockerruntime

import (
	"fmt"
	"time"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// await returns when the container may start, or when the task is stopping; the
// caller looks which. The error is a dependency that can no longer be met.
func (t *running) await(c task.Container) error {
	for _, v := range c.VolumesFrom {
		select {
		case <-t.stopping:
			return nil
		case <-t.members[v.Container].created:
		case <-t.members[v.Container].ended:
		}
	}
	for _, d := range c.DependsOn {
		if err := t.awaitOne(d); err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
		if t.stopped() {
			return nil
		}
	}
	return nil
}

func (t *running) awaitOne(d task.Dependency) error {
	on := t.members[d.Container]
	met := on.ended // COMPLETE, SUCCESS
	switch d.Condition {
	case task.DependStart:
		met = on.started
	case task.DependHealthy:
		met = on.healthy
	}
	late, done := t.late(on)
	defer done()
	select {
	case <-t.stopping:
	case <-met:
	case <-on.ended:
	case <-late:
		if !t.stopped() && !closed(met) {
			return d.Late(on.container)
		}
	}
	if t.stopped() || !closed(on.ended) {
		return nil
	}
	return d.Unmet(on.exitCode, closed(met))
}

// late gives a channel that tells when the container's startTimeout is over, which
// is counted from its start. It is nil, and never tells, when it has none.
func (t *running) late(on *member) (late <-chan time.Time, done func()) {
	if on.container.StartTimeout <= 0 {
		return nil, func() {}
	}
	select {
	case <-t.stopping:
		return nil, func() {}
	case <-on.ended:
		return nil, func() {}
	case <-on.started:
	}
	timer := time.NewTimer(time.Until(on.startedAt.Add(on.container.StartTimeout)))
	return timer.C, func() { timer.Stop() }
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
