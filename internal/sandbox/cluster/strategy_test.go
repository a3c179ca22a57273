package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/document"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

const (
	elb      = "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
	blueTG   = elb + "targetgroup/blue/0000000000000001"
	grnTG    = elb + "targetgroup/green/0000000000000002"
	prodRule = elb + "listener-rule/app/web/0000000000000003/0000000000000004/0000000000000005"
	testRule = elb + "listener-rule/app/web/0000000000000003/0000000000000004/0000000000000006"
	role     = "arn:aws:iam::000000000000:role/ecsInfrastructure"
	lambda   = "arn:aws:lambda:us-east-1:000000000000:function:check"
)

// rules records the weights that it is given: "production green=100".
type rules struct {
	mu  sync.Mutex
	got []string
	err error
}

func (r *rules) SetWeights(rule string, weights map[string]int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := map[string]string{prodRule: "production", testRule: "test"}[rule]
	r.got = append(r.got, fmt.Sprintf("%s blue %d green %d", name, weights[blueTG], weights[grnTG]))
	return r.err
}

func (r *rules) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// functions answers for Lambda functions.
type functions func(event map[string]any) (string, error)

func (f functions) Invoke(_ context.Context, _ string, event []byte) ([]byte, error) {
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	answer, err := f(e)
	return []byte(answer), err
}

// signals are alarms by name.
type signals struct {
	mu sync.Mutex
	is map[string]string
}

func (s *signals) State(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.is[name]
	return state, ok
}

func (s *signals) set(name, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.is[name] = state
}

// listening is a container that a load balancer can send to.
func listening(image string) types.ContainerDefinition {
	return container(image, func(c *types.ContainerDefinition) {
		c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(80)}}
	})
}

// balanced gives a service a load balancer with two target groups.
func balanced(in *ecs.CreateServiceInput) {
	in.LoadBalancers = []types.LoadBalancer{{
		ContainerName: aws.String("app"), ContainerPort: aws.Int32(80), TargetGroupArn: aws.String(blueTG),
		AdvancedConfiguration: &types.AdvancedConfiguration{
			AlternateTargetGroupArn: aws.String(grnTG), RoleArn: aws.String(role),
			ProductionListenerRule: aws.String(prodRule), TestListenerRule: aws.String(testRule),
		},
	}}
}

// configured gives a service a deployment configuration.
func configured(cfg types.DeploymentConfiguration) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) { in.DeploymentConfiguration = &cfg }
}

func blueGreen(hooks ...types.DeploymentLifecycleHook) types.DeploymentConfiguration {
	return types.DeploymentConfiguration{
		Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(5), LifecycleHooks: hooks,
	}
}

func pause(stage types.DeploymentLifecycleHookStage) types.DeploymentLifecycleHook {
	return types.DeploymentLifecycleHook{
		TargetType: types.DeploymentLifecycleHookTargetTypePause, LifecycleStages: []types.DeploymentLifecycleHookStage{stage},
	}
}

func function(stage types.DeploymentLifecycleHookStage) types.DeploymentLifecycleHook {
	return types.DeploymentLifecycleHook{
		HookTargetArn: aws.String(lambda), RoleArn: aws.String(role), LifecycleStages: []types.DeploymentLifecycleHookStage{stage},
		HookDetails: document.NewLazyDocument(map[string]any{"bucket": "b"}),
	}
}

// traffic is how a service deployment's revisions share the traffic.
func traffic(d types.ServiceDeployment) string {
	one := func(r types.ServiceRevisionSummary) string {
		return fmt.Sprintf("%g/%g", aws.ToFloat64(r.RequestedProductionTrafficWeight), aws.ToFloat64(r.RequestedTestTrafficWeight))
	}
	list := []string{one(*d.TargetServiceRevision)}
	for _, source := range d.SourceServiceRevisions {
		list = append(list, one(source))
	}
	return strings.Join(list, " ")
}

// resolvedGroup is the target group that the service's PRIMARY revision is in.
func (w *world) resolvedGroup() string {
	w.t.Helper()
	revision := *w.deployments()[0].TargetServiceRevision.Arn
	out := must(w.ecs.DescribeServiceRevisions(context.Background(), &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{revision}}))
	return *out.ServiceRevisions[0].ResolvedConfiguration.LoadBalancers[0].TargetGroupArn
}

