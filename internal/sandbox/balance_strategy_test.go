package sandbox

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
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

func TestAServiceOutlivesItsLoadBalancer(t *testing.T) {
	b := startBalanced(t)
	if err := b.create("1", types.NetworkModeAwsvpc, b.group.ARN); err != nil {
		t.Fatal(err)
	}
	await(t, "the service", b.steady)
	api := elb.NewFromConfig(b.config)
	if _, err := api.DeleteLoadBalancer(t.Context(), &elb.DeleteLoadBalancerInput{LoadBalancerArn: &b.lb.ARN}); err != nil {
		t.Fatal(err)
	}
	if s := b.service(); s.RunningCount != 2 || !b.steady() {
		t.Errorf("without its load balancer %d tasks run", s.RunningCount)
	}
	_, err := b.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), ForceNewDeployment: true})
	if wantCode(t, err, "InvalidParameterException"); err != nil && !strings.Contains(err.Error(), "does not have an associated load balancer.") {
		t.Errorf("a deployment is refused with %v", err)
	}
	if _, err := api.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &b.group.ARN}); err != nil {
		t.Errorf("its target group cannot be deleted: %v", err)
	}
	if _, err := b.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), Force: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the service", func() bool { return aws.ToString(b.service().Status) == "INACTIVE" })
}

func TestALoadBalancerServesAgainAfterARestart(t *testing.T) {
	from, err := seed.Load("../../examples/balanced/seed.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "state")
	serving := func() *scripted.Runtime {
		r := scripted.New()
		r.Set("shop:1", scripted.Script{Serve: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "version 1") })})
		return r
	}
	w := start(t, Config{Seed: from, State: dir, Runtime: serving()})
	before := w.Balancer().Status()[0]
	w.close(t)
	b := &balanced{world: start(t, Config{State: dir, Runtime: serving()}), T: t}
	if after := b.Balancer().Status()[0]; after.ARN != before.ARN || after.DNSName != before.DNSName || len(after.Listeners) != 1 {
		t.Errorf("after the restart it is %+v, before it was %+v", after, before)
	}
	await(t, "the service", func() bool { return len(b.world.service(t, "shop", "web").Deployments) == 1 && b.text() == "version 1" })
	group := ok(t)(b.Balancer().Group("shop")).(balancer.TargetGroup)
	await(t, "two targets and no other", func() bool {
		targets := ok(t)(b.Balancer().Targets(group.ARN)).([]balancer.TargetHealth)
		return len(targets) == 2 && targets[0].State == balancer.Healthy && targets[1].State == balancer.Healthy
	})
}
