package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/weelo/weelo-deploy/internal/build"
	"github.com/weelo/weelo-deploy/internal/engine"
	"github.com/weelo/weelo-deploy/internal/event"
	"github.com/weelo/weelo-deploy/internal/iam"
	"github.com/weelo/weelo-deploy/internal/image"
	"github.com/weelo/weelo-deploy/internal/release"
	"github.com/weelo/weelo-deploy/internal/sandbox"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

const past = `
clusters: [{name: weelocluster}]
repositories:
  - name: weelo-backend
    images: [{name: v1, tags: [v1], builtin: {program: idle}}]
logGroups: [{name: /ecs/backend}]
taskDefinitions:
  - {family: backend, revision: 27, definition: {networkMode: bridge, executionRoleArn: "arn:aws:iam::318774499084:role/exec", containerDefinitions: [{name: app, image: "${REGISTRY}/weelo-backend:v1", memory: 64, essential: true,
      healthCheck: {command: [CMD, "true"]}, logConfiguration: {logDriver: awslogs, options: {awslogs-group: /ecs/backend, awslogs-region: ap-south-1, awslogs-stream-prefix: ecs}}}]}}
services:
  - {cluster: weelocluster, name: backend, family: backend, desiredCount: 1, deployments: [{revision: 27, outcome: SUCCESSFUL, createdAt: -72h, digests: {app: v1}}]}
`

// machine is an engine that builds natively and has room.
type machine struct {
	release.Engine
	free int64
}

func (m machine) FreeSpace(context.Context) (int64, bool, error) { return m.free, true, nil }

type builder struct{ release.Builder }

func (builder) Check(context.Context, build.Request) (build.Nativeness, error) {
	return build.Nativeness{}, nil
}

// ward is a sandbox with a healthy patient.
type ward struct {
	*sandbox.Server
	ecr *ecr.Client
	Patient
}

func admit(t *testing.T, yaml string) *ward {
	t.Helper()
	sd, err := seed.Parse("seed.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.Start(t.Context(), sandbox.Config{Listen: "127.0.0.1:0", Account: "318774499084", Region: "ap-south-1", Speed: 1000, Runtime: scripted.New(), Seed: sd})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := aws.Config{Region: "ap-south-1", BaseEndpoint: aws.String(s.URL()), Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	w := &ward{Server: s, ecr: ecr.NewFromConfig(cfg)}
	w.Patient = Patient{
		Settings: release.Settings{Cluster: "weelocluster", Service: "backend", Region: "ap-south-1", Repository: "weelo-backend", Backstop: true, Build: build.Request{Platform: "linux/amd64"}, WaitTimeout: 1},
		Tags:     []string{"{{.GitSHA}}"},
		Clients: release.Clients{
			ECS: ecs.NewFromConfig(cfg), ECR: w.ecr, Log: cloudwatchlogs.NewFromConfig(cfg),
			WhoAmI: func(context.Context) (string, string, error) {
				return "318774499084", "arn:aws:iam::318774499084:user/sandbox", nil
			},
			IAM:          awsiam.NewFromConfig(cfg),
			OpenEngine:   func() (release.Engine, release.Builder, error) { return machine{free: 50 << 30}, builder{}, nil },
			OpenRegistry: func(a engine.Auth) release.Registry { return image.NewRemote(a, nil) },
		},
		Lifecycle: w.ecr, Getenv: func(string) string { return "" },
		Plan: iam.Plan{Region: "ap-south-1", Cluster: "weelocluster", Service: "backend", Repository: "weelo-backend"},
	}
	return w
}

func (w *ward) fault(t *testing.T, rule string) {
	t.Helper()
	res, err := http.Post(w.URL()+"/_sandbox/faults", "application/json", strings.NewReader(rule))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		t.Fatalf("fault %s: %s", rule, res.Status)
	}
}

func (w *ward) policy(t *testing.T, text string) {
	t.Helper()
	if _, err := w.ecr.PutLifecyclePolicy(t.Context(), &ecr.PutLifecyclePolicyInput{RepositoryName: aws.String("weelo-backend"), LifecyclePolicyText: &text}); err != nil {
		t.Fatal(err)
	}
}

