package balancer

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

// sdk is an SDK client of a balancer of its own.
func sdk(t *testing.T) (*elb.Client, *Balancer) {
	t.Helper()
	b := New(Config{Speed: 1000})
	mux := &awsquery.Mux{Do: new(awsjson.Mux).Do}
	mux.Add("elasticloadbalancing", b.API())
	s := httptest.NewServer(mux)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return elb.New(elb.Options{
		Region: "us-east-1", BaseEndpoint: &s.URL, HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "sandbox", SecretAccessKey: "sandbox"}, nil
		}),
	}), b
}

// made is one of everything, made by the SDK.
type made struct {
	lb       types.LoadBalancer
	group    types.TargetGroup
	listener types.Listener
}

func make1(t *testing.T, c *elb.Client) made {
	t.Helper()
	ctx := t.Context()
	lb := must[*elb.CreateLoadBalancerOutput](t)(c.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
		Name: aws.String("web"), Subnets: []string{"subnet-a", "subnet-b"}, SecurityGroups: []string{"sg-1"},
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}},
	})).LoadBalancers[0]
	g := must[*elb.CreateTargetGroupOutput](t)(c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("blue"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: aws.String("vpc-1"),
		TargetType: types.TargetTypeEnumIp, HealthCheckPath: aws.String("/health"), Matcher: &types.Matcher{HttpCode: aws.String("200-299")},
	})).TargetGroups[0]
	l := must[*elb.CreateListenerOutput](t)(c.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: g.TargetGroupArn}},
	})).Listeners[0]
	return made{lb, g, l}
}

// code is the name of an API error.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestTheSDKMakesAndReadsALoadBalancer(t *testing.T) {
	c, _ := sdk(t)
	ctx, m := t.Context(), make1(t, c)
	lb := must[*elb.DescribeLoadBalancersOutput](t)(c.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{Names: []string{"web"}})).LoadBalancers[0]
	if lb.State.Code != types.LoadBalancerStateEnumActive || lb.Type != types.LoadBalancerTypeEnumApplication || len(lb.AvailabilityZones) != 2 || lb.CreatedTime == nil {
		t.Errorf("the load balancer is %+v", lb)
	}
	g := must[*elb.DescribeTargetGroupsOutput](t)(c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{LoadBalancerArn: lb.LoadBalancerArn})).TargetGroups[0]
	if *g.HealthCheckIntervalSeconds != 30 || *g.HealthyThresholdCount != 5 || *g.Matcher.HttpCode != "200-299" || !*g.HealthCheckEnabled {
		t.Errorf("the target group is %+v", g)
	}
	if diff := cmp.Diff([]string{*lb.LoadBalancerArn}, g.LoadBalancerArns); diff != "" {
		t.Errorf("its load balancers (-want +got):\n%s", diff)
	}
	l := must[*elb.DescribeListenersOutput](t)(c.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})).Listeners[0]
	if a := l.DefaultActions[0]; *a.TargetGroupArn != *g.TargetGroupArn || *a.ForwardConfig.TargetGroups[0].Weight != 1 {
		t.Errorf("the default action is %+v", a)
	}
	tags := must[*elb.DescribeTagsOutput](t)(c.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: []string{*m.lb.LoadBalancerArn, *m.group.TargetGroupArn}}))
	if len(tags.TagDescriptions) != 2 || *tags.TagDescriptions[0].Tags[0].Value != "shop" {
		t.Errorf("tags are %+v", tags.TagDescriptions)
	}
	attributes := must[*elb.ModifyTargetGroupAttributesOutput](t)(c.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: g.TargetGroupArn, Attributes: []types.TargetGroupAttribute{{Key: aws.String(DeregistrationDelay), Value: aws.String("30")}},
	}))
	found := false
	for _, a := range attributes.Attributes {
		found = found || *a.Key == DeregistrationDelay && *a.Value == "30"
	}
	if !found {
		t.Errorf("attributes are %+v", attributes.Attributes)
	}
}

func TestTheSDKReadsTheHealthOfTargets(t *testing.T) {
	c, b := sdk(t)
	ctx, m := t.Context(), make1(t, c)
	must[*elb.RegisterTargetsOutput](t)(c.RegisterTargets(ctx, &elb.RegisterTargetsInput{
		TargetGroupArn: m.group.TargetGroupArn, Targets: []types.TargetDescription{{Id: aws.String("192.0.2.9")}},
	}))
	out := must[*elb.DescribeTargetHealthOutput](t)(c.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: m.group.TargetGroupArn}))
	if len(out.TargetHealthDescriptions) != 1 || *out.TargetHealthDescriptions[0].Target.Port != 8080 {
		t.Fatalf("health is %+v", out.TargetHealthDescriptions)
	}
	must[*elb.DeregisterTargetsOutput](t)(c.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{
		TargetGroupArn: m.group.TargetGroupArn, Targets: []types.TargetDescription{{Id: aws.String("192.0.2.9")}},
	}))
	if h, err := b.Target(*m.group.TargetGroupArn, "192.0.2.9", 0); err != nil || h.State != Draining {
		t.Errorf("after DeregisterTargets it is %+v, %v", h, err)
	}
	out = must[*elb.DescribeTargetHealthOutput](t)(c.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{
		TargetGroupArn: m.group.TargetGroupArn, Targets: []types.TargetDescription{{Id: aws.String("192.0.2.1"), Port: aws.Int32(1)}},
	}))
	if h := out.TargetHealthDescriptions[0].TargetHealth; h.State != types.TargetHealthStateEnumUnused || h.Reason != types.TargetHealthReasonEnumNotRegistered {
		t.Errorf("a target that is not there is %+v", h)
	}
}

