package iam

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// incident is the plan of the incident's service, with everything known.
var incident = Plan{
	Region: "ap-south-1", Account: "318774499084", Cluster: "weelocluster", Service: "backend", Repository: "weelo-backend", Family: "weelobackendtask",
	Roles: []string{"arn:aws:iam::318774499084:role/ecsTaskExecutionRole"}, LogGroups: []string{"/ecs/weelobackendtask"},
}

// everything is a plan that uses whatever can be configured.
func everything() Plan {
	p := incident
	p.BeforeTasks, p.LogChecks, p.Project, p.Bucket = true, true, "images", "sources"
	return p
}

// needsOf are the resources of an action, with its condition's value.
func needsOf(needs []Need, action string) []string {
	var out []string
	for _, n := range needs {
		if n.Action == action {
			out = append(out, strings.TrimSpace(n.Resource+" "+n.Condition.Value))
		}
	}
	return out
}

func TestNeeds_namesResourcesAsIAMKnowsThem(t *testing.T) {
	const ecs = "arn:aws:ecs:ap-south-1:318774499084:"
	for action, want := range map[string][]string{
		"ecs:UpdateService":            {ecs + "service/weelocluster/backend"},
		"ecs:StopServiceDeployment":    {ecs + "service/weelocluster/backend", ecs + "service-deployment/weelocluster/backend/*"},
		"ecs:DescribeServiceRevisions": {ecs + "service/weelocluster/backend", ecs + "service-revision/weelocluster/backend/*"},
		"ecs:DescribeTasks":            {ecs + "task/weelocluster/*"},
		"ecs:ListTasks":                {"* " + ecs + "cluster/weelocluster"},
		"ecs:RegisterTaskDefinition":   {ecs + "task-definition/weelobackendtask:*"},
		"ecs:DescribeTaskDefinition":   {"*"},
		"ecs:TagResource":              {ecs + "task-definition/weelobackendtask:*"},
		"ecs:RunTask":                  {ecs + "task-definition/weelobackendtask:* " + ecs + "cluster/weelocluster"},
		"ecr:GetAuthorizationToken":    {"*"},
		"ecr:PutImage":                 {"arn:aws:ecr:ap-south-1:318774499084:repository/weelo-backend"},
		"iam:PassRole":                 {"arn:aws:iam::318774499084:role/ecsTaskExecutionRole ecs-tasks.amazonaws.com"},
		"logs:GetLogEvents": {"arn:aws:logs:ap-south-1:318774499084:log-group:/ecs/weelobackendtask:log-stream:*",
			"arn:aws:logs:ap-south-1:318774499084:log-group:/aws/codebuild/images:log-stream:*"},
		"logs:FilterLogEvents": {"arn:aws:logs:ap-south-1:318774499084:log-group:/ecs/weelobackendtask:*"},
		"codebuild:StartBuild": {"arn:aws:codebuild:ap-south-1:318774499084:project/images"},
		"s3:PutObject":         {"arn:aws:s3:::sources/*"},
	} {
		if d := cmp.Diff(want, needsOf(Needs(everything()), action)); d != "" {
			t.Errorf("resources of %s (-want +got):\n%s", action, d)
		}
	}
}

func TestNeeds_askOnlyForWhatIsConfigured(t *testing.T) {
	needs := Needs(incident)
	for _, action := range []string{"ecs:RunTask", "codebuild:StartBuild", "s3:PutObject", "iam:SimulatePrincipalPolicy"} {
		if got := needsOf(needs, action); got != nil {
			t.Errorf("%s is asked for on %s", action, got)
		}
	}
	p := incident
	p.ReleasesOnly = true
	if got := needsOf(Needs(p), "ecr:PutImage"); got != nil {
		t.Errorf("a release of an image that exists asks for ecr:PutImage on %s", got)
	}
}

