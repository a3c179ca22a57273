package doctor

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/taskdef"
)

// definition is a task definition of one container with further members.
func definition(t *testing.T, members string) *taskdef.Definition {
	t.Helper()
	d, err := taskdef.Parse(json.RawMessage(`{"taskDefinitionArn":"arn:aws:ecs:r:1:task-definition/web:27","family":"web","revision":27,"containerDefinitions":[{"name":"app","image":"host/web:latest"`+members+`}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestService_checks(t *testing.T) {
	lb := []types.LoadBalancer{{}}
	for name, test := range map[string]struct {
		check        func(*exam) []Finding
		service      types.Service
		definition   string
		keep         bool
		status       Status
		detail, mend string
	}{
		"breaker on":           {check: circuitBreaker, service: types.Service{DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true}}}, status: OK, detail: "on, with rollback"},
		"breaker off":          {check: circuitBreaker, status: OK, detail: "off; a release switches it on"},
		"breaker off and kept": {check: circuitBreaker, keep: true, status: Warn, detail: "release.backstop is keep", mend: "aws ecs update-service --cluster c --service s --region r --deployment-configuration"},
		"no percents":          {check: capacity, status: OK, detail: "default"},
		"usual percents":       {check: capacity, service: percents(100, 200, 2), status: OK, detail: "2 wanted, 100% to 200%"},
		"nothing is kept":      {check: capacity, service: percents(0, 100, 1), status: Warn, detail: "every task before a new one runs", mend: "minimumHealthyPercent=100"},
		"rounding keeps one":   {check: capacity, service: percents(1, 100, 1), status: OK, detail: "1 wanted"},
		"nobody asks":          {check: healthChecks, status: Warn, detail: "whether it answers or not", mend: "healthCheck"},
		"the container is":     {check: healthChecks, definition: `,"healthCheck":{"command":["CMD","x"]}`, status: OK, detail: "the container's"},
		"the balancer is":      {check: healthChecks, service: types.Service{LoadBalancers: lb, HealthCheckGracePeriodSeconds: aws.Int32(60)}, status: OK, detail: "60 s of grace"},
		"the balancer at once": {check: healthChecks, service: types.Service{LoadBalancers: lb}, status: Warn, detail: "without a grace period", mend: "--health-check-grace-period-seconds 60"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &exam{Patient: Patient{Settings: release.Settings{Cluster: "c", Service: "s", Region: "r", Backstop: !test.keep}}}
			e.Service, e.Current = &test.service, definition(t, test.definition)
			says(t, test.check(e), test.check(e)[0].Name, test.status, test.detail, test.mend)
		})
	}
}

func percents(least, most, n int32) types.Service {
	return types.Service{DesiredCount: n, DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: &least, MaximumPercent: &most}}
}

func TestTags_followTheRulesOfTheRepository(t *testing.T) {
	for name, test := range map[string]struct {
		mutability   string
		tags         []string
		status       Status
		detail, mend string
	}{
		"templates":                      {"IMMUTABLE", []string{"{{.GitSHA}}"}, OK, "tags are immutable", ""},
		"one tag for all, immutable":     {"IMMUTABLE", []string{"v1"}, Warn, "the second one is refused", "{{.GitSHA}}"},
		"one tag for all, mutable":       {"MUTABLE", []string{"v1"}, OK, "tags are mutable", ""},
		"the tag that production uses":   {"MUTABLE", []string{"{{.GitSHA}}", "latest"}, Warn, `web:27 names its image by the tag "latest"`, "{{.GitSHA}}"},
		"several rules for several tags": {"IMMUTABLE_WITH_EXCLUSION", []string{"{{.GitSHA}}"}, OK, "tags are immutable with exclusion", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := &exam{Patient: Patient{Tags: test.tags}}
			e.Repository, e.Current = image.Repository{Name: "web", URI: "host.example.com/web", Mutability: test.mutability}, definition(t, "")
			e.Current = must(taskdef.Parse(json.RawMessage(`{"taskDefinitionArn":"arn:aws:ecs:r:1:task-definition/web:27","family":"web","revision":27,"containerDefinitions":[{"name":"app","image":"host.example.com/web"}]}`), nil))
			says(t, tags(e), "tags", test.status, test.detail, test.mend)
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestReaches_firstRuleThatSelectsDecides(t *testing.T) {
	const policy = `{"rules":[
		{"rulePriority":9,"selection":{"tagStatus":"any","countType":"sinceImagePushed","countUnit":"days","countNumber":30},"action":{"type":"expire"}},
		{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}},
		{"rulePriority":2,"selection":{"tagStatus":"tagged","tagPatternList":["v*"],"countType":"sinceImagePulled","countUnit":"days","countNumber":90},"action":{"type":"transition"}},
		{"rulePriority":3,"selection":{"tagStatus":"tagged","tagPrefixList":["weelo-"],"countType":"imageCountMoreThan","countNumber":100},"action":{"type":"expire"}}]}`
	rules, err := parsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		tags     []string
		priority int
		when     string
	}{
		{nil, 1, "expired 1 days after its push"},
		{[]string{"v1", "weelo-1"}, 2, "archived 90 days after its last pull"},
		{[]string{"weelo-1"}, 3, "expired when more than 100 images of the rule are there"},
		{[]string{"x"}, 9, "expired 30 days after its push"},
	} {
		r, ok := reaches(rules, test.tags)
		if !ok || r.Priority != test.priority || r.when() != test.when {
			t.Errorf("%v: rule %d, %s; want %d, %s", test.tags, r.Priority, r.when(), test.priority, test.when)
		}
	}
	if !rules[2].protects() || rules[0].protects() {
		t.Error("the rule for weelo- protects, and no other")
	}
	if _, ok := reaches(rules[:3], []string{"x"}); ok {
		t.Error("a rule reaches an image that it does not select")
	}
	for _, text := range []string{"x", `{"rules":3}`} {
		if _, err := parsePolicy(text); err == nil {
			t.Errorf("parsePolicy(%s) has no error", text)
		}
		if _, err := protected(text); err == nil {
			t.Errorf("protected(%s) has no error", text)
		}
	}
}

func TestGrant_fitsTheCaller(t *testing.T) {
	for caller, want := range map[string]string{
		"arn:aws:sts::1:assumed-role/deploy/run":                "--role-name deploy",
		"arn:aws:iam::1:user/team/ana":                          "--user-name ana",
		"arn:aws:sts::1:assumed-role/AWSReservedSSO_Dev_ab/x@y": "permission set",
		"arn:aws:iam::1:root":                                   "weelo-deploy iam-policy > policy.json",
	} {
		says(t, one("x", Warn, "", grant(caller)), "x", Warn, "", want)
	}
}

func TestJudgeSpace(t *testing.T) {
	for free, want := range map[int64]Status{100 << 20: Fail, 2 << 30: Warn, 20 << 30: OK} {
		if got := judgeSpace(free)[0].Status; got != want {
			t.Errorf("%d bytes are %s, want %s", free, got, want)
		}
	}
}

func TestGitHubActions(t *testing.T) {
	runner := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "f", "GITHUB_STEP_SUMMARY": "f"}
	for name, test := range map[string]struct {
		set          map[string]string
		account      string
		status       Status
		detail, mend string
	}{
		"elsewhere":         {map[string]string{"GITHUB_ACTIONS": ""}, "1", Skip, "no job", ""},
		"with OIDC":         {map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "u", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}, "1", OK, "may ask for an OIDC token", ""},
		"with nothing":      {nil, "", Fail, "no other credentials", "id-token: write"},
		"with another role": {nil, "1", OK, "from elsewhere", ""},
		"with a long key":   {map[string]string{"AWS_ACCESS_KEY_ID": "AKIAX"}, "1", Warn, "never expires", "role-to-assume"},
		"without files":     {map[string]string{"GITHUB_OUTPUT": ""}, "1", Warn, "GITHUB_OUTPUT is not set", "step"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &exam{Patient: Patient{Getenv: func(k string) string {
				if v, ok := test.set[k]; ok {
					return v
				}
				return runner[k]
			}}}
			e.Account = test.account
			says(t, gitHubActions(e), "GitHub Actions", test.status, test.detail, test.mend)
		})
	}
}
