package believed

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	alarmtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// groupInput is a target group for tasks of awsvpc that is checked quickly.
func groupInput() *elb.CreateTargetGroupInput {
	return &elb.CreateTargetGroupInput{
		Name: new("web"), Protocol: elbtypes.ProtocolEnumHttp, Port: new(int32(80)), TargetType: elbtypes.TargetTypeEnumIp, VpcId: new("vpc-1"),
		HealthCheckIntervalSeconds: new(int32(5)), HealthCheckTimeoutSeconds: new(int32(2)), HealthyThresholdCount: new(int32(2)), UnhealthyThresholdCount: new(int32(2)),
	}
}

// balanced is a load balancer before a target group; the address is its listener's.
func (w *world) balanced(t *testing.T) (group, address string) {
	t.Helper()
	group = *must(w.elb.CreateTargetGroup(t.Context(), groupInput()))(t).TargetGroups[0].TargetGroupArn
	lb := must(w.elb.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: new("web"), Subnets: []string{"subnet-1", "subnet-2"}}))(t).LoadBalancers[0]
	must(w.elb.CreateListener(t.Context(), &elb.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Port: new(int32(80)), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &group}},
	}))(t)
	for _, status := range w.Balancer().Status() {
		address = status.Listeners[0].Address
	}
	return group, address
}

// behind is the service web with its tasks in a target group.
func behind(group string) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) {
		in.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: &group, ContainerName: new("app"), ContainerPort: new(int32(8080))}}
	}
}

// listening gives the container app a port.
func listening(in *ecs.RegisterTaskDefinitionInput) {
	in.ContainerDefinitions[0].PortMappings = []types.PortMapping{{ContainerPort: new(int32(8080))}}
}

// answers is the script of an image that answers with a status.
func answers(status int) scripted.Script {
	return scripted.Script{Serve: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, "it is me") // the one who asked may have gone
	})}
}

// health is the state and reason of each target of a group.
func (w *world) health(t *testing.T, group string) (states []string) {
	t.Helper()
	for _, d := range must(w.elb.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &group}))(t).TargetHealthDescriptions {
		states = append(states, strings.TrimSpace(fmt.Sprint(d.TargetHealth.State, " ", d.TargetHealth.Reason)))
	}
	return states
}

var balancing = []behaviour{
	{"load balancers and target groups are missed by their exceptions", elbAPI + "DescribeLoadBalancers, DescribeTargetGroups, errors", func(t *testing.T, w *world) {
		wantError(t, "LoadBalancerNotFound", "")(w.elb.DescribeLoadBalancers(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{"absent"}}))
		wantError(t, "TargetGroupNotFound", "")(w.elb.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{Names: []string{"absent"}}))
	}},
	{"a target group of the name is the same, or refused", elbAPI + "CreateTargetGroup is idempotent; DuplicateTargetGroupName", func(t *testing.T, w *world) {
		first := must(w.elb.CreateTargetGroup(t.Context(), groupInput()))(t).TargetGroups[0]
		again := must(w.elb.CreateTargetGroup(t.Context(), groupInput()))(t).TargetGroups[0]
		if *first.TargetGroupArn != *again.TargetGroupArn {
			t.Errorf("there are %s and %s", *first.TargetGroupArn, *again.TargetGroupArn)
		}
		other := groupInput()
		other.Port = new(int32(81))
		wantError(t, "DuplicateTargetGroupName", "")(w.elb.CreateTargetGroup(t.Context(), other))
	}},
	{"a target group that a listener uses cannot be deleted", elbAPI + "DeleteTargetGroup, ResourceInUse", func(t *testing.T, w *world) {
		group, _ := w.balanced(t)
		wantError(t, "ResourceInUse", "")(w.elb.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: &group}))
	}},
	{"a load balancer without targets answers 503", "Elastic Load Balancing User Guide: HTTP 503", func(t *testing.T, w *world) {
		_, address := w.balanced(t)
		answer := must(w.http.Get("http://" + address + "/"))(t)
		answer.Body.Close()
		if answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("answer is %s", answer.Status)
		}
	}},
	{"a service's tasks are targets, in service, and reached", api + "LoadBalancer; botocore elbv2 waiters: TargetInService", func(t *testing.T, w *world) {
		group, address := w.balanced(t)
		w.runtime.Set("web", answers(200))
		w.create(t, w.define(t, w.Registry()+"/web", listening), 0, behind(group))
		w.runtime.Set("nginx", answers(200))
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "nginx", listening)), DesiredCount: new(int32(2))})
		w.completed(t)
		waiter := elb.NewTargetInServiceWaiter(w.elb, func(o *elb.TargetInServiceWaiterOptions) {
			o.MinDelay, o.MaxDelay = 2*time.Millisecond, 10*time.Millisecond
		})
		if err := waiter.Wait(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &group}, 20*time.Second); err != nil || len(w.health(t, group)) != 2 {
			t.Errorf("targets are %v, %v", w.health(t, group), err)
		}
		answer := must(w.http.Get("http://" + address + "/"))(t)
		defer answer.Body.Close()
		if text := must(io.ReadAll(answer.Body))(t); answer.StatusCode != 200 || string(text) != "it is me" {
			t.Errorf("answer is %s %s", answer.Status, text)
		}
		var texts []string
		for _, e := range w.web(t).Events {
			texts = append(texts, *e.Message)
		}
		if !strings.Contains(strings.Join(texts, "\n"), " targets in (target-group "+group+")") {
			t.Errorf("events are %q", texts)
		}
	}},
	{"a task that fails the load balancer's checks is stopped with its reason", guide + "stopped-task-error-codes, Task failed ELB health checks", func(t *testing.T, w *world) {
		group, _ := w.balanced(t)
		w.runtime.Set("ill", answers(500))
		w.create(t, w.define(t, "ill", listening), 1, behind(group))
		if task := w.stopped(t); *task.StoppedReason != "Task failed ELB health checks in (target-group "+group+")" || task.StopCode != types.TaskStopCodeServiceSchedulerInitiated {
			t.Errorf("task stopped as %s: %s", task.StopCode, *task.StoppedReason)
		}
	}},
	{"no deployment is COMPLETED before its targets are healthy", api + "DeploymentConfiguration, with load balancers", func(t *testing.T, w *world) {
		group, _ := w.balanced(t)
		w.runtime.Set("ill", answers(500))
		w.create(t, w.define(t, "ill", listening), 1, behind(group), func(in *ecs.CreateServiceInput) { in.HealthCheckGracePeriodSeconds = new(int32(3600)) })
		await(t, "unhealthy", func() bool { s := w.health(t, group); return len(s) == 1 && strings.HasPrefix(s[0], "unhealthy") })
		if d := w.web(t).Deployments[0]; d.RolloutState != types.DeploymentRolloutStateInProgress || d.RunningCount != 1 || len(w.tasks(t, types.DesiredStatusStopped)) != 0 {
			t.Errorf("the deployment is %s with %d running", d.RolloutState, d.RunningCount)
		}
	}},
	{"a service needs a target group that a load balancer has", api + "CreateService, loadBalancers", func(t *testing.T, w *world) {
		in := service(w.define(t, "nginx", listening), 1)
		behind(*must(w.elb.CreateTargetGroup(t.Context(), groupInput()))(t).TargetGroups[0].TargetGroupArn)(in)
		wantError(t, "InvalidParameterException", "does not have an associated load balancer")(w.ecs.CreateService(t.Context(), in))
		behind("arn:aws:elasticloadbalancing:" + region + ":" + account + ":targetgroup/absent/0123456789abcdef")(in)
		if _, err := w.ecs.CreateService(t.Context(), in); err == nil {
			t.Error("a target group that is not there was taken")
		}
	}},
	{"a load balancer's container must have the port", api + "LoadBalancer, containerPort", func(t *testing.T, w *world) {
		group, _ := w.balanced(t)
		in := service(w.define(t, "nginx"), 1)
		behind(group)(in)
		wantError(t, "InvalidParameterException", "The container app did not have a container port 8080 defined.")(w.ecs.CreateService(t.Context(), in))
	}},
	{"the same target group written again begins no deployment", api + "UpdateService, loadBalancers", func(t *testing.T, w *world) {
		group, _ := w.balanced(t)
		w.runtime.Set("nginx", answers(200))
		in := service(w.define(t, "nginx", listening), 1)
		behind(group)(in)
		id := *must(w.ecs.CreateService(t.Context(), in))(t).Service.Deployments[0].Id
		w.completed(t)
		if after := deploymentIDs(w.update(t, ecs.UpdateServiceInput{LoadBalancers: in.LoadBalancers})); len(after) != 1 || after[0] != id {
			t.Errorf("deployments are %v, want %s", after, id)
		}
	}},
}

