package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/weelo/weelo-deploy/internal/sandbox/task/scripted"
)

func TestATaskThatDiesAtOnceReplacesNothingBehindALoadBalancer(t *testing.T) {
	b := startBalanced(t)
	if err := b.create("1", types.NetworkModeAwsvpc, b.group.ARN); err != nil {
		t.Fatal(err)
	}
	await(t, "the service", b.steady)
	from, served := len(b.texts()), b.runtime.Running()
	arn := b.revision("2", types.NetworkModeAwsvpc)
	b.runtime.Set(arn[strings.LastIndexByte(arn, '/')+1:], scripted.Script{
		Serve: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), // 200, for as long as it lives
		Exits: true, ExitCode: 139, ExitAfter: 100 * time.Millisecond,
	})
	if _, err := b.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("c"), Service: aws.String("web"), TaskDefinition: &arn}); err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the deployment", b.steady)
	events := strings.Join(b.texts()[from:], "\n")
	if !strings.HasSuffix(*b.service().TaskDefinition, "web:1") || !strings.Contains(events, "deployment failed: tasks failed to start.") {
		t.Errorf("the service has %s, want what served; events:\n%s", *b.service().TaskDefinition, events)
	}
	for _, id := range served {
		if !slices.Contains(b.runtime.Running(), id) {
			t.Errorf("task %s, which served, was stopped:\n%s", id, events)
		}
	}
}
