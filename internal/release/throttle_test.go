package release_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

// TestReleaseGoesOnWhileAWSThrottles releases in an account whose buckets others have
// emptied. How many calls of the release are throttled depends on how fast the machine
// is: a quick one is a hundred times faster than AWS, and empties them again and again.
func TestReleaseGoesOnWhileAWSThrottles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "throttle: true\n"+incident, nil)
	impatient := ecs.NewFromConfig(w.config, func(o *ecs.Options) { o.Retryer = aws.NopRetryer{} })
	empty(t, func() error {
		_, err := impatient.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String(clusterName)})
		return err
	})
	empty(t, func() error {
		_, err := impatient.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String(clusterName), Services: []string{serviceName}})
		return err
	})
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
}

// empty makes a call until it is throttled.
func empty(t *testing.T, call func() error) {
	t.Helper()
	for range 2000 {
		var e smithy.APIError
		if errors.As(call(), &e) && e.ErrorCode() == "ThrottlingException" {
			return
		}
	}
	t.Fatal("no call was throttled")
}
