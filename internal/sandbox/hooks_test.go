package sandbox

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// bluegreen is a seed with a service that is deployed blue/green, with a hook whose
// function says no.
const bluegreen = `
clusters: [{name: c}]
repositories:
  - name: app
    images: [{name: one, tags: [v1], builtin: {program: serve}}]
hooks: [{function: approve, after: 1, status: FAILED}]
taskDefinitions:
  - family: app
    revision: 1
    definition: {containerDefinitions: [{name: app, image: "${REGISTRY}/app:v1", memory: 64}]}
services:
  - cluster: c
    name: web
    family: app
    desiredCount: 1
    settings:
      deploymentConfiguration:
        strategy: BLUE_GREEN
        bakeTimeInMinutes: 1
        lifecycleHooks:
          - {hookTargetArn: "arn:aws:lambda:us-east-1:000000000000:function:approve", roleArn: "arn:aws:iam::000000000000:role/r", lifecycleStages: [POST_SCALE_UP]}
    deployments: [{revision: 1, outcome: SUCCESSFUL, createdAt: -1h, digests: {app: one}}]
`

func TestServer_hooks(t *testing.T) {
	from, err := seed.Parse("seed.yaml", []byte(bluegreen))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Config{Seed: from})
	deploy := func() {
		t.Helper()
		if _, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), ForceNewDeployment: true}); err != nil {
			t.Fatal(err)
		}
	}
	deploy()
	await(t, "the rollback", func() bool { return newest(t, w).Status == types.ServiceDeploymentStatusRollbackSuccessful })
	if d := newest(t, w); !strings.HasSuffix(aws.ToString(d.StatusReason), "function:approve returned FAILED status.") {
		t.Errorf("the reason is %q", aws.ToString(d.StatusReason))
	}
	var seen struct {
		Hooks []struct{ Calls int }
		Calls []struct {
			By     string
			Answer struct{ HookStatus string }
			Event  struct{ LifecycleStage string }
		}
	}
	w.control(t, http.MethodGet, "/_sandbox/hooks", "", &seen)
	if len(seen.Hooks) != 1 || seen.Hooks[0].Calls != 2 || len(seen.Calls) != 2 || seen.Calls[0].Answer.HookStatus != "IN_PROGRESS" ||
		seen.Calls[1].By != "script" || seen.Calls[1].Event.LifecycleStage != "POST_SCALE_UP" {
		t.Errorf("the hooks are %+v", seen)
	}

	w.control(t, http.MethodDelete, "/_sandbox/hooks", "", nil)
	deploy()
	await(t, "the success without a script", func() bool { return newest(t, w).Status == types.ServiceDeploymentStatusSuccessful })
}

// newest describes the latest service deployment of web.
func newest(t *testing.T, w *world) types.ServiceDeployment {
	t.Helper()
	out, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.ecs.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{
		ServiceDeploymentArns: []string{aws.ToString(out.Services[0].CurrentServiceDeployment)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return got.ServiceDeployments[0]
}
