package sandbox

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestFault_theClockIsFarOff(t *testing.T) {
	for _, offset := range []string{"20m", "-20m"} {
		t.Run(offset, func(t *testing.T) {
			w := start(t, Config{})
			w.fault(t, `{"clock":"`+offset+`"}`)
			_, err := w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{})
			wantCode(t, err, "InvalidSignatureException")
			if err == nil || !strings.Contains(err.Error(), map[string]string{"20m": "Signature expired", "-20m": "Signature not yet current"}[offset]) {
				t.Errorf("error is %v", err)
			}
			_, err = w.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			wantCode(t, err, "SignatureDoesNotMatch")
			w.control(t, http.MethodDelete, "/_sandbox/faults", "", nil)
			if _, err := w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

// TestFault_theClockIsALittleOff looks at times on their way out and in.
func TestFault_theClockIsALittleOff(t *testing.T) {
	w := deployed(t)
	if err := w.Logs().CreateGroup("g"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const off = 4 * time.Minute
	w.fault(t, `{"clock":"4m"}`)
	w.push(t, "app:v2", "amd64") // the registry's protocol has no times
	out, err := w.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("c"), Services: []string{"web"}})
	if err != nil {
		t.Fatal(err)
	}
	for what, at := range map[string]*time.Time{"deployment": out.Services[0].Deployments[0].CreatedAt, "event": out.Services[0].Events[0].CreatedAt} {
		if early := began.Add(off - time.Minute); at.Before(early) {
			t.Errorf("the %s is of %s, want it after %s", what, at, early)
		}
	}
	if _, err := w.logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s")}); err != nil {
		t.Fatal(err)
	}
	stamp := began.Add(off).UnixMilli()
	if _, err := w.logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String("g"), LogStreamName: aws.String("s"),
		LogEvents: []logtypes.InputLogEvent{{Message: aws.String(`{"createdAt":1700000000}`), Timestamp: &stamp}}}); err != nil {
		t.Fatal(err)
	}
	events, err := w.logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("g"), StartTime: aws.Int64(stamp), EndTime: aws.Int64(stamp + 1)})
	if err != nil || len(events.Events) != 1 || *events.Events[0].Timestamp != stamp || *events.Events[0].Message != `{"createdAt":1700000000}` {
		t.Errorf("log events are %+v, %v", events, err)
	}
}

func TestShiftTimes(t *testing.T) {
	for in, want := range map[string]string{
		`{"createdAt":1700000000.123,"desiredCount":2}`:         `{"createdAt":1700000060.123,"desiredCount":2}`,
		`{"startTime":1700000000000, "limit":1000000000}`:       `{"startTime":1700000060000, "limit":1000000000}`,
		`{"message":"{\"createdAt\":1700000000}"}`:              `{"message":"{\"createdAt\":1700000000}"}`,
		`{"createdAt":{"before":1700000000,"after":1600000000}`: `{"createdAt":{"before":1700000060,"after":1600000060}`,
		`{"createdAt":99999999999999999999}`:                    `{"createdAt":99999999999999999999}`,
		``:                                                      ``,
	} {
		if got := string(shiftTimes([]byte(in), time.Minute)); got != want {
			t.Errorf("shiftTimes(%s) = %s, want %s", in, got, want)
		}
	}
}
