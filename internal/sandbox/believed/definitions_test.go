package believed

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func (w *world) deregister(t *testing.T, ref string) types.TaskDefinition {
	t.Helper()
	return *must(w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &ref}))(t).TaskDefinition
}

func (w *world) definition(t *testing.T, ref string) types.TaskDefinition {
	t.Helper()
	return *must(w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &ref}))(t).TaskDefinition
}

// refused are registrations that AWS refuses, as text on the wire.
var refused = map[string]string{
	"no family":              `{"containerDefinitions":[{"name":"a","image":"i","memory":64}]}`,
	"no containers":          `{"family":"f","containerDefinitions":[]}`,
	"no image":               `{"family":"f","containerDefinitions":[{"name":"a","memory":64}]}`,
	"no memory":              `{"family":"f","containerDefinitions":[{"name":"a","image":"i"}]}`,
	"no essential container": `{"family":"f","containerDefinitions":[{"name":"a","image":"i","memory":64,"essential":false}]}`,
	"a name twice":           `{"family":"f","containerDefinitions":[{"name":"a","image":"i","memory":64},{"name":"a","image":"i","memory":64}]}`,
	"an unknown dependency":  `{"family":"f","containerDefinitions":[{"name":"a","image":"i","memory":64,"dependsOn":[{"containerName":"b","condition":"START"}]}]}`,
	"eleven containers":      `{"family":"f","memory":"512","containerDefinitions":[` + strings.Repeat(`{"name":"a","image":"i"},`, 10) + `{"name":"b","image":"i"}]}`,
	"a wrong family":         `{"family":"f f","containerDefinitions":[{"name":"a","image":"i","memory":64}]}`,
	"Fargate in bridge mode": `{"family":"f","cpu":"256","memory":"512","requiresCompatibilities":["FARGATE"],"containerDefinitions":[{"name":"a","image":"i"}]}`,
	"Fargate of odd size":    `{"family":"f","cpu":"256","memory":"4096","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"containerDefinitions":[{"name":"a","image":"i"}]}`,
	"over 64 KiB":            `{"family":"f","containerDefinitions":[{"name":"a","image":"i","memory":64,"command":["` + strings.Repeat("x", 65<<10) + `"]}]}`,
}