func TestCluster_blue_green_swaps_the_target_groups(t *testing.T) {
	r := &rules{}
	inWorld(t, func(w *world) {
		w.create(w.register(listening("web:1")), balanced, configured(blueGreen()))
		w.pass(10 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		if got := w.resolvedGroup(); got != blueTG {
			t.Errorf("the first revision is in %s", got)
		}
		r.take()

		w.update(w.register(listening("web:2")))
		w.pass(3 * time.Minute)
		w.wantDeployments("web:2 PRIMARY IN_PROGRESS 1/1", "web:1 ACTIVE COMPLETED 1/1")
		d := w.deployments()[0]
		if d.LifecycleStage != types.ServiceDeploymentLifecycleStageBakeTime || traffic(d) != "100/100 0/0" {
			t.Errorf("at %s the traffic of target and source is %s", d.LifecycleStage, traffic(d))
		}
		if diff := cmp.Diff([]string{"test blue 0 green 100", "production blue 0 green 100"}, r.take()); diff != "" {
			t.Errorf("weights (-want +got):\n%s", diff)
		}
		w.pass(5 * time.Minute)
		w.wantDeployments("web:2 PRIMARY COMPLETED 1/1")
		if got := w.resolvedGroup(); got != grnTG {
			t.Errorf("the second revision is in %s", got)
		}

		w.update(w.register(listening("web:3")))
		w.pass(10 * time.Minute)
		w.wantDeployments("web:3 PRIMARY COMPLETED 1/1")
		if got := w.resolvedGroup(); got != blueTG {
			t.Errorf("the third revision is in %s", got)
		}
		if diff := cmp.Diff([]string{"test blue 100 green 0", "production blue 100 green 0"}, r.take()); diff != "" {
			t.Errorf("weights (-want +got):\n%s", diff)
		}
	}, func(c *Config) { c.Traffic = r })
}

func TestCluster_canary_goes_back_at_once(t *testing.T) {
	r := &rules{}
	inWorld(t, func(w *world) {
		w.create(w.register(listening("web:1")), balanced, configured(types.DeploymentConfiguration{
			Strategy: types.DeploymentStrategyCanary, CanaryConfiguration: &types.CanaryConfiguration{CanaryPercent: aws.Float64(2.5)},
		}))
		w.pass(30 * time.Minute)
		r.take()
		w.update(w.register(listening("web:2")))
		w.pass(3 * time.Minute)
		d := w.deployments()[0]
		if d.LifecycleStage != types.ServiceDeploymentLifecycleStageProductionTrafficShift || traffic(d) != "2.5/100 97.5/0" {
			t.Errorf("at %s the traffic of target and source is %s", d.LifecycleStage, traffic(d))
		}
		if got := r.take(); !slices.Contains(got, "production blue 975 green 25") {
			t.Errorf("weights are %q", got)
		}
		must(w.ecs.StopServiceDeployment(context.Background(), &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn}))
		w.pass(6 * time.Second)
		if diff := cmp.Diff([]string{"production blue 100 green 0", "test blue 100 green 0"}, slices.Sorted(slices.Values(r.take()))); diff != "" {
			t.Errorf("weights (-want +got):\n%s", diff)
		}
		w.pass(time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		d = w.deployments()[0]
		if d.Status != types.ServiceDeploymentStatusRollbackSuccessful || traffic(d) != "0/0 100/0" {
			t.Errorf("%s with traffic %s", d.Status, traffic(d))
		}
	}, func(c *Config) { c.Traffic = r })
}

func TestCluster_a_rule_that_is_not_there_ends_the_deployment(t *testing.T) {
	r := &rules{}
	inWorld(t, func(w *world) {
		w.create(w.register(listening("web:1")), balanced, configured(blueGreen()))
		w.pass(10 * time.Minute)
		r.err = errors.New("One or more rules not found")
		w.update(w.register(listening("web:2")))
		w.pass(10 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		want := "Service deployment rolled back because of invalid networking configuration. One or more rules not found"
		if got := aws.ToString(w.deployments()[0].StatusReason); got != want {
			t.Errorf("the reason is %q, want %q", got, want)
		}
	}, func(c *Config) { c.Traffic = r })
}

func TestCluster_a_paused_deployment_is_continued(t *testing.T) {
	inWorld(t, func(w *world) {
		ctx := context.Background()
		w.create(w.register(container("web:1")))
		w.pass(2 * time.Minute)
		cfg := blueGreen(pause("POST_SCALE_UP"))
		must(w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DeploymentConfiguration: &cfg}))
		w.update(w.register(container("web:2")))
		w.pass(5 * time.Minute)
		w.wantDeployments("web:2 PRIMARY IN_PROGRESS 1/1", "web:1 ACTIVE COMPLETED 1/1")
		d := w.deployments()[0]
		if len(d.LifecycleHookDetails) != 1 {
			t.Fatalf("hooks are %+v, want one", d.LifecycleHookDetails)
		}
		h := d.LifecycleHookDetails[0]
		if h.Status != types.DeploymentLifecycleHookStatusAwaitingAction || h.TargetType != types.DeploymentLifecycleHookTargetTypePause ||
			h.TargetArn != nil || h.TimeoutAction != types.DeploymentLifecycleHookActionRollback || !strings.HasPrefix(*h.HookId, "ecs-pause-") {
			t.Errorf("the hook is %+v", h)
		}
		w.wantContinueErrors(d, *h.HookId)
		out := must(w.ecs.ContinueServiceDeployment(ctx, &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, HookId: h.HookId}))
		if *out.ServiceDeploymentArn != *d.ServiceDeploymentArn {
			t.Errorf("the answer names %s", *out.ServiceDeploymentArn)
		}
		_, err := w.ecs.ContinueServiceDeployment(ctx, &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, HookId: h.HookId})
		wantError(t, err, "InvalidParameterException", "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN")
		w.pass(10 * time.Minute)
		w.wantDeployments("web:2 PRIMARY COMPLETED 1/1")
		_, err = w.ecs.ContinueServiceDeployment(ctx, &ecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, HookId: h.HookId})
		wantError(t, err, "ClientException", "Continuing a service deployment is not allowed for service deployment in terminal states.")
	})
}

