package believed

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

// history is all pages of the service's deployments; the SDK has no paginator for
// them.
func (w *world) history(t *testing.T) (pages [][]types.ServiceDeploymentBrief) {
	t.Helper()
	in := &ecs.ListServiceDeploymentsInput{Cluster: new("c"), Service: new("web")}
	for {
		out := must(w.ecs.ListServiceDeployments(t.Context(), in))(t)
		pages = append(pages, out.ServiceDeployments)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return pages
		}
	}
}

// endings are about service deployments and how they end.
var endings = []behaviour{
	{"a deployment that is replaced ends STOPPED", api + "ServiceDeploymentStatus", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		w.runtime.Set("slow", scripted.Script{PullTakes: time.Minute})
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "slow"))})
		w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "nginx:2"))})
		await(t, "SUCCESSFUL twice", func() bool {
			return len(w.serviceDeployments(t, types.ServiceDeploymentStatusSuccessful)) == 2
		})
		if sd := w.serviceDeployments(t); len(sd) != 3 || sd[1].Status != types.ServiceDeploymentStatusStopped {
			t.Errorf("service deployments are %+v", sd)
		}
	}},
	{"StopServiceDeployment goes back, also without a breaker", guide + "stop-service-deployment", func(t *testing.T, w *world) {
		before := w.serving(t, "nginx", 1)
		w.runtime.Set("slow", scripted.Script{PullTakes: time.Minute})
		arn := *w.update(t, ecs.UpdateServiceInput{TaskDefinition: new(w.define(t, "slow"))}).CurrentServiceDeployment
		out := must(w.ecs.StopServiceDeployment(t.Context(), &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn, StopType: types.StopServiceDeploymentStopTypeRollback}))(t)
		if *out.ServiceDeploymentArn != arn {
			t.Errorf("answer is %+v", out)
		}
		await(t, "ROLLBACK_SUCCESSFUL", func() bool {
			return len(w.serviceDeployments(t, types.ServiceDeploymentStatusRollbackSuccessful)) == 1
		})
		if s := w.web(t); *s.TaskDefinition != *before.TaskDefinition || *s.Deployments[0].Id != *before.Deployments[0].Id {
			t.Errorf("service runs %s", *s.TaskDefinition)
		}
	}},
	{"a deployment that has ended cannot be stopped", api + "StopServiceDeployment, errors", func(t *testing.T, w *world) {
		arn := *w.serving(t, "nginx", 1).CurrentServiceDeployment
		wantError(t, "ConflictException", "")(w.ecs.StopServiceDeployment(t.Context(), &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn}))
		arn += "0"
		wantError(t, "ServiceDeploymentNotFoundException", "")(w.ecs.StopServiceDeployment(t.Context(), &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: &arn}))
	}},
	{"service deployments are listed newest first, by status, twenty at a time", api + "ListServiceDeployments", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx"), 0)
		for range 24 {
			w.update(t, ecs.UpdateServiceInput{ForceNewDeployment: true})
		}
		var sizes []int
		last := time.Now().Add(time.Hour)
		for _, page := range w.history(t) {
			sizes = append(sizes, len(page))
			for _, b := range page {
				if b.CreatedAt.After(last) {
					t.Errorf("%s is newer than the one before", *b.ServiceDeploymentArn)
				}
				last = *b.CreatedAt
			}
		}
		if fmt.Sprint(sizes) != "[20 5]" {
			t.Errorf("pages are %v", sizes)
		}
	}},
	{"service deployments and revisions are described twenty at most, missing ones in failures", api + "DescribeServiceDeployments, DescribeServiceRevisions", func(t *testing.T, w *world) {
		arn := *w.create(t, w.define(t, "nginx"), 0).CurrentServiceDeployment
		out := must(w.ecs.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{arn, arn + "0"}}))(t)
		if len(out.ServiceDeployments) != 1 || len(out.Failures) != 1 || *out.Failures[0].Arn != arn+"0" || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("answer is %+v", out)
		}
		many := make([]string, 21)
		for i := range many {
			many[i] = fmt.Sprint(arn, i)
		}
		wantError(t, "InvalidParameterException", "")(w.ecs.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: many}))
		wantError(t, "InvalidParameterException", "")(w.ecs.DescribeServiceRevisions(t.Context(), &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: many}))
	}},
	{"a service revision says what its tasks run", api + "ServiceRevision", func(t *testing.T, w *world) {
		s := w.serving(t, "nginx", 1)
		r := w.revision(t, *s.CurrentServiceRevisions[0].Arn)
		if *r.TaskDefinition != *s.TaskDefinition || *r.ServiceArn != *s.ServiceArn || *r.PlatformVersion != "1.4.0" || r.NetworkConfiguration.AwsvpcConfiguration.Subnets[0] != "subnet-1" {
			t.Errorf("revision is %+v", r)
		}
		if n := s.CurrentServiceRevisions[0]; n.RunningTaskCount != 1 || n.RequestedTaskCount != 1 {
			t.Errorf("current revision is %+v", n)
		}
	}},
	{"service deployments have their times in order", api + "ServiceDeployment", func(t *testing.T, w *world) {
		w.serving(t, "nginx", 1)
		sd := w.serviceDeployments(t, types.ServiceDeploymentStatusSuccessful)[0]
		if sd.CreatedAt.After(*sd.StartedAt) || sd.StartedAt.After(*sd.FinishedAt) || sd.StoppedAt != nil || len(sd.SourceServiceRevisions) != 0 {
			t.Errorf("service deployment is %+v", sd)
		}
	}},
	{"a service deployment is gone with its service", guide + "service-deployment", func(t *testing.T, w *world) {
		s := w.create(t, w.define(t, "nginx"), 0)
		must(w.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: new("c"), Service: new("web")}))(t)
		await(t, "INACTIVE", func() bool { return *w.web(t).Status == "INACTIVE" })
		out := must(w.ecs.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*s.CurrentServiceDeployment}}))(t)
		if len(out.ServiceDeployments) != 0 || len(out.Failures) != 1 {
			t.Errorf("answer is %+v", out)
		}
	}},
}