func TestNeeds_takeStarForWhatIsNotKnown(t *testing.T) {
	for _, test := range []struct {
		plan   Plan
		action string
		want   []string
	}{
		{Plan{}, "ecs:UpdateService", []string{"arn:aws:ecs:*:*:service/*/*"}},
		{Plan{}, "iam:PassRole", []string{"arn:aws:iam::*:role/* ecs-tasks.amazonaws.com"}},
		{Plan{}, "logs:GetLogEvents", []string{"arn:aws:logs:*:*:log-group:*:log-stream:*"}},
		{Plan{Region: "cn-north-1", Cluster: "arn:aws-cn:ecs:cn-north-1:1:cluster/prod", Service: "api"}, "ecs:UpdateService", []string{"arn:aws-cn:ecs:cn-north-1:*:service/prod/api"}},
		{Plan{Region: "us-east-1", Repository: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/api"}, "ecr:PutImage", []string{"arn:aws:ecr:eu-west-1:111122223333:repository/team/api"}},
		{Plan{Region: "us-east-1", Account: "1", Repository: "127.0.0.1:8477/api"}, "ecr:PutImage", []string{"arn:aws:ecr:us-east-1:1:repository/api"}},
		{Plan{Region: "us-east-1", Account: "1", Repository: "team/api"}, "ecr:PutImage", []string{"arn:aws:ecr:us-east-1:1:repository/team/api"}},
	} {
		if d := cmp.Diff(test.want, needsOf(Needs(test.plan), test.action)); d != "" {
			t.Errorf("resources of %s for %+v (-want +got):\n%s", test.action, test.plan, d)
		}
	}
}

// TestNeeds_coverEveryCallOfTheTool reads the sources: an operation of AWS that is
// called there and that nobody would be allowed is a release that fails.
func TestNeeds_coverEveryCallOfTheTool(t *testing.T) {
	services := map[string]string{"ecs": "ecs", "ecr": "ecr", "cloudwatchlogs": "logs", "codebuild": "codebuild", "s3": "s3", "iam": "iam"}
	call := regexp.MustCompile(`\b(ecs|ecr|cloudwatchlogs|codebuild|s3|iam)\.([A-Z][A-Za-z]+)Input\b`)
	all := append(Needs(everything()), DoctorNeeds(incident)...)
	found := 0
	for _, pattern := range []string{"../*/*.go", "../../cmd/weelo-deploy/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || strings.HasPrefix(f, "../sandbox/") {
				continue
			}
			source, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllStringSubmatch(string(source), -1) {
				found++
				if action := services[m[1]] + ":" + m[2]; needsOf(all, action) == nil {
					t.Errorf("%s calls %s, which no need names", f, action)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("%d calls were found in the sources, want all of the tool's", found)
	}
}

func TestPolicy_allowsTheNeedsAndNothingElse(t *testing.T) {
	for name, p := range map[string]Plan{"the incident": incident, "everything": everything(), "nothing known": {}} {
		t.Run(name, func(t *testing.T) {
			needs := append(Needs(p), DoctorNeeds(p)...)
			text := Policy(needs)
			want := map[string]bool{}
			for _, n := range needs {
				want[n.Action+" "+n.Resource+" "+n.Condition.Value] = true
			}
			if d := cmp.Diff(want, granted(t, text)); d != "" {
				t.Errorf("what the policy allows (-needs +policy):\n%s", d)
			}
			// A managed policy has at most 6144 characters, white space not counted.
			if n := len(strings.Join(strings.Fields(text), "")); n > 6144 {
				t.Errorf("the policy has %d characters, more than IAM takes", n)
			}
		})
	}
}

// granted is every action, resource and condition value that a policy allows.
func granted(t *testing.T, text string) map[string]bool {
	t.Helper()
	var policy struct {
		Version   string
		Statement []struct {
			Sid, Effect string
			Action      []string
			Resource    any
			Condition   map[string]map[string]string
		}
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil || policy.Version != "2012-10-17" {
		t.Fatalf("policy: %v\n%s", err, text)
	}
	out := map[string]bool{}
	var names []string
	for _, s := range policy.Statement {
		if s.Effect != "Allow" || !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(s.Sid) || slices.Contains(names, s.Sid) {
			t.Errorf("statement %q with effect %q: want a name of its own, and Allow", s.Sid, s.Effect)
		}
		names = append(names, s.Sid)
		value := ""
		for _, keys := range s.Condition {
			for _, value = range keys {
			}
		}
		resources, several := s.Resource.([]any)
		if !several {
			resources = []any{s.Resource}
		}
		for _, a := range s.Action {
			for _, r := range resources {
				out[a+" "+r.(string)+" "+value] = true
			}
		}
	}
	return out
}
