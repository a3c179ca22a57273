package alarms

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProtocols_readTheSameRequest sends one alarm in each protocol and compares
// what came of it.
func TestProtocols_readTheSameRequest(t *testing.T) {
	form := url.Values{
		"Version": {QueryVersion}, "Action": {"PutMetricAlarm"}, "AlarmName": {"all"}, "AlarmDescription": {"<everything>"}, "ActionsEnabled": {"false"},
		"OKActions.member.1": {"arn:ok"}, "InsufficientDataActions.member.1": {"arn:no"}, "AlarmActions.member.1": {"arn:one"}, "AlarmActions.member.2": {"arn:two"},
		"MetricName": {"m"}, "Namespace": {"n"}, "Statistic": {"Sum"}, "Dimensions.member.1.Name": {"service"}, "Dimensions.member.1.Value": {"web"},
		"Period": {"60"}, "Unit": {"Count"}, "EvaluationPeriods": {"3"}, "DatapointsToAlarm": {"2"}, "Threshold": {"0.5"},
		"ComparisonOperator": {"GreaterThanThreshold"}, "TreatMissingData": {"ignore"}, "Tags.member.1.Key": {"team"}, "Tags.member.1.Value": {"a"},
	}
	body := `{"AlarmName":"all","AlarmDescription":"<everything>","ActionsEnabled":false,"OKActions":["arn:ok"],"AlarmActions":["arn:one","arn:two"],
		"InsufficientDataActions":["arn:no"],"MetricName":"m","Namespace":"n","Statistic":"Sum","Dimensions":[{"Name":"service","Value":"web"}],"Period":60,
		"Unit":"Count","EvaluationPeriods":3,"DatapointsToAlarm":2,"Threshold":0.5,"ComparisonOperator":"GreaterThanThreshold",
		"TreatMissingData":"ignore","Tags":[{"Key":"team","Value":"a"}]}`
	want := saved(t, func(w *world) {
		if _, err := w.PutMetricAlarm(t.Context(), everything()); err != nil {
			t.Fatal(err)
		}
	})
	for name, put := range map[string]func(*world){
		"JSON":  func(w *world) { w.post(t, target("PutMetricAlarm"), body) },
		"Query": func(w *world) { w.post(t, formType, form.Encode()) },
	} {
		if d := cmp.Diff(want, saved(t, put)); d != "" {
			t.Errorf("%s reads another request than CBOR (-CBOR +%s):\n%s", name, name, d)
		}
	}
}

var formType = map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

func target(operation string) map[string]string {
	return map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": Service + "." + operation}
}

func saved(t *testing.T, put func(*world)) string {
	t.Helper()
	w := newWorld(t)
	put(w)
	b, err := w.Save()
	if err != nil || len(b) < 100 {
		t.Fatalf("saved %s, %v", b, err)
	}
	return string(b)
}