var definitions = []behaviour{
	{"revision numbers never come back after deregistration", api + "RegisterTaskDefinition; guide: numbers are not reused", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		w.deregister(t, w.define(t, "nginx"))
		if third := w.define(t, "nginx"); third != arnOf+"task-definition/web:3" {
			t.Errorf("the next revision is %s", third)
		}
	}},
	{"the same registration twice makes two revisions", api + "RegisterTaskDefinition has no client token", func(t *testing.T, w *world) {
		if one, two := w.define(t, "nginx"), w.define(t, "nginx"); one == two {
			t.Errorf("both are %s", one)
		}
	}},
	{"DescribeTaskDefinition takes a family, a number or an ARN", api + "DescribeTaskDefinition", func(t *testing.T, w *world) {
		first := w.define(t, "nginx")
		second := w.define(t, "nginx")
		for ref, want := range map[string]string{"web": second, "web:1": first, first: first, "web:2": second} {
			if got := w.definition(t, ref); *got.TaskDefinitionArn != want {
				t.Errorf("%s is %s, want %s", ref, *got.TaskDefinitionArn, want)
			}
		}
		for _, ref := range []string{"absent", "web:3", "web:0", "web:x", strings.Replace(first, account, "999999999999", 1)} {
			wantError(t, "ClientException", "Unable to describe task definition.")(w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &ref}))
		}
	}},
	{"a deregistered revision is INACTIVE, and described while a service has it", api + "DeregisterTaskDefinition, DescribeTaskDefinition", func(t *testing.T, w *world) {
		arn := w.define(t, "nginx")
		w.create(t, arn, 0)
		if d := w.deregister(t, arn); d.Status != types.TaskDefinitionStatusInactive || d.DeregisteredAt == nil {
			t.Errorf("the answer is %s, deregistered at %v", d.Status, d.DeregisteredAt)
		}
		if d := w.definition(t, arn); d.Status != types.TaskDefinitionStatusInactive {
			t.Errorf("it is %s", d.Status)
		}
	}},
	{"deregistration wants a revision, not a family", api + "DeregisterTaskDefinition, taskDefinition", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		wantError(t, "ClientException", "")(w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: new("web")}))
	}},
	{"no service is made with an INACTIVE revision", api + "DeregisterTaskDefinition", func(t *testing.T, w *world) {
		arn := w.define(t, "nginx")
		w.deregister(t, arn)
		wantError(t, "ClientException", "TaskDefinition is inactive")(w.ecs.CreateService(t.Context(), service(arn, 1)))
		wantError(t, "ClientException", "TaskDefinition not found.")(w.ecs.CreateService(t.Context(), service("web", 1)))
	}},
	{"tags of a task definition come beside it, and only when asked for", api + "DescribeTaskDefinition, include", func(t *testing.T, w *world) {
		arn := w.define(t, "nginx", func(in *ecs.RegisterTaskDefinitionInput) {
			in.Tags = []types.Tag{{Key: new("team"), Value: new("orders")}}
		})
		with := must(w.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}}))(t)
		without := w.post(t, ecsTarget("DescribeTaskDefinition"), `{"taskDefinition":"web"}`)
		if _, there := without.body["tags"]; len(with.Tags) != 1 || there || strings.Contains(without.text, "orders") {
			t.Errorf("with: %v, without: %s", with.Tags, without.text)
		}
	}},
	{"the numbers of a family sort as numbers, in both directions", api + "ListTaskDefinitions, sort", func(t *testing.T, w *world) {
		for range 11 {
			w.define(t, "nginx")
		}
		for _, order := range []types.SortOrder{types.SortOrderAsc, types.SortOrderDesc} {
			var got []string
			for p := ecs.NewListTaskDefinitionsPaginator(w.ecs, &ecs.ListTaskDefinitionsInput{Sort: order, MaxResults: new(int32(4))}); p.HasMorePages(); {
				got = append(got, must(p.NextPage(t.Context()))(t).TaskDefinitionArns...)
			}
			if order == types.SortOrderDesc {
				slices.Reverse(got)
			}
			if len(got) != 11 || !strings.HasSuffix(got[1], ":2") || !strings.HasSuffix(got[9], ":10") {
				t.Errorf("%s: %v", order, got)
			}
		}
	}},
	{"ListTaskDefinitions filters by the whole family, families by their beginning", api + "ListTaskDefinitions, ListTaskDefinitionFamilies, familyPrefix", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		w.define(t, "nginx", func(in *ecs.RegisterTaskDefinitionInput) { in.Family = new("web-admin") })
		list := must(w.ecs.ListTaskDefinitions(t.Context(), &ecs.ListTaskDefinitionsInput{FamilyPrefix: new("web")}))(t)
		families := must(w.ecs.ListTaskDefinitionFamilies(t.Context(), &ecs.ListTaskDefinitionFamiliesInput{FamilyPrefix: new("web")}))(t)
		if len(list.TaskDefinitionArns) != 1 || !slices.Equal(families.Families, []string{"web", "web-admin"}) {
			t.Errorf("revisions %v, families %v", list.TaskDefinitionArns, families.Families)
		}
	}},
	{"revisions are listed when ACTIVE, unless INACTIVE is asked for", api + "ListTaskDefinitions, status", func(t *testing.T, w *world) {
		first := w.define(t, "nginx")
		second := w.define(t, "nginx")
		w.deregister(t, first)
		for status, want := range map[types.TaskDefinitionStatus]string{"": second, types.TaskDefinitionStatusActive: second, types.TaskDefinitionStatusInactive: first} {
			if got := must(w.ecs.ListTaskDefinitions(t.Context(), &ecs.ListTaskDefinitionsInput{Status: status}))(t).TaskDefinitionArns; !slices.Equal(got, []string{want}) {
				t.Errorf("status %q: %v", status, got)
			}
		}
	}},
	{"an empty environment value stays an empty value", observed + "deploy actions put it back where it was lost", func(t *testing.T, w *world) {
		w.define(t, "nginx", func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].Environment = []types.KeyValuePair{{Name: new("EMPTY"), Value: new("")}}
		})
		if e := w.definition(t, "web").ContainerDefinitions[0].Environment; len(e) != 1 || e[0].Value == nil || *e[0].Value != "" {
			t.Errorf("environment is %+v", e)
		}
	}},
	{"members that the SDK does not know are kept", observed + "new members come before new SDKs", func(t *testing.T, w *world) {
		w.post(t, ecsTarget("RegisterTaskDefinition"), `{"family":"f","containerDefinitions":[{"name":"a","image":"i","memory":64,"brandNew":{"x":[1,null]}}],"alsoNew":true}`)
		if got := w.post(t, ecsTarget("DescribeTaskDefinition"), `{"taskDefinition":"f"}`); !strings.Contains(got.text, `"brandNew":{"x":[1,null]}`) || !strings.Contains(got.text, `"alsoNew":true`) {
			t.Errorf("it is %s", got.text)
		}
	}},
	{"a task definition has the members that only AWS writes", api + "TaskDefinition", func(t *testing.T, w *world) {
		d := w.definition(t, w.define(t, "nginx"))
		if d.Revision != 1 || d.Status != types.TaskDefinitionStatusActive || d.RegisteredAt == nil || d.RegisteredBy == nil || len(d.RequiresAttributes) == 0 ||
			!slices.Equal(d.Compatibilities, []types.Compatibility{types.CompatibilityEc2, types.CompatibilityFargate}) {
			t.Errorf("it is %+v", d)
		}
		if c := d.ContainerDefinitions[0]; !*c.Essential || c.PortMappings == nil || c.Environment == nil || c.MountPoints == nil || c.VolumesFrom == nil {
			t.Errorf("its container is %+v", c)
		}
	}},
	{"awsvpc maps a port to itself", api + "PortMapping, hostPort", func(t *testing.T, w *world) {
		w.define(t, "nginx", func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: new(int32(8080))}}
		})
		if p := w.definition(t, "web").ContainerDefinitions[0].PortMappings[0]; *p.HostPort != 8080 || p.Protocol != types.TransportProtocolTcp {
			t.Errorf("mapping is %+v", p)
		}
	}},
	{"registrations that cannot work are refused with ClientException", api + "RegisterTaskDefinition; guide: task_definition_parameters", func(t *testing.T, w *world) {
		for what, body := range refused {
			got := w.post(t, ecsTarget("RegisterTaskDefinition"), body)
			if code := fmt.Sprint(got.body["__type"]); got.status != 400 || code != "ClientException" && code != "InvalidParameterException" {
				t.Errorf("%s: %d %.200s", what, got.status, got.text)
			}
		}
		if list := must(w.ecs.ListTaskDefinitions(t.Context(), &ecs.ListTaskDefinitionsInput{}))(t); len(list.TaskDefinitionArns) != 0 {
			t.Errorf("there is %v", list.TaskDefinitionArns)
		}
	}},
}
