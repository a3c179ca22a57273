package sandbox

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// TestServer_throttles makes more calls at once than AWS takes, in two protocols.
func TestServer_throttles(t *testing.T) {
	w := start(t, Config{Seed: &seed.Seed{Throttle: true}})
	ctx := t.Context()
	var err error
	for i := 0; i < 40 && err == nil; i++ { // 20 at once, and one a second
		_, err = w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c")})
	}
	wantCode(t, err, "ThrottlingException")
	if _, err := w.ecs.ListClusters(ctx, &ecs.ListClustersInput{}); err != nil {
		t.Errorf("a call with another bucket: %v", err)
	}
	client := cloudwatch.NewFromConfig(w.config)
	for i := 0; i < 20 && (i == 0 || err == nil); i++ { // 9 a second
		_, err = client.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{})
	}
	wantCode(t, err, "ThrottlingException")
	var status struct{ Throttle bool }
	if w.control(t, http.MethodGet, "/_sandbox/status", "", &status); !status.Throttle {
		t.Error("the status does not say that calls are throttled")
	}
}
