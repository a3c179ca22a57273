package sandbox

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/weelo/weelo-deploy/internal/sandbox/alarms"
	"github.com/weelo/weelo-deploy/internal/sandbox/seed"
)

// TestServer_alarms asks with the environment's client: alarms of the seed, a
// fault that sets one, a fault that CloudWatch itself has, the log of calls.
func TestServer_alarms(t *testing.T) {
	from, err := seed.Parse("s", []byte("alarms:\n- {name: web-5xx}\n- {name: any, rule: ALARM(web-5xx)}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, Config{Seed: from})
	client := cloudwatch.NewFromConfig(w.config)
	ctx := t.Context()
	w.fault(t, `{"when":"CreateCluster","alarm":"web-5xx","state":"ALARM"}`)
	if state, _ := w.Alarms().State("any"); state != alarms.OK {
		t.Errorf("the seeded rule is %s", state)
	}
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"web-5xx"}})
	if err != nil || len(out.MetricAlarms) != 1 || out.MetricAlarms[0].StateValue != "ALARM" {
		t.Errorf("after the fault: %+v, %v", out, err)
	}
	if state, _ := w.Alarms().State("any"); state != alarms.Alarm {
		t.Errorf("the rule is %s after its alarm went off", state)
	}
	w.fault(t, `{"when":"DescribeAlarms","service":"cloudwatch","times":1,"error":"ThrottlingException"}`)
	_, err = client.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{})
	wantCode(t, err, "ThrottlingException")
	w.fault(t, `{"deny":"cloudwatch:SetAlarmState"}`)
	_, err = client.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("any"), StateValue: "OK", StateReason: aws.String("x")})
	wantCode(t, err, "AccessDeniedException")
	var log struct{ Totals map[string]int }
	w.control(t, http.MethodGet, "/_sandbox/calls", "", &log)
	if log.Totals["cloudwatch.DescribeAlarms"] != 2 || log.Totals["cloudwatch.SetAlarmState"] != 1 {
		t.Errorf("calls are %v", log.Totals)
	}
}
