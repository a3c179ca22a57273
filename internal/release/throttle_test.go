package release_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/smithy-go"

	"github.com/weelo/weelo-deploy/internal/event"
)

// TestReleaseGoesOnWhileAWSThrottles releases in an account whose buckets others have
// emptied, and that this release, which is a hundred times faster than one on AWS,
// empties again and again.
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
	before := w.throttled()
	w.want(w.release(w.settings("good")), 0, event.Released, "", "38")
	if after := w.throttled(); after == before {
		t.Errorf("no call of the release was throttled, of %d", after)
	}
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

// throttled is how many of the latest calls were throttled.
func (w *world) throttled() int {
	w.t.Helper()
	res, err := http.Get(w.server.URL() + "/_sandbox/calls")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct{ Calls []struct{ Error string } }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, c := range out.Calls {
		if c.Error == "ThrottlingException" {
			n++
		}
	}
	return n
}
