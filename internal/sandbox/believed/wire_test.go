package believed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

var requestForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// fault makes the sandbox fail as a rule says.
func (w *world) fault(t *testing.T, rule string) {
	t.Helper()
	if got := w.send(t, http.MethodPost, "/_sandbox/faults", rule, nil); got.status != http.StatusCreated {
		t.Fatalf("fault %s: %d %s", rule, got.status, got.text)
	}
}

// wire is about requests and answers as they are on the wire.
var wire = []behaviour{
	{"answers have the protocol's type, a request id, and zeros where there are zeros", protocol + "x-amz-json-1.1", func(t *testing.T, w *world) {
		w.create(t, w.define(t, "nginx"), 0)
		got := w.post(t, ecsTarget("DescribeServices"), `{"cluster":"c","services":["web"]}`)
		if got.status != 200 || got.header.Get("Content-Type") != "application/x-amz-json-1.1" || !requestForm.MatchString(got.header.Get("X-Amzn-Requestid")) {
			t.Errorf("answer is %d %v", got.status, got.header)
		}
		for _, member := range []string{`"runningCount":0`, `"pendingCount":0`, `"desiredCount":0`, `"failures":[]`, `"loadBalancers":[]`, `"enableECSManagedTags":false`} {
			if !strings.Contains(got.text, member) {
				t.Errorf("%s is missing in %s", member, got.text)
			}
		}
	}},
	{"times are seconds since 1970 as numbers", protocol + "epoch-seconds", func(t *testing.T, w *world) {
		w.define(t, "nginx")
		got := w.post(t, ecsTarget("DescribeTaskDefinition"), `{"taskDefinition":"web"}`)
		at, ok := got.body["taskDefinition"].(map[string]any)["registeredAt"].(float64)
		if age := time.Since(time.UnixMilli(int64(at * 1000))); !ok || age < 0 || age > time.Minute {
			t.Errorf("registeredAt is %v", got.text)
		}
	}},
	{"an error is 400 with its name in __type and in a header", protocol + "errors", func(t *testing.T, w *world) {
		got := w.post(t, ecsTarget("DescribeServices"), `{"cluster":"absent","services":["web"]}`)
		if got.status != 400 || got.body["__type"] != "ClusterNotFoundException" || got.body["message"] != "Cluster not found." || got.header.Get("X-Amzn-Errortype") != "ClusterNotFoundException" {
			t.Errorf("answer is %d %v %s", got.status, got.header, got.text)
		}
	}},
	{"what is no JSON is a SerializationException", protocol + "errors", func(t *testing.T, w *world) {
		for _, body := range []string{`{`, `[]`, `{"cluster":1}`, `{"services":"web"}`} {
			if got := w.post(t, ecsTarget("DescribeServices"), body); got.status != 400 || got.body["__type"] != "SerializationException" {
				t.Errorf("%s: %d %s", body, got.status, got.text)
			}
		}
	}},
	{"an operation that is not there is an UnknownOperationException", protocol + "errors", func(t *testing.T, w *world) {
		for _, target := range []string{ecsTarget("MakeCoffee"), "Nothing_20200101.MakeCoffee", "nonsense"} {
			if got := w.post(t, target, `{}`); got.status != 400 && got.status != 404 || got.body["__type"] != "UnknownOperationException" {
				t.Errorf("%s: %d %s", target, got.status, got.text)
			}
		}
	}},
	{"a request signed by hand is answered like an unsigned one", "AWS Signature Version 4", func(t *testing.T, w *world) {
		body := `{"clusters":["c"]}`
		sum := sha256.Sum256([]byte(body))
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL()+"/", strings.NewReader(body)))(t)
		r.Header = http.Header{"X-Amz-Target": {ecsTarget("DescribeClusters")}, "Content-Type": {"application/x-amz-json-1.1"}}
		signer := v4.NewSigner()
		if err := signer.SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "x"}, r, hex.EncodeToString(sum[:]), "ecs", region, time.Now()); err != nil {
			t.Fatal(err)
		}
		signed := w.send(t, http.MethodPost, "/", body, r.Header)
		if unsigned := w.post(t, ecsTarget("DescribeClusters"), body); signed.status != 200 || signed.text != unsigned.text {
			t.Errorf("signed: %d %s", signed.status, signed.text)
		}
	}},
	{"members that no operation has are passed over", protocol + "unknown members", func(t *testing.T, w *world) {
		if got := w.post(t, ecsTarget("DescribeClusters"), `{"clusters":["c"],"brandNew":{"a":1}}`); got.status != 200 {
			t.Errorf("answer is %d %s", got.status, got.text)
		}
	}},
	{"a token of a page that nobody gave is refused", api + "nextToken", func(t *testing.T, w *world) {
		wantError(t, "InvalidParameterException", "")(w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{NextToken: new("nonsense")}))
	}},
	{"the SDK repeats a throttled call by itself", guide + "request-throttling; SDK: retry", func(t *testing.T, w *world) {
		w.connect(retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
		}))
		w.fault(t, `{"when":"ListClusters","times":2,"error":"ThrottlingException","message":"Rate exceeded"}`)
		if out := must(w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{}))(t); len(out.ClusterArns) != 1 {
			t.Errorf("clusters are %v", out.ClusterArns)
		}
	}},
	{"the SDK repeats a call whose connection was cut", "SDK: retry", func(t *testing.T, w *world) {
		w.connect(retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
		}))
		w.fault(t, `{"when":"CreateCluster","times":1,"dropAnswer":true}`)
		must(w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: new("d")}))(t)
	}},
	{"a client that gives up is let go", "SDK: contexts", func(t *testing.T, w *world) {
		w.fault(t, `{"when":"ListClusters","hang":true,"times":1}`)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := w.ecs.ListClusters(ctx, &ecs.ListClustersInput{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the call ends with %v", err)
		}
		w.send(t, http.MethodDelete, "/_sandbox/faults", "", nil) // the call may never have come
		must(w.ecs.ListClusters(t.Context(), &ecs.ListClustersInput{}))(t)
	}},
	{"a denied call is an AccessDeniedException that names what is missing", api + "errors", func(t *testing.T, w *world) {
		w.fault(t, `{"deny":"ecs:UpdateService"}`)
		_, err := w.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: new("c"), Service: new("web")})
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != "AccessDeniedException" || !strings.Contains(e.ErrorMessage(), "ecs:UpdateService") {
			t.Errorf("the call ends with %v", err)
		}
	}},
	{"STS says who calls, in XML", "AWS STS API reference: GetCallerIdentity", func(t *testing.T, w *world) {
		who := must(w.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}))(t)
		if *who.Account != account || !strings.HasPrefix(*who.Arn, "arn:aws:iam::"+account+":") {
			t.Errorf("caller is %s", *who.Arn)
		}
		got := w.send(t, http.MethodPost, "/", "Action=GetCallerIdentity&Version=2011-06-15", http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}})
		if !strings.Contains(got.text, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`) || !strings.HasPrefix(got.header.Get("Content-Type"), "text/xml") {
			t.Errorf("answer is %v %s", got.header, got.text)
		}
	}},
	{"lists of clusters come in pages, each cluster once", api + "ListClusters, maxResults", func(t *testing.T, w *world) {
		for _, name := range strings.Fields("d e f g") {
			must(w.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &name}))(t)
		}
		n := 0
		for p := ecs.NewListClustersPaginator(w.ecs, &ecs.ListClustersInput{MaxResults: new(int32(2))}); p.HasMorePages(); n++ {
			if page := must(p.NextPage(t.Context()))(t).ClusterArns; len(page) > 2 {
				t.Errorf("a page has %d clusters", len(page))
			}
		}
		if n != 3 {
			t.Errorf("there are %d pages", n)
		}
		all := must(w.ecs.DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"c", "g"}, Include: []types.ClusterField{types.ClusterFieldTags}}))(t)
		if len(all.Clusters) != 2 {
			t.Errorf("clusters are %+v", all)
		}
	}},
}
