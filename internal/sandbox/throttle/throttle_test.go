package throttle

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	ecrsdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	ecssdk "github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
)

func TestRate_take(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		calls []time.Duration // since the start
		want  []bool
	}{
		"a full bucket":                {[]time.Duration{0, 0, 0, 0}, []bool{true, true, true, false}},
		"a token comes back in time":   {[]time.Duration{0, 0, 0, 499 * time.Millisecond, 500 * time.Millisecond, 501 * time.Millisecond}, []bool{true, true, true, false, true, false}},
		"no more than the burst":       {[]time.Duration{0, time.Hour, time.Hour, time.Hour, time.Hour}, []bool{true, true, true, true, false}},
		"a clock that is turned back":  {[]time.Duration{0, 0, 0, -time.Hour}, []bool{true, true, true, false}},
		"refused calls take no tokens": {[]time.Duration{0, 0, 0, 100 * time.Millisecond, 200 * time.Millisecond, 600 * time.Millisecond}, []bool{true, true, true, false, false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bucket
			var got []bool
			for _, since := range test.calls {
				var ok bool
				b, ok = Rate{Burst: 3, Refill: 2}.take(b, start.Add(since))
				got = append(got, ok)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// allowed is how many of n calls of an operation at once are allowed.
func allowed(l *Limits, service, operation string, n int) int {
	count := 0
	for range n {
		if l.Allow(service, operation) {
			count++
		}
	}
	return count
}

func TestLimits_operationsOfAKindShareABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New("ap-south-1")
		if got := allowed(l, "ecs", "DescribeTasks", 60) + allowed(l, "ecs", "ListTasks", 60); got != 100 {
			t.Errorf("%d of 120 reads of tasks were allowed, want 100", got)
		}
		if got := allowed(l, "ecs", "DescribeServices", 120); got != 100 {
			t.Errorf("%d of 120 reads of services were allowed, want 100", got)
		}
		time.Sleep(time.Second)
		if got := allowed(l, "ecs", "ListTasks", 60); got != 20 {
			t.Errorf("after a second %d more reads were allowed, want 20", got)
		}
		if got := allowed(l, "sts", "GetCallerIdentity", 5000); got != 5000 {
			t.Errorf("%d of 5000 calls without a limit were allowed", got)
		}
	})
}

func TestLimits_dependOnTheRegionForLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for region, want := range map[string][2]int{"us-east-1": {25, 25}, "ap-south-1": {25, 10}, "eu-central-1": {10, 5}, "eu-west-1": {10, 10}, "eu-west-3": {30, 10}} {
			l := New(region)
			if got := [2]int{allowed(l, "logs", "GetLogEvents", 50), allowed(l, "logs", "FilterLogEvents", 50)}; got != want {
				t.Errorf("%s allows %v, want %v", region, got, want)
			}
		}
	})
}

// TestLimits_nameOperations fails when a table misspells an operation.
func TestLimits_nameOperations(t *testing.T) {
	clients := map[string]reflect.Type{
		"ecs": reflect.TypeFor[*ecssdk.Client](), "ecr": reflect.TypeFor[*ecrsdk.Client](),
		"logs": reflect.TypeFor[*cloudwatchlogs.Client](), "cloudwatch": reflect.TypeFor[*cloudwatch.Client](),
	}
	l := New("us-east-1")
	for name := range l.classes {
		for service, client := range clients {
			if operation, ok := strings.CutPrefix(name, service+"."); ok {
				if _, there := client.MethodByName(operation); !there {
					t.Errorf("%s has no operation %s", service, operation)
				}
			}
		}
	}
	if len(l.classes) < 50 {
		t.Errorf("there are %d operations", len(l.classes))
	}
}

func TestIntercept_refusesAsAWSDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := 0
		do := New("us-east-1").Intercept(func(ctx context.Context, _ awsjson.Call, next func(context.Context) awsjson.Answer) awsjson.Answer {
			return next(ctx)
		})
		var last awsjson.Answer
		for range 11 {
			last = do(t.Context(), awsjson.Call{Service: "ecr", Operation: "PutImage", Refuse: awsjson.ErrorAnswer}, func(context.Context) awsjson.Answer {
				done++
				return awsjson.Answer{Status: 200}
			})
		}
		if done != 10 || last.Status != 400 || string(last.Body) != `{"__type":"ThrottlingException","message":"Rate exceeded"}` {
			t.Errorf("%d calls were done, the last answers %d %s", done, last.Status, last.Body)
		}
	})
}
