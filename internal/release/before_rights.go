package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/iam"
)

// mayGoOn looks, before data is changed, at whether the release could go on after
// it: nobody has deployed since preflight, what the watch reads may be read, and
// IAM's simulator, where it may be asked, allows what follows.
func (r *Run) mayGoOn(ctx context.Context) error {
	now, err := r.site().Read(ctx)
	if err != nil {
		return err
	}
	if err := r.sameAsPreflight(now); err != nil {
		return err
	}
	r.pre.service = now
	list, err := r.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &r.Cluster, ServiceName: &r.Service, MaxResults: aws.Int32(1)})
	if err != nil {
		return fromAWS(err, "list the tasks of service "+r.Service, "ecs:ListTasks")
	}
	if len(list.TaskArns) > 0 {
		if _, err := r.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &r.Cluster, Tasks: list.TaskArns}); err != nil {
			return fromAWS(err, "describe the tasks of service "+r.Service, "ecs:DescribeTasks")
		}
	}
	return r.simulate(ctx)
}

// simulate asks IAM's simulator for the permissions without which what follows
// cannot work. Not being able to ask is told, and refuses nothing.
func (r *Run) simulate(ctx context.Context) error {
	check := event.Check{Name: "permissions", Status: event.Skipped}
	defer func() { r.out.In("before-tasks")(check) }()
	if r.IAM == nil {
		check.Detail = "IAM is not asked"
		return nil
	}
	needs := slices.DeleteFunc(iam.Needs(r.rights()), func(n iam.Need) bool {
		return n.Without != "" || !slices.Contains([]string{"before-tasks", "deploy", "watch"}, n.Stage)
	})
	denied, err := iam.Denied(ctx, r.IAM, r.pre.caller, needs)
	var cannot *iam.CannotTell
	switch {
	case errors.As(err, &cannot), err != nil && !interrupted(ctx):
		check.Detail = firstLine(err)
		return nil
	case err != nil:
		return context.Cause(ctx)
	case len(denied) == 0:
		check.Status, check.Detail = event.Done, "IAM's simulator allows what follows"
		return nil
	}
	f := event.Fail(event.CodeAccessDenied, "the caller may not do what follows the before-tasks: "+denied[0].Action)
	for _, n := range denied {
		f.See(fmt.Sprintf("IAM's simulator denies %s on %s (stage %s)", n.Action, n.Resource, n.Stage))
	}
	f.Hint("give " + r.pre.caller + " the permissions; no before-task was run")
	check.Status, check.Detail, check.Code = event.Failed, f.Message, f.Code
	return f
}

// rights is the release as far as it matters to permissions.
func (r *Run) rights() iam.Plan {
	return iam.Plan{
		Region: r.Region, Account: r.pre.account, Cluster: r.Cluster, Service: r.Service, Repository: r.pre.repo.URI,
		Family: r.next.Family(), BeforeTasks: true, LogChecks: len(r.Checks.Logs) > 0,
	}
}
