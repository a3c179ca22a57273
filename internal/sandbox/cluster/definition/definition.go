package definition

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

// A Definition is one revision of a task definition.
type Definition struct {
	ARN          string
	Family       string
	Revision     int
	Active       bool
	Registered   time.Time
	Deregistered time.Time // zero while Active
	RegisteredBy string
	Tags         []types.Tag

	// Task is what the SDK understands of the registered JSON. It must not
	// be changed.
	Task types.TaskDefinition

	registered object // the request's members without tags
}

// Name is the short form of a revision, family:revision.
func (d *Definition) Name() string { return d.Family + ":" + strconv.Itoa(d.Revision) }

// Supports reports whether the revision can run on a launch type.
func (d *Definition) Supports(t types.LaunchType) bool {
	for _, c := range d.compatibilities() {
		if string(c) == string(t) {
			return true
		}
	}
	return false
}

// NetworkMode is the network mode; ECS's default on Linux is bridge.
func (d *Definition) NetworkMode() types.NetworkMode {
	if d.Task.NetworkMode == "" {
		return types.NetworkModeBridge
	}
	return d.Task.NetworkMode
}

func (d *Definition) compatibilities() []types.Compatibility {
	list := []types.Compatibility{types.CompatibilityEc2}
	awsvpc := d.Task.NetworkMode == types.NetworkModeAwsvpc
	switch {
	case awsvpc && d.Task.Cpu != nil && d.Task.Memory != nil:
		list = append(list, types.CompatibilityFargate)
	case !awsvpc:
		list = append([]types.Compatibility{types.CompatibilityExternal}, list...)
	}
	return list
}

// JSON is the revision as the member taskDefinition of an answer: what was
// registered, with AWS's defaults and the server's members.
func (d *Definition) JSON() json.RawMessage {
	o := append(object(nil), d.registered...)
	if containers, ok := o.get("containerDefinitions"); ok {
		o.set("containerDefinitions", mapList(containers, d.withDefaults))
	}
	o.setDefault("volumes", "[]")
	o.setDefault("placementConstraints", "[]")
	status := "ACTIVE"
	if !d.Active {
		status = "INACTIVE"
	}
	o.set("taskDefinitionArn", encode(d.ARN))
	o.set("revision", encode(int32(d.Revision)))
	o.set("status", encode(status))
	o.set("compatibilities", encode(d.compatibilities()))
	o.set("requiresAttributes", encode(d.attributes()))
	o.set("registeredAt", encode(d.Registered))
	o.set("registeredBy", encode(d.RegisteredBy))
	if !d.Active && !d.Deregistered.IsZero() {
		o.set("deregisteredAt", encode(d.Deregistered))
	}
	return o.json()
}

// withDefaults fills in a container definition what AWS's answers always have.
func (d *Definition) withDefaults(c object) object {
	c = append(object(nil), c...)
	c.setDefault("cpu", "0")
	c.setDefault("essential", "true")
	for _, list := range []string{"portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"} {
		c.setDefault(list, "[]")
	}
	ports, _ := c.get("portMappings")
	c.set("portMappings", mapList(ports, d.portDefaults))
	return c
}

func (d *Definition) portDefaults(p object) object {
	p = append(object(nil), p...)
	hostPort := "0"
	if m := d.NetworkMode(); m == types.NetworkModeAwsvpc || m == types.NetworkModeHost {
		if port, ok := p.get("containerPort"); ok {
			hostPort = string(port)
		}
	}
	p.setDefault("hostPort", hostPort)
	p.setDefault("protocol", `"tcp"`)
	return p
}

// attributes lists what a container instance must be able to do to run it.
func (d *Definition) attributes() []types.Attribute {
	var names []string
	add := func(on bool, name string) {
		if on {
			names = append(names, name)
		}
	}
	logs, secrets, checks := "", false, false
	for _, c := range d.Task.ContainerDefinitions {
		if c.LogConfiguration != nil {
			logs = string(c.LogConfiguration.LogDriver)
		}
		secrets = secrets || len(c.Secrets) > 0
		checks = checks || c.HealthCheck != nil
	}
	add(logs != "", "com.amazonaws.ecs.capability.logging-driver."+logs)
	add(logs == "awslogs", "ecs.capability.execution-role-awslogs")
	add(secrets, "ecs.capability.secrets.asm.environment-variables")
	add(checks, "ecs.capability.container-health-check")
	add(d.Task.TaskRoleArn != nil, "com.amazonaws.ecs.capability.task-iam-role")
	add(d.Task.NetworkMode == types.NetworkModeAwsvpc, "ecs.capability.task-eni")
	add(true, "com.amazonaws.ecs.capability.docker-remote-api.1.18")
	list := make([]types.Attribute, len(names))
	for i := range names {
		list[i] = types.Attribute{Name: &names[i]}
	}
	return list
}

// encode renders a value of the SDK's as AWS does. The values that it is used
// for always have a JSON form.
func encode(v any) json.RawMessage {
	b, err := awsjson.Marshal(v)
	if err != nil {
		return json.RawMessage(`"` + fmt.Sprint(v) + `"`)
	}
	return b
}