// wantContinueErrors tries what ContinueServiceDeployment refuses.
func (w *world) wantContinueErrors(d types.ServiceDeployment, hook string) {
	w.t.Helper()
	for _, c := range []struct{ arn, hook, action, code, text string }{
		{*d.ServiceDeploymentArn, "mine", "", "InvalidParameterException", "Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}"},
		{*d.ServiceDeploymentArn, "ecs-pause-other", "", "InvalidParameterException", "Provided hookId is either completed"},
		{*d.ServiceDeploymentArn + "x", hook, "", "ServiceDeploymentNotFoundException", "The service deployment does not exist."},
		{*d.ServiceDeploymentArn, hook, "STAY", "InvalidParameterException", "Invalid action"},
	} {
		_, err := w.ecs.ContinueServiceDeployment(context.Background(), &ecs.ContinueServiceDeploymentInput{
			ServiceDeploymentArn: &c.arn, HookId: &c.hook, Action: types.DeploymentLifecycleHookAction(c.action),
		})
		wantError(w.t, err, c.code, c.text)
	}
}

func TestCluster_functions_get_AWSs_event_and_decide(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		err          error
		reason       string // empty: the deployment succeeds
	}{
		{"succeeds", `{"hookStatus":"SUCCEEDED"}`, nil, ""},
		{"fails", `{"hookStatus":"FAILED"}`, nil, "Lifecycle hook target " + lambda + " returned FAILED status."},
		{"says nothing", `{}`, nil, "ECS was unable to parse the response from " + lambda + " due to HookStatus must not be null"},
		{"says nonsense", `[`, nil, "ECS was unable to parse the response from " + lambda},
		{"cannot be called", ``, errors.New("no route"), "ECS was unable to invoke hook target " + lambda + " due to no route"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var events []map[string]any
			answer := functions(func(e map[string]any) (string, error) {
				events = append(events, e)
				return c.answer, c.err
			})
			inWorld(t, func(w *world) {
				w.create(w.register(listening("web:1")), balanced)
				w.pass(2 * time.Minute)
				cfg := blueGreen(function("PRODUCTION_TRAFFIC_SHIFT"))
				must(w.ecs.UpdateService(context.Background(), &ecs.UpdateServiceInput{Cluster: aws.String("prod"), Service: aws.String("web"), DeploymentConfiguration: &cfg}))
				w.update(w.register(listening("web:2")))
				w.pass(20 * time.Minute)
				d := w.deployments()[0]
				if got := aws.ToString(d.StatusReason); c.reason == "" != (got == "") || !strings.Contains(got, c.reason) {
					t.Errorf("the reason is %q, want %q", got, c.reason)
				}
				e := events[0]
				details := e["executionDetails"].(map[string]any)
				weights := map[string]any{*d.TargetServiceRevision.Arn: 100.0, *d.SourceServiceRevisions[0].Arn: 0.0}
				if e["lifecycleStage"] != "PRODUCTION_TRAFFIC_SHIFT" || e["resourceArn"] != *d.ServiceDeploymentArn ||
					details["targetServiceRevisionArn"] != *d.TargetServiceRevision.Arn || !maps.Equal(details["productionTrafficWeights"].(map[string]any), weights) ||
					!cmp.Equal(e["hookDetails"], map[string]any{"bucket": "b"}) {
					t.Errorf("the event is %v", e)
				}
			}, func(cfg *Config) { cfg.Hooks = answer })
		})
	}
}

