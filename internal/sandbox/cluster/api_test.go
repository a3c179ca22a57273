package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var ctx = context.Background()

func TestAPI_names_and_ARNs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")))
		w.pass(2 * time.Minute)
		s := w.service()
		clusterARN, serviceARN := "arn:aws:ecs:us-east-1:000000000000:cluster/prod", "arn:aws:ecs:us-east-1:000000000000:service/prod/web"
		if *s.ServiceArn != serviceARN || *s.ClusterArn != clusterARN {
			t.Errorf("the service is %s in %s", *s.ServiceArn, *s.ClusterArn)
		}
		for _, c := range []struct{ cluster, service string }{
			{"prod", "web"}, {clusterARN, serviceARN}, {"prod", serviceARN}, {clusterARN, "web"},
			{"prod", "arn:aws:ecs:us-east-1:000000000000:service/web"},
		} {
			out := must(w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &c.cluster, Services: []string{c.service}}))
			if len(out.Services) != 1 {
				t.Errorf("DescribeServices(%s, %s) finds %d services", c.cluster, c.service, len(out.Services))
			}
		}
		arn := *w.tasks("")[0].TaskArn
		id := arn[strings.LastIndexByte(arn, '/')+1:]
		if want := "arn:aws:ecs:us-east-1:000000000000:task/prod/" + id; arn != want || len(id) != 32 {
			t.Errorf("task ARN is %s, want %s", arn, want)
		}
		if out := must(w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("prod"), Tasks: []string{id}})); len(out.Tasks) != 1 {
			t.Errorf("DescribeTasks by id finds nothing: %+v", out.Failures)
		}
		if out := must(w.ecs.ListServiceDeployments(ctx, &ecs.ListServiceDeploymentsInput{Service: &serviceARN})); len(out.ServiceDeployments) != 1 {
			t.Errorf("ListServiceDeployments by the service's ARN alone finds %d", len(out.ServiceDeployments))
		}
	})
}

func TestAPI_what_is_missing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")))
		prod, no := aws.String("prod"), aws.String("no")
		services := must(w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: prod, Services: []string{"no", "web"}}))
		wantFailures(t, services.Failures, "arn:aws:ecs:us-east-1:000000000000:service/prod/no")
		if len(services.Services) != 1 {
			t.Errorf("the other service is not described")
		}
		wantFailures(t, must(w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: prod, Tasks: []string{"no"}})).Failures,
			"arn:aws:ecs:us-east-1:000000000000:task/prod/no")
		wantFailures(t, must(w.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{"no"}})).Failures,
			"arn:aws:ecs:us-east-1:000000000000:cluster/no")
		wantFailures(t, must(w.ecs.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{"arn:x"}})).Failures, "arn:x")
		wantFailures(t, must(w.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{"arn:x"}})).Failures, "arn:x")

		_, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: no, Services: []string{"web"}})
		wantError(t, err, "ClusterNotFoundException", "Cluster not found.")
		_, err = w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: prod, Service: no})
		wantError(t, err, "ServiceNotFoundException", "Service not found.")
		_, err = w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: prod, ServiceName: no})
		wantError(t, err, "ServiceNotFoundException", "Service not found.")
		_, err = w.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: prod, Task: no})
		wantError(t, err, "InvalidParameterException", "The referenced task was not found.")
		_, err = w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: no})
		wantError(t, err, "ClientException", "Unable to describe task definition.")
		_, err = w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: prod, Service: aws.String("web"), TaskDefinition: aws.String("web:9")})
		wantError(t, err, "ClientException", "TaskDefinition not found.")
		_, err = w.ecs.ListTagsForResource(ctx, &ecs.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:ecs:us-east-1:000000000000:service/prod/no")})
		wantError(t, err, "ServiceNotFoundException", "")
		_, err = w.ecs.ExecuteCommand(ctx, &ecs.ExecuteCommandInput{Cluster: prod, Command: no, Task: no, Interactive: true})
		wantError(t, err, "InvalidParameterException", "The referenced task was not found.")
		_, err = w.ecs.DescribeTaskSets(ctx, &ecs.DescribeTaskSetsInput{Cluster: prod, Service: no})
		wantError(t, err, "UnknownOperationException", "DescribeTaskSets")
	})
}

func wantFailures(t *testing.T, got []types.Failure, arn string) {
	t.Helper()
	if len(got) != 1 || aws.ToString(got[0].Arn) != arn || aws.ToString(got[0].Reason) != "MISSING" {
		t.Errorf("failures are %+v, want %s MISSING", got, arn)
	}
}

