package task

import "fmt"

// CheckDependencies finds the dependencies that no run could ever meet: on a
// container that is not there, on the health of one without a health check, and
// in a circle. Volumes from another container are a dependency too.
func CheckDependencies(containers []Container) error {
	byName := map[string]Container{}
	for _, c := range containers {
		byName[c.Name] = c
	}
	for _, c := range containers {
		for _, d := range c.DependsOn {
			on, ok := byName[d.Container]
			switch {
			case !ok:
				return fmt.Errorf("container %s depends on %s, which the task does not have", c.Name, d.Container)
			case d.Condition == DependHealthy && on.Health == nil:
				return fmt.Errorf("container %s waits for %s to be HEALTHY, which has no health check", c.Name, d.Container)
			}
		}
		for _, v := range c.VolumesFrom {
			if _, ok := byName[v.Container]; !ok {
				return fmt.Errorf("container %s has volumes from %s, which the task does not have", c.Name, v.Container)
			}
		}
	}
	return checkCircle(containers)
}

// checkCircle starts, in thought, every container whose dependencies have
// started, until all have or none can.
func checkCircle(containers []Container) error {
	done := map[string]bool{}
	for range containers {
		for _, c := range containers {
			ready := true
			for _, d := range c.DependsOn {
				ready = ready && done[d.Container]
			}
			for _, v := range c.VolumesFrom {
				ready = ready && done[v.Container]
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

// Unmet says why a dependency can no longer be met by a container that has ended
// with this code, nil when it has none. met says whether it was so far before.
func (d Dependency) Unmet(code *int, met bool) error {
	switch ends := d.Condition == DependComplete || d.Condition == DependSuccess; {
	case !ends && met:
		return nil
	case !ends:
		return fmt.Errorf("%s ended before it was so far (%s)", d.Container, d.Condition)
	case code == nil:
		return fmt.Errorf("%s ended and its exit code is unknown (%s)", d.Container, d.Condition)
	case d.Condition == DependSuccess && *code != 0:
		return fmt.Errorf("%s exited with code %d (%s)", d.Container, *code, d.Condition)
	}
	return nil
}

// Late says that a dependency was not met within its container's StartTimeout.
func (d Dependency) Late(on Container) error {
	return fmt.Errorf("%s was not so far (%s) within its startTimeout of %s", d.Container, d.Condition, on.StartTimeout)
}