// says looks for a finding with the status, whose detail and mend have the texts.
func says(t *testing.T, found []Finding, name string, status Status, detail, mend string) {
	t.Helper()
	for _, f := range found {
		if f.Name == name && f.Status == status && strings.Contains(f.Detail, detail) && strings.Contains(f.Mend, mend) {
			return
		}
	}
	t.Errorf("no finding %s %s with %q and %q in:\n%s", status, name, detail, mend, list(found))
}

func list(found []Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s → %s\n", f.Status, f.Name, f.Detail, f.Mend)
	}
	return b.String()
}

func TestExamine_findsNothingWhereAllIsWell(t *testing.T) {
	w := admit(t, past)
	found := Examine(t.Context(), w.Patient)
	for _, f := range found {
		if f.Status != OK && f.Status != Skip {
			t.Errorf("%s %s: %s", f.Status, f.Name, f.Detail)
		}
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"configuration", "identity", "permissions", "calls", "service", "circuit breaker", "capacity", "health checks", "logs",
		"rollback target", "live checks", "repository", "registry", "tags", "lifecycle policy", "engine", "disk space", "work tree", "GitHub Actions"}) {
		t.Errorf("checks are %q", names)
	}
	if Worst(found) != OK {
		t.Errorf("the worst is %s", Worst(found))
	}
}

func TestExamine_namesEveryPermissionThatIsMissing(t *testing.T) {
	w := admit(t, past)
	for _, action := range []string{"ecs:UpdateService", "ecs:StopServiceDeployment", "iam:PassRole", "logs:GetLogEvents", "ecs:ListTasks"} {
		w.fault(t, `{"deny":"`+action+`"}`)
	}
	found := Examine(t.Context(), w.Patient)
	const mend = "weelo-deploy iam-policy > policy.json && aws iam put-user-policy --user-name sandbox"
	says(t, found, "permissions", Fail, "ecs:UpdateService on service/weelocluster/backend is not allowed", mend)
	says(t, found, "permissions", Warn, "ecs:StopServiceDeployment on service/weelocluster/backend and service-deployment/weelocluster/backend/* is not allowed: a rollback deploys", mend)
	says(t, found, "permissions", Fail, "iam:PassRole on role/exec is not allowed", mend)
	says(t, found, "permissions", Warn, "logs:GetLogEvents on log-group:/ecs/backend:log-stream:* is not allowed: a failure is reported without", mend)
	says(t, found, "calls", Fail, "ecs:ListTasks is denied", mend)
	says(t, found, "logs", Warn, "logs:GetLogEvents is denied", mend)
}

func TestExamine_saysWhereTheSimulatorIsDenied(t *testing.T) {
	w := admit(t, past)
	w.fault(t, `{"deny":"iam:SimulatePrincipalPolicy"}`)
	says(t, Examine(t.Context(), w.Patient), "permissions", Warn, "cannot tell: iam:SimulatePrincipalPolicy is not allowed; only the calls", "weelo-deploy iam-policy --doctor")
}

func TestExamine_goesOnWhateverIsMissing(t *testing.T) {
	w := admit(t, past)
	w.Settings.Service, w.Settings.Repository = "bakend", "weelo-bakend"
	w.Configuration = event.Fail(event.CodeConfig, "checks.http is not supported").Hint("remove it")
	w.Clients.OpenEngine = func() (release.Engine, release.Builder, error) {
		return nil, nil, event.Fail(event.CodeNoEngine, "no engine answers").Hint("start Docker")
	}
	found := Examine(t.Context(), w.Patient)
	says(t, found, "configuration", Fail, "checks.http", "remove it")
	says(t, found, "identity", OK, "account 318774499084", "")
	says(t, found, "service", Fail, "there is no service bakend", "did you mean backend?")
	says(t, found, "repository", Fail, "there is no ECR repository weelo-bakend", "aws ecr create-repository --repository-name weelo-bakend --region ap-south-1")
	says(t, found, "engine", Fail, "no engine answers", "start Docker")
	says(t, found, "health checks", Skip, "needs the service", "")
	says(t, found, "lifecycle policy", Skip, "needs the service", "")
	says(t, found, "disk space", Skip, "needs the engine", "")
	if Worst(found) != Fail {
		t.Errorf("the worst is %s", Worst(found))
	}

	w.Clients.WhoAmI = func(context.Context) (string, string, error) {
		return "", "", event.Fail(event.CodeCredentials, "there are no AWS credentials").Hint("sign in (aws sso login)").Try("aws sts get-caller-identity")
	}
	found = Examine(t.Context(), w.Patient)
	says(t, found, "identity", Fail, "there are no AWS credentials", "sign in (aws sso login)")
	says(t, found, "permissions", Skip, "needs credentials", "")
}

