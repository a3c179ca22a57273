package alarms

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weelo/weelo-deploy/internal/sandbox/awsjson"
	"github.com/weelo/weelo-deploy/internal/sandbox/awsquery"
)

// began is when everything in these tests happens.
var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is a store behind a server, with a client of the SDK, which speaks CBOR.
type world struct {
	*Store
	*cloudwatch.Client
	url string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := New("111122223333", "eu-west-1", func() time.Time { return began })
	api := s.API(func(ctx context.Context, _ awsjson.Call, next func(context.Context) awsjson.Answer) awsjson.Answer {
		return next(ctx)
	})
	mux := http.NewServeMux()
	mux.Handle("POST /service/"+Service+"/operation/{operation}", api)
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" {
			api.ServeHTTP(w, r)
			return
		}
		body, err := awsjson.ReadBody(w, r)
		form, _ := url.ParseQuery(string(body))
		if err != nil || form.Get("Version") != QueryVersion {
			t.Errorf("form is %v, %v", form, err)
		}
		awsjson.Write(w, api.Query(r.Context(), form.Get("Action"), body))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &world{Store: s, url: server.URL, Client: cloudwatch.New(cloudwatch.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		RetryMaxAttempts: 1,
	})}
}

// post sends a request as it stands and returns the answer with its status.
func (w *world) post(t *testing.T, header map[string]string, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(b)
}

func plant(t *testing.T, s *Store, name, state, rule string) {
	t.Helper()
	if err := s.Plant(name, state, rule); err != nil {
		t.Fatalf("plant %s: %v", name, err)
	}
}

func wantCode(t *testing.T, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), message) {
		t.Errorf("error is %v, want %s: …%s…", err, code, message)
	}
}

func everything() *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("all"), AlarmDescription: aws.String("<everything>"), ActionsEnabled: aws.Bool(false),
		OKActions: []string{"arn:ok"}, AlarmActions: []string{"arn:one", "arn:two"}, InsufficientDataActions: []string{"arn:no"},
		MetricName: aws.String("m"), Namespace: aws.String("n"), Statistic: types.StatisticSum,
		Dimensions: []types.Dimension{{Name: aws.String("service"), Value: aws.String("web")}},
		Period:     aws.Int32(60), Unit: types.StandardUnitCount, EvaluationPeriods: aws.Int32(3), DatapointsToAlarm: aws.Int32(2),
		Threshold: aws.Float64(0.5), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, TreatMissingData: aws.String("ignore"),
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	}
}

