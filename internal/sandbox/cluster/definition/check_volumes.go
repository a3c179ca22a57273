package definition

import "github.com/aws/aws-sdk-go-v2/service/ecs/types"

// checkVolumes looks at what the containers mount.
func checkVolumes(t types.TaskDefinition) error {
	volumes, containers := make(map[string]bool), make(map[string]bool)
	for _, v := range t.Volumes {
		if v.Name != nil {
			volumes[*v.Name] = true
		}
	}
	for _, c := range t.ContainerDefinitions {
		containers[*c.Name] = true
	}
	for _, c := range t.ContainerDefinitions {
		for _, m := range c.MountPoints {
			if m.SourceVolume == nil || !volumes[*m.SourceVolume] {
				return refuse("Unknown volume '%s'.", text(m.SourceVolume))
			}
		}
		for _, v := range c.VolumesFrom {
			if v.SourceContainer == nil || !containers[*v.SourceContainer] {
				return refuse("Unknown container '%s' in 'volumesFrom' of container '%s'.", text(v.SourceContainer), *c.Name)
			}
		}
	}
	return nil
}

// checkFargateVolumes refuses what only a container instance has.
func checkFargateVolumes(t types.TaskDefinition) error {
	for _, v := range t.Volumes {
		switch {
		case v.Host != nil && text(v.Host.SourcePath) != "":
			return refuse("host.sourcePath should not be set for volumes in Fargate.")
		case v.DockerVolumeConfiguration != nil:
			return refuse("Fargate compatible task definitions do not support dockerVolumeConfiguration")
		}
	}
	return nil
}

// checkRestart looks at a restart policy.
func checkRestart(c types.ContainerDefinition) error {
	const least, most, codes = 60, 1800, 50
	p := c.RestartPolicy
	switch {
	case p == nil:
		return nil
	case p.Enabled == nil:
		return refuse("Invalid setting for container '%s'. 'restartPolicy.enabled' must be specified.", *c.Name)
	case p.RestartAttemptPeriod != nil && (*p.RestartAttemptPeriod < least || *p.RestartAttemptPeriod > most):
		return refuse("Invalid setting for container '%s'. 'restartAttemptPeriod' must be between %d and %d seconds.", *c.Name, least, most)
	case len(p.IgnoredExitCodes) > codes:
		return refuse("Invalid setting for container '%s'. 'ignoredExitCodes' must have at most %d elements.", *c.Name, codes)
	}
	return nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