func TestExamine_lifecyclePolicy(t *testing.T) {
	const any1 = `{"rules":[{"rulePriority":3,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":%d},"action":{"type":"expire"}}]}`
	w := admit(t, strings.Replace(past, "images: [", "images: [{tags: [v2], pushedAt: -1h, builtin: {program: serve}}, ", 1))
	w.policy(t, fmt.Sprintf(any1, 1))
	// v1 was pushed now, and v2 an hour ago.
	says(t, Examine(t.Context(), w.Patient), "lifecycle policy", Warn, "rule 3 can take the image of backend:27, which serves and is the rollback target: it is expired when more than 1 images", "aws ecr put-lifecycle-policy --repository-name weelo-backend --region ap-south-1")

	w = admit(t, strings.Replace(past, "images: [{name: v1, tags: [v1],", "images: [{tags: [v2], builtin: {program: serve}}, {name: v1, tags: [v1], pushedAt: -80h,", 1))
	w.policy(t, fmt.Sprintf(any1, 1))
	found := Examine(t.Context(), w.Patient)
	says(t, found, "lifecycle policy", Fail, "rule 3 takes the image of backend:27, which serves and is the rollback target within a day", `"tagPrefixList":["weelo-"]`)
	says(t, found, "lifecycle policy", Fail, "", `aws ecr put-image --repository-name weelo-backend --region ap-south-1 --image-tag weelo-`)

	for _, c := range []struct{ rule, want string }{ // one after the other: both are denied in the end
		{`{"deny":"ecr:GetLifecyclePolicyPreview"}`, "rule 3 can take"},
		{`{"deny":"ecr:GetLifecyclePolicy"}`, "ecr:GetLifecyclePolicy is denied"},
	} {
		w.fault(t, c.rule)
		says(t, Examine(t.Context(), w.Patient), "lifecycle policy", Warn, c.want, "")
	}
}

func TestExamine_mendedLifecyclePolicyIsWell(t *testing.T) {
	w := admit(t, strings.Replace(past, "images: [{name: v1, tags: [v1],", "images: [{tags: [v2], builtin: {program: serve}}, {name: v1, tags: [v1, weelo-x], pushedAt: -80h,", 1))
	better, err := protected(`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	w.policy(t, better)
	says(t, Examine(t.Context(), w.Patient), "lifecycle policy", OK, "leaves the images that serve", "")
}

// elsewhere builds on another machine.
type elsewhere struct{ release.Elsewhere }

func (elsewhere) Check(context.Context, build.Request) (string, error) {
	return "builds natively for linux/amd64 with the CodeBuild project images", nil
}

func TestExamine_wantsNoEngineForABuildElsewhere(t *testing.T) {
	w := admit(t, past)
	w.Clients.Elsewhere, w.Plan.Project, w.Plan.Bucket = elsewhere{}, "images", "sources/weelo-deploy"
	w.Clients.OpenEngine = func() (release.Engine, release.Builder, error) {
		return nil, nil, event.Fail(event.CodeNoEngine, "no engine answers")
	}
	w.fault(t, `{"deny":"s3:PutObject"}`)
	found := Examine(t.Context(), w.Patient)
	says(t, found, "engine", OK, "CodeBuild project images", "")
	says(t, found, "disk space", Skip, "built elsewhere", "")
	says(t, found, "permissions", Fail, "s3:PutObject on sources/weelo-deploy/* is not allowed", "weelo-deploy iam-policy")
}

func TestExamine_deploymentInProgress(t *testing.T) {
	w := admit(t, strings.Replace(past, "digests: {app: v1}}]}", "digests: {app: v1}}, {revision: 27, outcome: IN_PROGRESS, createdAt: -1m}]}", 1))
	says(t, Examine(t.Context(), w.Patient), "deployment", Fail, "is in progress", "weelo-deploy watch")
}
