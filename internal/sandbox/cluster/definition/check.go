package definition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/form"
)

// ECS's limits for a task definition.
const (
	maxBytes      = 64 << 10
	maxContainers = 10
)

var (
	familyForm    = form.New(`^[A-Za-z0-9_-]{1,255}$`)
	containerForm = form.New(`^[A-Za-z0-9_-]{1,255}$`)
)

func refuse(format string, a ...any) error {
	text := fmt.Sprintf(format, a...)
	return &types.ClientException{Message: &text}
}

// check refuses what RegisterTaskDefinition refuses.
func check(d *Definition, size int) error {
	switch {
	case d.Family == "":
		return refuse("Family should not be null or empty.")
	case !familyForm.MatchString(d.Family):
		return refuse("Family contains invalid characters.")
	case len(d.Task.ContainerDefinitions) == 0:
		return refuse("Container list cannot be empty.")
	case len(d.Task.ContainerDefinitions) > maxContainers:
		return refuse("Container list cannot have more than %d elements.", maxContainers)
	case size > maxBytes:
		return refuse("Actual length: '%d'. Max allowed length is '%d' bytes.", size, maxBytes)
	}
	if err := checkContainers(d.Task); err != nil {
		return err
	}
	if err := checkVolumes(d.Task); err != nil {
		return err
	}
	if slices.Contains(d.Task.RequiresCompatibilities, types.CompatibilityFargate) {
		return checkFargate(d.Task)
	}
	return nil
}

func checkContainers(t types.TaskDefinition) error {
	names := make(map[string]bool)
	essential := false
	for _, c := range t.ContainerDefinitions {
		if err := checkContainer(t, c); err != nil {
			return err
		}
		if names[*c.Name] {
			return refuse("Container names must be unique within a task definition: %s is used more than once.", *c.Name)
		}
		names[*c.Name] = true
		essential = essential || c.Essential == nil || *c.Essential
	}
	if !essential {
		return refuse("At least one container in the task definition must be essential.")
	}
	for _, c := range t.ContainerDefinitions {
		for _, dep := range c.DependsOn {
			if dep.ContainerName == nil || !names[*dep.ContainerName] {
				return refuse("Container '%s' depends on a container that is not in the task definition.", *c.Name)
			}
		}
	}
	return nil
}

func checkContainer(t types.TaskDefinition, c types.ContainerDefinition) error {
	switch {
	case c.Name == nil || *c.Name == "":
		return refuse("Container.name should not be null or empty.")
	case !containerForm.MatchString(*c.Name):
		return refuse("Container.name contains invalid characters.")
	case c.Image == nil || *c.Image == "":
		return refuse("Container.image should not be null or empty.")
	case t.Memory == nil && c.Memory == nil && c.MemoryReservation == nil:
		return refuse("Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", *c.Name)
	case c.HealthCheck != nil && !validCheck(c.HealthCheck.Command):
		return refuse("Invalid setting for container '%s'. The health check command must begin with CMD or CMD-SHELL.", *c.Name)
	case c.LogConfiguration != nil && c.LogConfiguration.LogDriver == types.LogDriverAwslogs && c.LogConfiguration.Options["awslogs-group"] == "":
		return refuse("Log driver awslogs requires options: awslogs-group")
	case c.StopTimeout != nil && *c.StopTimeout < 0:
		return refuse("Invalid setting for container '%s'. 'stopTimeout' must not be negative.", *c.Name)
	}
	return checkRestart(c)
}

func validCheck(command []string) bool {
	return len(command) > 1 && (command[0] == "CMD" || command[0] == "CMD-SHELL") ||
		len(command) == 1 && command[0] != "CMD" && command[0] != "CMD-SHELL"
}

func checkFargate(t types.TaskDefinition) error {
	switch {
	case t.NetworkMode != types.NetworkModeAwsvpc:
		return refuse("Fargate only supports network mode ‘awsvpc’.")
	case t.Cpu == nil || *t.Cpu == "":
		return refuse("Fargate requires that 'cpu' be defined at the task level.")
	case t.Memory == nil || *t.Memory == "":
		return refuse("Fargate requires that 'memory' be defined at the task level.")
	}
	cpu, memory := CPUUnits(*t.Cpu), MemoryMiB(*t.Memory)
	if !fargateSize(cpu, memory) {
		return refuse("No Fargate configuration exists for given values: %d CPU, %d memory. See the Amazon ECS documentation for the valid values.", cpu, memory)
	}
	for _, c := range t.ContainerDefinitions {
		switch {
		case c.StopTimeout != nil && *c.StopTimeout > 120:
			return refuse("Invalid setting for container '%s'. 'stopTimeout' must be at most 120 seconds on Fargate.", *c.Name)
		case c.Privileged != nil && *c.Privileged:
			return refuse("Fargate compatible task definitions do not support privileged")
		}
	}
	return checkFargateVolumes(t)
}

// fargateSize knows the task sizes of Fargate on Linux: for each CPU value the
// smallest and largest memory and the step between, in MiB.
func fargateSize(cpu, memory int) bool {
	sizes := map[int][3]int{
		512: {1024, 4096, 1024}, 1024: {2048, 8192, 1024}, 2048: {4096, 16384, 1024},
		4096: {8192, 30720, 1024}, 8192: {16384, 61440, 4096}, 16384: {32768, 122880, 8192},
	}
	if cpu == 256 {
		return memory == 512 || memory == 1024 || memory == 2048
	}
	s, ok := sizes[cpu]
	return ok && memory >= s[0] && memory <= s[1] && (memory-s[0])%s[2] == 0
}

// CPUUnits reads a task's cpu: units ("1024") or vCPUs ("1 vCPU"). 0 means
// that it is neither.
func CPUUnits(s string) int { return amount(s, "vcpu", 1024) }

// MemoryMiB reads a task's memory: MiB ("2048") or GB ("2 GB"). 0 means that
// it is neither.
func MemoryMiB(s string) int { return amount(s, "gb", 1024) }

func amount(s, unit string, factor float64) int {
	s = strings.ToLower(strings.TrimSpace(s))
	number, ok := strings.CutSuffix(s, unit)
	if !ok {
		factor = 1
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || v < 0 || v > 1<<30 {
		return 0
	}
	return int(v * factor)
}