func TestAlarm_keepsWhatItWasMadeOf(t *testing.T) {
	w := newWorld(t)
	in := everything()
	if _, err := w.PutMetricAlarm(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	out, err := w.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	if err != nil || len(out.MetricAlarms) != 1 || out.CompositeAlarms == nil {
		t.Fatalf("DescribeAlarms = %+v, %v", out, err)
	}
	got, asked := reflect.ValueOf(out.MetricAlarms[0]), reflect.ValueOf(*in)
	for i := range asked.NumField() {
		name := asked.Type().Field(i).Name
		if shown := got.FieldByName(name); shown.IsValid() && shown.CanInterface() && name != "ResultMetadata" {
			if d := cmp.Diff(asked.Field(i).Interface(), shown.Interface(), cmpopts.IgnoreUnexported(types.Dimension{})); d != "" {
				t.Errorf("%s (-asked +shown):\n%s", name, d)
			}
		}
	}
	a := out.MetricAlarms[0]
	if a.StateValue != types.StateValueInsufficientData || *a.AlarmArn != "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:all" || !a.StateUpdatedTimestamp.Equal(began) {
		t.Errorf("a new alarm is %s, %s of %s", a.StateValue, *a.AlarmArn, a.StateUpdatedTimestamp)
	}
	tags, err := w.ListTagsForResource(t.Context(), &cloudwatch.ListTagsForResourceInput{ResourceARN: a.AlarmArn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "team" {
		t.Errorf("tags are %+v, %v", tags, err)
	}
}

// TestAlarm_knowsEveryMemberOfTheSDK fails when CloudWatch's alarms gain a member
// that would be lost here.
func TestAlarm_knowsEveryMemberOfTheSDK(t *testing.T) {
	for name, pair := range map[string][2]reflect.Type{
		"PutMetricAlarm":    {reflect.TypeFor[cloudwatch.PutMetricAlarmInput](), reflect.TypeFor[putMetricInput]()},
		"PutCompositeAlarm": {reflect.TypeFor[cloudwatch.PutCompositeAlarmInput](), reflect.TypeFor[putCompositeInput]()},
		"DescribeAlarms":    {reflect.TypeFor[cloudwatch.DescribeAlarmsInput](), reflect.TypeFor[describeInput]()},
		"MetricDataQuery":   {reflect.TypeFor[types.MetricDataQuery](), reflect.TypeFor[MetricQuery]()},
		"MetricStat":        {reflect.TypeFor[types.MetricStat](), reflect.TypeFor[MetricStat]()},
	} {
		known := map[string]bool{}
		for _, f := range reflect.VisibleFields(pair[1]) {
			known[awsquery.WireName(f)] = true
		}
		for _, f := range reflect.VisibleFields(pair[0]) {
			if f.IsExported() && f.Name != "ResultMetadata" && !known[f.Name] {
				t.Errorf("%s has a member %s, which would be lost", name, f.Name)
			}
		}
	}
}

func TestState_isWhatSomebodySet(t *testing.T) {
	w := newWorld(t)
	plant(t, w.Store, "web", "", "")
	if state, ok := w.State("web"); state != OK || !ok {
		t.Errorf("a seeded alarm is %q, %v", state, ok)
	}
	_, err := w.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("web"), StateValue: types.StateValueAlarm, StateReason: aws.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	if state, _ := w.State("web"); state != Alarm {
		t.Errorf("state is %q after SetAlarmState", state)
	}
	if state, ok := w.State("api"); ok {
		t.Errorf("an alarm that is not there is %q", state)
	}
	_, err = w.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("api"), StateValue: types.StateValueOk, StateReason: aws.String("x")})
	var missing *types.ResourceNotFound
	if !errors.As(err, &missing) {
		t.Errorf("error is %v, want the SDK's ResourceNotFound", err)
	}
	_, err = w.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("web"), StateValue: "RED", StateReason: aws.String("x")})
	wantCode(t, err, "ValidationError", "Value 'RED' at 'stateValue' failed to satisfy constraint")
	out, err := w.DescribeAlarmHistory(t.Context(), &cloudwatch.DescribeAlarmHistoryInput{AlarmName: aws.String("web"), HistoryItemType: types.HistoryItemTypeStateUpdate})
	if err != nil || len(out.AlarmHistoryItems) != 2 || *out.AlarmHistoryItems[0].HistorySummary != "Alarm updated from OK to ALARM" {
		t.Errorf("history is %+v, %v", out, err)
	}
}

func TestCompositeAlarm_followsItsRule(t *testing.T) {
	for rule, want := range map[string]string{
		`ALARM(a)`:                            Alarm,
		`ALARM("b")`:                          OK,
		`ALARM(b) OR ALARM('a')`:              Alarm,
		`ALARM(a) AND NOT OK(b)`:              OK,
		`NOT (OK(a) OR ALARM(b))`:             Alarm,
		`INSUFFICIENT_DATA(c)`:                Alarm,
		`FALSE OR TRUE AND FALSE`:             OK,
		`(ALARM(a) OR OK(a)) AND ALARM(a)`:    Alarm,
		`ALARM(arn:aws:cloudwatch:x:alarm:a)`: Alarm,
	} {
		s := New("1", "r", nil)
		plant(t, s, "a", Alarm, "")
		plant(t, s, "b", OK, "")
		plant(t, s, "c", InsufficientData, "")
		plant(t, s, "both", "", rule)
		if got, _ := s.State("both"); got != want {
			t.Errorf("%s is %s, want %s", rule, got, want)
		}
	}
	s := New("1", "r", nil)
	plant(t, s, "a", OK, "")
	plant(t, s, "one", "", "ALARM(a)")
	plant(t, s, "two", "", "NOT OK(one)")
	if err := s.Set("a", Alarm, "x"); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.State("two"); got != Alarm {
		t.Errorf("a rule over a rule is %s, want ALARM", got)
	}
}

