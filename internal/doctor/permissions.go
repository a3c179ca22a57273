package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/iam"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// Complete adds to a plan what AWS knows: account, and of the task definition its
// family, roles and log groups.
func Complete(p iam.Plan, account string, def *taskdef.Definition) iam.Plan {
	p.Account = account
	if def == nil {
		return p
	}
	p.Family = def.Family()
	var roles struct {
		Task      string `json:"taskRoleArn"`
		Execution string `json:"executionRoleArn"`
	}
	if err := json.Unmarshal(def.Raw(), &roles); err == nil { // it was parsed before
		p.Roles = with(with(nil, roles.Task), roles.Execution)
	}
	for _, c := range def.Containers() {
		if c.Log.Driver == "awslogs" {
			p.LogGroups = with(p.LogGroups, c.Log.Group)
		}
	}
	return p
}

// with adds what is not empty and not there yet.
func with(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	if s == "" {
		return list
	}
	return append(list, s)
}

// permissions asks IAM's simulator for every permission that a release needs.
func permissions(ctx context.Context, e *exam) []Finding {
	needs := iam.Needs(Complete(e.Plan, e.Account, e.Current))
	denied, err := iam.Denied(ctx, e.Clients.IAM, e.Caller, needs)
	var cannot *iam.CannotTell
	switch {
	case errors.As(err, &cannot):
		return one("permissions", Warn, cannot.Error()+"; only the calls that preflight makes were tried", "weelo-deploy iam-policy --doctor")
	case err != nil:
		return one("permissions", Warn, err.Error(), "")
	case len(denied) == 0:
		return one("permissions", OK, fmt.Sprintf("%d allowed, by IAM's simulator", len(needs)), "")
	}
	return denials(denied, grant(e.Caller))
}

// denials are findings of needs that are not granted, one for each action.
func denials(denied []iam.Need, mend string) []Finding {
	var out []Finding
	at := map[string]int{}
	for _, n := range denied {
		if i, again := at[n.Action]; again {
			out[i].Detail = strings.Replace(out[i].Detail, " is not allowed", " and "+resource(n.Resource)+" is not allowed", 1)
			continue
		}
		at[n.Action] = len(out)
		f := Finding{Name: "permissions", Status: Fail, Detail: n.Action + " on " + resource(n.Resource) + " is not allowed", Mend: mend, Code: event.CodeAccessDenied}
		if n.Without != "" {
			f.Status, f.Code, f.Detail = Warn, "", f.Detail+": "+n.Without
		}
		out = append(out, f)
	}
	return out
}

// resource is an ARN without what all of them have in common.
func resource(arn string) string {
	if part := strings.SplitN(arn, ":", 6); len(part) == 6 {
		return part[5]
	}
	return arn
}

// grant is the command that gives the caller what a release needs.
func grant(caller string) string {
	const write, put = "weelo-deploy iam-policy > policy.json", " --policy-name weelo-deploy --policy-document file://policy.json"
	_, resource, _ := strings.Cut(caller, "/")
	name, _, _ := strings.Cut(resource, "/")
	switch {
	case strings.HasPrefix(name, "AWSReservedSSO_"):
		return write + ", and put it into the permission set of IAM Identity Center"
	case strings.Contains(caller, ":assumed-role/"):
		return write + " && aws iam put-role-policy --role-name " + name + put
	case strings.Contains(caller, ":user/"):
		return write + " && aws iam put-user-policy --user-name " + caller[strings.LastIndex(caller, "/")+1:] + put
	}
	return write
}

// calls tries the calls that a release makes later and that only read.
func calls(ctx context.Context, e *exam) []Finding {
	cluster, service := e.Settings.Cluster, e.Settings.Service
	tried := []string{"ecs:ListTasks"}
	list, err := e.Clients.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, ServiceName: &service})
	if err != nil {
		return refusedCall(e, tried[0], err)
	}
	if len(list.TaskArns) > 0 {
		tried = append(tried, "ecs:DescribeTasks")
		if _, err := e.Clients.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: list.TaskArns[:1]}); err != nil {
			return refusedCall(e, tried[1], err)
		}
	}
	return one("calls", OK, strings.Join(tried, ", ")+" answer", "")
}

func refusedCall(e *exam, action string, err error) []Finding {
	f := Finding{Name: "calls", Status: Fail, Detail: action + ": " + err.Error()}
	if deniedByAWS(err) {
		f.Detail, f.Mend = action+" is denied", grant(e.Caller)
	}
	return []Finding{f}
}

func deniedByAWS(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "AccessDeniedException" || api.ErrorCode() == "AccessDenied")
}

// logs looks where the containers' output goes, and whether it could be read.
func logs(ctx context.Context, e *exam) []Finding {
	var out []Finding
	for _, c := range e.Current.Containers() {
		const lost = "; a failure will be reported without its last lines"
		switch {
		case c.Log.Driver == "":
			out = append(out, Finding{Name: "logs", Status: Warn, Detail: "container " + c.Name + " has no log configuration" + lost,
				Mend: "give the container a logConfiguration with the driver awslogs in the task definition"})
		case c.Log.Driver != "awslogs":
			out = append(out, Finding{Name: "logs", Status: Warn, Detail: "container " + c.Name + " logs by " + c.Log.Driver + ", which is not read here" + lost})
		default:
			out = append(out, e.readable(ctx, c.Name, c.Log))
		}
	}
	return out
}

// readable asks for a stream that does not exist: the refusal tells whether its
// group does, and whether it may be read.
func (e *exam) readable(ctx context.Context, container string, l taskdef.LogConfig) Finding {
	f := Finding{Name: "logs", Status: OK, Detail: "container " + container + " logs to " + l.Group}
	if l.Region != "" && e.Settings.Region != "" && l.Region != e.Settings.Region {
		f.Detail += " in " + l.Region
		return f
	}
	_, err := e.Clients.Log.GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: &l.Group, LogStreamName: aws.String("weelo-deploy-doctor")})
	var missing *logtypes.ResourceNotFoundException
	switch {
	case deniedByAWS(err):
		f.Status, f.Mend = Warn, grant(e.Caller)
		f.Detail += ", and logs:GetLogEvents is denied; a failure will be reported without its last lines"
	case errors.As(err, &missing) && strings.Contains(missing.ErrorMessage(), "log group"):
		if l.Options["awslogs-create-group"] == "true" {
			break
		}
		f.Status, f.Mend = Fail, "aws logs create-log-group --log-group-name "+l.Group
		f.Detail += ", which does not exist: its tasks cannot start"
	case err != nil && !errors.As(err, &missing):
		f.Status, f.Detail = Warn, f.Detail+", which cannot be read: "+err.Error()
	}
	return f
}