func TestAPI_pages(t *testing.T) {
	inWorld(t, func(w *world) {
		for range 25 {
			w.register(container("web:1"))
		}
		for _, order := range []types.SortOrder{types.SortOrderAsc, types.SortOrderDesc} {
			var got []string
			in := &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("web"), MaxResults: aws.Int32(10), Sort: order}
			pages := 0
			for p := ecs.NewListTaskDefinitionsPaginator(w.ecs, in); p.HasMorePages(); pages++ {
				got = append(got, must(p.NextPage(ctx)).TaskDefinitionArns...)
			}
			var want []string
			for i := 1; i <= 25; i++ {
				want = append(want, fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:task-definition/web:%d", i))
			}
			if order == types.SortOrderDesc {
				slices.Reverse(want)
			}
			if pages != 3 || !slices.Equal(got, want) {
				t.Errorf("%s: %d pages with %v", order, pages, got)
			}
		}
		_, err := w.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{MaxResults: aws.Int32(101)})
		wantError(t, err, "InvalidParameterException", "maxResults")
		_, err = w.ecs.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{NextToken: aws.String("nonsense")})
		wantError(t, err, "InvalidParameterException", "token")
	})
}

func TestAPI_ListTasks_filters(t *testing.T) {
	inWorld(t, func(w *world) {
		w.create(w.register(container("web:1")), desired(2))
		w.pass(2 * time.Minute)
		w.rt.Exit(w.rt.Running()[0], "app", 1)
		w.pass(time.Second)
		deployment := w.service().Deployments[0].Id
		prod, web := aws.String("prod"), aws.String("web")
		for _, c := range []struct {
			name string
			in   ecs.ListTasksInput
			want int
		}{
			{"all that run", ecs.ListTasksInput{Cluster: prod}, 2},
			{"stopped", ecs.ListTasksInput{Cluster: prod, ServiceName: web, DesiredStatus: types.DesiredStatusStopped}, 1},
			{"by family", ecs.ListTasksInput{Cluster: prod, Family: web}, 2},
			{"by another family", ecs.ListTasksInput{Cluster: prod, Family: prod}, 0},
			{"by deployment", ecs.ListTasksInput{Cluster: prod, StartedBy: deployment}, 2},
			{"by another deployment", ecs.ListTasksInput{Cluster: prod, StartedBy: web}, 0},
			{"on Fargate", ecs.ListTasksInput{Cluster: prod, LaunchType: types.LaunchTypeFargate}, 2},
			{"on instances", ecs.ListTasksInput{Cluster: prod, LaunchType: types.LaunchTypeEc2}, 0},
		} {
			if got := must(w.ecs.ListTasks(ctx, &c.in)).TaskArns; len(got) != c.want {
				t.Errorf("%s: %d tasks, want %d", c.name, len(got), c.want)
			}
		}
		_, err := w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: prod, ServiceName: web, StartedBy: deployment})
		wantError(t, err, "InvalidParameterException", "startedBy")
	})
}

func TestAPI_tags(t *testing.T) {
	inWorld(t, func(w *world) {
		one := w.register(container("web:1"))
		w.create(one)
		for _, arn := range []string{one, *w.service().ServiceArn, *w.service().ClusterArn} {
			tag := func(k, v string) error {
				_, err := w.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: []types.Tag{{Key: &k, Value: &v}}})
				return err
			}
			for _, err := range []error{tag("a", "1"), tag("b", "2"), tag("a", "3")} {
				if err != nil {
					t.Fatalf("TagResource(%s): %v", arn, err)
				}
			}
			wantError(t, tag("aws:x", "1"), "InvalidParameterException", "aws:")
			must(w.ecs.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"b", "nothing"}}))
			got := must(w.ecs.ListTagsForResource(ctx, &ecs.ListTagsForResourceInput{ResourceArn: &arn})).Tags
			if len(got) != 1 || *got[0].Key != "a" || *got[0].Value != "3" {
				t.Errorf("tags of %s are %v, want a=3", arn, got)
			}
		}
		with := must(w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &one, Include: []types.TaskDefinitionField{types.TaskDefinitionFieldTags}}))
		without := must(w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &one}))
		if len(with.Tags) != 1 || len(without.Tags) != 0 {
			t.Errorf("%d tags with include, %d without", len(with.Tags), len(without.Tags))
		}
	})
}
