package release

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/history"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// definition is one with a released container app and a sidecar envoy.
func definition(t *testing.T) *taskdef.Definition {
	t.Helper()
	d, err := taskdef.Parse([]byte(`{"family":"backend","containerDefinitions":[
		{"name":"app","image":"r/app@sha256:0000000000000000000000000000000000000000000000000000000000000000","portMappings":[{"containerPort":3000},{"containerPortRange":"8000-8010"}]},
		{"name":"envoy","image":"r/envoy:v1","essential":false}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestATargetThatLacksWhatTheLoadBalancerWantsIsExcluded(t *testing.T) {
	balanced := func(container string, port int32) types.Service {
		return types.Service{LoadBalancers: []types.LoadBalancer{{ContainerName: &container, ContainerPort: &port}}}
	}
	for name, c := range map[string]struct {
		service types.Service
		want    string
	}{
		"no load balancer":     {types.Service{}, ""},
		"a port that is there": {balanced("app", 3000), ""},
		"a port in a range":    {balanced("app", 8005), ""},
		"another port":         {balanced("app", 4000), "the service's load balancer wants port 4000 of container app, which it does not have"},
		"another container":    {balanced("web", 3000), "the service's load balancer wants a container web, which it does not have"},
		"a service registry": {types.Service{ServiceRegistries: []types.ServiceRegistry{{ContainerName: aws.String("app"), ContainerPort: aws.Int32(9)}}},
			"the service's service registry wants port 9 of container app, which it does not have"},
		"a service registry by the task's address": {types.Service{ServiceRegistries: []types.ServiceRegistry{{RegistryArn: aws.String("arn:x")}}}, ""},
	} {
		if got := lacks(definition(t), c.service); got != c.want {
			t.Errorf("%s: lacks = %q, want %q", name, got, c.want)
		}
	}
}

func TestDifferencesBetweenThenAndNowAreListed(t *testing.T) {
	was := types.ServiceRevision{
		ServiceRevisionArn: aws.String("rev/1"), LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
	}
	if got := differences(was, was); len(got) != 0 {
		t.Errorf("differences of the same = %q", got)
	}
	is := was
	is.ServiceRevisionArn, is.LaunchType = aws.String("rev/2"), ""
	is.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}}
	is.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-2"}}}
	is.LoadBalancers = []types.LoadBalancer{{ContainerName: aws.String("app"), ContainerPort: aws.Int32(3000)}}
	want := []string{
		`its load balancing was none and is [{"ContainerName":"app","ContainerPort":3000}] now`,
		`its network configuration was {"AwsvpcConfiguration":{"Subnets":["subnet-1"]}} and is {"AwsvpcConfiguration":{"Subnets":["subnet-2"]}} now`,
		"its capacity was FARGATE and is FARGATE_SPOT (base 0, weight 1) now",
	}
	if d := cmp.Diff(want, differences(was, is)); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
	if got := differences(types.ServiceRevision{}, is); got != nil {
		t.Errorf("differences from what ECS has forgotten = %q", got)
	}
}

func TestSidecarsByTagAreNamed(t *testing.T) {
	if got := strings.Join(byTag(definition(t), "app"), ", "); got != "envoy (r/envoy:v1)" {
		t.Errorf("byTag = %q", got)
	}
}

// several is an ECS with the service deployments of two people in the same second.
type several struct {
	history.API
	of map[string]types.ServiceDeploymentBrief // by task definition
}

func (s several) ListServiceDeployments(context.Context, *ecs.ListServiceDeploymentsInput, ...func(*ecs.Options)) (*ecs.ListServiceDeploymentsOutput, error) {
	var out []types.ServiceDeploymentBrief
	for td, b := range s.of {
		b.TargetServiceRevisionArn = aws.String(td)
		out = append(out, b)
	}
	return &ecs.ListServiceDeploymentsOutput{ServiceDeployments: out}, nil
}

func (s several) DescribeServiceRevisions(_ context.Context, in *ecs.DescribeServiceRevisionsInput, _ ...func(*ecs.Options)) (*ecs.DescribeServiceRevisionsOutput, error) {
	td, _, _ := strings.Cut(in.ServiceRevisionArns[0], "#")
	return &ecs.DescribeServiceRevisionsOutput{ServiceRevisions: []types.ServiceRevision{{TaskDefinition: &td}}}, nil
}

func TestOurServiceDeploymentIsTheFirstOneOfOurRevisionSinceOurs(t *testing.T) {
	began := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	at := func(arn string, after time.Duration, s types.ServiceDeploymentStatus) types.ServiceDeploymentBrief {
		return types.ServiceDeploymentBrief{ServiceDeploymentArn: &arn, CreatedAt: aws.Time(began.Add(after)), Status: s}
	}
	going := types.ServiceDeploymentStatusInProgress
	for name, c := range map[string]struct {
		of   map[string]types.ServiceDeploymentBrief
		want string
	}{
		"only ours":                      {map[string]types.ServiceDeploymentBrief{"38": at("ours", 0, going)}, "ours"},
		"another person's beside it":     {map[string]types.ServiceDeploymentBrief{"38": at("ours", 0, going), "39": at("theirs", -100*time.Millisecond, going)}, "ours"},
		"a later one of the revision":    {map[string]types.ServiceDeploymentBrief{"38": at("ours", 0, going), "38#2": at("later", time.Minute, going)}, "ours"},
		"an earlier one of the revision": {map[string]types.ServiceDeploymentBrief{"38": at("ours", 0, going), "38#0": at("before", -time.Minute, going)}, "ours"},
		"two redeploys in one second: the one that was replaced is not ours": {map[string]types.ServiceDeploymentBrief{
			"38": at("ours", 0, going), "38#0": at("replaced", -300*time.Millisecond, types.ServiceDeploymentStatusStopRequested)}, "ours"},
		"none yet": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ownServiceDeployment(t.Context(), several{of: c.of}, Site{}, deployed{TaskDefinition: "38", CreatedAt: began})
			if got != c.want {
				b, _ := json.Marshal(c.of)
				t.Errorf("ownServiceDeployment = %q, want %q of %s", got, c.want, b)
			}
		})
	}
}