func TestCluster_an_alarm_rolls_a_release_back(t *testing.T) {
	alarms := &signals{is: map[string]string{"errors": "OK"}}
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")), configured(types.DeploymentConfiguration{
			Alarms: &types.DeploymentAlarms{AlarmNames: []string{"errors"}, Enable: true, Rollback: true},
		}))
		w.pass(10 * time.Minute)
		w.update(w.register(container("web:2")))
		w.pass(3 * time.Minute)
		d := w.deployments()[0]
		if d.LifecycleStage != types.ServiceDeploymentLifecycleStageBakeTime || d.Alarms.Status != types.ServiceDeploymentRollbackMonitorsStatusMonitoring {
			t.Errorf("at %s alarms are %+v", d.LifecycleStage, d.Alarms)
		}
		alarms.set("errors", "ALARM")
		w.pass(3 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		d = w.deployments()[0]
		if d.Status != types.ServiceDeploymentStatusRollbackSuccessful || d.Alarms.Status != types.ServiceDeploymentRollbackMonitorsStatusTriggered ||
			!slices.Equal(d.Alarms.TriggeredAlarmNames, []string{"errors"}) {
			t.Errorf("the service deployment is %s, its alarms %+v", d.Status, d.Alarms)
		}
		if !slices.ContainsFunc(w.events(), func(e string) bool { return strings.HasSuffix(e, "deployment failed: alarm detected.") }) {
			t.Errorf("events are %q", w.events())
		}
	}, func(c *Config) { c.Alarms = alarms })
}

func TestCluster_blue_green_and_the_breaker(t *testing.T) {
	inWorld(t, func(w *world) {
		cfg := blueGreen()
		cfg.DeploymentCircuitBreaker = &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}
		w.create(w.register(container("web:1")), configured(cfg))
		w.pass(10 * time.Minute)
		w.rt.Set("web:2", scripted.Script{Exits: true, ExitCode: 139, ExitAfter: time.Second})
		w.update(w.register(container("web:2")))
		w.pass(5 * time.Minute)
		w.wantDeployments("web:1 PRIMARY COMPLETED 1/1")
		if got, want := aws.ToString(w.deployments()[0].StatusReason), "Service deployment rolled back because the circuit breaker threshold was exceeded."; got != want {
			t.Errorf("the reason is %q, want %q", got, want)
		}
	})
}

func TestCluster_a_rolling_deployment_leaves_the_weights_alone(t *testing.T) {
	r := &rules{}
	inWorld(t, func(w *world) {
		w.create(w.register(listening("web:1")), balanced, configured(types.DeploymentConfiguration{BakeTimeInMinutes: aws.Int32(5)}))
		w.pass(10 * time.Minute)
		w.update(w.register(listening("web:2")))
		w.pass(3 * time.Minute)
		if d := w.deployments()[0]; d.LifecycleStage != types.ServiceDeploymentLifecycleStageBakeTime || d.TargetServiceRevision.RequestedProductionTrafficWeight != nil {
			t.Errorf("at %s the weights are %s, want none", d.LifecycleStage, traffic(d))
		}
		w.pass(10 * time.Minute)
		w.wantDeployments("web:2 PRIMARY COMPLETED 1/1")
		if got := r.take(); len(got) > 0 {
			t.Errorf("weights were set: %q", got)
		}
		if got := w.resolvedGroup(); got != blueTG {
			t.Errorf("the second revision is in %s, want the group of the first", got)
		}
	}, func(c *Config) { c.Traffic = r })
}