func TestTheSDKChangesListenersAndRules(t *testing.T) {
	c, b := sdk(t)
	ctx, m := t.Context(), make1(t, c)
	green := must[*elb.CreateTargetGroupOutput](t)(c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("green"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(8080), TargetType: types.TargetTypeEnumIp,
	})).TargetGroups[0]
	rule := must[*elb.CreateRuleOutput](t)(c.CreateRule(ctx, &elb.CreateRuleInput{
		ListenerArn: m.listener.ListenerArn, Priority: aws.Int32(10),
		Conditions: []types.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/api/*"}}},
		Actions: []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
			{TargetGroupArn: m.group.TargetGroupArn, Weight: aws.Int32(90)}, {TargetGroupArn: green.TargetGroupArn, Weight: aws.Int32(10)},
		}}}},
	})).Rules[0]
	if err := b.SetWeights(*rule.RuleArn, map[string]int{*green.TargetGroupArn: 100}); err != nil {
		t.Fatal(err)
	}
	rules := must[*elb.DescribeRulesOutput](t)(c.DescribeRules(ctx, &elb.DescribeRulesInput{ListenerArn: m.listener.ListenerArn})).Rules
	if len(rules) != 2 || *rules[0].Priority != "10" || *rules[1].Priority != "default" || !*rules[1].IsDefault {
		t.Fatalf("rules are %+v", rules)
	}
	weights := map[string]int32{}
	for _, w := range rules[0].Actions[0].ForwardConfig.TargetGroups {
		weights[*w.TargetGroupArn] = *w.Weight
	}
	if diff := cmp.Diff(map[string]int32{*m.group.TargetGroupArn: 0, *green.TargetGroupArn: 100}, weights); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	must[*elb.SetRulePrioritiesOutput](t)(c.SetRulePriorities(ctx, &elb.SetRulePrioritiesInput{
		RulePriorities: []types.RulePriorityPair{{RuleArn: rule.RuleArn, Priority: aws.Int32(5)}},
	}))
	must[*elb.ModifyListenerOutput](t)(c.ModifyListener(ctx, &elb.ModifyListenerInput{
		ListenerArn: m.listener.ListenerArn, Port: aws.Int32(8088),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: aws.String("418"), MessageBody: aws.String("tea")}}},
	}))
	if got := b.Status()[0].Listeners[0]; got.Port != 8088 || got.ARN != *m.listener.ListenerArn {
		t.Errorf("the listener is %+v", got)
	}
	_, err := c.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: green.TargetGroupArn})
	if code(err) != "ResourceInUse" {
		t.Errorf("deleting a target group in use: %v", err)
	}
	must[*elb.DeleteRuleOutput](t)(c.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: rule.RuleArn}))
	must[*elb.DeleteTargetGroupOutput](t)(c.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: green.TargetGroupArn}))
	must[*elb.DeleteListenerOutput](t)(c.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: m.listener.ListenerArn}))
	must[*elb.DeleteLoadBalancerOutput](t)(c.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: m.lb.LoadBalancerArn}))
}

func TestMistakesHaveTheNamesOfAWS(t *testing.T) {
	c, _ := sdk(t)
	ctx, m := t.Context(), make1(t, c)
	none := aws.String("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/none/0")
	for want, call := range map[string]func() error{
		"TargetGroupNotFound": func() error {
			_, err := c.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: none})
			return err
		},
		"LoadBalancerNotFound": func() error {
			_, err := c.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{Names: []string{"none"}})
			return err
		},
		"ListenerNotFound": func() error {
			_, err := c.DescribeListeners(ctx, &elb.DescribeListenersInput{ListenerArns: []string{"none"}})
			return err
		},
		"RuleNotFound": func() error {
			_, err := c.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: none})
			return err
		},
		"DuplicateLoadBalancerName": func() error {
			_, err := c.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: []string{"subnet-x", "subnet-y"}})
			return err
		},
		"DuplicateTargetGroupName": func() error {
			_, err := c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: aws.String("blue"), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(1), TargetType: types.TargetTypeEnumIp})
			return err
		},
		"DuplicateListener": func() error {
			_, err := c.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: m.lb.LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: m.listener.DefaultActions})
			return err
		},
		"CertificateNotFound": func() error {
			_, err := c.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: m.lb.LoadBalancerArn, Port: aws.Int32(443), Protocol: types.ProtocolEnumHttps, DefaultActions: m.listener.DefaultActions})
			return err
		},
		"InvalidAction": func() error {
			_, err := c.DescribeSSLPolicies(ctx, &elb.DescribeSSLPoliciesInput{})
			return err
		},
		"ValidationError": func() error {
			_, err := c.ModifyTargetGroup(ctx, &elb.ModifyTargetGroupInput{TargetGroupArn: m.group.TargetGroupArn, HealthCheckTimeoutSeconds: aws.Int32(60)})
			return err
		},
	} {
		if got := code(call()); got != want {
			t.Errorf("the error is %q, want %q", got, want)
		}
	}
}

func TestListsComeInPages(t *testing.T) {
	c, b := sdk(t)
	for _, name := range []string{"a", "b", "c"} {
		must[TargetGroup](t)(b.CreateTargetGroup(TargetGroup{Name: name, Protocol: "TCP", Port: 1}))
	}
	pages := elb.NewDescribeTargetGroupsPaginator(c, &elb.DescribeTargetGroupsInput{PageSize: aws.Int32(2)})
	var got []int
	for pages.HasMorePages() {
		got = append(got, len(must[*elb.DescribeTargetGroupsOutput](t)(pages.NextPage(t.Context())).TargetGroups))
	}
	if diff := cmp.Diff([]int{2, 1}, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}
