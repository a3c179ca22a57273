package believed

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func describe(names ...string) *ecs.DescribeServicesInput {
	return &ecs.DescribeServicesInput{Cluster: new("c"), Services: names}
}

var services = []behaviour{
	{"DescribeServices tells of a service that is not there in failures", api + "DescribeServices; guide: api_failures_messages", func(t *testing.T, w *world) {
		out := must(w.ecs.DescribeServices(t.Context(), describe("absent")))(t)
		if len(out.Services) != 0 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" || *out.Failures[0].Arn != arnOf+"service/c/absent" {
			t.Errorf("answer is %+v", out)
		}
	}},
	{"DescribeServices takes ten services and not eleven", api + "DescribeServices, services", func(t *testing.T, w *world) {
		names := strings.Fields("a b c d e f g h i j")
		must(w.ecs.DescribeServices(t.Context(), describe(names...)))(t)
		wantError(t, "InvalidParameterException", "")(w.ecs.DescribeServices(t.Context(), describe(append(names, "k")...)))
	}},
	{"a cluster and a service go by name or by ARN", api + "DescribeServices, cluster and services", func(t *testing.T, w *world) {
		s := w.create(t, w.define(t, "nginx"), 0)
		for _, cluster := range []string{"c", *s.ClusterArn} {
			for _, service := range []string{"web", *s.ServiceArn, arnOf + "service/web"} {
				out := must(w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{service}}))(t)
				if len(out.Services) != 1 || *out.Services[0].ServiceName != "web" {
					t.Errorf("%s in %s: %+v", service, cluster, out)
				}
			}
		}
	}},
	{"the cluster is called default when none is named", api + "DescribeServices, cluster", func(t *testing.T, w *world) {
		wantError(t, "ClusterNotFoundException", "Cluster not found.")(w.ecs.ListServices(t.Context(), &ecs.ListServicesInput{}))
		made := must(w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{}))(t)
		if *made.Cluster.ClusterName != "default" {
			t.Errorf("the cluster is called %s", *made.Cluster.ClusterName)
		}
		must(w.ecs.ListServices(t.Context(), &ecs.ListServicesInput{}))(t)
	}},
	{"service.taskDefinition is an ARN, however the service was made", api + "Service, taskDefinition", func(t *testing.T, w *world) {
		arn := w.define(t, "nginx")
		if got := w.create(t, "web", 0); *got.TaskDefinition != arn {
			t.Errorf("taskDefinition is %s, want %s", *got.TaskDefinition, arn)
		}
	}},
	{"a family alone is its latest ACTIVE revision", api + "CreateService, taskDefinition", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		second, third := w.define(t, "nginx"), w.define(t, "nginx")
		must(w.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &third}))(t)
		if got := w.create(t, "web", 0); *got.TaskDefinition != second {
			t.Errorf("taskDefinition is %s, want %s", *got.TaskDefinition, second)
		}
	}},
	{"CreateService fills in AWS's defaults", api + "DeploymentConfiguration, CreateService", func(t *testing.T, w *world) {
		s := w.create(t, w.define(t, "nginx"), 0)
		cfg := s.DeploymentConfiguration
		if *cfg.MinimumHealthyPercent != 100 || *cfg.MaximumPercent != 200 || cfg.DeploymentCircuitBreaker.Enable || cfg.Strategy != types.DeploymentStrategyRolling {
			t.Errorf("deploymentConfiguration is %+v", cfg)
		}
		if s.SchedulingStrategy != types.SchedulingStrategyReplica || s.AvailabilityZoneRebalancing != types.AvailabilityZoneRebalancingEnabled || *s.Status != "ACTIVE" {
			t.Errorf("service is %+v", s)
		}
	}},
	{"a service on Fargate is LATEST, its deployments say what that is", examples + "create-service, update-service", func(t *testing.T, w *world) {
		s := w.create(t, w.define(t, "nginx"), 0)
		if aws.ToString(s.PlatformVersion) != "LATEST" || *s.Deployments[0].PlatformVersion != "1.4.0" || *s.PlatformFamily != "Linux" {
			t.Errorf("platform is %s, of the deployment %s, family %s", aws.ToString(s.PlatformVersion), *s.Deployments[0].PlatformVersion, *s.PlatformFamily)
		}
	}},
	{"REPLICA needs a desired count", api + "CreateService, desiredCount", func(t *testing.T, w *world) {
		in := service(w.define(t, "nginx"), 0)
		in.DesiredCount = nil
		wantError(t, "InvalidParameterException", "")(w.ecs.CreateService(t.Context(), in))
	}},
	{"a launch type and a capacity provider strategy exclude each other", api + "CreateService, capacityProviderStrategy", func(t *testing.T, w *world) {
		in := service(w.define(t, "nginx"), 0)
		in.CapacityProviderStrategy = []types.CapacityProviderStrategyItem{{CapacityProvider: new("FARGATE")}}
		wantError(t, "InvalidParameterException", "Specifying both a launch type and capacity provider strategy is not supported")(w.ecs.CreateService(t.Context(), in))
	}},
	{"awsvpc needs a network configuration", api + "CreateService, networkConfiguration", func(t *testing.T, w *world) {
		in := service(w.define(t, "nginx"), 0)
		in.NetworkConfiguration = nil
		wantError(t, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified.")(w.ecs.CreateService(t.Context(), in))
	}},
	{"a second service of the name is not idempotent, unless it has the client token", api + "CreateService, clientToken", func(t *testing.T, w *world) {
		in := service(w.define(t, "nginx"), 0)
		in.ClientToken = new("once")
		first := must(w.ecs.CreateService(t.Context(), in))(t)
		again := must(w.ecs.CreateService(t.Context(), in))(t)
		if !first.Service.CreatedAt.Equal(*again.Service.CreatedAt) || len(again.Service.Deployments) != 1 {
			t.Errorf("the second call made another service: %+v", again.Service)
		}
		in.ClientToken = nil
		wantError(t, "InvalidParameterException", "Creation of service was not idempotent.")(w.ecs.CreateService(t.Context(), in))
	}},
	{"ListServices gives ten at a time, and a hundred at most", api + "ListServices, maxResults", func(t *testing.T, w *world) {
		definition := w.define(t, "nginx")
		for i := range 23 {
			w.create(t, definition, 0, func(in *ecs.CreateServiceInput) { in.ServiceName = new(fmt.Sprintf("s%02d", i)) })
		}
		var sizes []int
		var arns []string
		for p := ecs.NewListServicesPaginator(w.ecs, &ecs.ListServicesInput{Cluster: new("c")}); p.HasMorePages(); {
			page := must(p.NextPage(t.Context()))(t).ServiceArns
			sizes, arns = append(sizes, len(page)), append(arns, page...)
		}
		slices.Sort(arns)
		if !slices.Equal(sizes, []int{10, 10, 3}) || len(slices.Compact(arns)) != 23 {
			t.Errorf("pages are %v with %d services", sizes, len(arns))
		}
		wantError(t, "InvalidParameterException", "")(w.ecs.ListServices(t.Context(), &ecs.ListServicesInput{Cluster: new("c"), MaxResults: new(int32(101))}))
	}},
	{"a service above zero is deleted by force only", api + "DeleteService", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		in := &ecs.DeleteServiceInput{Cluster: new("c"), Service: new("web")}
		wantError(t, "InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")(w.ecs.DeleteService(t.Context(), in))
		in.Force = new(true)
		if s := must(w.ecs.DeleteService(t.Context(), in))(t).Service; *s.Status != "DRAINING" || s.DesiredCount != 0 {
			t.Errorf("the deleted service is %s with %d desired", *s.Status, s.DesiredCount)
		}
	}},
	{"a deleted service is DRAINING, then INACTIVE, and not listed", api + "DeleteService; " + waiters + "ServicesInactive", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 2)
		must(w.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: new("c"), Service: new("web"), Force: new(true)}))(t)
		if list := must(w.ecs.ListServices(t.Context(), &ecs.ListServicesInput{Cluster: new("c")}))(t); len(list.ServiceArns) != 0 {
			t.Errorf("ListServices has %v", list.ServiceArns)
		}
		waiter := ecs.NewServicesInactiveWaiter(w.ecs, func(o *ecs.ServicesInactiveWaiterOptions) {
			o.MinDelay, o.MaxDelay = 2*time.Millisecond, 10*time.Millisecond
		})
		if err := waiter.Wait(t.Context(), describe("web"), 20*time.Second); err != nil {
			t.Error(err)
		}
		if s := w.web(t); *s.Status != "INACTIVE" || s.RunningCount != 0 || len(w.tasks(t, types.DesiredStatusRunning)) != 0 {
			t.Errorf("service is %s with %d running", *s.Status, s.RunningCount)
		}
	}},
	{"an INACTIVE service cannot be updated, and its name is free", api + "UpdateService, DeleteService", func(t *testing.T, w *world) {
		definition := w.define(t, "nginx")
		w.create(t, definition, 0)
		must(w.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: new("c"), Service: new("web")}))(t)
		await(t, "INACTIVE", func() bool { return *w.web(t).Status == "INACTIVE" })
		wantError(t, "ServiceNotActiveException", "Service was not ACTIVE.")(w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("web"), DesiredCount: new(int32(1))}))
		if s := w.create(t, definition, 0); *s.Status != "ACTIVE" {
			t.Errorf("the new service is %s", *s.Status)
		}
	}},
	{"services-stable fails for a service that is deleted or not there", waiters + "ServicesStable", func(t *testing.T, w *world) {
		if err := w.stable(t, time.Second); err == nil || inVain(err) {
			t.Errorf("waiting for nothing ends with %v", err)
		}
		w.create(t, w.define(t, "nginx"), 0)
		must(w.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: new("c"), Service: new("web")}))(t)
		if err := w.stable(t, time.Second); err == nil || inVain(err) {
			t.Errorf("waiting for a deleted service ends with %v", err)
		}
	}},
	{"events come newest first, a steady state last of all", api + "Service, events", func(t *testing.T, w *world) {
		events := w.serving(t, "nginx", 1).Events
		for i := 1; i < len(events); i++ {
			if events[i].CreatedAt.After(*events[i-1].CreatedAt) {
				t.Errorf("event %d is newer than the one before", i)
			}
		}
		if len(events) < 3 || *events[0].Message != "(service web) has reached a steady state." || !strings.HasPrefix(*events[len(events)-1].Message, "(service web) has started 1 tasks: (task ") {
			t.Errorf("events are %d", len(events))
		}
	}},
	{"clusters count their services and tasks", api + "Cluster", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 2)
		cl := must(w.ecs.DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"c", "absent"}}))(t)
		if len(cl.Clusters) != 1 || cl.Clusters[0].ActiveServicesCount != 1 || cl.Clusters[0].RunningTasksCount != 2 || len(cl.Failures) != 1 || *cl.Failures[0].Reason != "MISSING" {
			t.Errorf("clusters are %+v", cl)
		}
	}},
	{"CreateCluster of a cluster that is there gives that one", observed + "the answer of CreateCluster", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx"), 0)
		again := must(w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: new("c")}))(t)
		if again.Cluster.ActiveServicesCount != 1 {
			t.Errorf("the cluster is %+v", again.Cluster)
		}
	}},
	{"a cluster is deleted when its services and tasks are gone", api + "DeleteCluster, errors", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		in := &ecs.DeleteClusterInput{Cluster: new("c")}
		wantError(t, "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")(w.ecs.DeleteCluster(t.Context(), in))
		must(w.ecs.RunTask(t.Context(), runTask()))(t)
		must(w.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: new("c"), Service: new("web"), Force: new(true)}))(t)
		await(t, "INACTIVE", func() bool { return *w.web(t).Status == "INACTIVE" })
		wantError(t, "ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")(w.ecs.DeleteCluster(t.Context(), in))
		must(w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: new("c"), Task: w.tasks(t, types.DesiredStatusRunning)[0].TaskArn}))(t)
		await(t, "the task's end", func() bool { return len(w.runtime.Running()) == 0 })
		await(t, "the deletion", func() bool {
			out, err := w.ecs.DeleteCluster(t.Context(), in)
			return err == nil && *out.Cluster.Status == "INACTIVE"
		})
		wantError(t, "ClusterNotFoundException", "Cluster not found.")(w.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: new("c")}))
	}},
}