var alarming = []behaviour{
	{"an alarm is set by hand, and described with its state", alarmsAPI + "SetAlarmState, DescribeAlarms", func(t *testing.T, w *world) {
		w.alarm(t, "errors")
		out := must(w.alarms.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"errors", "absent"}}))(t)
		if len(out.MetricAlarms) != 1 || out.MetricAlarms[0].StateValue != alarmtypes.StateValueOk {
			t.Errorf("alarms are %+v", out.MetricAlarms)
		}
		_, err := w.alarms.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: new("absent"), StateValue: alarmtypes.StateValueOk, StateReason: new("by hand")})
		wantError(t, "ResourceNotFound", "")(nil, err)
	}},
	{"an alarm during a deployment takes it back", guide + "deployment-alarm-failure", func(t *testing.T, w *world) {
		w.alarm(t, "errors")
		before := w.serving(t, "nginx", 1, func(in *ecs.CreateServiceInput) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{Alarms: &types.DeploymentAlarms{AlarmNames: []string{"errors"}, Enable: true, Rollback: true}}
		})
		w.runtime.Set("slow", scripted.Script{PullTakes: time.Minute})
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "slow"))})
		await(t, "the watch", func() bool { // an alarm that is on before it is ignored
			watch := w.serviceDeployments(t)[0].Alarms
			return watch != nil && watch.Status == types.ServiceDeploymentRollbackMonitorsStatusMonitoring
		})
		must(w.alarms.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: new("errors"), StateValue: alarmtypes.StateValueAlarm, StateReason: new("by hand")}))(t)
		await(t, "the rollback", func() bool { return aws.ToString(w.web(t).TaskDefinition) == *before.TaskDefinition })
		await(t, "its service deployment", func() bool {
			sd := w.serviceDeployments(t, types.ServiceDeploymentStatusRollbackSuccessful)
			return len(sd) == 1 && len(sd[0].Alarms.TriggeredAlarmNames) == 1
		})
	}},
}

// alarm makes an alarm whose state is OK.
func (w *world) alarm(t *testing.T, name string) {
	t.Helper()
	must(w.alarms.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, MetricName: new("Errors"), Namespace: new("App"), Statistic: alarmtypes.StatisticSum, Period: new(int32(60)),
		EvaluationPeriods: new(int32(1)), Threshold: new(1.0), ComparisonOperator: alarmtypes.ComparisonOperatorGreaterThanThreshold,
	}))(t)
	must(w.alarms.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: alarmtypes.StateValueOk, StateReason: new("by hand")}))(t)
}
