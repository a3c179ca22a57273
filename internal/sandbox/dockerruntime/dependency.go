package dockerruntime

import (
	"fmt"

	"github.com/weelo/weelo-deploy/internal/sandbox/task"
)

// checkDependencies finds the dependencies that no run could ever meet: on a
// container that is not there, on the health of one without a health check, and
// in a circle.
func checkDependencies(containers []task.Container) error {
	byName := map[string]task.Container{}
	for _, c := range containers {
		byName[c.Name] = c
	}
	for _, c := range containers {
		for _, d := range c.DependsOn {
			on, ok := byName[d.Container]
			switch {
			case !ok:
				return fmt.Errorf("container %s depends on %s, which the task does not have", c.Name, d.Container)
			case d.Condition == task.DependHealthy && on.Health == nil:
				return fmt.Errorf("container %s waits for %s to be HEALTHY, which has no health check", c.Name, d.Container)
			}
		}
	}
	return checkCircle(containers)
}

// checkCircle starts, in thought, every container whose dependencies have
// started, until all have or none can.
func checkCircle(containers []task.Container) error {
	done := map[string]bool{}
	for range containers {
		for _, c := range containers {
			ready := true
			for _, d := range c.DependsOn {
				ready = ready && done[d.Container]
			}
			done[c.Name] = done[c.Name] || ready
		}
	}
	for _, c := range containers {
		if !done[c.Name] {
			return fmt.Errorf("container %s depends on itself, through others or directly", c.Name)
		}
	}
	return nil
}

// await returns when the container may start, or when the task is stopping; the
// caller looks which. The error is a dependency that can no longer be met.
func (t *running) await(c task.Container) error {
	for _, d := range c.DependsOn {
		on := t.members[d.Container]
		met := on.ended // COMPLETE, SUCCESS
		switch d.Condition {
		case task.DependStart:
			met = on.started
		case task.DependHealthy:
			met = on.healthy
		}
		select {
		case <-t.stopping:
			return nil
		case <-met:
		case <-on.ended:
		}
		if t.stopped() {
			return nil
		}
		if err := on.check(d, met); err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
	}
	return nil
}

// check says why a dependency that has come to an end was not met.
func (m *member) check(d task.Dependency, met <-chan struct{}) error {
	select {
	case <-met:
	default:
		return fmt.Errorf("%s ended before it was so far (%s)", d.Container, d.Condition)
	}
	switch {
	case d.Condition != task.DependComplete && d.Condition != task.DependSuccess:
		return nil
	case m.exitCode == nil:
		return fmt.Errorf("%s ended and its exit code is unknown (%s)", d.Container, d.Condition)
	case d.Condition == task.DependSuccess && *m.exitCode != 0:
		return fmt.Errorf("%s exited with code %d (%s)", d.Container, *m.exitCode, d.Condition)
	}
	return nil
}
