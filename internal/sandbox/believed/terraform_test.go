package believed

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Tools that keep infrastructure as it is written read everything, and write it
// back with what is to change. What follows does so with requests as text, with
// every member that the answer had and the request takes.

// members copies from an answer what a request takes.
func members(from map[string]any, names ...string) map[string]any {
	to := make(map[string]any)
	for _, n := range names {
		if v, ok := from[n]; ok && v != nil {
			to[n] = v
		}
	}
	return to
}

// updatable are the members that a service is described with and UpdateService
// takes.
var updatable = []string{
	"taskDefinition", "desiredCount", "deploymentConfiguration", "availabilityZoneRebalancing", "networkConfiguration",
	"placementConstraints", "placementStrategy", "platformVersion", "healthCheckGracePeriodSeconds", "enableExecuteCommand",
	"enableECSManagedTags", "loadBalancers", "propagateTags", "serviceRegistries", "capacityProviderStrategy", "deploymentController",
}

// addedByAWS are the members of a task definition that no registration takes.
var addedByAWS = []string{
	"taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy", "deregisteredAt",
}

func (w *world) call(t *testing.T, operation string, in map[string]any) map[string]any {
	t.Helper()
	got := w.post(t, ecsTarget(operation), string(must(json.Marshal(in))(t)))
	if got.status != 200 {
		t.Fatalf("%s: %d %s", operation, got.status, got.text)
	}
	return got.body
}

func (w *world) readWeb(t *testing.T) map[string]any {
	t.Helper()
	out := w.call(t, "DescribeServices", map[string]any{"cluster": "c", "services": []string{"web"}, "include": []string{"TAGS"}})
	return out["services"].([]any)[0].(map[string]any)
}

// withoutTimes is a service as text, without what changes by itself.
func withoutTimes(t *testing.T, s map[string]any) string {
	t.Helper()
	s = members(s, append(slices.Clone(updatable), "launchType", "status", "tags", "runningCount", "platformFamily", "schedulingStrategy", "roleArn", "currentServiceDeployment")...)
	return string(must(json.MarshalIndent(s, "", " "))(t))
}

// readModifyWrite reads a service, writes all of it back, and finds nothing new.
func readModifyWrite(t *testing.T, w *world) {
	was := w.serving(t, "nginx", 2, breaking, func(in *ecs.CreateServiceInput) {
		in.PropagateTags, in.EnableECSManagedTags, in.HealthCheckGracePeriodSeconds = types.PropagateTagsService, true, new(int32(5))
		in.Tags = []types.Tag{{Key: new("team"), Value: new("orders")}}
	})
	before := w.readWeb(t)
	for range 2 {
		in := members(before, updatable...)
		in["cluster"], in["service"] = "c", "web"
		w.call(t, "UpdateService", in)
	}
	after := w.readWeb(t)
	if a, b := withoutTimes(t, before), withoutTimes(t, after); a != b {
		t.Errorf("service was\n%s\nand is\n%s", a, b)
	}
	if d := w.web(t).Deployments; len(d) != 1 || *d[0].Id != *was.Deployments[0].Id {
		t.Errorf("deployments are %+v", d)
	}
}

// TestDefinitionsRoundTrip describes a task definition, takes off what AWS added,
// registers it again, updates the service to it and finds the same definition.
func TestDefinitionsRoundTrip(t *testing.T) {
	w := start(t)
	full := `{"family":"web","networkMode":"awsvpc","cpu":"256","memory":"512","requiresCompatibilities":["FARGATE"],
		"executionRoleArn":"arn:aws:iam::` + account + `:role/exec","taskRoleArn":"arn:aws:iam::` + account + `:role/task",
		"runtimePlatform":{"cpuArchitecture":"X86_64","operatingSystemFamily":"LINUX"},"ephemeralStorage":{"sizeInGiB":30},
		"volumes":[{"name":"v"}],"tags":[{"key":"team","value":"orders"}],
		"containerDefinitions":[{"name":"app","image":"nginx","essential":true,"portMappings":[{"containerPort":80}],
		"environment":[{"name":"B","value":""},{"name":"A","value":"1"}],"secrets":[{"name":"S","valueFrom":"/web/secret"}],
		"dockerLabels":{"Upper":"Case"},"ulimits":[{"name":"nofile","softLimit":1,"hardLimit":2}],"stopTimeout":3,
		"mountPoints":[{"sourceVolume":"v","containerPath":"/v","readOnly":false}],"linuxParameters":{"initProcessEnabled":true}}]}`
	for target, body := range map[string]string{
		"AmazonSSM.PutParameter": `{"Name":"/web/secret","Value":"v","Type":"SecureString"}`, ecsTarget("RegisterTaskDefinition"): full,
	} {
		if got := w.post(t, target, body); got.status != 200 {
			t.Fatal(got.text)
		}
	}
	w.create(t, "web:1", 1)
	var texts []string
	for range 3 {
		out := w.call(t, "DescribeTaskDefinition", map[string]any{"taskDefinition": "web", "include": []string{"TAGS"}})
		in := out["taskDefinition"].(map[string]any)
		for _, m := range addedByAWS {
			delete(in, m)
		}
		in["tags"] = out["tags"]
		texts = append(texts, string(must(json.MarshalIndent(in, "", " "))(t)))
		w.call(t, "RegisterTaskDefinition", in)
	}
	if texts = slices.Compact(texts); len(texts) != 1 {
		t.Errorf("the definition changes on its way:\n%s\n%s", texts[0], texts[1])
	}
	w.update(t, ecs.UpdateServiceInput{TaskDefinition: new("web")})
	if err := w.stable(t, 20*time.Second); err != nil || *w.web(t).TaskDefinition != arnOf+"task-definition/web:4" {
		t.Errorf("service runs %s, %v", *w.web(t).TaskDefinition, err)
	}
}