func TestPutCompositeAlarm_refuses(t *testing.T) {
	w := newWorld(t)
	plant(t, w.Store, "a", "", "")
	for rule, want := range map[string]string{
		"ALARM(x) OR ALARM(a)":              "Could not save the composite alarm as alarms [x] in the alarm rule do not exist",
		"AT_LEAST(1, ALARM, (a))":           "the sandbox does not know AT_LEAST",
		"ALARM(a":                           "ALARM wants the name of one alarm in parentheses",
		"ALARM(a) ALARM(a)":                 `"ALARM" is not expected there`,
		"(ALARM(a)":                         "a closing parenthesis is missing",
		"ALARM(a) AND":                      "it ends too early",
		strings.Repeat("NOT ", 60) + "TRUE": "it nests more than 50 levels",
	} {
		_, err := w.PutCompositeAlarm(t.Context(), &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("c"), AlarmRule: &rule})
		wantCode(t, err, "ValidationError", want)
	}
}

func TestDescribeAlarms_filtersAndPages(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"api-1", "web-1", "web-2", "web-3"} {
		plant(t, w.Store, name, "", "")
	}
	plant(t, w.Store, "web-all", "", "ALARM(web-1) OR ALARM(web-2)")
	if err := w.Set("web-2", Alarm, "x"); err != nil {
		t.Fatal(err)
	}
	both := []types.AlarmType{types.AlarmTypeCompositeAlarm, types.AlarmTypeMetricAlarm}
	for name, test := range map[string]struct {
		in   cloudwatch.DescribeAlarmsInput
		want string
	}{
		"all of metrics":        {cloudwatch.DescribeAlarmsInput{}, "api-1 web-1 web-2 web-3"},
		"by names":              {cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"web-3", "none", "api-1"}}, "api-1 web-3"},
		"by a prefix":           {cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("web"), AlarmTypes: both}, "web-all web-1 web-2 web-3"},
		"by state":              {cloudwatch.DescribeAlarmsInput{StateValue: types.StateValueAlarm, AlarmTypes: both}, "web-all web-2"},
		"composite ones":        {cloudwatch.DescribeAlarmsInput{AlarmTypes: both[:1]}, "web-all"},
		"what a rule names":     {cloudwatch.DescribeAlarmsInput{ChildrenOfAlarmName: aws.String("web-all")}, "web-1 web-2"},
		"which rules name this": {cloudwatch.DescribeAlarmsInput{ParentsOfAlarmName: aws.String("web-1")}, "web-all"},
		"in pages of two":       {cloudwatch.DescribeAlarmsInput{MaxRecords: aws.Int32(2)}, "api-1 web-1 | web-2 web-3"},
	} {
		t.Run(name, func(t *testing.T) {
			var pages []string
			for p := cloudwatch.NewDescribeAlarmsPaginator(w, &test.in); p.HasMorePages(); {
				out, err := p.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, a := range out.CompositeAlarms {
					names = append(names, *a.AlarmName)
				}
				for _, a := range out.MetricAlarms {
					names = append(names, *a.AlarmName)
				}
				pages = append(pages, strings.Join(names, " "))
			}
			if got := strings.Join(pages, " | "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDescribeAlarms_refuses(t *testing.T) {
	w := newWorld(t)
	for want, in := range map[string]cloudwatch.DescribeAlarmsInput{
		"InvalidNextToken":            {NextToken: aws.String("x")},
		"ValidationError":             {MaxRecords: aws.Int32(101)},
		"InvalidParameterCombination": {AlarmNames: []string{"a"}, AlarmNamePrefix: aws.String("a")},
	} {
		_, err := w.DescribeAlarms(t.Context(), &in)
		wantCode(t, err, want, "")
	}
}

func TestPutMetricAlarm_refuses(t *testing.T) {
	w := newWorld(t)
	for want, change := range map[string]func(*cloudwatch.PutMetricAlarmInput){
		"MissingParameter":            func(in *cloudwatch.PutMetricAlarmInput) { in.Threshold = nil },
		"ValidationError":             func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods = nil },
		"InvalidParameterCombination": func(in *cloudwatch.PutMetricAlarmInput) { in.Metrics = []types.MetricDataQuery{{Id: aws.String("m")}} },
	} {
		in := everything()
		change(in)
		_, err := w.PutMetricAlarm(t.Context(), in)
		wantCode(t, err, want, "")
	}
	_, err := w.PutDashboard(t.Context(), &cloudwatch.PutDashboardInput{DashboardName: aws.String("d"), DashboardBody: aws.String("{}")})
	wantCode(t, err, "UnknownOperationException", "CloudWatch.PutDashboard is not available here")
}

func TestDeleteAlarms_allOrNone(t *testing.T) {
	w := newWorld(t)
	plant(t, w.Store, "a", "", "")
	plant(t, w.Store, "b", "", "")
	plant(t, w.Store, "c", "", "ALARM(b)")
	remove := func(names ...string) error {
		_, err := w.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: names})
		return err
	}
	wantCode(t, remove("a", "none"), "ResourceNotFound", "")
	wantCode(t, remove("a", "b"), "ValidationError", "Cannot delete b as there are composite alarm(s) depending on it.")
	if _, ok := w.State("a"); !ok {
		t.Error("an alarm is gone although the call was refused")
	}
	if err := remove("a", "b", "c"); err != nil {
		t.Error(err)
	}
	if _, ok := w.State("a"); ok {
		t.Error("the alarm is still there")
	}
}

func TestActions_areTurnedOffAndOn(t *testing.T) {
	w := newWorld(t)
	plant(t, w.Store, "a", "", "")
	enabled := func() bool {
		out, err := w.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
		if err != nil {
			t.Fatal(err)
		}
		return *out.MetricAlarms[0].ActionsEnabled
	}
	if _, err := w.DisableAlarmActions(t.Context(), &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{"a", "none"}}); err != nil || enabled() {
		t.Errorf("DisableAlarmActions: %v, enabled: %v", err, enabled())
	}
	if _, err := w.EnableAlarmActions(t.Context(), &cloudwatch.EnableAlarmActionsInput{AlarmNames: []string{"a"}}); err != nil || !enabled() {
		t.Errorf("EnableAlarmActions: %v, enabled: %v", err, enabled())
	}
}

func TestSave_isWhatLoadReads(t *testing.T) {
	s := New("1", "r", func() time.Time { return began })
	plant(t, s, "a", Alarm, "")
	plant(t, s, "both", "", "ALARM(a)")
	saved, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := New("1", "r", func() time.Time { return began })
	if err := again.Load(saved); err != nil {
		t.Fatal(err)
	}
	resaved, err := again.Save()
	if d := cmp.Diff(string(saved), string(resaved)); err != nil || d != "" {
		t.Errorf("saved again: %v\n%s", err, d)
	}
	if err := again.Set("a", OK, "x"); err != nil {
		t.Fatal(err)
	}
	if state, _ := again.State("both"); state != OK {
		t.Errorf("the rule is not followed after Load: %s", state)
	}
	if err := again.Load([]byte("[]")); err == nil {
		t.Error("Load takes a list")
	}
}
