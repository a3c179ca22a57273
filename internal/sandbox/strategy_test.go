package sandbox

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/weelo/weelo-deploy/internal/sandbox/balancer"
)

// canaried is a sandbox with a canary service: a listener for everybody, one for
// tests, and a pause before each shift.
type canaried struct {
	*balanced
	tests balancer.Listener
	green balancer.TargetGroup
}

func startCanaried(t *testing.T) *canaried {
	t.Helper()
	c := &canaried{balanced: startBalanced(t)}
	lb := c.Balancer()
	c.green = ok(t)(lb.CreateTargetGroup(balancer.TargetGroup{Name: "green", Protocol: "HTTP", Port: 80, TargetType: "ip"})).(balancer.TargetGroup)
	c.tests = ok(t)(lb.CreateListener(balancer.Listener{
		LoadBalancer: c.lb.ARN, Protocol: "HTTP", Port: 81, Default: []balancer.Action{{Type: balancer.Forward, Groups: []balancer.Weighted{{Group: c.green.ARN, Weight: 1}}}},
	})).(balancer.Listener)
	_, err := c.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("c"), ServiceName: aws.String("web"), TaskDefinition: aws.String(c.revision("1", types.NetworkModeAwsvpc)), DesiredCount: aws.Int32(2),
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
		LoadBalancers: []types.LoadBalancer{{
			TargetGroupArn: &c.group.ARN, ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080),
			AdvancedConfiguration: &types.AdvancedConfiguration{
				AlternateTargetGroupArn: &c.green.ARN, RoleArn: aws.String("arn:aws:iam::000000000000:role/r"),
				ProductionListenerRule: aws.String(lb.DefaultRule(c.listener.ARN)), TestListenerRule: aws.String(lb.DefaultRule(c.tests.ARN)),
			},
		}},
		DeploymentConfiguration: &types.DeploymentConfiguration{
			Strategy: types.DeploymentStrategyCanary, CanaryConfiguration: &types.CanaryConfiguration{CanaryPercent: aws.Float64(20)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the service", c.steady)
	pauses := types.DeploymentConfiguration{LifecycleHooks: []types.DeploymentLifecycleHook{{
		TargetType: types.DeploymentLifecycleHookTargetTypePause, LifecycleStages: []types.DeploymentLifecycleHookStage{"PRE_PRODUCTION_TRAFFIC_SHIFT"},
	}}}
	if _, err := c.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), DeploymentConfiguration: &pauses}); err != nil {
		t.Fatal(err)
	}
	return c
}

// answers are what ten requests to a listener of a port get, sorted.
func (c *canaried) answers(port int) string {
	c.Helper()
	var url string
	for _, l := range c.Balancer().Status()[0].Listeners {
		if l.Port == port {
			url = "http://" + l.Address
		}
	}
	var got []string
	for range 10 {
		resp, err := c.http.Get(url)
		if err != nil {
			c.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			b = []byte("?")
		}
		got = append(got, string(b))
	}
	slices.Sort(got)
	return strings.Join(got, "")
}

func (c *canaried) want(when, production, test string) {
	c.Helper()
	if got := c.answers(80); got != production {
		c.Errorf("%s: requests are answered by %s, want %s", when, got, production)
	}
	if got := c.answers(81); test != "" && got != test {
		c.Errorf("%s: tests are answered by %s, want %s", when, got, test)
	}
}

// awaitPause waits for a pause that is not the one before, and returns its id.
func (c *canaried) awaitPause(before string) string {
	c.Helper()
	id := ""
	await(c.T, "a pause", func() bool {
		for _, h := range newest(c.T, c.world).LifecycleHookDetails {
			if h.Status == types.DeploymentLifecycleHookStatusAwaitingAction {
				id = *h.HookId
			}
		}
		return id != "" && id != before
	})
	return id
}

func (c *canaried) goOn(hook string, action types.DeploymentLifecycleHookAction) {
	c.Helper()
	arn := newest(c.T, c.world).ServiceDeploymentArn
	if _, err := c.ecs.ContinueServiceDeployment(c.Context(), &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: arn, HookId: &hook, Action: action}); err != nil {
		c.Fatal(err)
	}
}

// Requests move as the weights do, to the target group that the serving revision is
// not in, and back; none is lost on the way.
func TestServer_requestsFollowTheWeights(t *testing.T) {
	c := startCanaried(t)
	c.want("at first", "1111111111", "")
	c.update("2")
	first := c.awaitPause("")
	c.want("before the shift", "1111111111", "2222222222")
	c.goOn(first, types.DeploymentLifecycleHookActionContinue)
	second := c.awaitPause(first)
	c.want("in the canary", "1111111122", "2222222222")
	c.goOn(second, types.DeploymentLifecycleHookActionContinue)
	await(t, "the end", c.steady)
	c.want("after the deployment", "2222222222", "2222222222")

	c.update("1")
	third := c.awaitPause("")
	c.want("before the next shift", "2222222222", "1111111111")
	c.goOn(third, types.DeploymentLifecycleHookActionContinue)
	c.goOn(c.awaitPause(third), types.DeploymentLifecycleHookActionRollback)
	await(t, "the rollback", func() bool { return newest(t, c.world).Status == types.ServiceDeploymentStatusRollbackSuccessful })
	c.want("after the rollback", "2222222222", "2222222222")
	if s := c.service(); !strings.HasSuffix(*s.TaskDefinition, ":2") {
		t.Errorf("the service runs %s", *s.TaskDefinition)
	}
}

func TestServer_aRuleThatIsGoneEndsTheDeployment(t *testing.T) {
	c := startCanaried(t)
	rule := c.Balancer().DefaultRule(c.tests.ARN)
	c.update("2")
	hook := c.awaitPause("") // which comes after the shift of test traffic
	if _, err := elb.NewFromConfig(c.config).DeleteListener(t.Context(), &elb.DeleteListenerInput{ListenerArn: &c.tests.ARN}); err != nil {
		t.Fatal(err)
	}
	c.goOn(hook, types.DeploymentLifecycleHookActionRollback)
	await(t, "the rollback", func() bool { return newest(t, c.world).Status == types.ServiceDeploymentStatusRollbackSuccessful })
	c.update("1") // the rule is missed by the next deployment
	await(t, "the refusal", func() bool {
		d := newest(t, c.world)
		return strings.HasPrefix(aws.ToString(d.StatusReason), "Service deployment rolled back because of invalid networking configuration. ") &&
			strings.Contains(*d.StatusReason, rule) && d.Status == types.ServiceDeploymentStatusRollbackSuccessful
	})
}

func TestServer_aCanaryLosesNoRequest(t *testing.T) {
	c := startCanaried(t)
	stop := make(chan struct{})
	wait := load(t, c.url(), stop)
	c.update("2")
	first := c.awaitPause("")
	c.goOn(first, types.DeploymentLifecycleHookActionContinue)
	c.goOn(c.awaitPause(first), types.DeploymentLifecycleHookActionContinue)
	await(t, "the end", c.steady)
	close(stop)
	if requests, failed := wait(); failed > 0 || requests == 0 {
		t.Errorf("%d of %d requests failed", failed, requests)
	}
}
