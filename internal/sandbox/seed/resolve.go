package seed

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Resolve returns the seed with what is known only once the sandbox listens and
// its images are there: the registry's address (127.0.0.1:PORT) in task
// definitions, and digests in the place of image names.
func (s *Seed) Resolve(registry string, digests map[string]string) *Seed {
	resolved := *s
	resolved.TaskDefinitions = slices.Clone(s.TaskDefinitions)
	for i := range resolved.TaskDefinitions {
		d := &resolved.TaskDefinitions[i].Definition
		d.Raw = json.RawMessage(bytes.ReplaceAll(d.Raw, []byte(Registry), []byte(registry)))
	}
	resolved.Services = slices.Clone(s.Services)
	for i := range resolved.Services {
		deployments := slices.Clone(resolved.Services[i].Deployments)
		for j := range deployments {
			deployments[j].Digests = named(deployments[j].Digests, digests)
		}
		resolved.Services[i].Deployments = deployments
	}
	return &resolved
}

// named returns the digests with the names of images replaced by theirs.
func named(recorded, digests map[string]string) map[string]string {
	out := maps.Clone(recorded)
	for container, name := range out {
		if d, ok := digests[name]; ok {
			out[container] = d
		}
	}
	return out
}