func TestProtocols_answers(t *testing.T) {
	w := newWorld(t)
	plant(t, w.Store, "a&b", "", "")
	for name, test := range map[string]struct {
		header map[string]string
		body   string
		status int
		want   []string
	}{
		"JSON": {target("DescribeAlarms"), `{"MaxRecords":1}`, 200, []string{
			`{"CompositeAlarms":[],"MetricAlarms":[{"AlarmName":"a&b","ActionsEnabled":true,"AlarmArn":"arn:aws:cloudwatch:eu-west-1:111122223333:alarm:a&b"`,
			`"StateValue":"OK"`, `"StateUpdatedTimestamp":1767323045`, `"EvaluationPeriods":1,"Threshold":1,`}},
		"JSON, an error": {target("SetAlarmState"), `{"AlarmName":"x","StateValue":"OK","StateReason":"x"}`, 404, []string{`{"__type":"ResourceNotFound"}`}},
		"JSON, a misfit": {target("SetAlarmState"), `{"AlarmName":7}`, 400, []string{`"SerializationException"`}},
		"Query": {formType, "Version=2010-08-01&Action=DescribeAlarms&AlarmNames.member.1=a%26b", 200, []string{
			`<DescribeAlarmsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><DescribeAlarmsResult><CompositeAlarms></CompositeAlarms><MetricAlarms><member><AlarmName>a&amp;b</AlarmName>`,
			`<StateUpdatedTimestamp>2026-01-02T03:04:05.000Z</StateUpdatedTimestamp>`, `<Threshold>1</Threshold>`, `</DescribeAlarmsResult><ResponseMetadata><RequestId>`}},
		"Query, nothing to say": {formType, "Version=2010-08-01&Action=EnableAlarmActions&AlarmNames.member.1=x", 200, []string{
			`<EnableAlarmActionsResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata>`}},
		"Query, an error": {formType, "Version=2010-08-01&Action=DeleteAlarms&AlarmNames.member.1=x", 404, []string{
			`<Type>Sender</Type><Code>ResourceNotFound</Code>`}},
		"Query, no number":    {formType, "Version=2010-08-01&Action=DescribeAlarms&MaxRecords=many", 400, []string{`<Code>MalformedInput</Code>`}},
		"Query, no operation": {formType, "Version=2010-08-01&Action=PutDashboard", 400, []string{`<Code>InvalidAction</Code>`}},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := w.post(t, test.header, test.body)
			if status != test.status {
				t.Errorf("status is %d, want %d", status, test.status)
			}
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("answer is %s\nwant in it %s", body, want)
				}
			}
		})
	}
}

// TestProtocols_errorHasBothNames has clients of the newer protocols learn the
// name that the error had in the Query protocol.
func TestProtocols_errorHasBothNames(t *testing.T) {
	w := newWorld(t)
	_, header, body := w.post(t, target("PutMetricAlarm"), `{"AlarmName":"a","EvaluationPeriods":1,"ComparisonOperator":"GreaterThanThreshold"}`)
	if got := header.Get("X-Amzn-Query-Error"); got != "MissingParameter;Sender" || !strings.Contains(body, `"__type":"MissingRequiredParameterException"`) {
		t.Errorf("header is %q, body %s", got, body)
	}
}

// TestCBOR_readsTheRequestsOfTheSDK decodes the requests that the SDK carries for
// its own tests.
func TestCBOR_readsTheRequestsOfTheSDK(t *testing.T) {
	for operation, into := range map[string]any{
		"PutMetricAlarm": new(putMetricInput), "PutCompositeAlarm": new(putCompositeInput), "DescribeAlarms": new(describeInput),
		"SetAlarmState": new(setStateInput), "DeleteAlarms": new(namesInput), "DescribeAlarmHistory": new(historyInput), "TagResource": new(tagsInput),
	} {
		if err := cborProtocol.decode(snapshot(t, operation), into); err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// snapshot is the body of a request that the SDK's module has.
func snapshot(tb testing.TB, operation string) []byte {
	tb.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/cloudwatch").Output()
	if err != nil {
		tb.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "request_snapshot", operation+".request.snap"))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("\n\n")) // behind the request line
	_, body, found := bytes.Cut(rest, []byte("\n\n"))
	if !found || len(body) == 0 {
		tb.Fatalf("the snapshot of %s has no body", operation)
	}
	return body
}

// FuzzCBOR feeds the decoder with what no client sends: it must refuse or read it,
// and what it read must be writable.
func FuzzCBOR(f *testing.F) {
	for _, operation := range []string{"PutMetricAlarm", "DescribeAlarms"} {
		f.Add(snapshot(f, operation))
	}
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		in := new(putMetricInput)
		if cborProtocol.decode(body, in) != nil {
			return
		}
		if _, err := cborProtocol.encode("PutMetricAlarm", in); err != nil {
			t.Errorf("what was read of %x cannot be written: %v", body, err)
		}
	})
}
