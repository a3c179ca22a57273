package sandbox

import (
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
)

// text asks through the load balancer.
func (b *balanced) text() string {
	b.Helper()
	resp, err := b.http.Get(b.url())
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(body)
}

func TestBlueGreenShiftsRealTrafficWithoutALostRequest(t *testing.T) {
	b := startBalanced(t)
	green := ok(t)(b.Balancer().CreateTargetGroup(balancer.TargetGroup{Name: "green", Protocol: "HTTP", Port: 80, TargetType: "ip"})).(balancer.TargetGroup)
	if err := b.Balancer().SetWeights(b.listener.ARN, map[string]int{b.group.ARN: 100, green.ARN: 0}); err != nil {
		t.Fatal(err)
	}
	_, err := b.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("c"), ServiceName: aws.String("web"), TaskDefinition: aws.String(b.revision("1", types.NetworkModeAwsvpc)), DesiredCount: aws.Int32(2),
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		LoadBalancers: []types.LoadBalancer{{
			TargetGroupArn: &b.group.ARN, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080),
			AdvancedConfiguration: &types.AdvancedConfiguration{
				AlternateTargetGroupArn: &green.ARN, ProductionListenerRule: aws.String(b.Balancer().DefaultRule(b.listener.ARN)),
				RoleArn: aws.String("arn:aws:iam::000000000000:role/ecs"),
			},
		}},
		DeploymentConfiguration: &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the service", b.steady)
	if got := b.text(); got != "1" {
		t.Fatalf("blue answers %q", got)
	}
	stop := make(chan struct{})
	wait := load(t, b.url(), stop)
	b.update("2")
	await(t, "the deployment", func() bool { return b.steady() && strings.HasSuffix(*b.service().TaskDefinition, ":2") })
	if got := b.text(); got != "2" {
		t.Errorf("after the shift it answers %q", got)
	}
	close(stop)
	if requests, failed := wait(); failed > 0 || requests == 0 {
		t.Errorf("%d of %d requests failed", failed, requests)
	}
	both := map[string]int{}
	for _, c := range b.Balancer().Traffic().Totals {
		both[c.Group] += c.Requests
	}
	if both[b.group.ARN] == 0 || both[green.ARN] == 0 {
		t.Errorf("requests by target group: %v", both)
	}
}
