package release

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// What a service has besides its task definition: load balancers, network,
// capacity. ECS's own way back restores all of it as it was; UpdateService leaves it
// as it is now.

// lacks says what the service's load balancers and registries need and a definition
// does not have; empty when it has it all. ECS could not deploy such a definition.
func lacks(def *taskdef.Definition, s types.Service) string {
	ports := map[string][]int{}
	for _, c := range def.Containers() {
		ports[c.Name] = c.Ports
	}
	check := func(kind, container string, port *int32) string {
		have, ok := ports[container]
		switch {
		case container == "":
		case !ok:
			return fmt.Sprintf("the service's %s wants a container %s, which it does not have", kind, container)
		case port != nil && !slices.Contains(have, int(*port)):
			return fmt.Sprintf("the service's %s wants port %d of container %s, which it does not have", kind, *port, container)
		}
		return ""
	}
	for _, b := range s.LoadBalancers {
		if why := check("load balancer", aws.ToString(b.ContainerName), b.ContainerPort); why != "" {
			return why
		}
	}
	for _, reg := range s.ServiceRegistries {
		if why := check("service registry", aws.ToString(reg.ContainerName), reg.ContainerPort); why != "" {
			return why
		}
	}
	return ""
}

// differences lists what a service had with the target and has not now, by its
// service revisions of then and now. Both have the same form, and the same defaults.
func differences(was, is types.ServiceRevision) []string {
	if was.ServiceRevisionArn == nil || is.ServiceRevisionArn == nil {
		return nil
	}
	var out []string
	differ := func(what string, then, now any) {
		if a, b := brief(then), brief(now); a != b {
			out = append(out, fmt.Sprintf("its %s was %s and is %s now", what, a, b))
		}
	}
	differ("load balancing", was.LoadBalancers, is.LoadBalancers)
	differ("network configuration", was.NetworkConfiguration, is.NetworkConfiguration)
	differ("capacity", capacityOf(was.LaunchType, was.CapacityProviderStrategy), capacityOf(is.LaunchType, is.CapacityProviderStrategy))
	return out
}

func capacityOf(launch types.LaunchType, providers []types.CapacityProviderStrategyItem) string {
	if len(providers) == 0 {
		return string(launch)
	}
	var out []string
	for _, p := range providers {
		out = append(out, fmt.Sprintf("%s (base %d, weight %d)", aws.ToString(p.CapacityProvider), p.Base, p.Weight))
	}
	return strings.Join(out, ", ")
}

// brief is a structure of AWS's in one line, without what is not set.
func brief(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		return string(b)
	}
	if tree = pruned(tree); tree == nil {
		return "none"
	}
	b, _ = json.Marshal(tree)
	return string(b)
}

func pruned(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if inner = pruned(inner); inner == nil {
				delete(v, k)
				continue
			}
			v[k] = pruned(inner)
		}
		if len(v) > 0 {
			return v
		}
	case []any:
		var out []any
		for _, inner := range v {
			if inner = pruned(inner); inner != nil {
				out = append(out, inner)
			}
		}
		if len(out) > 0 {
			return out
		}
	case string:
		if v != "" {
			return v
		}
	case nil:
	default:
		return v
	}
	return nil
}

// byTag are the containers of a definition, but the released one, whose images are
// named by a tag: what they are at the next start is the registry's to say.
func byTag(def *taskdef.Definition, released string) []string {
	var out []string
	for _, c := range def.Containers() {
		if c.Name != released && !strings.Contains(c.Image, "@sha256:") {
			out = append(out, fmt.Sprintf("%s (%s)", c.Name, c.Image))
		}
	}
	return out
}
